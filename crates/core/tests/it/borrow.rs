//! Borrows from many threads at once: they exclude each other, pin their bytes, are all on record, and end from anywhere
//! (B1 to B4, B6, R3, R4, N1, V1).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use weaveheap_core::{BorrowKind, Error, ErrorCode, Handle, Heap, Init, RegionOptions};

use crate::support::{code, heaps};

fn region(heap: &Heap) -> Handle {
    heap.create_region(&RegionOptions::new()).expect("a region")
}

/// How often a test does what threads race for. ThreadSanitizer, under which all takes many times as long, needs one
/// meeting of two threads to see what does not order them.
const fn turns(usual: usize) -> usize {
    if cfg!(weaveheap_race_checks) { usual / 10 } else { usual }
}

/// Begins, however long others are in the way.
fn patiently<T>(mut begin: impl FnMut() -> Result<T, Error>) -> T {
    loop {
        match begin() {
            Ok(value) => return value,
            Err(error) => assert_eq!(error.code(), ErrorCode::BorrowConflict, "{error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn unique_borrows_of_many_threads_lose_no_write() {
    for (heap, _folder) in heaps() {
        let region = region(&heap);
        let buffer = heap.alloc(region, 16, 64, Init::Zeroed).expect("room");
        const TURNS: u64 = 20_000;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..TURNS {
                        let mut lease = patiently(|| heap.borrow(buffer, BorrowKind::Unique));
                        let bytes = lease.as_mut_slice().expect("unique");
                        let (low, high) = bytes.split_at_mut(8);
                        let count = u64::from_le_bytes(low.try_into().expect("8 bytes")) + 1;
                        low.copy_from_slice(&count.to_le_bytes());
                        high.copy_from_slice(&(!count).to_le_bytes());
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..TURNS {
                    let lease = patiently(|| heap.borrow(buffer, BorrowKind::Shared));
                    let word =
                        |at: usize| u64::from_le_bytes(lease.as_slice()[at..at + 8].try_into().expect("8 bytes"));
                    let (low, high) = (word(0), word(8));
                    assert!(low == !high || (low, high) == (0, 0), "half a write was seen: {low} {high}");
                }
            });
        });
        let lease = heap.borrow(buffer, BorrowKind::Shared).expect("free");
        assert_eq!(lease.as_slice()[..8], (4 * TURNS).to_le_bytes());
        drop(lease);
        let counters = heap.snapshot().expect("a snapshot").counters;
        assert_eq!((counters.borrows_begun, counters.borrows_ended), (5 * TURNS + 1, 5 * TURNS + 1));
        heap.check().expect("a sound heap");
        heap.close(region).expect("nothing is borrowed");
    }
}

#[test]
fn leases_end_in_other_threads_than_they_began() {
    for (heap, _folder) in heaps() {
        let region = region(&heap);
        let buffers: Vec<Handle> = (0..16).map(|_| heap.alloc(region, 8, 64, Init::Zeroed).expect("room")).collect();
        let (send, receive) = std::sync::mpsc::sync_channel(64);
        std::thread::scope(|scope| {
            for thread in 0..3_usize {
                let (send, heap, buffers) = (send.clone(), &heap, &buffers);
                scope.spawn(move || {
                    for turn in 0..10_000 {
                        let buffer = buffers[(turn * 7 + thread) % 16];
                        send.send(patiently(|| heap.borrow(buffer, BorrowKind::Shared))).expect("somebody ends them");
                    }
                });
            }
            drop(send);
            scope.spawn(move || receive.into_iter().for_each(|lease| lease.end()));
        });
        let snapshot = heap.snapshot().expect("a snapshot");
        assert_eq!((snapshot.borrows.len(), snapshot.counters.borrows_ended), (0, 30_000));
        heap.check().expect("a sound heap");
        heap.close(region).expect("nothing is borrowed");
    }
}

