//! Full tables and full heaps: an error that says which, and a heap that goes on (H5, R6, "LimitReached").

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, RegionOptions};

/// Repeats until it is refused, which must happen; gives what came before, and the code.
fn until_refused<T>(most: usize, mut make: impl FnMut(usize) -> weaveheap_core::Result<T>) -> (Vec<T>, ErrorCode) {
    let mut made = Vec::new();
    for number in 0..most {
        match make(number) {
            Ok(thing) => made.push(thing),
            Err(error) => return (made, error.code()),
        }
    }
    panic!("{most} were made, and nothing is full");
}

fn full(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::LimitReached | ErrorCode::OutOfMemory)
}

/// The smallest heap there is.
fn small() -> Heap {
    Heap::options().limit(1).private().expect("a limit is rounded up to what a heap needs")
}

#[test]
fn small_heap_holds_something() {
    let heap = small();
    assert!(heap.limit() >= 64 << 10 && heap.limit() <= 16 << 20, "{}", heap.limit());
    let region = heap.create_region(&RegionOptions::new()).expect("room for one");
    let buffer = heap.alloc(region, 1000, 64, Init::Zeroed).expect("room for one");
    assert_eq!(heap.borrow(buffer, BorrowKind::Unique).expect("free").len(), 1000);
    heap.check().expect("a sound heap");
}

#[test]
fn full_of_regions_is_refused_and_goes_on() {
    let heap = small();
    let (mut regions, code) = until_refused(10_000_000, |_| heap.create_region(&RegionOptions::new()));
    assert!(full(code) && regions.len() > 10, "{code:?} after {}", regions.len());
    heap.check().expect("a sound heap");
    let last = regions.pop().expect("some");
    heap.close(last).expect("idle");
    regions.push(heap.create_region(&RegionOptions::new()).expect("the room is free again"));
    regions.into_iter().for_each(|region| heap.close(region).expect("idle"));
    let region = heap.create_region(&RegionOptions::new()).expect("all is free");
    heap.alloc(region, 1000, 64, Init::Zeroed).expect("all is free");
    heap.check().expect("a sound heap");
}

#[test]
fn full_of_buffers_is_refused_and_goes_on() {
    for (limit, length) in [(1, 0), (16 << 20, 0), (1, 1), (1, 1000), (16 << 20, 1000), (1, 100_000)] {
        let heap = Heap::options().limit(limit).private().expect("a heap");
        let region = heap.create_region(&RegionOptions::new()).expect("room");
        // The thread's page of the ledger is taken while there is room.
        let first = heap.alloc(region, 1, 64, Init::Zeroed).expect("room");
        heap.borrow(first, BorrowKind::Shared).expect("free").end();
        let alloc = || heap.alloc(region, length, 64, Init::Zeroed);
        let (mut buffers, code) = until_refused(10_000_000, |_| alloc());
        assert!(full(code) && !buffers.is_empty(), "{code:?} after {} of {length}", buffers.len());
        heap.check().expect("a sound heap");
        heap.free(buffers.pop().expect("some")).expect("idle");
        buffers.push(alloc().expect("the room is free again"));
        let lease = heap.borrow(buffers[0], BorrowKind::Shared).expect("a full heap is borrowed from");
        assert_eq!(lease.len() as u64, length);
        drop(lease);
        heap.reset(region).expect("idle");
        let (again, _) = until_refused(10_000_000, |_| alloc());
        assert!(again.len() >= buffers.len(), "{} of {length} after a reset, {} before", again.len(), buffers.len());
        heap.close(region).expect("idle");
        heap.check().expect("a sound heap");
    }
}

