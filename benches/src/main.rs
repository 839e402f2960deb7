//! The measuring program for the heap itself: rows of the target table, ours and the peer in turns in one process; how
//! costs grow; and what a long life costs in memory.

mod growth;
mod memory;
mod rows;

use anyhow::{Context, Result, bail};

use weaveheap_bench::harness::Plan;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().context("what to do: rows, growth or memory")?;
    if command == "role" {
        return rows::role(arguments);
    }
    let (flags, names): (Vec<String>, Vec<String>) = arguments.partition(|word| word.starts_with("--"));
    let plan = Plan::new(flags.iter().any(|flag| flag == "--quick"));
    match command.as_str() {
        "rows" => plan.rows(rows::ROWS, &names),
        "growth" => growth::run(&plan, &names),
        "memory" => memory::run(names.first().context("whose memory?")?),
        other => bail!("nothing is called {other}"),
    }
}
