//! `weaveheap list`: the heaps that there are, with what they hold and who is there.

use anyhow::Result;
use serde::Serialize;
use weaveheap_core::{Heap, Snapshot};

use crate::human::{count, plural, printable, size};
use crate::screen::{self, Line, Page, Role, Screen, Span};
use crate::table::{Table, number, text};
use crate::target::{self, Seen, Target};
use crate::watch;

/// Lists the folder's heaps, or a process's private ones.
pub fn run(process: Option<u32>, json: bool, screen: &Screen) -> Result<u8> {
    let target = process.map_or(Target::Folder, Target::Process);
    let opened = target.open()?;
    let (seen, failures) = opened
        .each(&target, |subject| Ok(Seen { title: subject.title.clone(), snapshot: subject.inspector.snapshot()? }))?;
    if json {
        let document = Document {
            folder: Heap::folder().display().to_string(),
            heaps: seen.iter().map(Entry::new).collect(),
            unreadable: failures.iter().map(|failure| printable(&format!("{failure:#}"))).collect(),
        };
        screen::print(&format!("{}\n", serde_json::to_string(&document)?))?;
    } else if seen.is_empty() && failures.is_empty() {
        screen::print(&format!("{}\n", target::nothing_here()))?;
    } else if !seen.is_empty() {
        page(&seen, screen).print(screen)?;
    }
    watch::report(&failures);
    Ok(if failures.is_empty() { 0 } else { crate::fail::FAILED })
}

#[derive(Serialize)]
struct Document {
    folder: String,
    heaps: Vec<Entry>,
    /// Files that are no heaps, or no sound ones.
    unreadable: Vec<String>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    id: String,
    path: Option<String>,
    shared: bool,
    layout_version: u32,
    limit: u64,
    reserved: u64,
    bytes_live: u64,
    regions: usize,
    buffers: u64,
    borrows: usize,
    attachments: usize,
    alive: usize,
}

impl Entry {
    fn new(seen: &Seen) -> Entry {
        let snapshot = &seen.snapshot;
        let heap = &snapshot.heap;
        Entry {
            name: seen.title.clone(),
            id: heap.id.clone(),
            path: heap.path.clone(),
            shared: heap.shared,
            layout_version: heap.layout_version,
            limit: heap.limit,
            reserved: heap.reserved,
            bytes_live: heap.bytes_live,
            regions: snapshot.regions.len(),
            buffers: buffers(snapshot),
            borrows: snapshot.borrows.len(),
            attachments: snapshot.attachments.len(),
            alive: alive(snapshot),
        }
    }
}

/// Attachments that are not known to be dead.
pub fn alive(snapshot: &Snapshot) -> usize {
    snapshot.attachments.iter().filter(|attachment| attachment.alive).count()
}

/// Buffers of all regions; what a damaged heap says must not overflow.
fn buffers(snapshot: &Snapshot) -> u64 {
    snapshot.regions.iter().fold(0, |sum, region| sum.saturating_add(region.buffers))
}

/// The languages at work in a heap, each once.
fn languages(snapshot: &Snapshot) -> String {
    let mut names: Vec<&str> = Vec::new();
    for attachment in snapshot.attachments.iter().filter(|attachment| attachment.alive) {
        if !names.contains(&attachment.runtime.name()) {
            names.push(attachment.runtime.name());
        }
    }
    names.join(" ")
}

fn page(seen: &[Seen], screen: &Screen) -> Page {
    let mut table = Table::new(&[
        text("HEAP", 0),
        number("LIVE", 0),
        number("RESERVED", 2),
        number("LIMIT", 5),
        number("REGIONS", 4),
        number("BUFFERS", 3),
        number("BORROWS", 0),
        number("ATTACHED", 0),
        text("LANGUAGES", 1),
    ]);
    for Seen { title, snapshot } in seen {
        let attached = match alive(snapshot) {
            0 => Span::new(Role::Warn, "0"),
            n => Span::plain(n.to_string()),
        };
        table.row([
            Span::new(Role::Title, title.clone()),
            size(snapshot.heap.bytes_live).into(),
            size(snapshot.heap.reserved).into(),
            size(snapshot.heap.limit).into(),
            count(snapshot.regions.len() as u64).into(),
            count(buffers(snapshot)).into(),
            count(snapshot.borrows.len() as u64).into(),
            attached,
            languages(snapshot).into(),
        ]);
    }
    let mut page = Page::default();
    table.draw(&mut page, 0, screen);
    let left = seen.iter().filter(|seen| alive(&seen.snapshot) == 0).count();
    if left > 0 {
        page.gap();
        let note = format!("{} with nobody attached; `weaveheap doctor` says what to do.", plural(left as u64, "heap"));
        page.push(Line::new(Role::Dim, note));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_heap_is_one_row_with_those_who_live() {
        let seen = [Seen { title: "flights".into(), snapshot: sample::snapshot() }];
        let text = page(&seen, &Screen::plain(None)).text(&Screen::plain(None));
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split("  ").filter(|c| !c.is_empty()).collect()).collect();
        assert_eq!(rows.len(), 2, "{text}");
        let cells: Vec<&str> = rows[1].iter().map(|cell| cell.trim()).collect();
        assert_eq!(cells, ["flights", "1.00 GiB", "2.00 GiB", "64.0 GiB", "2", "5", "3", "2", "python node"]);
    }

    #[test]
    fn a_heap_that_nobody_uses_is_pointed_out() {
        let mut snapshot = sample::snapshot();
        snapshot.attachments.truncate(1);
        let seen = [Seen { title: "flights".into(), snapshot }];
        let text = page(&seen, &Screen::plain(Some(60))).text(&Screen::plain(Some(60)));
        assert!(text.contains("1 heap with nobody attached"), "{text}");
    }
}
