//! The part `fuzz`, and `cargo xtask fuzz TARGET`: builds the targets of `fuzz/` with the compiler's own coverage and
//! AddressSanitizer, replays the committed corpora, and runs the targets. No nightly compiler and no `cargo fuzz` is
//! needed: the flags below are all there is to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::ctx::{Counts, Ctx};

/// The targets, as `fuzz/Cargo.toml` has them.
const TARGETS: &[&str] = &["operations", "c_abi", "heap_file"];
/// Seconds that one input may take, under the sanitizer and on a busy machine.
const TIMEOUT: u64 = 60;
/// Bytes of an input.
const MAX_LEN: u64 = 1024;

/// The names that the command line takes.
pub fn names() -> Vec<&'static str> {
    TARGETS.to_vec()
}

/// Replays each corpus and runs each target: an hour with `--long`, a minute in CI, else 20 seconds.
pub fn test(ctx: &Ctx) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return ctx.leave_out("fuzzing", "the targets run on Linux alone", "Run them there.");
    }
    let seconds = match (ctx.is_long(), ctx.is_ci()) {
        (true, _) => 3600,
        (false, true) => 60,
        (false, false) => 20,
    };
    let built = build(ctx)?;
    let mut failed = Vec::new();
    for target in TARGETS {
        let replayed = replay(ctx, &built, target).and_then(|()| fuzz(ctx, &built, target, seconds));
        let passed = replayed.is_ok();
        ctx.count(Counts { passed: passed.into(), failed: (!passed).into(), skipped: 0 });
        if let Err(error) = replayed {
            failed.push(format!("{error:#}"));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

/// Runs one target for so long; with `write`, what reached new code goes into the committed corpus.
pub fn run(ctx: &Ctx, target: &str, seconds: u64, write: bool) -> Result<()> {
    let built = build(ctx)?;
    fuzz(ctx, &built, target, seconds)?;
    if write {
        minimise(ctx, &built, target)?;
    }
    Ok(())
}

/// The system that the compiler builds for.
pub fn host(ctx: &Ctx) -> Result<String> {
    let said = ctx.output("rustc -vV", Command::new("rustc").current_dir(ctx.root()).arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// Builds all targets and returns their folder. A target system is named, so that build scripts and macros are built
/// without the flags.
fn build(ctx: &Ctx) -> Result<PathBuf> {
    let flags = [
        "--cfg=fuzzing",
        "--cfg=weaveheap_leak_checks",
        "-Zsanitizer=address",
        "-Cpasses=sancov-module",
        "-Cllvm-args=-sanitizer-coverage-level=4",
        "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
        "-Cllvm-args=-sanitizer-coverage-pc-table",
        "-Cllvm-args=-sanitizer-coverage-trace-compares",
    ];
    let host = host(ctx)?;
    let target = ctx.target().join("fuzz");
    let mut command = ctx.cargo();
    command.current_dir(ctx.path("fuzz")).args(["build", "--locked", "--release", "--target", &host]);
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &target);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env_remove("RUSTFLAGS");
    ctx.run("build the fuzz targets", &mut command)?;
    Ok(target.join(host).join("release"))
}

/// The committed inputs of a target.
fn corpus(ctx: &Ctx, target: &str) -> PathBuf {
    ctx.path("fuzz/corpus").join(target)
}

/// A folder of a target for what its runs write, which is not committed.
fn scratch(ctx: &Ctx, kind: &str, target: &str) -> Result<PathBuf> {
    let folder = ctx.target().join("fuzz").join(kind).join(target);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn command(ctx: &Ctx, built: &Path, target: &str) -> Result<Command> {
    let mut command = Command::new(built.join(target));
    let artifacts = scratch(ctx, "artifacts", target)?;
    command.current_dir(ctx.root()).env("RUST_BACKTRACE", "1");
    // What is freed is kept from use for a while; with the usual 256 MiB a leak would not be seen beside it.
    command.env("ASAN_OPTIONS", "quarantine_size_mb=16");
    command.args([
        format!("-timeout={TIMEOUT}"),
        "-rss_limit_mb=2048".to_owned(),
        // Programs are long from the start: what is short is soon known.
        "-len_control=0".to_owned(),
        format!("-max_len={MAX_LEN}"),
        format!("-artifact_prefix={}/", artifacts.display()),
    ]);
    Ok(command)
}

/// Runs each committed input once.
fn replay(ctx: &Ctx, built: &Path, target: &str) -> Result<()> {
    let folder = corpus(ctx, target);
    let inputs: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(|| format!("there is no corpus {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    ensure!(!inputs.is_empty(), "{} has no input", folder.display());
    let label = format!("{target}: replay of {} inputs", inputs.len());
    ctx.run(&label, command(ctx, built, target)?.args(&inputs))
}

/// Looks for new inputs for so long. What it keeps of them goes into a folder of its own.
fn fuzz(ctx: &Ctx, built: &Path, target: &str, seconds: u64) -> Result<()> {
    let found = scratch(ctx, "corpus", target)?;
    let mut command = command(ctx, built, target)?;
    command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1").arg(&found);
    let committed = corpus(ctx, target);
    if committed.is_dir() {
        command.arg(&committed);
    }
    let output = ctx.output(&format!("{target}: {seconds} s"), &mut command)?;
    let runs = output.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let runs: u64 = runs.and_then(|runs| runs.trim().parse().ok()).context("the fuzzer does not say what it ran")?;
    if runs == 0 {
        bail!("{target} ran no input");
    }
    eprintln!("  {target}: {runs} inputs, nothing found");
    Ok(())
}

/// Writes a corpus that reaches all that the committed one and the found one reach, with the fewest bytes.
fn minimise(ctx: &Ctx, built: &Path, target: &str) -> Result<()> {
    let (committed, found) = (corpus(ctx, target), scratch(ctx, "corpus", target)?);
    let merged = scratch(ctx, "merged", target)?;
    std::fs::remove_dir_all(&merged)?;
    std::fs::create_dir_all(&merged)?;
    std::fs::create_dir_all(&committed)?;
    let mut command = command(ctx, built, target)?;
    ctx.run(&format!("{target}: merge"), command.arg("-merge=1").args([&merged, &committed, &found]))?;
    std::fs::remove_dir_all(&committed)?;
    std::fs::create_dir_all(&committed)?;
    let mut bytes = 0;
    let mut count = 0;
    for entry in std::fs::read_dir(&merged)? {
        let entry = entry?;
        bytes += std::fs::copy(entry.path(), committed.join(entry.file_name()))?;
        count += 1;
    }
    println!("{}: {count} inputs, {bytes} bytes", committed.display());
    Ok(())
}
