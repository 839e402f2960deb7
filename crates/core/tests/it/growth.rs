//! A heap in the memory of a module of WebAssembly, which others grow too (H5, H8, K1, R2, C3). Each test has an instance to
//! itself, whose memory the runner grows as JavaScript does.

use std::time::Duration;

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, RegionOptions};

use crate::runner::grow;
use crate::support::code;

const PAGE: u64 = 64 << 10;

/// Where memory ends, in pages.
fn pages() -> usize {
    grow(0).expect("asking takes nothing")
}

fn heap(limit: u64) -> Heap {
    Heap::options().limit(limit).private().expect("a heap")
}

fn region(heap: &Heap) -> Handle {
    heap.create_region(&RegionOptions::new()).expect("room")
}

fn fill(heap: &Heap, buffer: Handle, byte: u8) {
    let mut lease = heap.borrow(buffer, BorrowKind::Unique).expect("free");
    lease.as_mut_slice().expect("unique").fill(byte);
}

fn holds(heap: &Heap, buffer: Handle, byte: u8) -> bool {
    let lease = heap.borrow(buffer, BorrowKind::Shared).expect("free");
    lease.as_slice().iter().all(|other| *other == byte)
}

/// Pages that are JavaScript's from here on, filled with this byte.
struct Theirs(*mut u8, usize, u8);

impl Theirs {
    fn grow(pages: usize, byte: u8) -> Theirs {
        let first = grow(pages).expect("memory can grow");
        let base = std::ptr::with_exposed_provenance_mut::<u8>(first * PAGE as usize);
        // SAFETY: the pages are new and nobody else's.
        unsafe { base.write_bytes(byte, pages * PAGE as usize) };
        Theirs(base, pages * PAGE as usize, byte)
    }

    fn are_as_they_were(&self) -> bool {
        // SAFETY: the pages are there and nobody else's.
        let bytes = unsafe { std::slice::from_raw_parts(self.0, self.1) };
        bytes.iter().all(|byte| *byte == self.2)
    }
}

/// Grows memory until it does not grow any more.
fn exhaust() {
    for pages in [1 << 16, 1 << 12, 1 << 8, 1 << 4, 1] {
        while grow(pages).is_some() {}
    }
}

#[test]
fn heap_takes_memory_as_it_hands_it_out() {
    let before = pages();
    let heap = Heap::private().expect("a heap");
    let region = region(&heap);
    let buffer = heap.alloc(region, 100 << 10, 64, Init::Zeroed).expect("room");
    assert!(heap.limit() >= 1 << 30, "{}", heap.limit());
    assert!(pages() - before < 64, "{} pages for a heap with one buffer", pages() - before);
    assert!(holds(&heap, buffer, 0));
    fill(&heap, buffer, 1);
    heap.check().expect("sound");
}

#[test]
fn others_grow_the_same_memory_in_between() {
    let heap = heap(64 << 20);
    let region = region(&heap);
    let (mut buffers, mut theirs, mut allocated) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..120_u8 {
        let length = [1, 3000, 70_000, 300_000, 1 << 20, 3 << 20][usize::from(turn) % 6] / 8;
        let buffer = heap.alloc(region, length, 64, Init::Zeroed).expect("room");
        assert!(holds(&heap, buffer, 0), "a new buffer reads as zero");
        fill(&heap, buffer, turn);
        buffers.push((buffer, turn));
        match turn % 4 {
            0 => theirs.push(Theirs::grow(usize::from(turn) % 5 + 1, turn)),
            1 => allocated.push((vec![turn; 200_000], turn)),
            2 => heap.free(buffers.swap_remove(usize::from(turn) / 2 % buffers.len()).0).expect("idle"),
            _ => {}
        }
        heap.check().expect("sound");
    }
    assert!(buffers.iter().all(|(buffer, byte)| holds(&heap, *buffer, *byte)));
    assert!(theirs.iter().all(Theirs::are_as_they_were));
    assert!(allocated.iter().all(|(bytes, byte)| bytes.iter().all(|other| other == byte)));
    heap.close(region).expect("idle");
    heap.check().expect("sound");
}

