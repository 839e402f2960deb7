//! Shared heaps: attaching a small and a large one (`HeapOptions::open_path`), and what a killed process held.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use weaveheap_core::{BorrowKind, Heap, Init, RegionOptions};

use weaveheap_bench::harness::{Figures, Plan, Taken, nanoseconds};
use weaveheap_bench::scratch::{Scratch, Second, open};

const MIB: u64 = 1 << 20;

/// A shared heap with so many MiB in buffers of one MiB, with their pages.
pub fn populated(scratch: &Scratch, mib: u64) -> Result<(Heap, PathBuf)> {
    scratch.room((mib + mib / 16 + 256) * MIB)?;
    let (heap, path) = scratch.heap(&format!("{mib}m"))?;
    let region = heap.create_region(&RegionOptions::new())?;
    for _ in 0..mib {
        heap.alloc(region, MIB, 64, Init::Uninit)?;
    }
    Ok((heap, path))
}

/// Attaches once more; how long that took.
pub fn attach(path: &Path) -> Taken {
    let mut attached = None;
    let taken = nanoseconds(1, || attached = open(path).ok());
    assert!(attached.is_some(), "the heap does not open");
    taken
}

pub fn attach_growth(plan: &Plan) -> Result<Figures> {
    let scratch = Scratch::new()?;
    let (_large, large) = populated(&scratch, 10 << 10)?;
    let (_small, small) = populated(&scratch, 10)?;
    Ok(plan.in_turns(plan.many(), || attach(&large), || attach(&small)))
}

const HELD: usize = 10_000;

/// A process borrows, half shared and half unique, and is killed. How long a fresh process takes to open the heap, which
/// has ended all of its borrows by then.
pub fn recover(plan: &Plan) -> Result<Figures> {
    let scratch = Scratch::new()?;
    let mut turn = 0;
    let mut once = || -> Result<Taken> {
        turn += 1;
        let (heap, path) = scratch.heap(&format!("recover-{turn}"))?;
        let region = heap.create_region(&RegionOptions::new())?;
        heap.publish("region", region)?;
        for _ in 0..HELD {
            heap.alloc(region, 64, 64, Init::Uninit)?;
        }
        let mut holder = Second::start("hold", &[path.as_os_str()])?;
        ensure!(holder.hear()? == "held", "the holder failed");
        ensure!(heap.snapshot()?.borrows.len() == HELD, "not all is borrowed");
        holder.kill();
        // The fresh process finds the dead one's borrows, as nobody else has looked at them.
        let ns: f64 = Second::start("open", &[path.as_os_str()])?.hear()?.parse()?;
        Heap::remove_path(&path)?;
        Ok(Taken::of(ns))
    };
    once()?;
    Ok(plan.against(plan.few(), 100e6, || once().expect("a killed process is recovered")))
}

/// The role of who borrows, half shared and half unique, and is killed.
pub fn hold(path: &Path) -> Result<()> {
    borrow_all(path, |turn| if turn % 2 == 0 { BorrowKind::Shared } else { BorrowKind::Unique })
}

/// The role of who borrows together with others.
pub fn share(path: &Path) -> Result<()> {
    borrow_all(path, |_| BorrowKind::Shared)
}

fn borrow_all(path: &Path, kind: impl Fn(usize) -> BorrowKind) -> Result<()> {
    let heap = open(path)?;
    let region = heap.lookup("region")?;
    for (turn, buffer) in heap.buffers(region, HELD)?.iter().enumerate() {
        heap.borrow_raw(buffer.handle, kind(turn))?;
    }
    println!("held");
    // Until it is killed.
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// The role of who opens the heap afterwards.
pub fn fresh(path: &Path) -> Result<()> {
    let start = std::time::Instant::now();
    let heap = open(path).context("the heap does not open")?;
    let time = start.elapsed();
    let left = heap.snapshot()?.borrows.len();
    ensure!(left == 0, "{left} borrows of the dead process are left");
    println!("{}", time.as_nanos());
    Ok(())
}
