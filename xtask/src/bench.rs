//! `cargo xtask bench`: every row of the target table, ours and the peer in turns, as a table on the terminal, as data
//! in `target/bench/report.json`, and, when asked, in `benches/README.md`.

mod demo;
mod growth;
pub mod instructions;
mod machine;
mod memory;
mod plot;
mod programs;
mod report;
mod rows;

use anyhow::{Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::ctx::Ctx;
use report::{Outcome, Report};
use rows::{Program, ROWS, Row};

/// What the command line asks for.
pub struct Options {
    /// The rows; all of them if none is named.
    pub rows: Vec<String>,
    /// Fewer rounds.
    pub quick: bool,
    /// Draw how costs grow instead.
    pub growth: bool,
    /// Write what was measured where it is committed.
    pub write: bool,
}

/// What is no row of the table, and measured alone.
const MEMORY: &str = "memory";
const INSTRUCTIONS: &str = "instructions";

/// What may be named on the command line.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).chain([MEMORY, INSTRUCTIONS]).collect()
}

/// Measures, prints and writes.
pub fn run(ctx: &Ctx, options: &Options) -> Result<()> {
    if options.growth {
        ensure!(options.rows.is_empty(), "--growth measures no rows: leave their names out");
        return growth::run(ctx, options.quick);
    }
    let alone = |name: &str| options.rows.iter().any(|row| row == name);
    if alone(MEMORY) || alone(INSTRUCTIONS) {
        ensure!(options.rows.len() == 1, "{MEMORY} and {INSTRUCTIONS} are measured alone");
        return if alone(MEMORY) { memory::run(ctx) } else { instructions::run(ctx, options.write) };
    }
    let wanted: Vec<&Row> =
        ROWS.iter().filter(|row| options.rows.is_empty() || options.rows.iter().any(|name| name == row.name)).collect();
    ensure!(
        !options.write || wanted.len() == ROWS.len(),
        "--write needs all rows: a table of some would lose the others"
    );
    let mut report = Report::default();
    let mut programs = programs::build(ctx, &wanted)?;
    let before = machine::Load::now();
    before.warn();
    let bar = progress(wanted.len() as u64);
    for program in Program::ALL {
        let rows: Vec<&str> = wanted.iter().filter(|row| row.by == program).map(|row| row.name).collect();
        if rows.is_empty() {
            continue;
        }
        let mut at = |name: &str| bar.set_message(name.to_owned());
        let mut got = |outcome: Outcome| {
            report.add(outcome);
            bar.inc(1);
        };
        programs.measure(ctx, program, &rows, options.quick, &mut at, &mut got)?;
    }
    bar.finish_and_clear();
    report.print();
    let path = report.write(ctx)?;
    println!("\n  The same as data: {}", path.strip_prefix(ctx.root()).unwrap_or(&path).display());
    let after = machine::Load::now();
    println!("  The machine: {}; load {before} before, {after} after.", machine::describe());
    after.warn();
    report.complete()?;
    if options.write {
        report.write_readme(ctx)?;
        println!("  Written: {}", report::README);
    }
    Ok(())
}

fn progress(rows: u64) -> ProgressBar {
    let bar = ProgressBar::new(rows);
    if let Ok(look) = ProgressStyle::with_template("  {bar:40.cyan/dim} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(look);
    }
    bar
}
