//! Regions: many of them, their typed objects, and waiting for them (R1 to R7, H8).

use std::time::Duration;

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, RegionOptions, RegionState};

use crate::support::code;

fn heap() -> Heap {
    Heap::private().expect("a heap")
}

#[test]
fn many_regions_live_and_close_together() {
    let heap = heap();
    let regions: Vec<(Handle, Handle)> = (0..2000_u64)
        .map(|index| {
            let region = heap.create_region(&RegionOptions::new().name(format!("region {index}"))).expect("a region");
            (region, heap.alloc_from(region, &index.to_le_bytes(), 1).expect("a buffer"))
        })
        .collect();
    for (index, (region, _)) in regions.iter().enumerate().filter(|(index, _)| index % 3 == 0) {
        heap.close(*region).unwrap_or_else(|error| panic!("region {index}: {error}"));
    }
    for (index, (region, buffer)) in regions.iter().enumerate() {
        match (index % 3, heap.borrow(*buffer, BorrowKind::Shared)) {
            (0, closed) => assert_eq!(code(closed), ErrorCode::StaleHandle),
            (_, live) => assert_eq!(live.expect("live").as_slice(), (index as u64).to_le_bytes(), "{region}"),
        }
    }
    assert_eq!(heap.check().expect("a sound heap").regions, 2000 - 667);
    let snapshot = heap.snapshot().expect("a snapshot");
    assert_eq!(snapshot.regions.len(), 2000 - 667);
    assert!(snapshot.regions.is_sorted_by_key(|region| region.handle.index()));
}

