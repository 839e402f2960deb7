//! Full tables that many threads and attachments fill together: of threads, and of what a thread has of a region
//! ("LimitReached", N1).

use std::sync::{Barrier, Mutex};

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, RegionOptions};

/// Runs `work` in this many threads, one after another, all of which live until the last has done it.
fn in_living_threads<T: Send>(threads: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    let (turn, all) = (Mutex::new(()), Barrier::new(threads));
    std::thread::scope(|scope| {
        let one = || {
            let result = {
                let _mine = turn.lock().expect("nobody panics");
                work()
            };
            all.wait();
            result
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

fn buffer_of_its_own(heap: &Heap) -> Handle {
    let region = heap.create_region(&RegionOptions::new()).expect("room");
    heap.alloc(region, 8, 64, Init::Zeroed).expect("room")
}

#[test]
fn full_of_threads_of_many_attachments_is_refused_and_goes_on() {
    let heap = Heap::options().limit(1 << 30).private().expect("a heap");
    let buffer = buffer_of_its_own(&heap);
    // SAFETY: the base is this heap's, which is attached to the end.
    let others: Vec<Heap> =
        (0..1000).map(|_| unsafe { Heap::options().attach(heap.base()) }.expect("a place")).collect();
    // A thread of an attachment takes one of 4096 records.
    let begun = in_living_threads(5, || {
        let borrow = |other: &Heap| other.borrow(buffer, BorrowKind::Shared).map(drop);
        let refused: Vec<ErrorCode> = others.iter().filter_map(|other| borrow(other).err()).map(|e| e.code()).collect();
        assert!(refused.iter().all(|code| *code == ErrorCode::LimitReached), "{refused:?}");
        others.len() - refused.len()
    });
    let records: usize = begun.iter().sum();
    assert!((4000..=4096).contains(&records), "{begun:?}");
    heap.check().expect("a sound heap");
    drop(others);
    std::thread::scope(|scope| {
        scope.spawn(|| heap.borrow(buffer, BorrowKind::Unique).expect("places are free again").end());
    });
    assert_eq!(heap.check().expect("a sound heap").attachments, 1);
}

#[test]
fn full_of_threads_of_many_regions_counts_on_and_goes_on() {
    let heap = Heap::options().limit(32 << 20).private().expect("a heap");
    let buffers: Vec<Handle> = (0..100).map(|_| buffer_of_its_own(&heap)).collect();
    let before = heap.snapshot().expect("a snapshot").counters;
    // There is room for 1024 pairs of a thread and a region, and these are more.
    let threads = 20;
    let freed = in_living_threads(threads, || {
        for buffer in &buffers {
            heap.borrow(*buffer, BorrowKind::Shared).expect("a borrow needs no such place").end();
        }
        // To allocate needs one, and memory.
        buffers
            .iter()
            .filter(|buffer| {
                let region = heap.buffer_info(**buffer).expect("live").region;
                match heap.alloc(region, 8, 64, Init::Zeroed) {
                    Ok(mine) => heap.free(mine).is_ok(),
                    Err(error) => {
                        let code = error.code();
                        assert!(matches!(code, ErrorCode::LimitReached | ErrorCode::OutOfMemory), "{error}");
                        false
                    }
                }
            })
            .count()
    });
    assert!(freed.iter().min() < freed.iter().max(), "nothing was full: {freed:?}");
    let after = heap.snapshot().expect("a snapshot").counters;
    let borrows = (threads * buffers.len()) as u64;
    assert_eq!(after.borrows_begun - before.borrows_begun, borrows);
    assert_eq!(after.borrows_ended - before.borrows_ended, borrows);
    heap.check().expect("a sound heap");
    // The threads are gone, and the next ones work with what they had.
    for buffer in buffers {
        let region = heap.buffer_info(buffer).expect("live").region;
        heap.free(buffer).expect("idle");
        heap.close(region).expect("idle");
    }
    let last = buffer_of_its_own(&heap);
    heap.borrow(last, BorrowKind::Unique).expect("free").end();
    assert_eq!(heap.check().expect("a sound heap").regions, 1);
}
