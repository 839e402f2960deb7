//! The part `demo`: the demo at a small size, and what it does when it cannot go on. It runs as a user runs it, as a
//! program of its own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Error, Result, ensure};
use serde_json::Value;

use crate::ctx::{Counts, Ctx};
use crate::demo;

/// The size of the table: well above what a reader may own, so that one that copied it would be seen.
const SIZE: &str = "256M";

type Test = fn(&Ctx, &Path) -> Result<()>;

/// Sets the demo up and runs it.
pub fn test(ctx: &Ctx) -> Result<()> {
    let packages = ["test", "--locked", "--release", "--package", "weaveheap-demo-producer"];
    ctx.run_tests("cargo test weaveheap-demo-producer", ctx.cargo_release().args(packages))?;
    demo::ready(ctx)?;
    let tests: [(&str, Test); 3] = [
        ("a table goes through all languages without a copy", runs),
        ("too little room is said before anything starts", too_little_room),
        ("an interrupted demo leaves nothing behind", interrupted),
    ];
    for (name, test) in tests {
        let folder = ctx.target().join("demo-heaps");
        let result = fresh(&folder).and_then(|()| test(ctx, &folder));
        let _ = std::fs::remove_dir_all(&folder);
        let passed = result.is_ok();
        ctx.count(Counts { passed: passed.into(), failed: (!passed).into(), skipped: 0 });
        result.with_context(|| name.to_owned())?;
        eprintln!("  {name}");
    }
    Ok(())
}

/// An empty folder for heaps, with the mode that the folder of shared heaps must have.
fn fresh(folder: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder)?;
    #[cfg(unix)]
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

fn command(ctx: &Ctx, heaps: &Path, size: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.current_dir(ctx.root()).args(["demo", "--size", size]);
    command.env("WEAVEHEAP_DIR", heaps).env("CARGO_TARGET_DIR", ctx.target());
    Ok(command)
}

fn left_behind(heaps: &Path) -> Result<Vec<String>> {
    let names = std::fs::read_dir(heaps)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.contains("demo-")).collect())
}

fn runs(ctx: &Ctx, heaps: &Path) -> Result<()> {
    let path = ctx.target().join("demo").join("summary.json");
    let _ = std::fs::remove_file(&path);
    ctx.run(&format!("cargo xtask demo --size {SIZE}"), &mut command(ctx, heaps, SIZE)?)?;
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let bytes = summary["bytes"].as_u64().context("the summary has no size")?;
    ensure!(bytes >= demo::parse_size(SIZE).map_err(Error::msg)?, "the table is smaller than asked for: {bytes}");
    ensure!(summary["figures_agree"] == true, "the figures differ");
    ensure!(summary["bytes_copied_after_write"] == 0, "bytes were copied: {}", summary["copies"]);
    ensure!(summary["figures"].as_array().is_some_and(|all| all.len() == 3), "there are not three sets of figures");
    ensure!(summary["peers"].as_array().is_some_and(|all| all.len() == 3), "not all peers were measured");
    let checks = summary["checks"].as_array().context("no checks")?;
    ensure!(checks.iter().all(|check| check["holds"] == true), "a check does not hold: {checks:?}");
    if cfg!(target_os = "linux") {
        let memory = summary["memory"].as_array().context("memory was not measured")?;
        ensure!(memory.len() == 3, "the memory of {} processes was measured, not of 3", memory.len());
        for reader in memory.iter().filter(|memory| memory["process"] != "rust") {
            let allowed = reader["allowed_growth"].as_u64().context("no bound")?;
            ensure!(allowed * 2 <= bytes, "{reader} may own {allowed} bytes: a copy of {bytes} would hardly be seen");
        }
    }
    let left = left_behind(heaps)?;
    ensure!(left.is_empty(), "the demo left {left:?} behind");
    Ok(())
}

fn too_little_room(ctx: &Ctx, heaps: &Path) -> Result<()> {
    let output = command(ctx, heaps, "900000G")?.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "a table larger than any disk was accepted");
    ensure!(said.contains("has room for") && said.contains("--shm-size"), "the error does not say what to do: {said}");
    ensure!(left_behind(heaps)?.is_empty(), "a heap was made");
    Ok(())
}

/// Ctrl-C while the processes are at work.
#[cfg(unix)]
fn interrupted(ctx: &Ctx, heaps: &Path) -> Result<()> {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let mut child = command(ctx, heaps, SIZE)?.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while left_behind(heaps)?.is_empty() {
        ensure!(child.try_wait()?.is_none(), "the demo ended before it made a heap");
        ensure!(start.elapsed() < Duration::from_secs(300), "the demo made no heap");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = i32::try_from(child.id())?;
    // SAFETY: kill has no precondition; the process is a child that has not been waited for, so that its id is its own.
    ensure!(unsafe { libc::kill(pid, libc::SIGINT) } == 0, "cannot interrupt the demo");
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && said.contains("interrupted"),
        "the demo did not say that it was interrupted: {said}"
    );
    let left = left_behind(heaps)?;
    ensure!(left.is_empty(), "the demo left {left:?} behind");
    Ok(())
}

/// Ctrl-C cannot be sent to one process here.
#[cfg(not(unix))]
fn interrupted(ctx: &Ctx, _heaps: &Path) -> Result<()> {
    ctx.leave_out("the interrupted demo", "this system has no SIGINT", "Run it on Linux or macOS.")
}
