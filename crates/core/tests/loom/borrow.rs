//! Borrows against each other (B1, B7): a unique one is alone, two ends of one token are one, and counts are exact.

use weaveheap_core::model::{Bound, Fault, as_thread, breaks, holds, models_marks, together};
use weaveheap_core::{BorrowKind, ErrorCode, Lease};

use crate::scene::{A, B, Scene, outcome, thread};

const BOUND: Bound = Bound::of(3, 5);

/// Two threads borrow one buffer, touch its bytes and end.
fn two_borrows(kinds: [BorrowKind; 2]) {
    let scene = Scene::new();
    let buffer = scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    let (won, wins) = outcome();
    let one = |kind| {
        let won = won.clone();
        thread(&scene, move |scene| match scene.borrow(buffer, kind) {
            Ok(_) => won.add(1),
            Err(code) => assert_eq!(code, ErrorCode::BorrowConflict),
        })
    };
    together(&[&scene.heap], kinds.map(one));
    // One that is refused met one that was granted.
    let least = if kinds == [BorrowKind::Shared; 2] { 2 } else { 1 };
    assert!(wins.get() >= least);
    assert_eq!(scene.check().borrows, 0);
    assert!(scene.heap.borrow(buffer, BorrowKind::Unique).is_ok(), "a count is left");
}

#[test]
fn shared_and_shared() {
    holds(BOUND, || two_borrows([BorrowKind::Shared; 2]));
}

#[test]
fn shared_and_unique() {
    holds(BOUND, || two_borrows([BorrowKind::Shared, BorrowKind::Unique]));
}

#[test]
fn unique_and_unique() {
    holds(BOUND, || two_borrows([BorrowKind::Unique; 2]));
}

#[test]
fn unique_and_unique_need_one_exchange_to_begin() {
    breaks(Fault::BeginByStore, BOUND, || two_borrows([BorrowKind::Unique; 2]));
}

#[test]
fn shared_and_unique_need_one_exchange_to_begin() {
    breaks(Fault::BeginByStore, BOUND, || two_borrows([BorrowKind::Shared, BorrowKind::Unique]));
}

#[test]
fn shared_and_shared_need_one_exchange_to_end() {
    breaks(Fault::EndByStore, BOUND, || two_borrows([BorrowKind::Shared; 2]));
}

/// One token is ended by two threads; one of them borrows again, so that the ledger entry may have its next life.
fn two_ends() {
    two_ends_of(&Scene::new(), true);
}

/// The same of the thread that began the borrow, which claims without an exchange, and another.
fn two_ends_by_marks() {
    let scene = Scene::new();
    scene.prepare(A);
    scene.prepare(B);
    models_marks();
    two_ends_of(&scene, false);
}

fn two_ends_of(scene: &Scene, again: bool) {
    let buffer = scene.alloc();
    scene.prepare(B);
    let token = as_thread(A, || scene.heap.borrow_raw(buffer, BorrowKind::Shared).expect("nobody else is there").token);
    let (won, wins) = outcome();
    let one = |again: bool| {
        let won = won.clone();
        thread(scene, move |scene| {
            match scene.heap.end(token) {
                Ok(()) => won.add(1),
                Err(error) => assert_eq!(error.code(), ErrorCode::StaleHandle),
            }
            if again {
                assert!(scene.borrow(buffer, BorrowKind::Shared).is_ok());
            }
        })
    };
    together(&[&scene.heap], [one(again), one(false)]);
    assert_eq!(wins.get(), 1);
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn token_is_ended_once() {
    holds(BOUND, two_ends);
}

#[test]
fn token_is_ended_once_needs_one_exchange() {
    breaks(Fault::ClaimByStore, BOUND, two_ends);
}

#[test]
fn token_is_ended_once_without_an_exchange() {
    holds(BOUND, two_ends_by_marks);
}

#[test]
fn token_is_ended_once_needs_a_barrier_on_the_owners_behalf() {
    breaks(Fault::ClaimFence, BOUND, two_ends_by_marks);
}

#[test]
fn token_is_ended_once_needs_a_wait_for_the_owners_mark() {
    breaks(Fault::ClaimIgnored, BOUND, two_ends_by_marks);
}

/// A borrow is handed to another thread, which ends it while its owner borrows on.
fn end_by_another(kind: BorrowKind) {
    let scene = Scene::new();
    let (moved, own) = (scene.alloc(), scene.alloc());
    scene.prepare(B);
    let lease: Lease = as_thread(A, || scene.heap.borrow(moved, kind).expect("nobody else is there"));
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                assert!(scene.borrow(own, BorrowKind::Unique).is_ok());
                assert!(scene.borrow(moved, BorrowKind::Shared).is_ok() || kind == BorrowKind::Unique);
            }),
            thread(&scene, move |_| lease.end()),
        ],
    );
    assert_eq!(scene.check().borrows, 0);
    assert!(scene.heap.borrow(moved, BorrowKind::Unique).is_ok(), "a count is left");
}

#[test]
fn shared_borrow_is_ended_by_another_thread() {
    holds(BOUND, || end_by_another(BorrowKind::Shared));
}

#[test]
fn unique_borrow_is_ended_by_another_thread() {
    holds(BOUND, || end_by_another(BorrowKind::Unique));
}

#[test]
fn end_by_another_thread_needs_one_exchange() {
    breaks(Fault::EndByStore, BOUND, || end_by_another(BorrowKind::Shared));
}