#[test]
fn ends_by_a_thread_new_to_a_draining_region_are_counted_there() {
    for (heap, _folder) in heaps() {
        let region = region(&heap);
        let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("room");
        let last = heap.borrow(buffer, BorrowKind::Shared).expect("free");
        let token = heap.borrow_raw(buffer, BorrowKind::Shared).expect("shared").token;
        let lease = heap.borrow(buffer, BorrowKind::Shared).expect("shared");
        heap.close_when_idle(region).expect("live");
        std::thread::scope(|scope| {
            scope.spawn(|| heap.end(token)).join().expect("no panic").expect("live");
            scope.spawn(|| lease.end()).join().expect("no panic");
        });
        let counters = heap.region_info(region).expect("draining still").counters;
        assert_eq!((counters.borrows_begun, counters.borrows_ended), (3, 2));
        last.end();
        assert_eq!(code(heap.region_info(region)), ErrorCode::StaleHandle);
    }
}

#[test]
fn two_ends_of_one_token_in_two_threads_succeed_once() {
    let heap = Heap::private().expect("a heap");
    let buffer = heap.alloc(region(&heap), 8, 64, Init::Zeroed).expect("room");
    for turn in 0..5_000 {
        let kind = if turn % 2 == 0 { BorrowKind::Shared } else { BorrowKind::Unique };
        let token = heap.borrow_raw(buffer, kind).expect("free").token;
        let ended: usize = std::thread::scope(|scope| {
            let ends: Vec<_> = (0..2).map(|_| scope.spawn(|| heap.end(token))).collect();
            let results = ends.into_iter().map(|end| end.join().expect("no panic"));
            results.filter(|result| result.as_ref().map_err(Error::code) != Err(ErrorCode::StaleHandle)).count()
        });
        assert_eq!(ended, 1, "turn {turn}");
        if turn == 200 {
            heap.check().expect("a sound heap");
        }
    }
    let counters = heap.snapshot().expect("a snapshot").counters;
    assert_eq!((counters.borrows_begun, counters.borrows_ended), (5_000, 5_000));
}

#[test]
fn two_ends_of_one_token_by_its_thread_and_another_succeed_once() {
    let meeting = std::sync::Barrier::new(2);
    // After the first such end in a heap, all ends of that thread's tokens go by exchange.
    for turn in 0..1_000 {
        let heap = Heap::private().expect("a heap");
        let buffer = heap.alloc(region(&heap), 8, 64, Init::Zeroed).expect("room");
        let kind = if turn % 2 == 0 { BorrowKind::Shared } else { BorrowKind::Unique };
        let token = heap.borrow_raw(buffer, kind).expect("free").token;
        let end = || {
            meeting.wait();
            heap.end(token).map_err(|error| error.code())
        };
        let ends = std::thread::scope(|scope| {
            let other = scope.spawn(end);
            [end(), other.join().expect("no panic")]
        });
        let lost = if ends[0].is_ok() { ends[1] } else { ends[0] };
        assert_eq!((ends.iter().filter(|end| end.is_ok()).count(), lost), (1, Err(ErrorCode::StaleHandle)), "{turn}");
        assert_eq!(heap.check().expect("a sound heap").borrows, 0);
    }
}

#[test]
fn token_of_a_lease_ends_nothing() {
    let heap = Heap::private().expect("a heap");
    let region = heap.region(&RegionOptions::new()).expect("a region");
    let buffer = region.alloc(8).expect("room");
    let lease = heap.borrow(buffer.handle(), BorrowKind::Shared).expect("free");
    let guard = buffer.borrow_shared().expect("shared");
    for token in [lease.token(), guard.token()] {
        assert_eq!(code(heap.end(token)), ErrorCode::InvalidArgument, "safe code cannot end a borrow under a slice");
    }
    assert_eq!(heap.holders(buffer.handle()).expect("live").len(), 2);
    let token = lease.token();
    drop((lease, guard));
    assert_eq!(code(heap.end(token)), ErrorCode::StaleHandle);
}

