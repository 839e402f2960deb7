//! Borrows: guards of the typed Rust API (`Buffer::borrow_shared`, `Buffer::borrow_unique`) over hot buffers.

use std::hint::black_box;

use anyhow::Result;
use slotmap::{DefaultKey, SlotMap};
use weaveheap_core::{Buffer, Heap, Init, Region, RegionOptions};

use weaveheap_bench::floor::Lines;
use weaveheap_bench::harness::{Figures, Plan, Taken, nanoseconds};
use weaveheap_bench::threads::at_once;

/// Buffers that stay in the caches.
const HOT: usize = 1_000;
/// Passes over them in one round: so few that most rounds are over before the system switches to another program.
const PASSES: usize = 5;

/// This many buffers of 64 bytes.
pub fn buffers<'r>(region: &'r Region<'_>, count: usize) -> Result<Vec<Buffer<'r>>> {
    (0..count).map(|_| Ok(region.alloc_with(64, 64, Init::Uninit)?)).collect()
}

fn borrow_all(buffers: &[Buffer<'_>]) {
    for buffer in buffers {
        let guard = buffer.borrow_shared().expect("nobody borrows it for writing");
        black_box(&*guard);
    }
}

/// Some passes over buffers, by guards.
pub fn passes(buffers: &[Buffer<'_>]) -> Taken {
    nanoseconds(PASSES * buffers.len(), || (0..PASSES).for_each(|_| borrow_all(buffers)))
}

pub fn shared(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffers = buffers(&region, HOT)?;
    let lines = Lines::new(HOT);
    Ok(plan.in_turns(plan.many(), || passes(&buffers), || lines.swap_pairs(PASSES)))
}

/// Each of this many threads borrows buffers of its own, of one region.
fn by_threads(count: usize, buffers: &[Buffer<'_>]) -> Taken {
    at_once(count, |index| {
        let own = &buffers[index * HOT..(index + 1) * HOT];
        borrow_all(own);
        move || passes(own)
    })
}

pub fn shared_by_two(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffers = buffers(&region, 2 * HOT)?;
    Ok(plan.in_turns(plan.many(), || by_threads(2, &buffers), || by_threads(1, &buffers)))
}

pub fn shared_by_two_peer(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffers = buffers(&region, 2 * HOT)?;
    let slab = sharded_slab::Slab::<[u8; 64]>::new();
    let keys: Vec<usize> = (0..2 * HOT).filter_map(|_| slab.insert([0; 64])).collect();
    let get_all = |keys: &[usize]| {
        for key in keys {
            black_box(&*slab.get(*key).expect("a live key"));
        }
    };
    let peer = || {
        at_once(2, |index| {
            let own = &keys[index * HOT..(index + 1) * HOT];
            get_all(own);
            move || nanoseconds(PASSES * HOT, || (0..PASSES).for_each(|_| get_all(own)))
        })
    };
    Ok(plan.in_turns(plan.many(), || by_threads(2, &buffers), peer))
}

pub fn unique(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffers = buffers(&region, HOT)?;
    let lines = Lines::new(HOT);
    let ours = || {
        nanoseconds(PASSES * HOT, || {
            for _ in 0..PASSES {
                for buffer in &mut buffers {
                    let mut guard = buffer.borrow_unique().expect("nobody borrows it");
                    black_box(&mut *guard);
                }
            }
        })
    };
    Ok(plan.in_turns(plan.many(), ours, || lines.swap_and_store(PASSES)))
}

pub fn stale(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffers = buffers(&region, HOT)?;
    for buffer in &buffers {
        heap.free(buffer.handle())?;
    }
    let mut map = SlotMap::<DefaultKey, u64>::new();
    let keys: Vec<DefaultKey> = (0..HOT as u64).map(|value| map.insert(value)).collect();
    for key in &keys {
        map.remove(*key);
    }
    let ours = || {
        nanoseconds(PASSES * HOT, || {
            for _ in 0..PASSES {
                for buffer in &buffers {
                    assert!(black_box(buffer).borrow_shared().is_err());
                }
            }
        })
    };
    let peer = || {
        nanoseconds(PASSES * HOT, || {
            for _ in 0..PASSES {
                for key in &keys {
                    assert!(map.get(*black_box(key)).is_none());
                }
            }
        })
    };
    Ok(plan.in_turns(plan.many(), ours, peer))
}

/// Borrows in sequential order, going on from round to round through more buffers than any cache holds.
pub fn growth(plan: &Plan) -> Result<Figures> {
    const LIVE: usize = 10_000_000;
    const STEP: usize = 5_000;
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffers = buffers(&region, LIVE)?;
    let few_region = heap.region(&RegionOptions::new())?;
    let few = self::buffers(&few_region, HOT)?;
    let mut at = 0;
    let ours = || {
        let part = &buffers[at..at + STEP];
        at = (at + STEP) % LIVE;
        nanoseconds(STEP, || borrow_all(part))
    };
    let peer = || nanoseconds(STEP, || (0..STEP / HOT).for_each(|_| borrow_all(&few)));
    Ok(plan.in_turns(plan.many(), ours, peer))
}
