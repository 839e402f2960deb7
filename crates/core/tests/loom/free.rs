//! `free` against borrows and against itself (R3, K1, B2): one free wins, and never under a borrow.

use weaveheap_core::model::{Bound, Fault, as_thread, breaks, holds, together};
use weaveheap_core::{BorrowKind, ErrorCode};

use crate::scene::{A, B, Scene, outcome, thread};

const BOUND: Bound = Bound::of(3, 4);

/// One borrows and ends, one frees and then uses the bytes otherwise.
fn borrow_and_free(kind: BorrowKind) {
    let scene = Scene::new();
    let buffer = scene.alloc();
    let bytes = scene.bytes(buffer);
    scene.prepare(A);
    scene.prepare(B);
    let (freed, frees) = outcome();
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                if let Err(code) = scene.borrow(buffer, kind) {
                    assert_eq!(code, ErrorCode::StaleHandle);
                }
            }),
            thread(&scene, move |scene| match scene.heap.free(buffer) {
                Ok(()) => {
                    freed.add(1);
                    bytes.reuse();
                }
                Err(error) => assert_eq!(error.code(), ErrorCode::Borrowed),
            }),
        ],
    );
    assert_eq!(scene.check().buffers, 1 - frees.get());
}

#[test]
fn shared_borrow_and_free() {
    holds(BOUND, || borrow_and_free(BorrowKind::Shared));
}

#[test]
fn unique_borrow_and_free() {
    holds(BOUND, || borrow_and_free(BorrowKind::Unique));
}

#[test]
fn borrow_and_free_need_one_exchange_to_free() {
    breaks(Fault::FreeByStore, BOUND, || borrow_and_free(BorrowKind::Shared));
}

#[test]
fn borrow_and_free_need_one_exchange_to_begin() {
    breaks(Fault::BeginByStore, BOUND, || borrow_and_free(BorrowKind::Unique));
}

/// A borrow ends while another thread frees: it is refused, or all is done.
fn end_and_free() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    let bytes = scene.bytes(buffer);
    scene.prepare(B);
    let lease = as_thread(A, || scene.heap.borrow(buffer, BorrowKind::Unique).expect("nobody else is there"));
    together(
        &[&scene.heap],
        [
            thread(&scene, move |_| {
                weaveheap_core::model::write(lease.as_ptr(), lease.len());
                lease.end();
            }),
            thread(&scene, move |scene| match scene.heap.free(buffer) {
                Ok(()) => bytes.reuse(),
                Err(error) => assert_eq!(error.code(), ErrorCode::Borrowed),
            }),
        ],
    );
    assert_eq!(scene.check().borrows, 0);
}

#[test]
fn end_of_a_unique_borrow_and_free() {
    holds(BOUND, end_and_free);
}

/// Two threads free one buffer.
fn two_frees() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    let (freed, frees) = outcome();
    let one = || {
        let freed = freed.clone();
        thread(&scene, move |scene| match scene.heap.free(buffer) {
            Ok(()) => freed.add(1),
            Err(error) => assert_eq!(error.code(), ErrorCode::StaleHandle),
        })
    };
    together(&[&scene.heap], [one(), one()]);
    assert_eq!(frees.get(), 1);
    assert_eq!(scene.check().buffers, 0);
}

#[test]
fn two_frees_are_one() {
    holds(BOUND, two_frees);
}

#[test]
fn two_frees_need_one_exchange() {
    breaks(Fault::FreeByStore, BOUND, two_frees);
}
