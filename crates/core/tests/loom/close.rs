//! `close` and `reset` against borrows, allocations and themselves (R1, R3, R5, B2): never bytes in use and reclaimed,
//! and one closer wins.

use weaveheap_core::model::{Bound, Fault, as_thread, breaks, holds, read, together};
use weaveheap_core::{BorrowKind, ErrorCode};

use crate::scene::{A, B, Bytes, Scene, outcome, thread};

const BOUND: Bound = Bound::of(2, 3);

/// What takes the memory of all buffers from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taker {
    Close,
    Reset,
}

impl Taker {
    /// Takes the region's memory and uses it otherwise, or is refused.
    fn take(self, scene: &Scene, bytes: Bytes) {
        let taken = match self {
            Taker::Close => scene.heap.close(scene.region),
            Taker::Reset => scene.heap.reset(scene.region),
        };
        match taken {
            Ok(()) => bytes.reuse(),
            Err(error) => assert_eq!(error.code(), ErrorCode::Borrowed),
        }
    }
}

/// One borrows and ends, one closes or resets.
fn borrow_and(taker: Taker, kind: BorrowKind) {
    let scene = Scene::new();
    let buffer = scene.alloc();
    let bytes = scene.bytes(buffer);
    scene.prepare(A);
    scene.prepare(B);
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                if let Err(code) = scene.borrow(buffer, kind) {
                    assert_eq!(code, ErrorCode::StaleHandle);
                }
            }),
            thread(&scene, move |scene| taker.take(&scene, bytes)),
        ],
    );
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn shared_borrow_and_close() {
    holds(BOUND, || borrow_and(Taker::Close, BorrowKind::Shared));
}

#[test]
fn unique_borrow_and_close() {
    holds(BOUND, || borrow_and(Taker::Close, BorrowKind::Unique));
}

#[test]
fn shared_borrow_and_reset() {
    holds(BOUND, || borrow_and(Taker::Reset, BorrowKind::Shared));
}

#[test]
fn borrow_and_close_need_the_fence_of_begin() {
    breaks(Fault::BeginFence, BOUND, || borrow_and(Taker::Close, BorrowKind::Shared));
}

#[test]
fn borrow_and_close_need_the_fence_of_close() {
    breaks(Fault::CloseFence, BOUND, || borrow_and(Taker::Close, BorrowKind::Shared));
}

#[test]
fn borrow_and_reset_need_a_new_epoch() {
    breaks(Fault::EpochKept, BOUND, || borrow_and(Taker::Reset, BorrowKind::Shared));
}

/// A borrow that another thread began ends while the region is closed.
fn end_by_another_and_close() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    let bytes = scene.bytes(buffer);
    scene.prepare(A);
    scene.prepare(B);
    let lease = scene.heap.borrow(buffer, BorrowKind::Shared).expect("nobody else is there");
    together(
        &[&scene.heap],
        [
            thread(&scene, move |_| {
                read(lease.as_ptr(), lease.len());
                lease.end();
            }),
            thread(&scene, move |scene| Taker::Close.take(&scene, bytes)),
        ],
    );
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn end_by_another_thread_and_close() {
    holds(BOUND, end_by_another_and_close);
}

/// One allocates, borrows and ends, one closes or resets.
fn alloc_and(taker: Taker) {
    let scene = Scene::new();
    let first = scene.alloc();
    let bytes = scene.bytes(first);
    scene.heap.free(first).expect("nobody borrows it");
    scene.prepare(A);
    scene.prepare(B);
    // A finds the bytes that `taker` uses otherwise at the head of its list.
    let first = scene.alloc();
    as_thread(A, || scene.heap.free(first).expect("nobody borrows it"));
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                let made = scene.heap.alloc(scene.region, 64, 64, weaveheap_core::Init::Zeroed);
                match made.map_err(|error| error.code()) {
                    Ok(buffer) => {
                        if let Err(code) = scene.borrow(buffer, BorrowKind::Unique) {
                            assert_eq!(code, ErrorCode::StaleHandle);
                        }
                    }
                    Err(code) => assert!(taker == Taker::Close && code == ErrorCode::StaleHandle, "{code:?}"),
                }
            }),
            thread(&scene, move |scene| taker.take(&scene, bytes)),
        ],
    );
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn alloc_and_close() {
    holds(BOUND, || alloc_and(Taker::Close));
}

#[test]
fn alloc_and_close_need_the_fence_of_alloc() {
    breaks(Fault::LightFence, BOUND, || alloc_and(Taker::Close));
}

#[test]
fn alloc_and_close_need_the_closer_to_wait() {
    breaks(Fault::BusyIgnored, BOUND, || alloc_and(Taker::Close));
}

/// Two threads close one region.
fn two_closes() {
    let scene = Scene::new();
    scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    let (closed, closes) = outcome();
    let one = || {
        let closed = closed.clone();
        thread(&scene, move |scene| match scene.heap.close(scene.region) {
            Ok(()) => closed.add(1),
            Err(error) => assert_eq!(error.code(), ErrorCode::StaleHandle),
        })
    };
    together(&[&scene.heap], [one(), one()]);
    assert_eq!(closes.get(), 1);
    assert_eq!(scene.check().regions, 0);
}

#[test]
fn two_closes_are_one() {
    holds(BOUND, two_closes);
}
