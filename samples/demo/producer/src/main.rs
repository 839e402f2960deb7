//! The Rust process of the demo. `serve` makes the shared heap, writes the table into it once, publishes it, and then
//! does what it is told, a line at a time; `json` is the peer that hands the same rows over as JSON text.
//!
//! What it reports is one JSON object a line on standard output.

mod events;
mod figures;
mod json;
mod serve;
mod table;

use std::path::Path;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["folder"] => {
            println!("{}", weaveheap_core::Heap::folder().display());
            Ok(())
        }
        ["serve", parquet, heap, bytes] => {
            serve::run(Path::new(parquet), heap, bytes.parse().context("BYTES is no number")?)
        }
        ["json", parquet, bytes] => json::run(Path::new(parquet), bytes.parse().context("BYTES is no number")?),
        _ => bail!("usage: folder | serve PARQUET HEAP BYTES | json PARQUET BYTES"),
    }
}
