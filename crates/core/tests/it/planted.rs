//! Faults on purpose, each of which a sanitizer must report: a build whose sanitizer does not look where it should could
//! not fail. `cargo xtask test sanitizers` runs them, each in a process of its own (a role of `roles.rs`).

use std::hint::black_box;
use std::sync::Barrier;

use weaveheap_core::{BorrowKind, Heap, Init, RegionOptions};

/// Commits this fault. In a build without a sanitizer nothing may come of it.
pub fn commit(fault: &str) {
    match fault {
        "use_after_free" => use_after_free(),
        "overflow" => overflow(),
        "leak" => leak(),
        "race" => race(),
        other => panic!("no fault is called {other}"),
    }
}

/// Reads memory of the allocator that has been freed.
fn use_after_free() {
    let bytes = black_box(vec![1_u8; 64]);
    let first = bytes.as_ptr();
    drop(bytes);
    // SAFETY: none, on purpose.
    black_box(unsafe { *black_box(first) });
}

/// Reads past the end of memory of the allocator.
fn overflow() {
    let bytes = black_box(vec![1_u8; 64]);
    // SAFETY: none, on purpose.
    black_box(unsafe { *black_box(bytes.as_ptr().add(64)) });
}

/// Leaves memory of the allocator that nothing points to.
fn leak() {
    // Many: a word that is left on the stack may still point to one of them.
    for _ in 0..100 {
        std::mem::forget(black_box(vec![1_u8; 64]));
    }
}

/// Two threads write the same bytes of a buffer, past the borrow that a third one has. Both use the heap meanwhile: what
/// that orders must not order these writes.
fn race() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let [shared, one, two] = [0; 3].map(|_| heap.alloc(region, 64, 64, Init::Zeroed).expect("room"));
    let lease = heap.borrow(shared, BorrowKind::Unique).expect("free");
    let address = lease.as_ptr() as usize;
    // A thread that has ended leaves its record to the next, which orders the two: they begin together.
    let begun = Barrier::new(2);
    std::thread::scope(|scope| {
        for own in [one, two] {
            let (heap, begun) = (&heap, &begun);
            scope.spawn(move || {
                for turn in 0..100 {
                    drop(heap.borrow(own, BorrowKind::Unique).expect("nobody else borrows it"));
                    if turn == 0 {
                        begun.wait();
                    }
                    // SAFETY: none, on purpose: the other thread writes here, too. The bytes stay while the lease lives.
                    unsafe { (address as *mut u8).write(turn) };
                }
            });
        }
    });
    drop(lease);
}