#[test]
fn allocation_and_free_in_many_threads_keep_the_bytes_apart() {
    for (heap, _folder) in heaps() {
        let region = region(&heap);
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let heap = &heap;
                scope.spawn(move || {
                    let mut own: Vec<Handle> = Vec::new();
                    for turn in 0..4_000_usize {
                        let length = (turn * 37 + usize::from(thread) * 11) % 3000;
                        let buffer = heap.alloc(region, length as u64, 16, Init::Zeroed).expect("room");
                        let mut lease = heap.borrow(buffer, BorrowKind::Unique).expect("our own");
                        assert!(lease.as_slice().iter().all(|byte| *byte == 0), "memory that is not zeroed");
                        lease.as_mut_slice().expect("unique").fill(thread + 1);
                        drop(lease);
                        own.push(buffer);
                        if own.len() > 40 {
                            let buffer = own.swap_remove(turn % 40);
                            let lease = heap.borrow(buffer, BorrowKind::Shared).expect("our own");
                            assert!(lease.as_slice().iter().all(|byte| *byte == thread + 1), "another's bytes");
                            drop(lease);
                            heap.free(buffer).expect("our own");
                        }
                    }
                });
            }
        });
        let info = heap.region_info(region).expect("open");
        assert_eq!((info.counters.allocations, info.counters.frees, info.buffers), (16_000, 15_840, 160));
        assert_eq!(info.bytes_live, info.counters.bytes_allocated - info.counters.bytes_freed);
        heap.check().expect("a sound heap");
        heap.close(region).expect("nothing is borrowed");
    }
}

#[test]
fn one_thread_frees_for_ever_what_another_allocates() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new().limit(4 << 20)).expect("a region");
    let (send, receive) = std::sync::mpsc::sync_channel::<Handle>(100);
    std::thread::scope(|scope| {
        scope.spawn(|| receive.into_iter().for_each(|buffer| heap.free(buffer).expect("live")));
        for turn in 0..50_000 {
            let buffer = heap.alloc(region, 1000, 64, Init::Uninit);
            send.send(buffer.unwrap_or_else(|error| panic!("turn {turn}: {error}"))).expect("somebody frees");
        }
        drop(send);
    });
    assert_eq!(heap.region_info(region).expect("open").buffers, 0);
    heap.check().expect("a sound heap");
}

