//! How costs grow: with buffers, regions, threads, attached processes, and the size of a heap that is attached. Each
//! point is the median of some rounds; it is printed as `{"chart", "series", "x", "y"}`, times in nanoseconds.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;
use weaveheap_core::{Buffer, Handle, Heap, Init, Region, RegionOptions};

use crate::rows::{borrow, shared};
use weaveheap_bench::harness::{Plan, Taken, nanoseconds};
use weaveheap_bench::scratch::{Scratch, Second};
use weaveheap_bench::threads::at_once;

const DECADES: [usize; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const DOUBLINGS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// All charts, or those that are named.
pub fn run(plan: &Plan, names: &[String]) -> Result<()> {
    type Chart = (&'static str, fn(&Plan) -> Result<()>);
    const CHARTS: [Chart; 6] = [
        ("buffers", buffers),
        ("close", close),
        ("regions", regions),
        ("threads", threads),
        ("processes", processes),
        ("attach", attach),
    ];
    for (name, chart) in CHARTS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            println!("{}", json!({ "begin": name }));
            chart(plan)?;
        }
    }
    Ok(())
}

fn point(chart: &str, series: &str, x: usize, y: f64) {
    println!("{}", json!({ "chart": chart, "series": series, "x": x, "y": y }));
}

/// Borrows and allocations in a region of so many live buffers of 64 bytes.
fn buffers(plan: &Plan) -> Result<()> {
    const STEP: usize = 5_000;
    for count in DECADES {
        let heap = Heap::private()?;
        let region = heap.region(&RegionOptions::new())?;
        let start = Instant::now();
        let mut all = borrow::buffers(&region, count)?;
        point("buffers", "fill, for each buffer", count, start.elapsed().as_nanos() as f64 / count as f64);
        let in_order = plan.median(plan.many(), windows(&all, STEP));
        point("buffers", "borrow and end, in order", count, in_order);
        shuffle(&mut all);
        let at_random = plan.median(plan.many(), windows(&all, STEP));
        point("buffers", "borrow and end, at random", count, at_random);
        let pair = || {
            nanoseconds(STEP, || {
                for _ in 0..STEP {
                    let buffer = region.alloc_with(64, 64, Init::Uninit).expect("room");
                    black_box(buffer).free().expect("nobody borrows it");
                }
            })
        };
        point("buffers", "alloc and free", count, plan.median(plan.many(), pair));
    }
    Ok(())
}

/// Rounds that go on from each other through all the buffers.
fn windows<'a>(all: &'a [Buffer<'a>], step: usize) -> impl FnMut() -> Taken + 'a {
    let mut rest = all.iter().cycle();
    move || {
        nanoseconds(step, || {
            for _ in 0..step {
                if let Some(buffer) = rest.next() {
                    black_box(&*buffer.borrow_shared().expect("nobody borrows it for writing"));
                }
            }
        })
    }
}

fn shuffle<T>(all: &mut [T]) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..all.len()).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        all.swap(at, (random % (at as u64 + 1)) as usize);
    }
}

/// Closing a region of so many buffers, against freeing them one by one.
fn close(plan: &Plan) -> Result<()> {
    for count in DECADES {
        let heap = Heap::private()?;
        let rounds = if count > 1_000_000 { 3 } else { plan.few() };
        point("close", "close the region", count, plan.median(rounds, || crate::rows::close::close(&heap, count)));
        let free = || {
            let region = heap.region(&RegionOptions::new()).expect("a region");
            let all = borrow::buffers(&region, count).expect("room");
            nanoseconds(1, || all.into_iter().for_each(|buffer| buffer.free().expect("nobody borrows it")))
        };
        point("close", "free each buffer", count, plan.median(rounds.min(9), free));
    }
    Ok(())
}

/// One thread that goes round so many regions.
fn regions(plan: &Plan) -> Result<()> {
    const STEP: usize = 5_000;
    for count in [1, 3, 10, 30, 60, 100, 300, 1_000] {
        let heap = Heap::private()?;
        let regions: Vec<Region<'_>> =
            (0..count).map(|_| heap.region(&RegionOptions::new())).collect::<weaveheap_core::Result<_>>()?;
        // As many buffers in all, however many regions they are of.
        let per_region = (1_000 / count).max(1);
        let each = (0..per_region).flat_map(|_| &regions);
        let all =
            each.map(|region| region.alloc_with(64, 64, Init::Uninit)).collect::<weaveheap_core::Result<Vec<_>>>()?;
        point("regions", "borrow and end, in turns", count, plan.median(plan.many(), windows(&all, STEP)));
        let mut next = regions.iter().cycle();
        let pair = || {
            nanoseconds(STEP, || {
                for region in next.by_ref().take(STEP) {
                    let buffer = region.alloc_with(64, 64, Init::Uninit).expect("room");
                    black_box(buffer).free().expect("nobody borrows it");
                }
            })
        };
        point("regions", "alloc and free, in turns", count, plan.median(plan.many(), pair));
        let make = || {
            nanoseconds(1, || {
                let region = heap.region(&RegionOptions::new()).expect("a region");
                black_box(region.alloc_with(64, 64, Init::Uninit).expect("room"));
                assert!(region.close().is_ok());
            })
        };
        point("regions", "create, alloc once, close", count, plan.median(plan.many(), make));
    }
    Ok(())
}

