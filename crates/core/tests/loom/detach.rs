//! `detach` against operations of other threads (H9): it is refused while they hold borrows, and what they are at work with
//! is not given back under them.

use std::cell::Cell;
use std::rc::Rc;

use weaveheap_core::model::{self, Bound, Fault, as_thread, breaks, holds, read, together};
use weaveheap_core::{BorrowKind, ErrorCode, Handle, Init, Lease, RegionOptions};

use crate::scene::{A, B, C, Scene, thread};

const BOUND: Bound = Bound::of(3, 4);

/// A heap with two attachments: one is detached, the other looks on.
struct Two {
    /// The one that is detached, with the region.
    leaving: Scene,
    looking: Scene,
}

fn two() -> Two {
    let looking = Scene::new();
    let heap = model::attach(&looking.heap);
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let leaving = Scene { heap, region };
    leaving.prepare(B);
    model::models_marks();
    Two { leaving, looking }
}

/// What one thread does while another detaches, or is refused, and uses for its own what was given back, through the
/// other attachment.
fn beside(two: &Two, f: impl FnOnce(Scene) + 'static) {
    let (left, own) = (Rc::new(Cell::new(None)), two.looking.alloc());
    let detaching = {
        let (looking, left) = (two.looking.clone(), Rc::clone(&left));
        thread(&two.leaving, move |leaving| match leaving.heap.detach() {
            Ok(()) => left.set(Some(looking.borrow(own, BorrowKind::Unique).expect("nobody has seen it"))),
            Err(error) => assert_eq!(error.code(), ErrorCode::Borrowed),
        })
    };
    together(&[&two.leaving.heap, &two.looking.heap], [thread(&two.leaving, f), detaching]);
    match left.take() {
        Some(lease) => {
            assert_eq!(two.looking.check().borrows, 1);
            assert_eq!(two.looking.heap.holders(Handle::NULL).expect("an attached heap").len(), 1);
            lease.end();
        }
        None => two.leaving.heap.detach().expect("nothing is borrowed any more"),
    }
    assert_eq!(two.looking.check().borrows, 0);
    let counters = two.looking.heap.snapshot().expect("a heap that can be read").counters;
    assert_eq!(counters.borrows_begun, counters.borrows_ended, "an end was lost");
}

/// One borrows and ends.
fn borrow_and_detach(kind: BorrowKind) {
    let two = two();
    two.leaving.prepare(A);
    let buffer = two.leaving.alloc();
    beside(&two, move |leaving| {
        if let Err(code) = leaving.borrow(buffer, kind) {
            assert_eq!(code, ErrorCode::NotAttached);
        }
    });
}

#[test]
fn shared_borrow_and_detach() {
    holds(BOUND, || borrow_and_detach(BorrowKind::Shared));
}

#[test]
fn unique_borrow_and_detach() {
    holds(BOUND, || borrow_and_detach(BorrowKind::Unique));
}

#[test]
fn borrow_and_detach_need_the_fence_of_the_mark() {
    breaks(Fault::LightFence, Bound::of(2, 3), || borrow_and_detach(BorrowKind::Shared));
}

#[test]
fn borrow_and_detach_need_the_wait() {
    breaks(Fault::QuietIgnored, BOUND, || borrow_and_detach(BorrowKind::Shared));
}

fn ending(two: &Two, lease: Lease) {
    beside(two, move |_| {
        read(lease.as_ptr(), lease.len());
        lease.end();
    });
}

/// One ends its own borrow.
fn end_and_detach() {
    let two = two();
    two.leaving.prepare(A);
    let buffer = two.leaving.alloc();
    let lease = as_thread(A, || two.leaving.borrow(buffer, BorrowKind::Shared).expect("nobody else is there"));
    ending(&two, lease);
}

#[test]
fn end_of_a_borrow_and_detach() {
    holds(BOUND, end_and_detach);
}

/// A thread whose language has taken its variables already ends the borrow of another.
fn last_end_and_detach() {
    let two = two();
    let buffer = two.leaving.alloc();
    let lease = as_thread(C, || two.leaving.borrow(buffer, BorrowKind::Shared).expect("nobody else is there"));
    model::is_ending(A);
    ending(&two, lease);
}

#[test]
fn end_by_a_thread_that_ends_and_detach() {
    holds(BOUND, last_end_and_detach);
}

#[test]
fn end_by_a_thread_that_ends_and_detach_need_a_second_look() {
    breaks(Fault::QuietOnce, BOUND, last_end_and_detach);
}

/// The last borrow of a draining region ends, and the region with it.
fn drained_and_detach() {
    let two = two();
    two.leaving.prepare(A);
    let buffer = two.leaving.alloc();
    let lease = as_thread(A, || two.leaving.borrow(buffer, BorrowKind::Shared).expect("nobody else is there"));
    two.leaving.heap.close_when_idle(two.leaving.region).expect("it was open");
    let looking = two.looking.clone();
    let region = two.leaving.region;
    beside(&two, move |_| {
        lease.end();
        assert!(!model::has_region(&looking.heap, region), "the region drains still");
    });
}

#[test]
fn last_end_of_a_region_and_detach_need_a_second_look() {
    breaks(Fault::QuietOnce, BOUND, drained_and_detach);
}

#[test]
fn last_end_of_a_region_and_detach() {
    holds(BOUND, drained_and_detach);
}

/// One's thread ends, and leaves its record to the next.
fn end_of_a_thread_and_detach() {
    let two = two();
    two.leaving.prepare(A);
    beside(&two, |_| model::end_thread());
}

#[test]
fn thread_ends_and_detach() {
    holds(BOUND, end_of_a_thread_and_detach);
}

#[test]
fn thread_ends_and_detach_need_the_wait() {
    breaks(Fault::QuietIgnored, BOUND, end_of_a_thread_and_detach);
}

/// One allocates and frees.
fn alloc_and_detach() {
    let two = two();
    two.leaving.prepare(A);
    beside(&two, |leaving| {
        let made = leaving.heap.alloc(leaving.region, 64, 64, Init::Uninit);
        if let Err(error) = made.and_then(|buffer| leaving.heap.free(buffer)) {
            assert_eq!(error.code(), ErrorCode::NotAttached);
        }
    });
}

#[test]
fn alloc_and_free_and_detach() {
    holds(BOUND, alloc_and_detach);
}
