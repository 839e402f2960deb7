//! `cargo xtask test`: runs the parts, prints the time of each, a closing table, and one closing line.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::ctx::{Counts, Ctx, human_time};
use crate::parts;

/// The names that the command line takes.
pub fn part_names() -> Vec<&'static str> {
    parts::ALL.iter().map(|part| part.name).collect()
}

struct Row {
    name: &'static str,
    counts: Counts,
    time: Duration,
    error: Option<anyhow::Error>,
}

/// Runs these parts, the usual ones if none is named. A part that fails does not keep the others from running.
pub fn run(ctx: &Ctx, names: &[String]) -> Result<ExitCode> {
    let mut rows = Vec::new();
    let wanted = |part: &&parts::Part| {
        if names.is_empty() { part.usual } else { names.iter().any(|name| name == part.name) }
    };
    for part in parts::ALL.iter().filter(wanted) {
        eprintln!("{}", part.name);
        let before = ctx.counts();
        let (result, time) = ctx.timed(part.name, || (part.test)(ctx));
        let mut counts = ctx.counts().since(before);
        if let Err(error) = &result {
            eprintln!("  {} failed: {error:#}", part.name);
            // A part that broke off before its runner counted anything is one failure.
            counts.failed = counts.failed.max(1);
        }
        rows.push(Row { name: part.name, counts, time, error: result.err() });
    }
    Ok(report(ctx, &rows))
}

fn report(ctx: &Ctx, rows: &[Row]) -> ExitCode {
    println!("\n{:<14}{:>8}{:>8}{:>9}{:>11}", "part", "passed", "failed", "skipped", "time");
    for Row { name, counts, time, .. } in rows {
        println!("{name:<14}{:>8}{:>8}{:>9}{:>11}", counts.passed, counts.failed, counts.skipped, human_time(*time));
    }
    let all = rows.iter().map(|row| row.counts).fold(Counts::default(), Counts::plus);
    let time = rows.iter().map(|row| row.time).sum();
    println!("{:<14}{:>8}{:>8}{:>9}{:>11}", "all", all.passed, all.failed, all.skipped, human_time(time));
    for left in ctx.left_out() {
        println!("\nleft out: {}: {}. {}", left.tests, left.missing, left.remedy);
    }
    for Row { name, error, .. } in rows {
        if let Some(error) = error {
            println!("\n{name} failed: {error:#}");
        }
    }
    println!("\n{} passed, {} failed", all.passed, all.failed);
    if all.failed == 0 && rows.iter().all(|row| row.error.is_none()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
