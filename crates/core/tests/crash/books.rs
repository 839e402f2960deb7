//! What a heap is seen to hold, and that nothing is missing from it: in this process, and in a fresh one.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use weaveheap_core::{Heap, RegionState};

use crate::actor::open;
use crate::model::{Buffer, Region, State};
use crate::second::{say, told};

/// The region in which those that live on work; it is no part of what is compared.
pub const OWN: &str = "own";

/// A heap as it is now.
pub fn observe(heap: &Heap) -> State {
    let snapshot = heap.snapshot().expect("a snapshot");
    let mut state = State::default();
    let mut lengths = BTreeMap::new();
    for region in snapshot.regions.iter().filter(|region| region.name != OWN) {
        assert_ne!(region.state, RegionState::Closing, "nobody closes {} any more", region.name);
        let mut buffers = BTreeMap::new();
        for buffer in heap.buffers(region.handle, usize::MAX).expect("a live region") {
            let known = Buffer { frozen: buffer.frozen, poisoned: buffer.poisoned };
            assert!(buffers.insert(buffer.length, known).is_none(), "two buffers of {} bytes", buffer.length);
            lengths.insert(buffer.handle, buffer.length);
        }
        let draining = region.state == RegionState::Draining;
        let twice = state.regions.insert(region.name.clone(), Region { draining, buffers });
        assert!(twice.is_none(), "two regions are called {}", region.name);
    }
    for name in snapshot.names {
        state.names.insert(name.name, lengths.get(&name.handle).copied().unwrap_or(u64::MAX));
    }
    state
}

/// The role of a process that opens heaps, says what it sees, and leaves them again.
pub fn verify() {
    while let Some(path) = told() {
        let heap = open(Path::new(&path), "verifier");
        let seen = match heap.check() {
            Ok(_) => format!("{:?}", observe(&heap)),
            Err(error) => format!("check: {error}"),
        };
        drop(heap);
        say(&seen);
    }
}

/// The records that a heap has handed out that nobody has used, opened once more.
fn unused() -> &'static BTreeMap<&'static str, u64> {
    static UNUSED: OnceLock<BTreeMap<&'static str, u64>> = OnceLock::new();
    UNUSED.get_or_init(|| {
        let folder = crate::stage::Folder::new();
        let path = folder.path().join("unused");
        // SAFETY: as in `open`.
        drop(unsafe { Heap::options().limit(crate::stage::LIMIT).create_path(&path) }.expect("a heap"));
        open(&path, "books").records_in_use().expect("the books")
    })
}

/// A heap in which all regions were closed and that all others have left holds what an unused one holds, and no memory
/// that it does not know of.
pub fn nothing_is_left(path: &Path) {
    let heap = open(path, "books");
    heap.check().expect("a sound heap");
    // A thread of this process that has just ended may keep its attachment for a moment more.
    let start = Instant::now();
    while heap.snapshot().expect("a snapshot").attachments.len() > 1 && start.elapsed() < Duration::from_secs(2) {
        std::thread::yield_now();
    }
    let snapshot = heap.snapshot().expect("a snapshot");
    assert_eq!((snapshot.regions.len(), snapshot.borrows.len()), (0, 0), "{snapshot:?}");
    assert_eq!(snapshot.attachments.len(), 1, "{:?}", snapshot.attachments);
    assert_eq!(heap.records_in_use().expect("the books"), *unused());
    heap.trim().expect("trimmed");
    let allocated = std::fs::metadata(path).expect("the heap's file").blocks() * 512;
    let reserved = heap.snapshot().expect("a snapshot").heap.reserved;
    assert!(allocated <= reserved, "{allocated} bytes of the file are allocated, {reserved} are handed out");
}
