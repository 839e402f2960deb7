//! A panic of the user's inside a borrow ends the borrow, and the heap goes on (V1, B2).

use std::panic::{AssertUnwindSafe, catch_unwind};

use weaveheap_core::{BorrowKind, Handle, Heap, Init, RegionOptions};

use crate::support::heaps;

/// Runs what panics, in this thread and in one that it ends.
fn panics(work: impl Fn() + Sync) {
    for _ in 0..2 {
        catch_unwind(AssertUnwindSafe(&work)).expect_err("it panics");
    }
    std::thread::scope(|scope| scope.spawn(&work).join()).expect_err("it panics");
}

/// Nothing is borrowed: both kinds of borrow begin, and the heap is sound.
fn is_free(heap: &Heap, buffer: Handle) {
    assert!(heap.holders(buffer).expect("live").is_empty());
    heap.borrow(buffer, BorrowKind::Unique).expect("nobody holds it").end();
    heap.borrow(buffer, BorrowKind::Shared).expect("nobody holds it").end();
    let info = heap.buffer_info(buffer).expect("live");
    assert!(!info.poisoned && !info.unique && info.shared == 0, "a panic is no death: {info:?}");
    assert_eq!(heap.check().expect("a sound heap").borrows, 0);
}

#[test]
fn panic_under_a_guard_ends_its_borrow() {
    for (heap, _folder) in heaps() {
        let region = heap.region(&RegionOptions::new()).expect("a region");
        let handle = region.alloc_from(b"bytes").expect("room").handle();
        panics(|| {
            let buffer = heap.buffer(handle).expect("live");
            let (first, second) = (buffer.borrow_shared().expect("free"), buffer.borrow_shared().expect("shared"));
            panic!("under {} and {} shared bytes", first.len(), second.len());
        });
        is_free(&heap, handle);
        panics(|| {
            let mut buffer = heap.buffer(handle).expect("live");
            let mut guard = buffer.borrow_unique().expect("free");
            guard[0] = b'B';
            panic!("under {} unique bytes", guard.len());
        });
        is_free(&heap, handle);
        assert_eq!(*heap.buffer(handle).expect("live").borrow_shared().expect("free"), *b"Bytes");
        region.close().expect("idle");
        heap.check().expect("a sound heap");
    }
}

#[test]
fn panic_under_a_lease_ends_its_borrow() {
    for (heap, _folder) in heaps() {
        let region = heap.create_region(&RegionOptions::new()).expect("a region");
        let buffer = heap.alloc(region, 64, 64, Init::Zeroed).expect("room");
        for kind in [BorrowKind::Shared, BorrowKind::Unique] {
            panics(|| {
                let lease = heap.borrow(buffer, kind).expect("free");
                panic!("under a lease of {} bytes", lease.len());
            });
            is_free(&heap, buffer);
        }
        heap.close(region).expect("idle");
        heap.check().expect("a sound heap");
    }
}

#[test]
fn panic_in_the_scope_of_a_private_heaps_region_closes_it() {
    let heap = Heap::private().expect("a heap");
    panics(|| {
        let region = heap.region(&RegionOptions::new()).expect("a region");
        let buffer = region.alloc_from(b"bytes").expect("room");
        let guard = buffer.borrow_shared().expect("free");
        panic!("under {} bytes of a region of its own", guard.len());
    });
    assert!(heap.snapshot().expect("a snapshot").regions.is_empty());
    assert_eq!(heap.check().expect("a sound heap").regions, 0);
}
