//! `weaveheap check`: attaches to a heap as any program does, which recovers what dead processes held, and walks it.
//! Nobody can attach to a private heap from outside: those are verified as far as they can be seen, in `outside.rs`.

mod outside;

use anyhow::{Result, bail};
use weaveheap_core::{CheckReport, HeapOptions, Runtime};

use crate::fail;
use crate::human::plural;
use crate::screen;
use crate::target::Target;

/// Checks one heap, or the private heaps of a process.
pub fn run(target: &Target, json: bool) -> Result<u8> {
    if let Target::Process(_) = target {
        return outside::run(target, json);
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

fn sentence(report: &CheckReport) -> String {
    [
        plural(report.regions, "region"),
        plural(report.chunks, "chunk"),
        plural(report.buffers, "buffer"),
        plural(report.borrows, "borrow"),
        // The one that checks is attached too.
        plural(report.attachments, "attachment"),
    ]
    .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_counts_what_was_walked() {
        let report = CheckReport { regions: 1, chunks: 12, buffers: 1_000, borrows: 0, attachments: 2 };
        assert_eq!(sentence(&report), "1 region, 12 chunks, 1,000 buffers, 0 borrows, 2 attachments");
    }
}