#[test]
fn what_was_freed_is_used_again() {
    let heap = heap(256 << 20);
    let mut after = Vec::new();
    for turn in 0..20 {
        let region = region(&heap);
        for length in [5 << 20, 1 << 20, 100, 40_000] {
            let buffer = heap.alloc(region, length, 64, Init::Zeroed).expect("room");
            assert!(holds(&heap, buffer, 0), "what is used again reads as zero");
            fill(&heap, buffer, 0xee);
        }
        heap.close(region).expect("idle");
        heap.check().expect("sound");
        assert_eq!(heap.trim().expect("nothing to do"), 0, "memory never goes back");
        after.push(pages());
        // From now on a page that is not the heap's is at its end.
        if turn == 0 {
            Theirs::grow(1, 1);
        }
    }
    assert!(after[1..].windows(2).all(|pair| pair[0] == pair[1]), "{after:?}");
}

#[test]
fn heaps_that_are_gone_leave_their_memory_to_others() {
    let mut after = Vec::new();
    let mut theirs = Vec::new();
    for turn in 0..30 {
        let heap = heap(128 << 20);
        let region = region(&heap);
        for length in [10 << 20, 1000, 2 << 20] {
            let buffer = heap.alloc(region, length, 64, Init::Zeroed).expect("room");
            assert!(holds(&heap, buffer, 0), "what another heap has left reads as zero");
            fill(&heap, buffer, 0xee);
            if turn == 0 {
                theirs.push(Theirs::grow(2, 7));
            }
        }
        heap.check().expect("sound");
        drop(heap);
        after.push(pages());
    }
    assert!(after[2..].windows(2).all(|pair| pair[0] == pair[1]), "{after:?}");
    assert!(theirs.iter().all(Theirs::are_as_they_were));
}

#[test]
fn heaps_grow_through_each_other() {
    type Filled = Vec<(Handle, u8)>;
    let mut heaps: Vec<(Heap, Handle, Filled)> = Vec::new();
    let mut most = 0;
    for turn in 0..160_u8 {
        if turn % 8 == 0 {
            let heap = heap(512 << 20);
            let region = region(&heap);
            heaps.push((heap, region, Vec::new()));
        }
        if turn % 16 == 15 {
            let (heap, _, buffers) = heaps.remove(usize::from(turn) * 7 % heaps.len());
            assert!(buffers.iter().all(|(buffer, byte)| holds(&heap, *buffer, *byte)));
        }
        let count = heaps.len();
        let (heap, region, buffers) = &mut heaps[usize::from(turn) * 5 % count];
        let length = u64::from(turn) * 20_000 + 1;
        let buffer = heap.alloc(*region, length, 64, Init::Zeroed).expect("room");
        assert!(holds(heap, buffer, 0));
        fill(heap, buffer, turn);
        buffers.push((buffer, turn));
        for (heap, ..) in &heaps {
            heap.check().expect("sound");
        }
        most = most.max(count);
    }
    assert!(most > 5);
    for (heap, _, buffers) in &heaps {
        assert!(buffers.iter().all(|(buffer, byte)| holds(heap, *buffer, *byte)));
    }
}

#[test]
fn memory_that_cannot_grow_is_out_of_memory_and_the_heap_goes_on() {
    let heap = Heap::private().expect("a heap");
    let other = Heap::options().limit(1 << 30).private().expect("another");
    let first = region(&heap);
    let kept = heap.alloc(first, 3 << 20, 64, Init::Zeroed).expect("room");
    fill(&heap, kept, 5);
    let second = region(&heap);
    let large = heap.alloc(second, 9 << 20, 64, Init::Uninit).expect("room");
    // The module's own allocator needs some, for messages and for what `check` notes.
    drop(std::hint::black_box(vec![1_u8; 8 << 20]));
    exhaust();
    assert_eq!(code(heap.alloc(first, 20 << 20, 64, Init::Uninit)), ErrorCode::OutOfMemory);
    heap.check().expect("sound");
    // Until nothing is left at all.
    let mut small = 0;
    let refused = loop {
        match heap.alloc(first, 60_000, 64, Init::Uninit) {
            Ok(_) => small += 1,
            Err(error) => break error.code(),
        }
    };
    assert_eq!(refused, ErrorCode::OutOfMemory);
    assert!(small < 1000, "{small}");
    heap.check().expect("sound");
    assert!(holds(&heap, kept, 5));
    // What is freed serves this heap.
    heap.free(large).expect("idle");
    let again = heap.alloc(first, 8 << 20, 64, Init::Zeroed).expect("what was freed");
    assert!(holds(&heap, again, 0));
    heap.close(second).expect("idle");
    heap.check().expect("sound");
    // And what a heap leaves serves another, though it is below it.
    assert_eq!(code(Heap::options().limit(2 << 20).private()), ErrorCode::OutOfMemory);
    drop(heap);
    let third = Heap::options().limit(64 << 20).private().expect("in what the first has left");
    let region = region(&third);
    let buffer = third.alloc(region, 5 << 20, 64, Init::Zeroed).expect("what the first has left");
    assert!(holds(&third, buffer, 0));
    third.check().expect("sound");
    other.check().expect("sound");
}

