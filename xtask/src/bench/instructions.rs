//! Instruction counts of the hottest operations, as callgrind counts them: they do not depend on the machine's noise. They
//! are pinned in `benches/instructions.json`; `cargo xtask test instructions` compares, and
//! `cargo xtask bench instructions --write` pins them anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::programs::OPS;
use crate::ctx::{Ctx, Tool};

/// Where the counts are pinned.
const PLACE: &str = "benches/instructions.json";
/// A count may differ by this part of itself.
const MARGIN: f64 = 0.05;
/// An operation is run so many times, and twice as many: the difference is free of what begins and ends the program.
const TURNS: u64 = 2_000;

/// What is pinned.
#[derive(Debug, Deserialize, Serialize)]
pub struct Counts {
    /// The compiler: another one makes other code.
    pub compiler: String,
    /// Instructions of one operation.
    pub operations: std::collections::BTreeMap<String, f64>,
}

/// What callgrind needs, or none where it cannot be had.
fn valgrind(ctx: &Ctx) -> Result<Option<PathBuf>> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        ctx.leave_out("instruction counts", "they are pinned for Linux on x86-64", "Run them there.")?;
        return Ok(None);
    }
    ctx.tool(&Tool {
        programs: &["valgrind"],
        packages: &["valgrind"],
        tests: "instruction counts",
        remedy: "Install valgrind.",
    })
}

/// Counts every operation. `None` if this machine cannot.
pub fn count(ctx: &Ctx) -> Result<Option<Counts>> {
    let Some(valgrind) = valgrind(ctx)? else { return Ok(None) };
    let program = ctx.release_build(OPS)?.join(OPS);
    let names = ctx.output("the hottest operations", &mut Command::new(&program))?;
    let mut counts = Counts { compiler: compiler(ctx)?, operations: Default::default() };
    for name in names.lines() {
        let once = total(ctx, &valgrind, &program, name, TURNS)?;
        let twice = total(ctx, &valgrind, &program, name, 2 * TURNS)?;
        let difference = twice.checked_sub(once).context("more turns took fewer instructions")?;
        counts.operations.insert(name.to_owned(), difference as f64 / TURNS as f64);
    }
    ensure!(!counts.operations.is_empty(), "there are no operations");
    Ok(Some(counts))
}

/// All instructions of one run.
fn total(ctx: &Ctx, valgrind: &Path, program: &Path, name: &str, turns: u64) -> Result<u64> {
    let mut command = Command::new(valgrind);
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).args([name, &turns.to_string()]);
    let output = ctx.output(&format!("callgrind {name} x {turns}"), &mut command)?;
    collected(&output).with_context(|| format!("callgrind counted nothing: {output}"))
}

/// The figure behind `Collected :`.
fn collected(output: &str) -> Option<u64> {
    let (_, rest) = output.lines().find_map(|line| line.split_once("Collected :"))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn compiler(ctx: &Ctx) -> Result<String> {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let version = ctx.output("rustc --version", command.arg("--version").current_dir(ctx.root()))?;
    Ok(version.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// What is pinned.
pub fn pinned(ctx: &Ctx) -> Result<Counts> {
    let path = ctx.path(PLACE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| PLACE.to_owned())
}

/// Where two differ by more than the margin, with words for each. More instructions are a regression; fewer have to be
/// pinned, or a later regression up to here would not be seen.
pub fn differences(pinned: &Counts, counted: &Counts) -> Vec<String> {
    let mut found = Vec::new();
    for (name, count) in &counted.operations {
        match pinned.operations.get(name) {
            None => found.push(format!("{name} takes {count:.0} instructions and is not pinned")),
            Some(before) if (count / before - 1.0).abs() > MARGIN => {
                let percent = (count / before - 1.0) * 100.0;
                found.push(format!("{name} takes {count:.0} instructions, {percent:+.1} % against {before:.0}"));
            }
            Some(_) => {}
        }
    }
    let gone = pinned.operations.keys().filter(|name| !counted.operations.contains_key(*name));
    found.extend(gone.map(|name| format!("{name} is pinned and was not counted")));
    found
}

/// Counts, prints, and pins when asked.
pub fn run(ctx: &Ctx, write: bool) -> Result<()> {
    let Some(counted) = count(ctx)? else { return Ok(()) };
    let before = pinned(ctx).ok();
    println!();
    for (name, count) in &counted.operations {
        let before = before.as_ref().and_then(|pinned| pinned.operations.get(name));
        let was = before.map_or("not pinned".to_owned(), |before| format!("pinned {before:.1}"));
        println!("  {name:<24} {count:>10.1}   {was}");
    }
    if write {
        let text = serde_json::to_string_pretty(&counted)? + "\n";
        std::fs::write(ctx.path(PLACE), text).with_context(|| format!("cannot write {PLACE}"))?;
        println!("  wrote {PLACE}");
    }
    Ok(())
}

/// An error that names every operation that is not as it is pinned.
pub fn verdict(pinned: &Counts, counted: &Counts) -> Result<()> {
    let found = differences(pinned, counted);
    if found.is_empty() {
        return Ok(());
    }
    let compilers = if pinned.compiler == counted.compiler {
        String::new()
    } else {
        format!(" They were pinned with {}, and this is {}.", pinned.compiler, counted.compiler)
    };
    bail!("{}.{compilers} If that is wanted, pin it: `cargo xtask bench instructions --write`", found.join("; "))
}

#[cfg(test)]
mod tests {
    use super::{Counts, collected, differences, verdict};

    fn counts(all: &[(&str, f64)]) -> Counts {
        let operations = all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Counts { compiler: "rustc 1".to_owned(), operations }
    }

    #[test]
    fn figure_of_callgrind_is_found() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 12345678\n==1==\n"), Some(12_345_678));
        assert_eq!(collected("==1== Events    : Ir\n"), None);
    }

    #[test]
    fn more_and_less_than_the_margin_are_told() {
        let pinned = counts(&[("a", 100.0), ("b", 100.0), ("c", 100.0), ("gone", 1.0)]);
        let counted = counts(&[("a", 104.9), ("b", 105.1), ("c", 94.9), ("new", 1.0)]);
        let found = differences(&pinned, &counted);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].starts_with("b takes 105 instructions, +5.1 %"), "{found:?}");
        assert!(verdict(&pinned, &counted).is_err());
        assert!(verdict(&pinned, &counts(&[("a", 96.0), ("b", 100.0), ("c", 101.0), ("gone", 1.0)])).is_ok());
    }
}
