//! Closing regions of many buffers (`Region::close`). Filling them is not part of what is measured.

use std::hint::black_box;

use anyhow::Result;
use libmimalloc_sys::{mi_heap_destroy, mi_heap_malloc, mi_heap_new};
use weaveheap_core::{Heap, Init, Region, RegionOptions};

use weaveheap_bench::harness::{Figures, Plan, Taken, nanoseconds};

const MILLION: usize = 1_000_000;

/// Fills a new region with this many buffers.
fn fill(heap: &Heap, count: usize) -> Region<'_> {
    let region = heap.region(&RegionOptions::new()).expect("a region");
    for _ in 0..count {
        black_box(region.alloc_with(64, 64, Init::Uninit).expect("room"));
    }
    region
}

/// Fills a new region with this many buffers and closes it; how long the close took.
pub fn close(heap: &Heap, count: usize) -> Taken {
    let region = fill(heap, count);
    nanoseconds(1, || assert!(region.close().is_ok()))
}

/// The same with the code of a close in the caches, however much memory the filling went through: what is left is what
/// closing so many buffers does.
fn close_again(heap: &Heap, count: usize) -> Taken {
    let region = fill(heap, count);
    assert!(fill(heap, 1).close().is_ok());
    nanoseconds(1, || assert!(region.close().is_ok()))
}

fn destroy(count: usize) -> Taken {
    // SAFETY: the heap is this thread's alone, its blocks are not used after it is destroyed, and it is destroyed once.
    unsafe {
        let heap = mi_heap_new();
        for _ in 0..count {
            black_box(mi_heap_malloc(heap, 64));
        }
        nanoseconds(1, || mi_heap_destroy(heap))
    }
}

pub fn million(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    Ok(plan.in_turns(plan.few(), || close(&heap, MILLION), || destroy(MILLION)))
}

pub fn growth(plan: &Plan) -> Result<Figures> {
    let heap = Heap::private()?;
    Ok(plan.in_turns(plan.few(), || close_again(&heap, MILLION), || close_again(&heap, 10_000)))
}