#[test]
fn closing_under_borrowing_threads_is_refused_or_final() {
    for (heap, _folder) in heaps() {
        let current = AtomicU64::new(0);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3_usize {
                let (heap, current, done) = (&heap, &current, &done);
                scope.spawn(move || {
                    let kind = if thread == 0 { BorrowKind::Unique } else { BorrowKind::Shared };
                    while !done.load(Ordering::Relaxed) {
                        let buffer = Handle::from_bits(current.load(Ordering::Acquire));
                        match heap.borrow(buffer, kind) {
                            Ok(mut lease) => {
                                assert!(lease.as_slice().iter().all(|byte| *byte == 0), "bytes of another buffer");
                                if let Some(bytes) = lease.as_mut_slice() {
                                    bytes.fill(1);
                                    bytes.fill(0);
                                }
                            }
                            Err(error) => assert!(
                                matches!(error.code(), ErrorCode::StaleHandle | ErrorCode::BorrowConflict),
                                "{error}"
                            ),
                        }
                    }
                });
            }
            for turn in 0..turns(3_000) {
                let region = region(&heap);
                let buffer = heap.alloc(region, 256, 64, Init::Zeroed).expect("room");
                let spoilt = heap.alloc(region, 256, 64, Init::Zeroed).expect("room");
                heap.borrow(spoilt, BorrowKind::Unique).expect("our own").as_mut_slice().expect("unique").fill(0xee);
                current.store(buffer.to_bits(), Ordering::Release);
                std::thread::yield_now();
                if turn % 3 == 0 {
                    heap.close_when_idle(region).expect("open");
                    continue;
                }
                loop {
                    match if turn % 3 == 1 { heap.close(region) } else { heap.reset(region) } {
                        Ok(()) => break,
                        Err(error) => assert_eq!(error.code(), ErrorCode::Borrowed, "{error}"),
                    }
                    std::thread::yield_now();
                }
                assert_eq!(code(heap.borrow(buffer, BorrowKind::Shared)), ErrorCode::StaleHandle);
                if turn % 3 == 2 {
                    heap.close(region).expect("empty");
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        let snapshot = heap.snapshot().expect("a snapshot");
        assert_eq!((snapshot.regions.as_slice(), snapshot.borrows.as_slice()), (&[][..], &[][..]));
        assert_eq!(snapshot.counters.borrows_begun, snapshot.counters.borrows_ended);
        heap.check().expect("a sound heap");
    }
}

#[test]
fn allocating_threads_and_a_closing_one_agree() {
    for (heap, _folder) in heaps() {
        let current = AtomicU64::new(region(&heap).to_bits());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let region = Handle::from_bits(current.load(Ordering::Acquire));
                        match heap.alloc(region, 100, 64, Init::Zeroed) {
                            Ok(buffer) => match heap.free(buffer) {
                                Ok(()) => {}
                                Err(error) => assert_eq!(error.code(), ErrorCode::StaleHandle, "{error}"),
                            },
                            Err(error) => assert_eq!(error.code(), ErrorCode::StaleHandle, "{error}"),
                        }
                    }
                });
            }
            for _ in 0..2_000 {
                let old = Handle::from_bits(current.load(Ordering::Relaxed));
                current.store(region(&heap).to_bits(), Ordering::Release);
                heap.close(old).expect("nothing is borrowed");
                assert_eq!(code(heap.alloc(old, 1, 64, Init::Zeroed)), ErrorCode::StaleHandle);
            }
            done.store(true, Ordering::Relaxed);
        });
        heap.close(Handle::from_bits(current.load(Ordering::Relaxed))).expect("nothing is borrowed");
        assert_eq!(heap.check().expect("a sound heap").buffers, 0);
    }
}

#[test]
fn statistics_are_whole_while_threads_work() {
    let (heap, _folder) = heaps().pop().expect("one");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let region = heap.create_region(&RegionOptions::new().name("worker")).expect("a region");
                    let buffer = heap.alloc(region, 500, 64, Init::Zeroed).expect("room");
                    drop(heap.borrow(buffer, BorrowKind::Shared).expect("our own"));
                    drop(heap.borrow(buffer, BorrowKind::Unique).expect("our own"));
                    heap.close(region).expect("nothing is borrowed");
                }
            });
        }
        let mut last = 0;
        for _ in 0..300 {
            let snapshot = heap.snapshot().expect("a snapshot");
            assert!(snapshot.borrows.len() <= 3 && snapshot.regions.len() <= 3, "{snapshot:?}");
            assert!(snapshot.regions.iter().all(|region| region.name == "worker"), "{snapshot:?}");
            assert!(snapshot.borrows.iter().all(|holder| holder.process == std::process::id()), "{snapshot:?}");
            let counters = &snapshot.counters;
            assert!(counters.borrows_begun >= last, "counters only grow");
            last = counters.borrows_begun;
            heap.check().expect("a sound heap, also while threads work");
        }
    });
    assert!(heap.snapshot().expect("a snapshot").counters.borrows_begun > 0);
}

/// Lets the workers of a scope go, also when its test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn threads_that_have_ended_leave_nothing_but_their_counts() {
    let heap = Heap::private().expect("a heap");
    let region = region(&heap);
    let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("room");
    // More threads, one after another, than a table of threads holds at once.
    for _ in 0..5_000 {
        std::thread::scope(|scope| {
            scope.spawn(|| drop(heap.borrow(buffer, BorrowKind::Shared).expect("free")));
        });
    }
    let left = std::thread::scope(|scope| {
        scope.spawn(|| heap.borrow(buffer, BorrowKind::Shared).expect("free")).join().expect("no panic")
    });
    assert_eq!(code(heap.close(region)), ErrorCode::Borrowed, "what a thread has left behind is held");
    drop(left);
    let counters = heap.snapshot().expect("a snapshot").counters;
    assert_eq!((counters.borrows_begun, counters.borrows_ended), (5_001, 5_001));
    heap.close(region).expect("nothing is borrowed");
}

