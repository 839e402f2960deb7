//! Threads of one module of WebAssembly: workers over one memory, which they grow at once (B1, B3, R2, R4, H8, C3).

use std::sync::OnceLock;
use std::time::Duration;

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, RegionOptions};

use crate::runner::{grow, in_threads, now};

const THREADS: usize = 3;
const TURNS: usize = 60;

/// What the threads of a test have in common. Each test has a memory to itself.
static COMMON: OnceLock<Common> = OnceLock::new();

struct Common {
    heap: Heap,
    region: Handle,
    buffer: Handle,
}

fn common() -> &'static Common {
    COMMON.get_or_init(|| {
        let heap = Heap::private().expect("a heap");
        let region = heap.create_region(&RegionOptions::new()).expect("room");
        let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("room");
        Common { heap, region, buffer }
    })
}

/// Fills buffers of a heap and looks whether all are as they were.
fn work_on(heap: &Heap, number: usize, turns: usize) {
    let region = heap.create_region(&RegionOptions::new()).expect("room");
    let byte = number as u8 + 1;
    let mut buffers = Vec::new();
    for turn in 0..turns {
        let length = [10, 5000, 70_000, 400_000, 2 << 20][(turn + number) % 5];
        let buffer = heap.alloc(region, length, 64, Init::Zeroed).expect("room");
        let mut lease = heap.borrow(buffer, BorrowKind::Unique).expect("nobody has its handle");
        let bytes = lease.as_mut_slice().expect("unique");
        assert!(bytes.iter().all(|byte| *byte == 0), "a new buffer reads as zero");
        bytes.fill(byte);
        drop(lease);
        buffers.push(buffer);
        if turn % 4 == 3 {
            heap.free(buffers.swap_remove(turn * 7 % buffers.len())).expect("idle");
        }
        if turn % 9 == 8 {
            // As JavaScript does.
            grow(1).expect("memory can grow");
        }
    }
    for buffer in &buffers {
        let lease = heap.borrow(*buffer, BorrowKind::Shared).expect("nobody has its handle");
        assert!(lease.as_slice().iter().all(|other| *other == byte), "another's bytes");
    }
    heap.close(region).expect("idle");
}

extern "C" fn grow_at_once(number: usize) {
    for _ in 0..3 {
        work_on(&common().heap, number, TURNS / 3);
        let own = Heap::options().limit(256 << 20).private().expect("a heap of its own");
        work_on(&own, number, TURNS / 3);
        own.check().expect("sound");
    }
}

#[test]
fn threads_grow_one_memory_at_once() {
    let heap = &common().heap;
    in_threads(THREADS, grow_at_once);
    assert_eq!(heap.check().expect("sound").regions, 1);
    work_on(heap, 0, TURNS);
    heap.check().expect("sound");
}

extern "C" fn count(_number: usize) {
    let Common { heap, buffer, .. } = common();
    let mut turns = 0;
    while turns < 1000 {
        match heap.borrow(*buffer, BorrowKind::Unique) {
            Ok(mut lease) => {
                let bytes = lease.as_mut_slice().expect("unique");
                let count = u64::from_le_bytes(bytes.try_into().expect("eight bytes")) + 1;
                bytes.copy_from_slice(&count.to_le_bytes());
                turns += 1;
            }
            Err(error) => assert_eq!(error.code(), ErrorCode::BorrowConflict),
        }
    }
}

#[test]
fn unique_borrows_of_threads_lose_no_write() {
    let Common { heap, buffer, .. } = common();
    in_threads(THREADS, count);
    let lease = heap.borrow(*buffer, BorrowKind::Shared).expect("free");
    assert_eq!(lease.as_slice(), (THREADS as u64 * 1000).to_le_bytes());
    drop(lease);
    heap.check().expect("sound");
}

const WAIT: Duration = Duration::from_millis(300);

/// One thread holds a borrow for a while and then publishes a name, the others wait for the one and for the other.
extern "C" fn wait(number: usize) {
    let Common { heap, region, buffer } = common();
    let start = now();
    match number {
        0 => {
            let lease = heap.borrow(*buffer, BorrowKind::Shared).expect("free");
            heap.publish("held", *buffer).expect("room");
            let refused = heap.lookup_wait("nobody", Some(WAIT)).expect_err("nobody publishes it");
            assert_eq!(refused.code(), ErrorCode::Timeout);
            drop(lease);
            heap.publish("done", *region).expect("room");
        }
        1 => {
            heap.lookup_wait("held", None).expect("published");
            heap.wait_idle(*region, None).expect("idle in the end");
            assert!(now() - start < Duration::from_secs(60));
        }
        _ => assert_eq!(heap.lookup_wait("done", None).expect("published"), *region),
    }
}

#[test]
fn threads_that_wait_asleep_are_woken() {
    let Common { heap, .. } = common();
    let start = now();
    in_threads(THREADS, wait);
    assert!(now() - start >= WAIT);
    heap.check().expect("sound");
}
