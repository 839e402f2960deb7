//! `weaveheap check`: attaches to a heap as any program does, which recovers what dead processes held, and walks it. A
//! private heap cannot be attached to from outside, and `--read-only` asks for leaving a shared one as it is: those are
//! walked through a read-only mapping.

use anyhow::{Result, bail};
use serde_json::json;
use weaveheap_core::{CheckReport, HeapOptions, Runtime};

use crate::fail;
use crate::human::plural;
use crate::screen;
use crate::target::Target;

/// Checks one heap, or the private heaps of a process.
pub fn run(target: &Target, read_only: bool, json: bool) -> Result<u8> {
    if read_only || matches!(target, Target::Process(_)) {
        return look(target, json);
    }
    let title = target.title();
    let options = HeapOptions::new().runtime(Runtime::Cli).label("weaveheap check");
    let named = |error| fail::of_heap(&title, error);
    // SAFETY: this process borrows no bytes of the heap, so that it cannot touch any against the borrow rules; all that
    // it does goes through the heap's protocol.
    let heap = unsafe {
        match target {
            Target::Name(name) => options.open(name),
            Target::Path(path) => options.open_path(path),
            Target::Folder | Target::Process(_) => bail!("check takes one heap, by name, by --path, or by --pid"),
        }
    }
    .map_err(named)?;
    let report = heap.check().map_err(named)?;
    heap.detach().map_err(named)?;
    if json {
        screen::print(&format!("{}\n", serde_json::to_string(&report)?))?;
    } else {
        screen::print(&format!("{title} is sound: {}.\n", sentence(&report)))?;
    }
    Ok(0)
}

/// Walks heaps without attaching to them.
fn look(target: &Target, json: bool) -> Result<u8> {
    let opened = target.open()?;
    let mut reports = Vec::new();
    for subject in &opened.subjects {
        let report = subject.inspector.check().map_err(|error| fail::of_heap(&subject.title, error))?;
        reports.push((&*subject.title, report));
    }
    if !json {
        for (title, report) in &reports {
            screen::print(&format!("{title} is sound: {}.\n", sentence(report)))?;
        }
        return Ok(0);
    }
    let mut values = reports.iter().map(|(_, report)| json!(report)).collect::<Vec<_>>();
    let value = if target.may_be_several() { json!(values) } else { values.remove(0) };
    screen::print(&format!("{value}\n"))?;
    Ok(0)
}

fn sentence(report: &CheckReport) -> String {
    let mut counts = vec![
        plural(report.regions, "region"),
        plural(report.chunks, "chunk"),
        plural(report.buffers, "buffer"),
        plural(report.borrows, "borrow"),
        // Where it attaches, the one that checks is among them.
        plural(report.attachments, "attachment"),
    ];
    // What nobody has to know of where it is nothing.
    if report.lost > 0 {
        counts.push(format!("{} lost until their regions close", plural(report.lost, "place")));
    }
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_counts_what_was_walked() {
        let report = CheckReport { regions: 1, chunks: 12, buffers: 1_000, borrows: 0, attachments: 2, lost: 0 };
        assert_eq!(sentence(&report), "1 region, 12 chunks, 1,000 buffers, 0 borrows, 2 attachments");
        let lost = sentence(&CheckReport { lost: 3, ..report });
        assert!(lost.ends_with("2 attachments, 3 places lost until their regions close"), "{lost}");
    }
}