#[test]
fn many_borrows_of_one_buffer_are_all_on_record() {
    let heap = Heap::private().expect("a heap");
    let region = region(&heap);
    let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("room");
    let leases: Vec<_> = (0..10_000).map(|_| heap.borrow(buffer, BorrowKind::Shared).expect("shared")).collect();
    assert_eq!(heap.buffer_info(buffer).expect("live").shared, 10_000);
    assert_eq!(heap.holders(buffer).expect("live").len(), 10_000);
    let refused = heap.free(buffer).expect_err("held");
    assert_eq!(refused.holders().len(), 10_000);
    assert!(refused.to_string().len() < 2_000, "a message for people stays short");
    drop(leases);
    assert_eq!(refused.holders(), [], "holders are those of now");
    heap.free(buffer).expect("nothing is borrowed");
}

#[test]
fn age_and_thread_of_a_borrow_are_told() {
    let heap = Heap::options().label("aged").private().expect("a heap");
    let buffer = heap.alloc(region(&heap), 8, 64, Init::Zeroed).expect("room");
    let lease = heap.borrow(buffer, BorrowKind::Unique).expect("free");
    std::thread::sleep(Duration::from_millis(200));
    let holder = heap.holders(buffer).expect("live").remove(0);
    assert!((150..20_000).contains(&holder.age_ms), "{} ms", holder.age_ms);
    assert_eq!((holder.kind, holder.handle, holder.token), (BorrowKind::Unique, buffer, lease.token()));
    assert_eq!((holder.label.as_str(), holder.process), ("aged", std::process::id()));
    assert_ne!(holder.thread, 0);
    let text = holder.to_string();
    assert!(text.contains(&buffer.to_string()) && text.contains("rust") && text.contains("aged"), "{text}");
}

#[test]
fn guards_read_write_and_check_text() {
    let heap = Heap::private().expect("a heap");
    let region = heap.region(&RegionOptions::new()).expect("a region");
    let mut buffer = region.alloc_with(4, 1, Init::Uninit).expect("room");
    buffer.borrow_unique().expect("free").copy_from_slice(b"text");
    assert_eq!(buffer.borrow_shared().expect("free").as_str().expect("UTF-8"), "text");
    buffer.borrow_unique().expect("free")[1] = 0xff;
    let shared = buffer.borrow_shared().expect("free");
    let error = shared.as_str().expect_err("no UTF-8");
    assert_eq!(error.code(), ErrorCode::InvalidUtf8);
    assert!(error.to_string().contains("offset 1"), "{error}");
    let (other, same) = (heap.buffer(buffer.handle()).expect("live"), shared.token());
    assert_ne!(other.borrow_shared().expect("shared").token(), same);
    assert_eq!(code(other.free()), ErrorCode::Borrowed);
    drop(shared);
    buffer.freeze().expect("free");
    assert_eq!(code(buffer.borrow_unique()), ErrorCode::Denied);
    buffer.free().expect("nothing is borrowed");
    assert_eq!(region.info().expect("open").buffers, 0);
}

/// A way to write the bytes of a buffer, held until what it gives is dropped; the code if it is refused.
type Way = for<'a> fn(&'a Heap, Handle, &'a mut dyn FnMut()) -> Result<(), ErrorCode>;