#[test]
fn range_that_others_have_filled_is_out_of_memory_and_the_heap_goes_on() {
    let heap = heap(4 << 20);
    let region = region(&heap);
    let buffer = heap.alloc(region, 1 << 20, 64, Init::Zeroed).expect("room");
    let theirs = Theirs::grow(200, 3);
    assert_eq!(code(heap.alloc(region, 2 << 20, 64, Init::Zeroed)), ErrorCode::OutOfMemory);
    heap.check().expect("sound");
    heap.free(buffer).expect("idle");
    let buffer = heap.alloc(region, 1 << 20, 64, Init::Zeroed).expect("what was freed");
    fill(&heap, buffer, 4);
    heap.check().expect("sound");
    assert!(theirs.are_as_they_were());
    assert!(pages() < 400, "memory that the heap cannot use was not taken");
}

#[test]
fn limits_are_those_of_the_address_space() {
    for limit in [usize::MAX as u64 & !0xffff, isize::MAX as u64 + 1, 1 << 40] {
        let heap = Heap::options().limit(limit).private();
        if usize::BITS == 32 || limit > 1 << 40 {
            assert!(matches!(code(heap), ErrorCode::OutOfMemory | ErrorCode::InvalidArgument), "{limit}");
        }
    }
    let heap = heap(3 << 20);
    assert_eq!(heap.limit(), 3 << 20);
    let region = region(&heap);
    for length in [u64::MAX, 1 << 63, 1 << 40, 1 << 33, u64::from(u32::MAX), 1 << 31, 4 << 20] {
        let refused = code(heap.alloc(region, length, 64, Init::Zeroed));
        assert!(matches!(refused, ErrorCode::OutOfMemory | ErrorCode::InvalidArgument), "{refused:?} for {length}");
    }
    heap.check().expect("sound");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn buffers_lie_beyond_four_gibibytes() {
    let heap = Heap::private().expect("a heap");
    let region = region(&heap);
    let large = heap.alloc(region, 5 << 30, 64, Init::Zeroed).expect("room");
    let beyond = heap.alloc(region, 1 << 20, 64, Init::Zeroed).expect("room");
    fill(&heap, beyond, 6);
    let mut lease = heap.borrow(large, BorrowKind::Unique).expect("free");
    assert_eq!(lease.len(), 5 << 30);
    let bytes = lease.as_mut_slice().expect("unique");
    for at in [0, (1 << 32) - 1, 1 << 32, (5 << 30) - 1] {
        assert_eq!(bytes[at], 0);
        bytes[at] = 1;
    }
    assert_eq!(bytes[..1 << 20].iter().map(|byte| u32::from(*byte)).sum::<u32>(), 1, "nothing came round");
    drop(lease);
    let lease = heap.borrow(beyond, BorrowKind::Shared).expect("free");
    assert!(lease.as_ptr().addr() > 5 << 30);
    drop(lease);
    assert!(holds(&heap, beyond, 6));
    heap.check().expect("sound");
    heap.close(region).expect("idle");
    heap.check().expect("sound");
}

#[test]
fn heap_that_was_dropped_under_a_borrow_keeps_its_memory() {
    let heap = heap(16 << 20);
    let region = region(&heap);
    let buffer = heap.alloc(region, 1 << 20, 64, Init::Zeroed).expect("room");
    fill(&heap, buffer, 9);
    let lease = heap.borrow(buffer, BorrowKind::Shared).expect("free");
    assert_eq!(code(heap.detach()), ErrorCode::Borrowed);
    drop(heap);
    let other = self::heap(16 << 20);
    let region = self::region(&other);
    let buffer = other.alloc(region, 4 << 20, 64, Init::Zeroed).expect("room");
    fill(&other, buffer, 0xff);
    assert!(lease.as_slice().iter().all(|byte| *byte == 9));
    drop(lease);
    other.check().expect("sound");
}

#[test]
fn waits_end_at_once_where_nobody_could_end_them() {
    let heap = heap(16 << 20);
    let region = region(&heap);
    let buffer = heap.alloc(region, 100, 64, Init::Zeroed).expect("room");
    let lease = heap.borrow(buffer, BorrowKind::Shared).expect("free");
    assert_eq!(code(heap.wait_idle(region, Some(Duration::from_secs(3600)))), ErrorCode::Timeout);
    assert_eq!(code(heap.wait_idle(region, None)), ErrorCode::Unsupported);
    assert_eq!(code(heap.lookup_wait("nobody", Some(Duration::from_secs(3600)))), ErrorCode::Timeout);
    assert_eq!(code(heap.lookup_wait("nobody", None)), ErrorCode::Unsupported);
    drop(lease);
    heap.wait_idle(region, None).expect("idle");
    heap.publish("somebody", region).expect("room");
    assert_eq!(heap.lookup_wait("somebody", None).expect("published"), region);
    heap.check().expect("sound");
}

#[test]
#[cfg(target_feature = "atomics")]
fn wait_asleep_ends_in_time() {
    let heap = heap(16 << 20);
    let region = region(&heap);
    let buffer = heap.alloc(region, 100, 64, Init::Zeroed).expect("room");
    let lease = heap.borrow(buffer, BorrowKind::Shared).expect("free");
    for wait in [0, 1, 80] {
        let wait = Duration::from_millis(wait);
        let start = crate::runner::now();
        assert_eq!(code(heap.wait_idle(region, Some(wait))), ErrorCode::Timeout);
        assert_eq!(code(heap.lookup_wait("nobody", Some(wait))), ErrorCode::Timeout);
        let took = crate::runner::now() - start;
        assert!(took >= wait * 2 && took < wait * 2 + Duration::from_secs(5), "{took:?} for {wait:?}");
    }
    drop(lease);
    heap.check().expect("sound");
}

#[test]
fn region_closes_with_the_last_borrow() {
    let heap = heap(16 << 20);
    let region = region(&heap);
    let buffer = heap.alloc(region, 100, 64, Init::Zeroed).expect("room");
    let lease = heap.borrow(buffer, BorrowKind::Unique).expect("free");
    assert_eq!(code(heap.borrow(buffer, BorrowKind::Shared)), ErrorCode::BorrowConflict);
    assert_eq!(code(heap.close(region)), ErrorCode::Borrowed);
    assert_eq!(code(heap.reset(region)), ErrorCode::Borrowed);
    heap.close_when_idle(region).expect("alive");
    heap.check().expect("sound");
    assert_eq!(code(heap.alloc(region, 1, 64, Init::Zeroed)), ErrorCode::StaleHandle);
    drop(lease);
    assert_eq!(code(heap.borrow(buffer, BorrowKind::Shared)), ErrorCode::StaleHandle);
    assert_eq!(heap.check().expect("sound").regions, 0);
    heap.detach().expect("nothing is held");
    assert_eq!(code(heap.check()), ErrorCode::NotAttached);
}

#[test]
fn clock_of_the_embedder_tells_how_old_a_borrow_is() {
    let heap = heap(16 << 20);
    let region = region(&heap);
    let buffer = heap.alloc(region, 100, 64, Init::Zeroed).expect("room");
    let lease = heap.borrow(buffer, BorrowKind::Shared).expect("free");
    crate::runner::pass(Duration::from_secs(5));
    let holders = heap.holders(buffer).expect("readable");
    assert!((4900..6000).contains(&holders[0].age_ms), "{}", holders[0].age_ms);
    drop(lease);
}

#[test]
fn no_heap_is_shared() {
    // SAFETY: nothing is shared, which is what the test is for.
    let (named, opened) = unsafe { (Heap::options().create("heap"), Heap::options().open("heap")) };
    assert_eq!(code(named), ErrorCode::Unsupported);
    assert_eq!(code(opened), ErrorCode::Unsupported);
    assert_eq!(code(Heap::options().inspect(true).private()), ErrorCode::Unsupported);
}

#[test]
fn seeds_of_two_instances_differ() {
    // The runner compares what each of several instances says.
    crate::runner::say(&format!("differs: {}", Heap::private().expect("a heap").id()));
}

#[test]
fn no_heap_is_made_without_hooks_for_random_numbers() {
    let refused = Heap::private().expect_err("there is no seed");
    assert_eq!(refused.code(), ErrorCode::Unsupported);
    assert!(refused.to_string().contains("Hooks::random"), "{refused}");
}
