//! The producer: a shared heap, the table written into it once, and what it is told to do afterwards. When its
//! standard input ends it removes the heap, so that nothing is left behind if whoever started it has gone.

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use weaveheap_core::{BorrowKind, Error, Handle, Heap, Init, Lease, RegionOptions};

use crate::events::report;
use crate::table::{ALIGN, Source};

/// Bytes of address space beyond the table: the heap's own tables and the region's chunks.
const SPARE: u64 = 256 << 20;

/// Serves the table until it is told to stop.
pub fn run(parquet: &Path, name: &str, bytes: u64) -> Result<()> {
    // SAFETY: the other processes of the demo reach the heap through this library alone (F6).
    let heap = unsafe { Heap::options().label("demo producer").limit(bytes + SPARE).create(name) }?;
    let result = produce(&heap, parquet, bytes).and_then(|table| obey(&heap, &table));
    // The file goes in any case; processes that are attached keep their mapping.
    let removed = Heap::remove(name);
    result?;
    removed?;
    Ok(())
}

/// The handles that the other processes use.
struct Table {
    region: Handle,
    buffer: Handle,
}

fn produce(heap: &Heap, parquet: &Path, bytes: u64) -> Result<Table> {
    report("created", json!({ "path": heap.path(), "id": heap.id() }))?;

    let start = Instant::now();
    let source = Source::read(parquet)?;
    let plan = source.plan(bytes)?;
    let read_ms = millis(start);
    report(
        "planned",
        json!({
            "ms": read_ms, "source_rows": source.rows(), "rows": plan.rows, "batches": plan.batches, "bytes": plan.length,
        }),
    )?;

    // The memory is not zeroed: the table fills it to the last byte.
    let start = Instant::now();
    let region = heap.region(&RegionOptions::new().name("flights"))?;
    let mut buffer = region.alloc_with(plan.length, ALIGN as u64, Init::Uninit)?;
    let alloc_ms = millis(start);

    let start = Instant::now();
    let mut reported = 0;
    source.write(plan, &mut buffer.borrow_unique()?, |written| {
        if written - reported >= 16 << 20 {
            reported = written;
            report("progress", json!({ "bytes": written }))?;
        }
        Ok(())
    })?;
    let write_ms = millis(start);

    let table = Table { region: region.handle(), buffer: buffer.handle() };
    let start = Instant::now();
    let figures = source.figures(plan)?;
    let figures_ms = millis(start);
    report(
        "written",
        json!({
            "ms": write_ms, "alloc_ms": alloc_ms, "figures_ms": figures_ms, "bytes": plan.length,
            "region": table.region.to_string(), "buffer": table.buffer.to_string(),
            "figures": figures, "snapshot": snapshot(heap)?,
        }),
    )?;
    // Everybody who waits for the name wakes up now.
    let before = crate::events::now();
    heap.publish("flights", table.buffer)?;
    report("published", json!({ "from": before }))?;
    Ok(table)
}

fn obey(heap: &Heap, table: &Table) -> Result<()> {
    let mut held: Option<Lease> = None;
    for line in std::io::stdin().lock().lines() {
        match line.context("cannot read the next command")?.trim() {
            "hold" => {
                held = Some(heap.borrow(table.buffer, BorrowKind::Shared)?);
                report("held", json!({}))?;
            }
            "release" => {
                drop(held.take());
                report("released", json!({}))?;
            }
            "close" => report("close", outcome(heap.close(table.region)))?,
            "prove" => {
                let lookup = heap.lookup("flights").and_then(|handle| heap.buffer_info(handle).map(drop));
                report(
                    "stale",
                    json!({
                        "borrow": outcome(heap.borrow(table.buffer, BorrowKind::Shared).map(drop)),
                        "region": outcome(heap.region_info(table.region).map(drop)),
                        "name": outcome(lookup),
                    }),
                )?;
            }
            "snapshot" => report("snapshot", json!({ "snapshot": snapshot(heap)? }))?,
            "check" => {
                let checked = heap.check()?;
                report("checked", json!({ "buffers": checked.buffers, "borrows": checked.borrows }))?;
            }
            "exit" => return Ok(()),
            other => bail!("unknown command {other:?}"),
        }
    }
    bail!("whoever started this process has gone")
}

/// The result of an operation as data: what the other languages report as well.
fn outcome(result: weaveheap_core::Result<()>) -> Value {
    match result {
        Ok(()) => json!({ "ok": true }),
        Err(error) => json!({
            "ok": false, "code": error.code().name(), "message": error.message(), "holders": holders(&error),
        }),
    }
}

fn holders(error: &Error) -> Vec<Value> {
    let holders = error.holders();
    let one = |holder: &weaveheap_core::Holder| {
        json!({
            "process": holder.process, "runtime": holder.runtime.name(), "kind": holder.kind.name(),
            "handle": holder.handle.to_string(), "text": holder.to_string(),
        })
    };
    holders.iter().map(one).collect()
}

fn snapshot(heap: &Heap) -> Result<Value> {
    Ok(serde_json::from_str(&heap.snapshot()?.to_json())?)
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
