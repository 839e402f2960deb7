//! `weaveheap remove`: unlinks a heap's file. Processes that are attached keep their memory (H4), and that is said.

use anyhow::{Result, bail};
use weaveheap_core::Heap;

use crate::fail;
use crate::human::plural;
use crate::screen;
use crate::target::Target;

/// Removes one heap.
pub fn run(target: &Target) -> Result<u8> {
    let title = target.title();
    // A heap that cannot be read can still be removed: then nothing is known of those who are attached.
    let attached = target.open().ok().and_then(|opened| {
        let snapshot = opened.subjects.first()?.inspector.snapshot().ok()?;
        Some(snapshot.attachments.iter().filter(|attachment| attachment.alive).count() as u64)
    });
    match target {
        Target::Name(name) => Heap::remove(name),
        Target::Path(path) => Heap::remove_path(path),
        Target::Folder | Target::Process(_) => bail!("remove takes one heap, by name or by --path"),
    }
    .map_err(|error| fail::of_heap(&title, error))?;
    let note = match attached {
        Some(attached) if attached > 0 => {
            let verb = if attached == 1 { "has" } else { "have" };
            format!("; its memory goes when {} {verb} ended", plural(attached, "attachment"))
        }
        _ => String::new(),
    };
    screen::print(&format!("Removed {title}{note}.\n"))?;
    Ok(0)
}
