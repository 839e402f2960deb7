//! Waiting (H8): who waits for a region to be idle or for a name sleeps, and no wake is missed. A sleeper of a model has
//! no timeout, so that a wake that is missed is a deadlock.

use weaveheap_core::model::{Bound, Fault, as_thread, breaks, holds, together, write};
use weaveheap_core::{BorrowKind, ErrorCode};

use crate::scene::{A, B, Scene, thread};

const BOUND: Bound = Bound::of(2, 4);

/// One waits until the region is idle, and then may have its bytes; another ends the last borrow.
fn end_and_wait(kind: BorrowKind) {
    let scene = Scene::new();
    let buffer = scene.alloc();
    let bytes = scene.bytes(buffer);
    scene.prepare(B);
    let lease = as_thread(A, || scene.heap.borrow(buffer, kind).expect("nobody else is there"));
    together(
        &[&scene.heap],
        [
            thread(&scene, move |_| {
                if lease.kind() == BorrowKind::Unique {
                    write(lease.as_ptr(), lease.len());
                }
                lease.end();
            }),
            thread(&scene, move |scene| {
                scene.heap.wait_idle(scene.region, None).expect("it becomes idle");
                bytes.reuse();
            }),
        ],
    );
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn end_of_a_shared_borrow_wakes() {
    holds(BOUND, || end_and_wait(BorrowKind::Shared));
}

#[test]
fn end_of_a_unique_borrow_wakes() {
    holds(BOUND, || end_and_wait(BorrowKind::Unique));
}

#[test]
fn wait_for_idle_needs_the_wake() {
    breaks(Fault::IdleWake, BOUND, || end_and_wait(BorrowKind::Shared));
}

#[test]
fn wait_for_idle_needs_the_tick_before_the_look() {
    breaks(Fault::TickLate, BOUND, || end_and_wait(BorrowKind::Shared));
}

#[test]
fn wait_for_idle_needs_the_fence_of_who_waits() {
    breaks(Fault::CloseFence, BOUND, || end_and_wait(BorrowKind::Unique));
}

#[test]
fn wait_for_idle_needs_the_fence_of_a_unique_end() {
    breaks(Fault::LightFence, BOUND, || end_and_wait(BorrowKind::Unique));
}

/// One waits while another tries to close the region under its own borrow, and then ends that.
fn refused_close_and_wait() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    scene.prepare(A);
    let lease = as_thread(B, || scene.heap.borrow(buffer, BorrowKind::Shared).expect("nobody else is there"));
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| scene.heap.wait_idle(scene.region, None).expect("it becomes idle")),
            thread(&scene, move |scene| {
                let refused = scene.heap.close(scene.region).expect_err("it is borrowed");
                assert_eq!(refused.code(), ErrorCode::Borrowed);
                lease.end();
            }),
        ],
    );
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn close_that_is_refused_loses_no_wake() {
    holds(BOUND, refused_close_and_wait);
}

#[test]
fn wait_during_a_close_needs_the_wake_of_who_is_refused() {
    breaks(Fault::ReopenWake, BOUND, refused_close_and_wait);
}

/// One waits while another closes the region.
fn close_and_wait() {
    let scene = Scene::new();
    scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                if let Err(error) = scene.heap.wait_idle(scene.region, None) {
                    assert_eq!(error.code(), ErrorCode::StaleHandle);
                }
            }),
            thread(&scene, move |scene| scene.heap.close(scene.region).expect("nobody borrows")),
        ],
    );
    assert_eq!(scene.check().regions, 0);
}

#[test]
fn close_ends_a_wait() {
    holds(BOUND, close_and_wait);
}

/// One waits for a name that another publishes.
fn publish_and_wait() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| scene.heap.publish("name", buffer).expect("the name is free")),
            thread(&scene, move |scene| {
                assert_eq!(scene.heap.lookup_wait("name", None).expect("it is published"), buffer);
            }),
        ],
    );
    scene.check();
}

#[test]
fn publish_wakes() {
    holds(BOUND, publish_and_wait);
}

#[test]
fn wait_for_a_name_needs_the_wake() {
    breaks(Fault::NameWake, BOUND, publish_and_wait);
}

#[test]
fn wait_for_a_name_needs_the_tick_before_the_look() {
    breaks(Fault::TickLate, BOUND, publish_and_wait);
}