#[test]
fn every_safe_way_to_the_bytes_excludes_every_other() {
    let by_guard: Way = |heap, handle, held| {
        let mut buffer = heap.buffer(handle).map_err(|error| error.code())?;
        let mut guard = buffer.borrow_unique().map_err(|error| error.code())?;
        guard[0] += 1;
        held();
        // Nobody else ends it, and the bytes are here still.
        assert_eq!(code(heap.end(guard.token())), ErrorCode::InvalidArgument);
        guard[0] += 1;
        Ok(())
    };
    let by_lease: Way = |heap, handle, held| {
        let mut lease = heap.borrow(handle, BorrowKind::Unique).map_err(|error| error.code())?;
        lease.as_mut_slice().expect("unique")[0] += 1;
        held();
        assert_eq!(code(heap.end(lease.token())), ErrorCode::InvalidArgument);
        lease.as_mut_slice().expect("unique")[0] += 1;
        Ok(())
    };
    let by_reader: Way = |heap, handle, held| {
        let buffer = heap.buffer(handle).map_err(|error| error.code())?;
        let guard = buffer.borrow_shared().map_err(|error| error.code())?;
        let before = guard[0];
        held();
        assert_eq!(guard[0], before, "nobody writes what is read");
        Ok(())
    };
    for (heap, _folder) in heaps() {
        let region = region(&heap);
        let handle = heap.alloc(region, 8, 64, Init::Zeroed).expect("room");
        for first in [by_guard, by_lease, by_reader] {
            let mut tried = 0;
            let mut others = || {
                for second in [by_guard, by_lease] {
                    let refused = second(&heap, handle, &mut || panic!("both hold the bytes"));
                    let other = heap.clone();
                    let far = std::thread::spawn(move || second(&other, handle, &mut || panic!("both hold them")));
                    assert_eq!(refused, Err(ErrorCode::BorrowConflict));
                    assert_eq!(far.join().expect("no panic"), Err(ErrorCode::BorrowConflict));
                    tried += 1;
                }
                // What would take the bytes away is refused, too.
                assert_eq!(code(heap.free(handle)), ErrorCode::Borrowed);
                assert_eq!(code(heap.reset(region)), ErrorCode::Borrowed);
                assert_eq!(code(heap.close(region)), ErrorCode::Borrowed);
                assert_eq!(code(heap.detach()), ErrorCode::Borrowed);
            };
            first(&heap, handle, &mut others).expect("free");
            assert_eq!(tried, 2);
        }
        assert_eq!(heap.borrow(handle, BorrowKind::Shared).expect("free").as_slice()[0], 4);
    }
}

#[test]
fn busy_heap_is_sound_whenever_it_is_checked() {
    for (heap, _folder) in heaps() {
        let region = region(&heap);
        // Borrows go on while a check walks past these.
        for _ in 0..20_000 {
            heap.alloc(region, 0, 64, Init::Uninit).expect("room");
        }
        let buffers = [8, 8].map(|length| heap.alloc(region, length, 64, Init::Zeroed).expect("room"));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (heap, buffers, over) = (&heap, &buffers, &over);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let leases: Vec<_> =
                            (0..3).map(|_| heap.borrow(buffers[0], BorrowKind::Shared).expect("shared")).collect();
                        drop(heap.borrow(buffers[1], BorrowKind::Unique));
                        let own = heap.alloc(region, 100 * thread, 64, Init::Uninit).expect("room");
                        drop(heap.borrow(own, BorrowKind::Unique).expect("nobody else has it"));
                        heap.free(own).expect("nothing is borrowed");
                        drop(leases);
                    }
                });
            }
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for look in 0..turns(80) {
                    let found = heap.check().unwrap_or_else(|error| panic!("look {look}: {error}"));
                    assert!(found.buffers >= 2, "{found:?}");
                    // Where a look takes a second, one after the other leaves nobody else the heap's lock for its bounded wait.
                    if cfg!(any(weaveheap_race_checks, weaveheap_leak_checks)) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
                #[cfg(target_os = "linux")]
                if let Some(path) = heap.path() {
                    let inspector = weaveheap_core::Inspector::open_path(path).expect("a heap");
                    for look in 0..10 {
                        inspector.check().unwrap_or_else(|error| panic!("look {look} from outside: {error}"));
                    }
                }
            }));
            over.store(true, Ordering::Relaxed);
            checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        assert_eq!(heap.check().expect("sound").borrows, 0);
    }
}

