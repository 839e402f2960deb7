//! A shared borrow that is alone ends by a store, beside others that join it (B1): counts are exact, and what they write
//! to the slot's state is not lost.

use std::cell::RefCell;
use std::rc::Rc;

use weaveheap_core::model::{Bound, Fault, as_thread, breaks, holds, together};
use weaveheap_core::{BorrowKind, ErrorCode, Handle, Lease};

use crate::scene::{A, B, C, Scene, Thread, thread};

const BOUND: Bound = Bound::of(3, 5);
const AGAIN: Bound = Bound::of(2, 4);
const THREE: Bound = Bound::of(1, 2);

/// A buffer that the first thread borrows alone.
fn alone() -> (Scene, Handle, Lease) {
    let scene = Scene::new();
    let buffer = scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    let lease = as_thread(A, || scene.borrow(buffer, BorrowKind::Shared).expect("nobody else is there"));
    (scene, buffer, lease)
}

/// A thread that borrows a buffer and holds it.
fn joins(scene: &Scene, buffer: Handle, held: &Rc<RefCell<Vec<Lease>>>) -> Thread {
    let held = Rc::clone(held);
    thread(scene, move |scene| {
        let lease = scene.borrow(buffer, BorrowKind::Shared).expect("all of them are shared");
        held.borrow_mut().push(lease);
    })
}

/// What was joined is held by these, and by nobody once they have ended.
fn is_held_by(scene: &Scene, buffer: Handle, held: Rc<RefCell<Vec<Lease>>>) {
    let held = held.take();
    assert_eq!(scene.check().borrows, held.len() as u64);
    assert_eq!(scene.borrow(buffer, BorrowKind::Unique).err(), Some(ErrorCode::BorrowConflict));
    held.into_iter().for_each(Lease::end);
    assert_eq!(scene.check().borrows, 0);
    assert!(scene.borrow(buffer, BorrowKind::Unique).is_ok(), "a count is left");
}

/// One ends, another joins.
fn end_and_join() {
    let (scene, buffer, lease) = alone();
    let held = Rc::default();
    together(&[&scene.heap], [thread(&scene, move |_| lease.end()), joins(&scene, buffer, &held)]);
    is_held_by(&scene, buffer, held);
}

#[test]
fn end_of_one_that_is_joined() {
    holds(BOUND, end_and_join);
}

#[test]
fn join_needs_a_barrier_on_behalf_of_who_ends() {
    breaks(Fault::JoinFence, BOUND, end_and_join);
}

#[test]
fn join_needs_the_fence_of_who_ends() {
    breaks(Fault::LightFence, BOUND, end_and_join);
}

#[test]
fn join_needs_the_look_at_who_ends() {
    breaks(Fault::JoinEnding, BOUND, end_and_join);
}

#[test]
fn end_of_one_that_is_joined_needs_the_look_at_the_region() {
    breaks(Fault::SoleBlind, BOUND, end_and_join);
}

/// One ends, borrows again and ends, another joins.
fn end_again_and_join() {
    let (scene, buffer, lease) = alone();
    let held = Rc::default();
    let again = thread(&scene, move |scene| {
        lease.end();
        scene.borrow(buffer, BorrowKind::Shared).expect("all of them are shared").end();
    });
    together(&[&scene.heap], [again, joins(&scene, buffer, &held)]);
    is_held_by(&scene, buffer, held);
}

#[test]
fn next_borrow_of_one_that_was_alone_is_joined() {
    holds(AGAIN, end_again_and_join);
}

/// One ends, two join.
fn end_and_two_join() {
    let (scene, buffer, lease) = alone();
    scene.prepare(C);
    let held = Rc::default();
    let [second, third] = [joins(&scene, buffer, &held), joins(&scene, buffer, &held)];
    together(&[&scene.heap], [thread(&scene, move |_| lease.end()), second, third]);
    is_held_by(&scene, buffer, held);
}

#[test]
fn end_of_one_that_two_join() {
    holds(THREE, end_and_two_join);
}

/// One ends, another freezes the buffer.
fn end_and_freeze() {
    let (scene, buffer, lease) = alone();
    let freezes = thread(&scene, move |scene| scene.heap.freeze(buffer).expect("no unique borrow"));
    together(&[&scene.heap], [thread(&scene, move |_| lease.end()), freezes]);
    assert_eq!(scene.borrow(buffer, BorrowKind::Unique).err(), Some(ErrorCode::Denied));
    assert!(scene.borrow(buffer, BorrowKind::Shared).is_ok());
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn end_of_one_whose_buffer_is_frozen() {
    holds(BOUND, end_and_freeze);
}

#[test]
fn freezing_needs_the_look_at_who_ends() {
    breaks(Fault::JoinEnding, BOUND, end_and_freeze);
}