#[test]
fn full_of_borrows_is_refused_and_goes_on() {
    let heap = small();
    let region = heap.create_region(&RegionOptions::new()).expect("room");
    let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("room");
    let (mut leases, code) = until_refused(20_000_000, |_| heap.borrow(buffer, BorrowKind::Shared));
    assert!(full(code) && leases.len() > 100, "{code:?} after {}", leases.len());
    heap.check().expect("a sound heap");
    assert_eq!(heap.snapshot().expect("a snapshot").borrows.len(), leases.len());
    leases.pop();
    leases.push(heap.borrow(buffer, BorrowKind::Shared).expect("a place is free again"));
    drop(leases);
    heap.borrow(buffer, BorrowKind::Unique).expect("nobody holds it").end();
    heap.close(region).expect("idle");
    heap.check().expect("a sound heap");
}

#[test]
fn full_directory_is_refused_and_goes_on() {
    for heap in [small(), Heap::private().expect("a heap")] {
        let region = heap.create_region(&RegionOptions::new()).expect("room");
        let (names, code) = until_refused(2_000_000, |number| {
            let name = format!("n{number}");
            heap.publish(&name, region).map(|()| name)
        });
        assert!(full(code) && names.len() >= 64, "{code:?} after {}", names.len());
        heap.check().expect("a sound heap");
        for name in names.iter().step_by(97) {
            assert_eq!(heap.lookup(name).expect("published"), region);
        }
        heap.unpublish(&names[names.len() / 2]).expect("published");
        heap.publish("another", region).expect("a place is free again");
        assert_eq!(heap.lookup("another").expect("published"), region);
        // Names of what is stale make room for others.
        heap.close(region).expect("idle");
        let region = heap.create_region(&RegionOptions::new()).expect("room");
        heap.publish("fresh", region).expect("all other names are stale");
        heap.check().expect("a sound heap");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn full_of_attachments_is_refused_and_goes_on() {
    let shared = crate::support::SharedHeap::with(Heap::options().limit(16 << 20));
    let (mut attached, code) = until_refused(100_000, |_| {
        // SAFETY: one process, one protocol.
        unsafe { Heap::options().open_path(&shared.path) }
    });
    assert!(full(code) && attached.len() >= 15, "{code:?} after {}", attached.len());
    attached.pop();
    attached.push(crate::support::open(&shared.path));
    assert_eq!(shared.heap.snapshot().expect("a snapshot").attachments.len(), attached.len() + 1);
    drop(attached);
    assert_eq!(shared.heap.check().expect("a sound heap").attachments, 1);
}

#[test]
fn full_of_threads_is_refused_or_shared_and_goes_on() {
    let heap = small();
    let region = heap.create_region(&RegionOptions::new()).expect("room");
    let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("room");
    // All of them hold a borrow at once.
    let threads = 300;
    let barrier = std::sync::Barrier::new(threads);
    let held: usize = std::thread::scope(|scope| {
        let work = || {
            let lease = heap.borrow(buffer, BorrowKind::Shared);
            barrier.wait();
            match lease {
                Ok(_) => 1,
                Err(error) => {
                    assert!(full(error.code()), "{error}");
                    0
                }
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert!(held > 10, "{held} of {threads}");
    heap.borrow(buffer, BorrowKind::Unique).expect("all have ended").end();
    heap.check().expect("a sound heap");
}

#[test]
fn bad_limits_are_refused() {
    for limit in [0, u64::MAX, 1 << 63] {
        let code = Heap::options().limit(limit).private().map(drop).map_err(|error| error.code());
        assert!(matches!(code, Err(ErrorCode::InvalidArgument | ErrorCode::OutOfMemory)), "{limit}: {code:?}");
    }
    let heap = Heap::private().expect("a heap");
    for (limit, fits) in [(u64::MAX, true), (1, true)] {
        let region = heap.create_region(&RegionOptions::new().limit(limit)).expect("any limit is one");
        assert_eq!(heap.alloc(region, 100, 64, Init::Zeroed).is_ok(), fits);
    }
    assert!(heap.alloc(Handle::NULL, u64::MAX, 64, Init::Zeroed).is_err());
}
