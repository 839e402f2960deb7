//! `cargo xtask demo`: the main job on real data. Four processes (Rust, Python, Node, the command line) work on one
//! table in one shared heap; this program starts them, gives each its turn, checks what they report, and prints it.

mod acts;
mod children;
mod figures;
mod holders;
mod memory;
mod peers;
mod screen;
mod setup;
mod summary;

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::ctx::Ctx;
use children::HeapFile;
use memory::Watch;

pub use setup::ready;

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The size of the table in bytes.
    pub size: u64,
}

/// The smallest table: some record batches.
const SMALLEST: u64 = 8 << 20;

/// Sets up, runs all steps, and prints the summary. Any step that does not give what it must is an error; whatever
/// happens, the processes are ended and the heap is removed.
pub fn run(ctx: &Ctx, options: Options) -> Result<()> {
    if options.size < SMALLEST {
        bail!(
            "--size {} is too small for the demo: use at least {}",
            screen::bytes(options.size),
            screen::bytes(SMALLEST)
        );
    }
    let start = Instant::now();
    let programs = setup::ready(ctx).context("setting up the demo")?;
    let setup_time = start.elapsed();
    setup::check_room(&programs, options.size)?;
    children::catch_interrupts()?;

    let name = format!("demo-{}", std::process::id());
    // Dropped last: the processes have ended by then.
    let _file = HeapFile::new(&programs, &name);
    let watch = Watch::start();
    let summary = acts::play(&programs, &name, options.size, &watch, setup_time)?;
    summary.print();
    let path = ctx.target().join("demo").join("summary.json");
    summary.write(&path)?;
    println!("\n  The same as data: {}", path.strip_prefix(ctx.root()).unwrap_or(&path).display());
    summary.verdict()
}

/// A size as people write it: `64M`, `1G`, `1.5G`, `1073741824`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1u64,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        other => return Err(format!("{other:?} is no unit: use K, M or G")),
    };
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 && number * (unit as f64) < 1e15 => {
            Ok((number * unit as f64) as u64)
        }
        _ => Err(format!("{text:?} is no size: write it like 64M or 1G")),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("1G"), Ok(1 << 30));
        assert_eq!(parse_size("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_size("4096"), Ok(4096));
        for bad in ["", "G", "-1M", "5T", "0", "inf", "NaN"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
