//! `close_when_idle` (R4): nothing new begins, and the last borrow to end frees the region, by itself.

use weaveheap_core::model::{Bound, Fault, as_thread, breaks, has_region, holds, read, together, write};
use weaveheap_core::{BorrowKind, ErrorCode, Init, Lease};

use crate::scene::{A, B, C, Scene, Thread, thread};

const BOUND: Bound = Bound::of(2, 4);

fn ending(scene: &Scene, lease: Lease) -> Thread {
    thread(scene, move |_| {
        match lease.kind() {
            BorrowKind::Shared => read(lease.as_ptr(), lease.len()),
            BorrowKind::Unique => write(lease.as_ptr(), lease.len()),
        }
        lease.end();
    })
}

fn draining(scene: &Scene) -> Thread {
    thread(scene, move |scene| scene.heap.close_when_idle(scene.region).expect("it was open"))
}

/// The region was freed by those who ran, and not by who looks.
fn is_freed(scene: &Scene) {
    let regions = scene.heap.snapshot().expect("a heap that can be read").regions;
    assert!(regions.is_empty(), "the region still drains, and nobody is there to end it");
    assert_eq!(scene.check().borrows, 0);
}

fn one_end_and_drain(kind: BorrowKind) {
    let scene = Scene::new();
    let buffer = scene.alloc();
    scene.prepare(B);
    let lease = as_thread(A, || scene.heap.borrow(buffer, kind).expect("nobody else is there"));
    together(&[&scene.heap], [ending(&scene, lease), draining(&scene)]);
    is_freed(&scene);
}

#[test]
fn end_of_a_shared_borrow_and_drain() {
    holds(BOUND, || one_end_and_drain(BorrowKind::Shared));
}

#[test]
fn end_of_a_unique_borrow_and_drain() {
    holds(BOUND, || one_end_and_drain(BorrowKind::Unique));
}

#[test]
fn drain_needs_the_fence_of_a_unique_end() {
    breaks(Fault::LightFence, BOUND, || one_end_and_drain(BorrowKind::Unique));
}

#[test]
fn drain_needs_the_fence_of_who_drains() {
    breaks(Fault::CloseFence, BOUND, || one_end_and_drain(BorrowKind::Unique));
}

#[test]
fn drain_needs_the_look_of_who_ends() {
    breaks(Fault::DrainEnd, BOUND, || one_end_and_drain(BorrowKind::Shared));
}

fn two_ends_and_drain() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    scene.prepare(C);
    let leases = [A, B]
        .map(|number| as_thread(number, || scene.heap.borrow(buffer, BorrowKind::Shared).expect("nobody writes")));
    let [a, b] = leases.map(|lease| ending(&scene, lease));
    together(&[&scene.heap], [a, b, draining(&scene)]);
    is_freed(&scene);
}

#[test]
fn ends_of_two_borrows_and_drain() {
    holds(Bound::of(1, 2), two_ends_and_drain);
}

/// The region drains already, and its last two borrows end.
fn two_last_ends() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    let leases = [A, B]
        .map(|number| as_thread(number, || scene.heap.borrow(buffer, BorrowKind::Shared).expect("nobody writes")));
    scene.heap.close_when_idle(scene.region).expect("it was open");
    together(&[&scene.heap], leases.map(|lease| ending(&scene, lease)));
    is_freed(&scene);
}

#[test]
fn last_two_ends_free_once() {
    holds(BOUND, two_last_ends);
}

#[test]
fn last_two_ends_need_their_look() {
    breaks(Fault::DrainEnd, BOUND, two_last_ends);
}

/// A borrow and an allocation begin while the region is told to drain.
fn begins_and_drain() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    let bytes = scene.bytes(buffer);
    scene.prepare(A);
    scene.prepare(B);
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                if let Err(code) = scene.borrow(buffer, BorrowKind::Shared) {
                    assert_eq!(code, ErrorCode::StaleHandle);
                }
            }),
            thread(&scene, move |scene| {
                scene.heap.close_when_idle(scene.region).expect("it was open");
                assert_eq!(scene.borrow(buffer, BorrowKind::Shared).err(), Some(ErrorCode::StaleHandle));
                if !has_region(&scene.heap, scene.region) {
                    bytes.reuse();
                }
            }),
        ],
    );
    is_freed(&scene);
}

#[test]
fn begin_and_drain() {
    holds(BOUND, begins_and_drain);
}

#[test]
fn begin_and_drain_need_the_fence_of_begin() {
    breaks(Fault::BeginFence, BOUND, begins_and_drain);
}

/// An allocation begins while the region is told to drain; who freed it uses the bytes otherwise.
fn alloc_and_drain() {
    let scene = Scene::new();
    scene.prepare(B);
    let buffer = as_thread(A, || scene.alloc());
    let bytes = scene.bytes(buffer);
    as_thread(A, || scene.heap.free(buffer).expect("nobody borrows it"));
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                if let Err(error) = scene.heap.alloc(scene.region, 64, 64, Init::Zeroed) {
                    assert_eq!(error.code(), ErrorCode::StaleHandle);
                }
            }),
            thread(&scene, move |scene| {
                scene.heap.close_when_idle(scene.region).expect("it was open");
                if !has_region(&scene.heap, scene.region) {
                    bytes.reuse();
                }
            }),
        ],
    );
    is_freed(&scene);
}

#[test]
fn allocation_and_drain() {
    holds(BOUND, alloc_and_drain);
}

#[test]
fn allocation_and_drain_need_the_closer_to_wait() {
    breaks(Fault::BusyIgnored, BOUND, alloc_and_drain);
}
