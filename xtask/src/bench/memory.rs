//! `cargo xtask bench memory`: what ten million mixed allocations and frees in one region leave the heap with at its peak,
//! beside mimalloc on the same trace.

use anyhow::{Context, Result};
use console::style;
use serde_json::{Value, json};

use super::programs;
use crate::ctx::Ctx;

/// Bytes that the heap may have at its peak for each live byte.
const TARGET: f64 = 1.3;

/// Runs both sides, each in a process of its own, and prints their peaks.
pub fn run(ctx: &Ctx) -> Result<()> {
    let mut sides = Vec::new();
    for side in ["heap", "mimalloc"] {
        let mut command = programs::rust(ctx, "weaveheap-bench", "memory")?;
        programs::listen(command.arg(side), |line| {
            sides.push(line);
            Ok(())
        })?;
    }
    let [heap, mimalloc] = sides.as_slice() else { anyhow::bail!("two sides were to report, not {}", sides.len()) };
    let number = |side: &Value, key: &str| {
        side[key].as_f64().filter(|n| *n > 0.0).with_context(|| format!("no {key} in {side}"))
    };
    let live = number(heap, "live")?;
    println!("\n  {} steps in one region, {} live at the peak\n", heap["steps"], mib(live));
    let mut report = Vec::new();
    for (what, bytes) in [
        ("WeaveHeap, handed out (tables included)", number(heap, "committed")?),
        ("WeaveHeap, memory of the process", number(heap, "resident")?),
        ("mimalloc, memory of the process", number(mimalloc, "resident")?),
    ] {
        println!("  {what:<42} {:>12}   {:.3} x live", mib(bytes), bytes / live);
        report.push(json!({ "what": what, "bytes": bytes, "live": live, "ratio": bytes / live }));
    }
    let ratio = number(heap, "committed")? / live;
    let verdict = if ratio < TARGET { style("✓ met").green() } else { style("✗ missed").red().bold() };
    println!("\n  {ratio:.3} of at most {TARGET}: {verdict}");
    let path = ctx.target().join("bench").join("memory.json");
    std::fs::create_dir_all(ctx.target().join("bench"))?;
    std::fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}
