//! Allocation and free through the typed Rust API (`Region::alloc_with`, `Buffer::free`, `Region::reset`) in a private
//! heap; uninitialised memory on both sides.

use std::alloc::Layout;
use std::hint::black_box;
use std::mem::MaybeUninit;

use anyhow::Result;
use libmimalloc_sys::{mi_free, mi_malloc};
use slotmap::{DefaultKey, SlotMap};
use weaveheap_core::{Buffer, Heap, Init, RegionOptions};

use weaveheap_bench::harness::{Figures, Plan, nanoseconds};
use weaveheap_bench::threads::at_once;

const PAIRS: usize = 5_000;
/// What `fill_reset` and `alloc_2t` put into a region.
const FILL: usize = 10_000;

pub fn free_64(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let ours = || {
        nanoseconds(PAIRS, || {
            for _ in 0..PAIRS {
                let buffer = region.alloc_with(64, 64, Init::Uninit).expect("room");
                black_box(buffer.handle());
                buffer.free().expect("nobody borrows it");
            }
        })
    };
    let peer = || {
        nanoseconds(PAIRS, || {
            for _ in 0..PAIRS {
                // SAFETY: any size may be asked for, and what was given is freed once.
                unsafe { mi_free(black_box(mi_malloc(64))) };
            }
        })
    };
    Ok(plan.in_turns(plan.many(), ours, peer))
}

/// Batches: so many allocations of this length, then so many frees in the same order.
fn batch(plan: &Plan, length: u64, count: usize, batches: usize) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut held: Vec<Buffer<'_>> = Vec::with_capacity(count);
    let ours = || {
        nanoseconds(count * batches, || {
            for _ in 0..batches {
                held.extend((0..count).map(|_| region.alloc_with(length, 64, Init::Uninit).expect("room")));
                black_box(&held);
                held.drain(..).for_each(|buffer| buffer.free().expect("nobody borrows it"));
            }
        })
    };
    let mut pointers = Vec::with_capacity(count);
    let peer = || {
        nanoseconds(count * batches, || {
            for _ in 0..batches {
                // SAFETY: any size may be asked for.
                pointers.extend((0..count).map(|_| unsafe { mi_malloc(length as usize) }));
                black_box(&pointers);
                // SAFETY: each was given by `mi_malloc` and is freed once.
                pointers.drain(..).for_each(|pointer| unsafe { mi_free(pointer) });
            }
        })
    };
    Ok(plan.in_turns(plan.many(), ours, peer))
}

pub fn free_4k_batch(plan: &Plan) -> Result<Figures> {
    batch(plan, 4 << 10, 1_000, 2)
}

pub fn free_1m_batch(plan: &Plan) -> Result<Figures> {
    batch(plan, 1 << 20, 100, 5)
}

pub fn borrow_free(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let ours = || {
        nanoseconds(PAIRS, || {
            for _ in 0..PAIRS {
                let buffer = region.alloc_with(64, 64, Init::Uninit).expect("room");
                black_box(&*buffer.borrow_shared().expect("nobody borrows it for writing"));
                buffer.free().expect("nobody borrows it");
            }
        })
    };
    let mut map = SlotMap::<DefaultKey, Box<[MaybeUninit<u8>]>>::new();
    let peer = || {
        nanoseconds(PAIRS, || {
            for _ in 0..PAIRS {
                let key = map.insert(Box::new_uninit_slice(64));
                black_box(map.get(key).expect("a live key").as_ptr());
                drop(map.remove(key));
            }
        })
    };
    Ok(plan.in_turns(plan.many(), ours, peer))
}

pub fn fill_reset(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let mut region = heap.region(&RegionOptions::new())?;
    let ours = || {
        nanoseconds(FILL, || {
            for _ in 0..FILL {
                black_box(region.alloc_with(64, 64, Init::Uninit).expect("room").handle());
            }
            region.reset().expect("nothing is borrowed");
        })
    };
    let mut bump = bumpalo::Bump::new();
    let layout = Layout::from_size_align(64, 64)?;
    let peer = || {
        nanoseconds(FILL, || {
            for _ in 0..FILL {
                black_box(bump.alloc_layout(layout));
            }
            bump.reset();
        })
    };
    Ok(plan.in_turns(plan.many(), ours, peer))
}

/// Threads that allocate in one region, which is reset between the rounds.
pub fn by_two(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.create_region(&RegionOptions::new())?;
    let one = |_| {
        black_box(heap.alloc(region, 64, 64, Init::Uninit).expect("room"));
    };
    let fill = |count: usize| {
        let time = at_once(count, |_| {
            (0..1_000).for_each(one);
            || nanoseconds(FILL, || (0..FILL).for_each(one))
        });
        heap.reset(region).expect("nothing is borrowed");
        time
    };
    Ok(plan.in_turns(plan.many(), || fill(2), || fill(1)))
}
