//! Allocation and free by several threads (R1, R2, K2): no bytes and no slot are handed out twice.

use weaveheap_core::model::{Bound, Fault, as_thread, breaks, holds, together};
use weaveheap_core::{BorrowKind, Handle, RegionOptions};

use crate::scene::{A, B, Scene, thread};

const BOUND: Bound = Bound::of(2, 4);

fn alloc_and_use(scene: &Scene) -> Handle {
    let buffer = scene.alloc();
    scene.borrow(buffer, BorrowKind::Unique).expect("nobody has seen it").end();
    buffer
}

/// Two threads that have nothing yet allocate: both take records, blocks and chunks under the lock.
fn two_first_allocations() {
    let scene = Scene::new();
    let one = || {
        thread(&scene, |scene| {
            alloc_and_use(&scene);
        })
    };
    together(&[&scene.heap], [one(), one()]);
    assert_eq!((scene.check().buffers, scene.check().borrows), (2, 0));
}

#[test]
fn first_allocations_of_two_threads() {
    holds(Bound::of(2, 3), two_first_allocations);
}

#[test]
fn first_allocations_of_two_threads_need_the_lock() {
    breaks(Fault::LockByStore, Bound::of(2, 3), two_first_allocations);
}

/// Two threads free and allocate one slot by turns: each buffer is freed once.
fn one_frees_under_the_other() {
    let scene = Scene::new();
    scene.prepare(B);
    let buffer = as_thread(A, || scene.alloc());
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                let freed = scene.heap.free(buffer).is_ok();
                assert!(alloc_and_use(&scene) != buffer);
                assert!(freed || scene.heap.free(buffer).is_err());
            }),
            thread(&scene, move |scene| {
                let freed = scene.heap.free(buffer).is_ok();
                assert!(alloc_and_use(&scene) != buffer);
                assert!(freed || scene.heap.free(buffer).is_err());
            }),
        ],
    );
    assert_eq!((scene.check().buffers, scene.check().borrows), (2, 0));
}

#[test]
fn buffer_freed_by_two_threads_is_allocated_once() {
    holds(BOUND, one_frees_under_the_other);
}

#[test]
fn buffer_freed_by_two_threads_needs_one_exchange() {
    breaks(Fault::FreeByStore, BOUND, one_frees_under_the_other);
}

/// A thread's list of freed slots is full and goes to the region, where another thread takes it.
fn list_changes_hands() {
    // In a region with a limit a thread keeps few.
    let scene = Scene::with(&RegionOptions::new().limit(1 << 20));
    let last = as_thread(A, || {
        let mut buffers: Vec<Handle> = (0..64).map(|_| scene.alloc()).collect();
        let last = buffers.pop().expect("64 of them");
        buffers.into_iter().for_each(|buffer| scene.heap.free(buffer).expect("nobody borrows it"));
        last
    });
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                scene.heap.free(last).expect("nobody borrows it");
                alloc_and_use(&scene);
            }),
            thread(&scene, move |scene| {
                alloc_and_use(&scene);
            }),
        ],
    );
    assert_eq!((scene.check().buffers, scene.check().borrows), (2, 0));
}

#[test]
fn list_of_freed_slots_changes_hands() {
    holds(Bound::of(2, 3), list_changes_hands);
}

#[test]
fn list_of_freed_slots_needs_the_lock() {
    breaks(Fault::LockByStore, Bound::of(2, 3), list_changes_hands);
}
