//! The slot's next life (K1, K2, R5): a handle of an earlier one finds nothing, whatever is under way.

use weaveheap_core::model::{self, Bound, Fault, as_thread, breaks, holds, together};
use weaveheap_core::{BorrowKind, ErrorCode, Init, RegionOptions};

use crate::scene::{A, B, Scene, thread};

const BOUND: Bound = Bound::of(2, 4);

/// One borrows; another frees the buffer and allocates its slot anew.
fn next_life_in_its_region() {
    let scene = Scene::new();
    scene.prepare(A);
    let old = as_thread(B, || scene.alloc());
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                if let Err(code) = scene.borrow(old, BorrowKind::Shared) {
                    assert_eq!(code, ErrorCode::StaleHandle);
                }
            }),
            thread(&scene, move |scene| {
                if scene.heap.free(old).is_err() {
                    return;
                }
                let new = scene.alloc();
                assert_eq!(new.index(), old.index(), "the slot is used again");
                assert_ne!(new, old);
                scene.borrow(new, BorrowKind::Unique).expect("nobody has seen it").end();
            }),
        ],
    );
    assert_eq!((scene.check().borrows, scene.check().buffers), (0, 1));
}

#[test]
fn borrow_and_the_next_life_of_a_slot() {
    holds(BOUND, next_life_in_its_region);
}

#[test]
fn next_life_of_a_slot_needs_a_generation() {
    breaks(Fault::GenerationKept, BOUND, next_life_in_its_region);
}

/// What this takes: the begin in flight meets the slot's next life between two of its looks at it.
const FAR: Bound = Bound::of(3, 4);

/// One borrows; another closes the region, and a second region takes the whole block of slots.
fn next_life_in_another_region() {
    let scene = Scene::new();
    let other = scene.heap.create_region(&RegionOptions::new()).expect("a region");
    scene.prepare(A);
    let old = as_thread(B, || scene.alloc());
    let bytes = scene.bytes(old);
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                if let Err(code) = scene.borrow(old, BorrowKind::Shared) {
                    assert_eq!(code, ErrorCode::StaleHandle);
                }
            }),
            thread(&scene, move |scene| {
                if scene.heap.close(scene.region).is_err() {
                    return;
                }
                bytes.reuse();
                let new = scene.heap.alloc(other, 64, 64, Init::Uninit).expect("a buffer");
                assert_eq!(new.index(), old.index(), "the slot is used again");
                scene.bytes(new).reuse();
            }),
        ],
    );
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn borrow_and_the_next_life_in_another_region() {
    holds(FAR, next_life_in_another_region);
}

#[test]
fn next_life_in_another_region_needs_begins_in_flight_killed() {
    breaks(Fault::Invalidate, FAR, next_life_in_another_region);
}

#[test]
fn next_life_in_another_region_needs_the_owner_before_the_exchange() {
    breaks(Fault::OwnerLate, FAR, next_life_in_another_region);
}

/// A slot in its last generation is freed while a handle of its first is used.
fn last_life() {
    let scene = Scene::new();
    scene.prepare(A);
    let first = as_thread(B, || scene.alloc());
    let last = model::wear_out(&scene.heap, first);
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                assert_eq!(scene.borrow(first, BorrowKind::Shared).err(), Some(ErrorCode::StaleHandle));
            }),
            thread(&scene, move |scene| {
                scene.heap.free(last).expect("nobody borrows it");
                scene.borrow(scene.alloc(), BorrowKind::Unique).expect("nobody has seen it").end();
            }),
        ],
    );
    assert_eq!(scene.borrow(first, BorrowKind::Shared).err(), Some(ErrorCode::StaleHandle));
    assert_eq!((scene.check().borrows, scene.check().buffers), (0, 1));
}

#[test]
fn slot_is_retired_after_its_last_life() {
    holds(BOUND, last_life);
}

#[test]
fn last_life_of_a_slot_needs_retirement() {
    breaks(Fault::Retirement, BOUND, last_life);
}