#[test]
fn region_is_made_and_closed_many_times() {
    let heap = Heap::options().limit(64 << 20).private().expect("a heap");
    let mut seen = std::collections::HashSet::new();
    for round in 0..20_000 {
        let region = heap.create_region(&RegionOptions::new()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(seen.insert(region), "{region} was given twice");
        let buffer = heap.alloc(region, 1000, 64, Init::Uninit).expect("there is room");
        assert!(seen.insert(buffer), "{buffer} was given twice");
        heap.close(region).expect("nothing is borrowed");
    }
    assert_eq!(heap.snapshot().expect("a snapshot").heap.bytes_live, 0);
    heap.check().expect("a sound heap");
}

#[test]
fn close_of_many_buffers_makes_each_stale() {
    let heap = heap();
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffers: Vec<Handle> =
        (0..100_000).map(|_| heap.alloc(region, 16, 16, Init::Uninit).expect("there is room")).collect();
    assert_eq!(heap.region_info(region).expect("open").buffers, 100_000);
    heap.close(region).expect("nothing is borrowed");
    let next = heap.create_region(&RegionOptions::new()).expect("a region");
    for round in 0..1000 {
        heap.alloc(next, 16, 16, Init::Uninit).unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    assert!(buffers.iter().all(|buffer| code(heap.borrow(*buffer, BorrowKind::Shared)) == ErrorCode::StaleHandle));
    heap.check().expect("a sound heap");
}

#[test]
fn typed_region_gives_itself_back_when_it_cannot_close() {
    let heap = heap();
    let region = heap.region(&RegionOptions::new().name("typed")).expect("a region");
    let handle = region.alloc(8).expect("a buffer").handle();
    let lease = heap.borrow(handle, BorrowKind::Shared).expect("live");
    let (region, error) = region.close().expect_err("a lease is live");
    assert_eq!((error.code(), error.holders().len()), (ErrorCode::Borrowed, 1));
    assert_eq!(region.info().expect("unchanged").buffers, 1);
    lease.end();
    region.close().map_err(|(_, error)| error).expect("the lease has ended");
    assert_eq!(code(heap.buffer(handle)), ErrorCode::StaleHandle);
}

#[test]
fn dropped_region_of_a_private_heap_closes_when_idle_and_is_counted() {
    let heap = heap();
    let region = heap.region(&RegionOptions::new()).expect("a region");
    let (own, buffer) = (region.handle(), region.string("text").expect("a string").handle());
    let lease = heap.borrow(buffer, BorrowKind::Shared).expect("live");
    drop(region);
    assert_eq!(heap.snapshot().expect("a snapshot").regions[0].state, RegionState::Draining);
    assert_eq!(code(heap.borrow(buffer, BorrowKind::Shared)), ErrorCode::StaleHandle);
    assert_eq!(lease.as_slice(), b"text");
    lease.end();
    assert_eq!(code(heap.region_at(own)), ErrorCode::StaleHandle);
    assert_eq!(heap.snapshot().expect("a snapshot").counters.regions_collected, 1);
    // One that was closed is not collected.
    let region = heap.region(&RegionOptions::new()).expect("a region");
    region.close().map_err(|(_, error)| error).expect("idle");
    let region = heap.region(&RegionOptions::new()).expect("a region");
    region.close_when_idle().expect("idle");
    assert!(!heap.collect_region(own), "it was not open");
    assert_eq!(heap.snapshot().expect("a snapshot").counters.regions_collected, 1);
}

#[test]
#[cfg(target_os = "linux")]
fn dropped_region_of_a_shared_heap_lives_on() {
    let shared = crate::support::SharedHeap::new();
    let region = shared.heap.region(&RegionOptions::new()).expect("a region");
    let (handle, buffer) = (region.handle(), region.string("text").expect("a string").handle());
    drop(region);
    let again = shared.heap.region_at(handle).expect("it lives until it is closed");
    assert_eq!(&*shared.heap.buffer(buffer).expect("live").borrow_shared().expect("free"), b"text");
    again.close().map_err(|(_, error)| error).expect("idle");
}

#[test]
fn typed_reset_keeps_the_region() {
    let heap = heap();
    let mut region = heap.region(&RegionOptions::new().limit(1 << 16)).expect("a region");
    for _ in 0..50 {
        let mut buffer = region.alloc(40_000).expect("the room is free again");
        assert!(!buffer.is_empty());
        buffer.borrow_unique().expect("free").fill(9);
        assert_eq!(code(region.alloc(40_000)), ErrorCode::LimitReached);
        region.reset().expect("nothing is borrowed");
    }
    assert_eq!(region.info().expect("open").counters.allocations, 50);
}

#[test]
fn wait_idle_wakes_when_another_thread_ends_the_last_borrow() {
    let heap = heap();
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("a buffer");
    for kind in [BorrowKind::Shared, BorrowKind::Unique] {
        let lease = heap.borrow(buffer, kind).expect("free");
        let waiter = heap.clone();
        let waiting = std::thread::spawn(move || waiter.wait_idle(region, None));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        drop(lease);
        waiting.join().expect("no panic").expect("idle");
    }
}

#[test]
fn wait_idle_of_a_region_that_closes_meanwhile_ends() {
    let heap = heap();
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("a buffer");
    let lease = heap.borrow(buffer, BorrowKind::Shared).expect("free");
    let waiter = heap.clone();
    let waiting = std::thread::spawn(move || waiter.wait_idle(region, Some(Duration::from_secs(20))));
    std::thread::sleep(Duration::from_millis(50));
    heap.close_when_idle(region).expect("open");
    drop(lease);
    match waiting.join().expect("no panic") {
        Ok(()) => {}
        Err(error) => assert_eq!(error.code(), ErrorCode::StaleHandle, "{error}"),
    }
}

#[test]
fn buffers_are_listed_by_index_up_to_a_number() {
    let heap = heap();
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let mut made: Vec<Handle> = (0..100).map(|n| heap.alloc(region, n, 64, Init::Zeroed).expect("room")).collect();
    heap.free(made.remove(50)).expect("free");
    let mut listed = heap.buffers(region, usize::MAX).expect("open");
    assert!(listed.is_sorted_by_key(|buffer| buffer.handle.index()));
    listed.sort_by_key(|buffer| buffer.length);
    assert_eq!(listed.iter().map(|buffer| buffer.handle).collect::<Vec<_>>(), made);
    assert!(listed.iter().all(|buffer| buffer.region == region && buffer.offset > 0));
    assert_eq!(heap.buffers(region, 7).expect("open").len(), 7);
    heap.close(region).expect("idle");
    assert_eq!(code(heap.buffers(region, 7)), ErrorCode::StaleHandle);
}

#[test]
fn region_limit_counts_whole_chunks() {
    let heap = heap();
    let region = heap.create_region(&RegionOptions::new().limit(1)).expect("a limit below a chunk is one chunk");
    heap.alloc(region, 30_000, 64, Init::Zeroed).expect("a chunk is at least 64 KiB");
    let info = heap.region_info(region).expect("open");
    assert!(info.reserved >= 30_000 && info.peak >= info.reserved, "{info:?}");
    assert_eq!(code(heap.alloc(region, 1 << 20, 64, Init::Zeroed)), ErrorCode::LimitReached);
}
