//! Heaps and the attachments of one process: views that outlive their heap, copies, ids, address space (H1, H5, H6, H9).

use std::time::Duration;

use weaveheap_core::{BorrowKind, ErrorCode, Heap, Init, RegionOptions, Runtime};

use crate::support::{code, heaps, unique};

#[test]
fn view_outlives_its_heap_object() {
    for (heap, _folder) in heaps() {
        let region = heap.create_region(&RegionOptions::new()).expect("a region");
        let buffer = heap.alloc_from(region, b"still mapped", 1).expect("a buffer");
        let lease = heap.borrow(buffer, BorrowKind::Shared).expect("a borrow");
        drop(heap);
        assert_eq!(lease.as_slice(), b"still mapped");
        let again = lease.heap();
        assert_eq!(code(again.close(region)), ErrorCode::Borrowed);
        assert_eq!(code(again.detach()), ErrorCode::Borrowed);
        let moved = std::thread::spawn(move || lease.as_slice().len());
        assert_eq!(moved.join().expect("no panic"), 12);
        again.close(region).expect("the view has ended");
    }
}

#[test]
fn address_space_is_used_again() {
    // More reservations of 64 GiB than 47 bits hold at once.
    for round in 0..3000 {
        let heap = Heap::private().unwrap_or_else(|error| panic!("heap {round}: {error}"));
        if round % 100 == 0 {
            let region = heap.create_region(&RegionOptions::new()).expect("a region");
            heap.alloc(region, 100, 64, Init::Zeroed).expect("a buffer");
        }
    }
}

#[test]
fn same_attachment_is_found_by_id() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let id = heap.id();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let same = std::thread::spawn(move || Heap::by_id(&id)).join().expect("no panic").expect("attached");
    let buffer = same.alloc(region, 8, 64, Init::Zeroed).expect("the same heap");
    let token = same.borrow_raw(buffer, BorrowKind::Shared).expect("live").token;
    heap.end(token).expect("the same attachment");
    let id = heap.id();
    drop((heap, same));
    assert_eq!(code(Heap::by_id(&id)), ErrorCode::NotFound);
    assert_eq!(code(Heap::by_id(&"0".repeat(32))), ErrorCode::NotFound);
    assert_ne!(Heap::private().expect("a heap").id(), id);
}

#[test]
fn second_copy_attaches_to_a_heap_of_this_process() {
    for (first, _folder) in heaps() {
        // SAFETY: the base is of a heap that stays attached.
        let second =
            unsafe { Heap::options().runtime(Runtime::Python).label("copy").attach(first.base()) }.expect("mapped");
        assert_eq!((second.id(), second.is_shared()), (first.id(), first.is_shared()));
        let region = first.create_region(&RegionOptions::new()).expect("a region");
        let buffer = first.alloc(region, 64, 64, Init::Zeroed).expect("a buffer");
        let borrow = second.borrow_raw(buffer, BorrowKind::Unique).expect("the same buffer");
        let refused = first.borrow(buffer, BorrowKind::Shared).expect_err("held by the other copy");
        assert_eq!(refused.holders()[0].runtime, Runtime::Python);
        assert_eq!(code(first.end(borrow.token)), ErrorCode::StaleHandle, "a token is its attachment's own");
        assert_eq!(code(second.detach()), ErrorCode::Borrowed);
        second.end(borrow.token).expect("its own");
        assert_eq!(first.snapshot().expect("a snapshot").attachments.len(), 2);
        // Either may go first; the memory stays for the other.
        drop(first);
        assert_eq!(second.buffer_info(buffer).expect("still there").length, 64);
        second.close(region).expect("still there");
        second.check().expect("a sound heap");
    }
}

#[test]
fn waits_may_be_left_without_the_heap_hanging() {
    let heap = Heap::private().expect("a heap");
    let waiter = heap.clone();
    let waiting = std::thread::spawn(move || waiter.lookup_wait("name", Some(Duration::from_millis(200))));
    assert_eq!(code(heap.lookup("name")), ErrorCode::NotFound);
    assert_eq!(code(waiting.join().expect("no panic")), ErrorCode::Timeout);
}

#[test]
fn labels_are_cut_and_names_of_the_unset_are_empty() {
    let heap = Heap::options().label("é".repeat(100)).private().expect("a long label is no error");
    let label = heap.snapshot().expect("a snapshot").attachments[0].label.clone();
    assert_eq!(label, "é".repeat(32));
    assert_eq!(Heap::private().expect("a heap").snapshot().expect("a snapshot").attachments[0].label, "");
    assert_eq!(code(Heap::remove(&unique())), ErrorCode::NotFound);
}
