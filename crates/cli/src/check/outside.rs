//! The check of heaps that can only be looked at: what a snapshot and the lists of buffers say must agree. Their programs
//! go on meanwhile, so that a contradiction counts only if it stays.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Serialize;
use weaveheap_core::{BorrowKind, BufferInfo, ErrorCode, Handle, Snapshot};

use crate::human::plural;
use crate::screen;
use crate::target::{Subject, Target};

/// How often a contradiction must be seen, and how long after each other. A program that borrows all the time may show the
/// same passing one a few times.
const LOOKS: u32 = 12;
const PAUSE: Duration = Duration::from_millis(7);

/// What was looked at.
#[derive(Debug, Serialize)]
struct Report {
    heap: String,
    /// False: the tables behind regions and buffers were not walked.
    attached: bool,
    regions: usize,
    buffers: usize,
    borrows: usize,
    attachments: usize,
}

/// Looks at every private heap of a process.
pub fn run(target: &Target, json: bool) -> Result<u8> {
    let opened = target.open()?;
    let mut reports = Vec::new();
    for subject in &opened.subjects {
        reports.push(check(subject)?);
    }
    if json {
        screen::print(&format!("{}\n", serde_json::to_string(&reports)?))?;
    } else {
        for report in &reports {
            screen::print(&format!("{}\n", sentence(report)))?;
        }
    }
    Ok(0)
}

fn sentence(report: &Report) -> String {
    format!(
        "{} looks sound from outside: {}, {}, {}, {}.",
        report.heap,
        plural(report.regions as u64, "region"),
        plural(report.buffers as u64, "buffer"),
        plural(report.borrows as u64, "borrow"),
        plural(report.attachments as u64, "attachment")
    )
}

fn check(subject: &Subject) -> Result<Report> {
    let mut last = String::new();
    let mut seen = 0;
    loop {
        let (snapshot, buffers) = look(subject).map_err(|error| crate::fail::of_heap(&subject.title, error))?;
        match contradiction(&snapshot, &buffers) {
            None => {
                return Ok(Report {
                    heap: subject.title.clone(),
                    attached: false,
                    regions: snapshot.regions.len(),
                    buffers: buffers.len(),
                    borrows: snapshot.borrows.len(),
                    attachments: snapshot.attachments.len(),
                });
            }
            Some(found) if found == last => seen += 1,
            Some(found) => (last, seen) = (found, 1),
        }
        if seen >= LOOKS {
            return Err(anyhow!("{}: {}: {last}", subject.title, ErrorCode::Corrupt.name()));
        }
        std::thread::sleep(PAUSE);
    }
}

fn look(subject: &Subject) -> weaveheap_core::Result<(Snapshot, Vec<BufferInfo>)> {
    let snapshot = subject.inspector.snapshot()?;
    let mut buffers = Vec::new();
    for region in &snapshot.regions {
        match subject.inspector.buffers(region.handle, usize::MAX) {
            Ok(more) => buffers.extend(more),
            Err(error) if error.code() == ErrorCode::StaleHandle => {}
            Err(error) => return Err(error),
        }
    }
    Ok((snapshot, buffers))
}

/// The first thing that two records say differently; `None` if all agree.
fn contradiction(snapshot: &Snapshot, buffers: &[BufferInfo]) -> Option<String> {
    let mut by_handle: HashMap<Handle, &BufferInfo> = HashMap::new();
    for buffer in buffers {
        if buffer.offset.checked_add(buffer.length).is_none_or(|end| end > snapshot.heap.limit) {
            return Some(format!("{} reaches past the heap's limit", buffer.handle));
        }
        if by_handle.insert(buffer.handle, buffer).is_some() {
            return Some(format!("{} is there twice", buffer.handle));
        }
    }
    let mut placed: Vec<&BufferInfo> = buffers.iter().filter(|buffer| buffer.length > 0).collect();
    placed.sort_by_key(|buffer| buffer.offset);
    for pair in placed.windows(2) {
        if pair[0].offset + pair[0].length > pair[1].offset {
            return Some(format!("{} and {} have bytes in common", pair[0].handle, pair[1].handle));
        }
    }
    for region in &snapshot.regions {
        let own = buffers.iter().filter(|buffer| buffer.region == region.handle);
        let (number, bytes) =
            own.fold((0, 0_u64), |(number, bytes), buffer| (number + 1, bytes.saturating_add(buffer.length)));
        if (number, bytes) != (region.buffers, region.bytes_live) {
            return Some(format!(
                "{} counts {} buffers of {} bytes, but has {number} of {bytes}",
                region.handle, region.buffers, region.bytes_live
            ));
        }
    }
    let mut held: HashMap<Handle, (u32, u32)> = HashMap::new();
    for borrow in &snapshot.borrows {
        if !by_handle.contains_key(&borrow.handle) {
            return Some(format!("{} is borrowed, but does not live", borrow.handle));
        }
        let (shared, unique) = held.entry(borrow.handle).or_default();
        match borrow.kind {
            BorrowKind::Shared => *shared += 1,
            BorrowKind::Unique => *unique += 1,
        }
    }
    for buffer in buffers {
        let (shared, unique) = held.get(&buffer.handle).copied().unwrap_or_default();
        if (shared, unique) != (buffer.shared, u32::from(buffer.unique)) {
            return Some(format!(
                "{} says {} shared and {} unique borrows, the ledger {shared} and {unique}",
                buffer.handle,
                buffer.shared,
                u32::from(buffer.unique)
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, GIB};

    /// A snapshot and buffers that agree.
    fn agreed() -> (Snapshot, Vec<BufferInfo>) {
        let mut snapshot = sample::snapshot();
        let buffers = sample::buffers();
        snapshot.regions.truncate(1);
        snapshot.regions[0].bytes_live = buffers.iter().map(|buffer| buffer.length).sum();
        (snapshot, buffers)
    }

    #[test]
    fn records_that_agree_are_sound() {
        let (snapshot, buffers) = agreed();
        assert_eq!(contradiction(&snapshot, &buffers), None);
    }

    #[test]
    fn every_contradiction_is_named() {
        type Damage = fn(&mut Snapshot, &mut Vec<BufferInfo>);
        let damages: [(&str, Damage); 7] = [
            ("past the heap's limit", |_, buffers| buffers[2].offset = 64 * GIB),
            ("past the heap's limit", |_, buffers| buffers[2].offset = u64::MAX),
            ("is there twice", |_, buffers| buffers[2].handle = buffers[1].handle),
            ("b17:2043 and b18:2045 have bytes in common", |_, buffers| buffers[0].length += 1),
            ("counts 4 buffers", |snapshot, _| snapshot.regions[0].buffers = 4),
            ("b18:2045 is borrowed, but does not live", |snapshot, buffers| {
                snapshot.regions[0].buffers -= 1;
                snapshot.regions[0].bytes_live -= buffers.remove(1).length;
            }),
            ("b17:2043 says 2 shared", |snapshot, _| drop(snapshot.borrows.remove(0))),
        ];
        for (wanted, damage) in damages {
            let (mut snapshot, mut buffers) = agreed();
            damage(&mut snapshot, &mut buffers);
            let found = contradiction(&snapshot, &buffers).unwrap_or_default();
            assert!(found.contains(wanted), "{wanted}: {found}");
        }
    }
}
