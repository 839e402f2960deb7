//! What a long life costs in memory: ten million mixed allocations and frees in one region, and the same in mimalloc.
//! Each side runs in a process of its own, and the system says what it took.

use std::hint::black_box;

use anyhow::{Context, Result, bail};
use libmimalloc_sys::{mi_free, mi_malloc};
use serde_json::json;
use weaveheap_core::{BorrowKind, Handle, Heap, Init, RegionOptions};

const STEPS: usize = 10_000_000;
/// Live bytes that the trace climbs to, and then keeps within a tenth.
const LIVE: u64 = 256 << 20;
/// Lengths are spread evenly over the doublings from 64 bytes to 64 KiB.
const SHORTEST: u32 = 6;
const LONGEST: u32 = 16;

/// A step of the trace.
enum Step {
    /// Allocate so many bytes.
    Alloc(u64),
    /// Free the one that is at this place among the live ones; the last takes its place.
    Free(usize),
}

/// The same steps for everyone: whoever lives is freed in random order.
struct Trace {
    random: u64,
    live: u64,
    climbing: bool,
    lengths: Vec<u64>,
}

impl Trace {
    fn new() -> Trace {
        Trace { random: 0x9e37_79b9_7f4a_7c15, live: 0, climbing: true, lengths: Vec::with_capacity(1 << 16) }
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn step(&mut self) -> Step {
        // Two allocations for one free on the way up, two frees for one allocation on the way down.
        if self.live >= LIVE {
            self.climbing = false;
        } else if self.live <= LIVE * 9 / 10 {
            self.climbing = true;
        }
        let grows = !(self.next_random() >> 32).is_multiple_of(3);
        if self.lengths.is_empty() || grows == self.climbing {
            let doubling = SHORTEST + (self.next_random() >> 32) as u32 % (LONGEST - SHORTEST);
            let length = (1 << doubling) + (self.next_random() >> 32) % (1 << doubling);
            self.live += length;
            self.lengths.push(length);
            return Step::Alloc(length);
        }
        let place = (self.next_random() >> 32) as usize % self.lengths.len();
        self.live -= self.lengths.swap_remove(place);
        Step::Free(place)
    }
}

/// Runs one side, and prints its peaks.
pub fn run(side: &str) -> Result<()> {
    let (live, committed) = match side {
        "heap" => {
            let heap = Heap::private()?;
            let region = heap.create_region(&RegionOptions::new())?;
            let alloc = |length| -> Result<Handle> {
                let handle = heap.alloc(region, length, 64, Init::Uninit)?;
                let borrow = heap.borrow_raw(handle, BorrowKind::Unique)?;
                // SAFETY: the borrow is unique and live, and has this many bytes.
                unsafe { touch(borrow.pointer, borrow.length) };
                heap.end(borrow.token)?;
                Ok(handle)
            };
            let live = follow(alloc, |handle| Ok(heap.free(handle)?))?;
            // A private heap commits pages when it hands them out.
            (live, Some(heap.snapshot()?.heap.peak))
        }
        "mimalloc" => {
            let alloc = |length| {
                // SAFETY: any size may be asked for.
                let pointer = unsafe { mi_malloc(length as usize) }.cast::<u8>();
                if pointer.is_null() {
                    bail!("no memory");
                }
                // SAFETY: the block is new and has this many bytes.
                unsafe { touch(pointer, length as usize) };
                Ok(pointer)
            };
            let free = |pointer: *mut u8| {
                // SAFETY: given by `mi_malloc`, and freed once.
                unsafe { mi_free(pointer.cast()) };
                Ok(())
            };
            (follow(alloc, free)?, None)
        }
        other => bail!("nobody is called {other}"),
    };
    let Peaks { live, resident } = live;
    println!(
        "{}",
        json!({ "memory": side, "steps": STEPS, "live": live, "resident": resident, "committed": committed })
    );
    Ok(())
}

/// Bytes at the peak.
struct Peaks {
    /// Of the live buffers' lengths.
    live: u64,
    /// That the process has more than before the trace.
    resident: u64,
}

/// Follows the trace with these two.
fn follow<T: Copy>(mut alloc: impl FnMut(u64) -> Result<T>, mut free: impl FnMut(T) -> Result<()>) -> Result<Peaks> {
    let mut trace = Trace::new();
    let mut held: Vec<T> = Vec::with_capacity(1 << 16);
    // A first one, so that what is needed once is not counted; and the two lists have their pages.
    let first = alloc(64)?;
    black_box(held.spare_capacity_mut()).iter_mut().for_each(|place| {
        place.write(first);
    });
    free(first)?;
    let before = peak_resident()?;
    let mut most = 0;
    for _ in 0..STEPS {
        match trace.step() {
            Step::Alloc(length) => held.push(alloc(length)?),
            Step::Free(place) => free(held.swap_remove(place))?,
        }
        most = most.max(trace.live);
    }
    let resident = peak_resident()? - before;
    Ok(Peaks { live: most, resident })
}

/// Writes to every page.
///
/// # Safety
/// So many bytes may be written there.
unsafe fn touch(pointer: *mut u8, length: usize) {
    for at in (0..length).step_by(4096).chain([length - 1]) {
        // SAFETY: the caller's promise; the place is inside.
        unsafe { pointer.add(at).write(1) };
    }
}

/// The most memory that this process has had, in bytes, as the system counts it.
fn peak_resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("this system does not say what a process has")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.split_whitespace().next().context("no figure")?.parse()?;
    Ok(kib << 10)
}
