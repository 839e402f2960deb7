//! Memory goes back to the system after large regions close (H5), as the system itself counts it: the pages of the heap's
//! own mapping, and the blocks of a shared heap's file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use weaveheap_core::{BorrowKind, Handle, Heap, Init, RegionOptions};

use crate::support::{SharedHeap, wait_for};

const MIB: u64 = 1 << 20;
/// What the tables of these tests may keep: they never shrink.
const TABLES: u64 = 6 * MIB;

/// Bytes of the heap's mapping that this process has in memory or swapped out. Page by page, since `smaps` shows mappings
/// that lie side by side as one.
fn resident(heap: &Heap) -> u64 {
    const PAGE: u64 = 4096;
    let mut pages = File::open("/proc/self/pagemap").expect("the system's account");
    pages.seek(SeekFrom::Start(heap.base() as u64 / PAGE * 8)).expect("a place for each page");
    let mut words = vec![0; (heap.limit() / PAGE * 8) as usize];
    pages.read_exact(&mut words).expect("a word for each page");
    let there = words.chunks_exact(8).filter(|word| word[7] & 0b1100_0000 != 0).count();
    there as u64 * PAGE
}

/// A region with so many buffers, every byte of which is written.
fn filled(heap: &Heap, count: u64, length: u64) -> Handle {
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    for _ in 0..count {
        let buffer = heap.alloc(region, length, 64, Init::Uninit).expect("room");
        heap.borrow(buffer, BorrowKind::Unique).expect("live").as_mut_slice().expect("unique").fill(7);
    }
    region
}

/// Several regions, of large buffers and of small ones, closed and trimmed: what they had goes back, and what stays open
/// keeps its bytes.
fn gives_back(heap: &Heap, held: impl Fn() -> u64) {
    let kept = filled(heap, 4, MIB);
    let before = held();
    let large = [filled(heap, 1, 48 * MIB), filled(heap, 16, MIB), filled(heap, 4_096, 4 << 10)];
    let grown = held() - before;
    assert!(grown >= 80 * MIB, "{grown} bytes for 80 MiB of buffers");
    for region in large {
        heap.close(region).expect("nothing is borrowed");
    }
    let given = heap.trim().expect("attached");
    let after = held();
    assert!(given >= 80 * MIB, "{given} bytes given back");
    assert!(after <= before + TABLES, "{after} bytes are held, and {before} were before");
    for buffer in heap.buffers(kept, 10).expect("open") {
        let lease = heap.borrow(buffer.handle, BorrowKind::Shared).expect("live");
        assert!(lease.as_slice().iter().all(|byte| *byte == 7), "bytes of an open region were given away");
    }
    heap.check().expect("a sound heap");
    // What was given back reads as zero when it is handed out again.
    let again = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = heap.alloc(again, 48 * MIB, 64, Init::Zeroed).expect("the room is there again");
    assert!(heap.borrow(buffer, BorrowKind::Shared).expect("live").as_slice().iter().all(|byte| *byte == 0));
}

#[test]
fn private_heap_gives_closed_regions_back() {
    let heap = Heap::options().limit(1 << 30).private().expect("a heap");
    gives_back(&heap, || resident(&heap));
}

#[test]
fn shared_heap_gives_closed_regions_back() {
    let shared = SharedHeap::new();
    gives_back(&shared.heap, || resident(&shared.heap));
}

#[test]
fn file_of_a_shared_heap_gives_closed_regions_back() {
    let shared = SharedHeap::new();
    gives_back(&shared.heap, || std::fs::metadata(&shared.path).expect("it is there").blocks() * 512);
}

#[test]
fn closed_regions_go_back_beside_later_work() {
    let heap = Heap::options().limit(1 << 30).private().expect("a heap");
    let region = filled(&heap, 2, 64 * MIB);
    heap.close(region).expect("nothing is borrowed");
    // Nobody asks for it: what has rested for a second goes back when somebody makes a region.
    wait_for("the memory goes back", || {
        std::thread::sleep(Duration::from_millis(100));
        let other = heap.create_region(&RegionOptions::new()).expect("a region");
        heap.close(other).expect("nothing is borrowed");
        resident(&heap) < TABLES
    });
}