#[test]
fn freed_slots_of_one_size_do_not_make_another_size_take_memory_anew() {
    let heap = Heap::private().expect("a heap");
    let region = region(&heap);
    // The region has freed slots of the larger size that no thread has, and none of the smaller one.
    let larger: Vec<Handle> = (0..2_000).map(|_| heap.alloc(region, 128, 64, Init::Uninit).expect("room")).collect();
    larger.into_iter().for_each(|buffer| heap.free(buffer).expect("live"));
    let before = heap.region_info(region).expect("open").reserved;
    for _ in 0..2_000 {
        heap.alloc(region, 64, 64, Init::Uninit).expect("room");
    }
    let taken = heap.region_info(region).expect("open").reserved - before;
    assert!(taken <= 4 * 2_000 * 64, "2,000 buffers of 64 bytes took {taken} bytes");
}

#[test]
fn borrows_that_are_alone_are_seen_joined_and_ended_in_any_order() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 1, 0]] {
        let fresh = heap.create_region(&RegionOptions::new()).expect("a region");
        for region in [region, fresh] {
            let buffer = heap.alloc(region, 64, 64, Init::Zeroed).expect("room");
            let shared = |heap: &Heap| heap.borrow(buffer, BorrowKind::Shared).expect("all of them are shared");
            let seen = || {
                let held = heap.holders(buffer).expect("live").len();
                assert_eq!(heap.buffer_info(buffer).expect("live").shared as usize, held);
                heap.check().expect("sound");
                held
            };
            let first = shared(&heap);
            assert_eq!(seen(), 1);
            let second = shared(&heap);
            assert_eq!(seen(), 2);
            let mut held = [Some(first), Some(second), Some(shared(&heap))];
            for (ended, at) in order.into_iter().enumerate() {
                assert_eq!(seen(), 3 - ended);
                assert_eq!(code(heap.borrow(buffer, BorrowKind::Unique)), ErrorCode::BorrowConflict);
                assert_eq!(code(heap.free(buffer)), ErrorCode::Borrowed);
                held[at].take().expect("ended once").end();
            }
            assert_eq!(seen(), 0);
            heap.free(buffer).expect("nobody borrows it");
        }
    }
}

#[test]
fn joined_by_another_thread_a_borrow_that_was_alone_ends_first_or_last() {
    let heap = Heap::private().expect("a heap");
    for first in [true, false] {
        let region = heap.create_region(&RegionOptions::new()).expect("a region");
        let buffer = heap.alloc(region, 64, 64, Init::Zeroed).expect("room");
        let alone = heap.borrow(buffer, BorrowKind::Shared).expect("it is free");
        let join = || heap.borrow(buffer, BorrowKind::Shared).expect("all of them are shared");
        let joined = std::thread::scope(|scope| scope.spawn(join).join().expect("no panic"));
        let (next, last) = if first { (alone, joined) } else { (joined, alone) };
        next.end();
        assert_eq!(code(heap.borrow(buffer, BorrowKind::Unique)), ErrorCode::BorrowConflict);
        heap.check().expect("sound");
        last.end();
        heap.borrow(buffer, BorrowKind::Unique).expect("nobody borrows it").end();
    }
}

#[test]
fn frozen_under_a_borrow_that_is_alone_stays_frozen() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = heap.alloc(region, 64, 64, Init::Zeroed).expect("room");
    for _ in 0..3 {
        let lease = heap.borrow(buffer, BorrowKind::Shared).expect("shared");
        heap.freeze(buffer).expect("no unique borrow");
        lease.end();
        assert_eq!(code(heap.borrow(buffer, BorrowKind::Unique)), ErrorCode::Denied);
    }
    heap.check().expect("sound");
}