/// So many threads at once, each with buffers of its own in one region. What all of them do in a second, as the time for
/// one operation: it falls until the processors are used up, and must not rise after that.
fn threads(plan: &Plan) -> Result<()> {
    const OWN: usize = 200;
    const PASSES: usize = 50;
    for count in DOUBLINGS {
        let heap = Heap::private()?;
        let region = heap.region(&RegionOptions::new())?;
        let all = borrow::buffers(&region, count * OWN)?;
        let all = &all;
        let together = |work: &(dyn Fn(usize) + Sync)| {
            let start = std::sync::Mutex::new(None::<Instant>);
            let end = std::sync::Mutex::new(None::<Instant>);
            at_once(count, |index| {
                work(index);
                let (start, end) = (&start, &end);
                move || {
                    let begun = Instant::now();
                    (0..PASSES).for_each(|_| work(index));
                    let ended = Instant::now();
                    let mut first = start.lock().expect("no panic");
                    *first = Some(first.map_or(begun, |first| first.min(begun)));
                    let mut last = end.lock().expect("no panic");
                    *last = Some(last.map_or(ended, |last| last.max(ended)));
                    Taken::of(0.0)
                }
            });
            let span =
                |at: std::sync::Mutex<Option<Instant>>| at.into_inner().expect("no panic").expect("all have run");
            let time = span(end).duration_since(span(start));
            Taken::of(time.as_nanos() as f64 / (count * PASSES * OWN) as f64)
        };
        let borrow_own = |index: usize| {
            for buffer in &all[index * OWN..(index + 1) * OWN] {
                black_box(&*buffer.borrow_shared().expect("nobody borrows it for writing"));
            }
        };
        point("threads", "borrow and end", count, plan.median(plan.few(), || together(&borrow_own)));
        let alloc_own = |_: usize| {
            for _ in 0..OWN {
                let buffer = region.alloc_with(64, 64, Init::Uninit).expect("room");
                black_box(buffer).free().expect("nobody borrows it");
            }
        };
        point("threads", "alloc and free", count, plan.median(plan.few(), || together(&alloc_own)));
    }
    Ok(())
}

/// So many processes attached to one shared heap, each with one borrow in another region.
fn processes(plan: &Plan) -> Result<()> {
    let scratch = Scratch::new()?;
    let (heap, path) = scratch.heap("processes")?;
    let theirs = heap.create_region(&RegionOptions::new())?;
    heap.publish("region", theirs)?;
    heap.alloc(theirs, 64, 64, Init::Uninit)?;
    let region = heap.create_region(&RegionOptions::new())?;
    let hot = (0..1_000)
        .map(|_| heap.alloc(region, 64, 64, Init::Uninit))
        .collect::<weaveheap_core::Result<Vec<Handle>>>()?;
    let buffers = hot.iter().map(|handle| heap.buffer(*handle)).collect::<weaveheap_core::Result<Vec<_>>>()?;
    let mut others = Vec::new();
    for count in DOUBLINGS {
        while others.len() + 1 < count {
            let mut other = Second::start("share", &[path.as_os_str()])?;
            ensure!(other.hear()? == "held", "another process failed");
            others.push(other);
        }
        point("processes", "borrow and end", count, plan.median(plan.many(), windows(&buffers, 5_000)));
        point("processes", "attach", count, plan.median(plan.few(), || shared::attach(&path)));
        let close = || crate::rows::close::close(&heap, 1_000);
        point("processes", "close a region of 1,000 buffers", count, plan.median(plan.few(), close));
    }
    Ok(())
}

/// Attaching heaps of so many MiB.
fn attach(plan: &Plan) -> Result<()> {
    for mib in [10, 32, 100, 320, 1_000, 3_200, 10_240] {
        let scratch = Scratch::new()?;
        let (_heap, path) = shared::populated(&scratch, mib)?;
        point("attach", "attach", mib as usize, plan.median(plan.many(), || shared::attach(&path)));
    }
    Ok(())
}
