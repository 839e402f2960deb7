//! Handles and tokens: random, stale and old ones by the thousand (K1, K2, B7).

use std::collections::HashSet;

use weaveheap_core::{BorrowKind, ErrorCode, Handle, HandleKind, Heap, Init, RegionOptions, Token};

use crate::support::{code, heaps};

/// A plain generator of numbers: the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn random_handles_and_tokens_are_stale() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let live: Vec<Handle> = (0..500).map(|_| heap.alloc(region, 32, 64, Init::Zeroed).expect("room")).collect();
    let held = heap.borrow_raw(live[0], BorrowKind::Shared).expect("free");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let known: HashSet<u64> = live.iter().map(|handle| handle.to_bits()).chain([region.to_bits()]).collect();
    for round in 0..200_000_u64 {
        let bits = match round % 4 {
            0 => numbers.next(),
            // Right index, wrong generation; wrong index, right generation; a region's bit.
            1 => live[round as usize % 500].to_bits() ^ (numbers.next() << 32),
            2 => live[round as usize % 500].to_bits() ^ (numbers.next() >> 32),
            _ => region.to_bits() ^ (1 << (numbers.next() % 64)),
        };
        if known.contains(&bits) {
            continue;
        }
        let handle = Handle::from_bits(bits);
        assert_eq!(code(heap.borrow(handle, BorrowKind::Shared)), ErrorCode::StaleHandle, "{handle}");
        match round % 5 {
            0 => assert_eq!(code(heap.free(handle)), ErrorCode::StaleHandle, "{handle}"),
            1 => assert_eq!(code(heap.close(handle)), ErrorCode::StaleHandle, "{handle}"),
            2 => assert_eq!(code(heap.alloc(handle, 1, 1, Init::Zeroed)), ErrorCode::StaleHandle, "{handle}"),
            3 => assert_eq!(code(heap.buffer_info(handle)), ErrorCode::StaleHandle, "{handle}"),
            _ => assert_eq!(code(heap.region_info(handle)), ErrorCode::StaleHandle, "{handle}"),
        }
        let token = Token::from_bits(numbers.next());
        if token != held.token {
            assert_eq!(code(heap.end(token)), ErrorCode::StaleHandle, "{token:?}");
        }
    }
    heap.check().expect("a sound heap");
    let info = heap.region_info(region).expect("open");
    assert_eq!((info.buffers, info.borrows), (500, 1));
    heap.end(held.token).expect("still live");
}

#[test]
fn handles_of_all_ones_and_all_zeros_are_stale() {
    // Also to a thread that has used no region yet, and to one that has.
    let heap = Heap::private().expect("a heap");
    for _ in 0..2 {
        for handle in [0, u64::MAX].map(Handle::from_bits) {
            for length in [64, 2 << 20] {
                assert_eq!(code(heap.alloc(handle, length, 64, Init::Zeroed)), ErrorCode::StaleHandle);
            }
            assert_eq!(code(heap.free(handle)), ErrorCode::StaleHandle);
            assert_eq!(code(heap.borrow(handle, BorrowKind::Unique)), ErrorCode::StaleHandle);
            assert_eq!(code(heap.close(handle)), ErrorCode::StaleHandle);
        }
        heap.create_region(&RegionOptions::new()).expect("a region");
        heap.check().expect("a sound heap");
    }
}

#[test]
fn handles_are_never_given_twice() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let mut seen = HashSet::new();
    for round in 0..200_000 {
        let buffer = heap.alloc(region, 64, 64, Init::Uninit).expect("room");
        assert!(seen.insert(buffer), "{buffer} in round {round}");
        assert_eq!((buffer.generation() % 2, buffer.kind()), (1, HandleKind::Buffer), "{buffer}");
        heap.free(buffer).expect("free");
        assert_eq!(code(heap.free(buffer)), ErrorCode::StaleHandle);
    }
    assert!(seen.iter().map(|handle| handle.index()).collect::<HashSet<_>>().len() < 1000, "slots are used again");
    heap.check().expect("a sound heap");
}

#[test]
fn tokens_are_never_given_twice() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = heap.alloc(region, 64, 64, Init::Uninit).expect("room");
    let mut seen = HashSet::new();
    for round in 0..200_000 {
        let kind = if round % 2 == 0 { BorrowKind::Shared } else { BorrowKind::Unique };
        let token = heap.borrow_raw(buffer, kind).expect("free").token;
        assert!(seen.insert(token), "{token:?} in round {round}");
        heap.end(token).expect("live");
        assert_eq!(code(heap.end(token)), ErrorCode::StaleHandle);
    }
}

#[test]
fn generations_start_at_random_in_each_heap() {
    let first_handles: HashSet<u64> = (0..20)
        .map(|_| {
            let heap = Heap::private().expect("a heap");
            let region = heap.create_region(&RegionOptions::new()).expect("a region");
            heap.alloc(region, 1, 64, Init::Zeroed).expect("room").to_bits()
        })
        .collect();
    assert_eq!(first_handles.len(), 20);
}

#[test]
fn handles_of_other_heaps_are_stale() {
    let a = Heap::private().expect("a heap");
    let (b, _folder) = heaps().pop().expect("one");
    for (own, other) in [(&a, &b), (&b, &a)] {
        let region = own.create_region(&RegionOptions::new()).expect("a region");
        let theirs = other.create_region(&RegionOptions::new()).expect("a region");
        for _ in 0..200 {
            let buffer = own.alloc(region, 8, 64, Init::Zeroed).expect("room");
            let token = own.borrow_raw(buffer, BorrowKind::Shared).expect("free").token;
            other.alloc(theirs, 8, 64, Init::Zeroed).expect("room");
            assert_eq!(code(other.free(buffer)), ErrorCode::StaleHandle);
            assert_eq!(code(other.close(region)), ErrorCode::StaleHandle);
            assert_eq!(code(other.end(token)), ErrorCode::StaleHandle);
            own.end(token).expect("live");
        }
    }
}

#[test]
fn indices_are_dense() {
    let heap = Heap::private().expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let highest = (0..1000).map(|_| heap.alloc(region, 8, 64, Init::Zeroed).expect("room").index()).max();
    assert!(highest.expect("a thousand") < 4096, "{highest:?}");
}
