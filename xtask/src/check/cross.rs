//! The core, the C ABI and the command line compile for other systems: type-checked with the target that rustup brings, or, where rustup can fetch
//! nothing, with a standard library built from Debian's sources of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::ctx::{Ctx, Tool};

/// macOS, Windows, and Linux on another processor.
const TARGETS: [&str; 3] = ["aarch64-apple-darwin", "x86_64-pc-windows-gnu", "aarch64-unknown-linux-gnu"];

/// What is meant to run there. The packages of Python and Node bring their own tools for other systems.
const PACKAGES: [&str; 6] =
    ["--package", "weaveheap-core", "--package", "weaveheap-capi", "--package", "weaveheap-cli"];

/// Type-checks the packages for each target.
pub fn check(ctx: &Ctx) -> Result<()> {
    let (there, missing): (Vec<&str>, Vec<&str>) = TARGETS.into_iter().partition(|target| ctx.has_target(target));
    if !there.is_empty() {
        let mut command = ctx.cargo();
        command.args(["check", "--locked"]).args(PACKAGES).args(there.iter().flat_map(|target| ["--target", target]));
        ctx.run(&format!("cargo check for {}", there.join(", ")), &mut command)?;
    }
    if missing.is_empty() { Ok(()) } else { from_sources(ctx, &missing) }
}

/// Debian's compiler with the standard library's sources: `-Z build-std` builds what the targets lack.
fn from_sources(ctx: &Ctx, targets: &[&str]) -> Result<()> {
    let tests = format!("the type check for {}", targets.join(", "));
    let sources = Path::new("/usr/lib/rustlib/src/rust/library/Cargo.toml");
    let remedy = "Run `rustup target add` for these targets, or on Debian install rustc-web cargo-web rust-web-src.";
    if !sources.exists() && ctx.can_apt() {
        ctx.apt(&["rustc-web", "cargo-web", "rust-web-src"])?;
    }
    let compiler = Tool { programs: &["/usr/bin/rustc"], packages: &[], tests: &tests, remedy };
    let Some(rustc) = ctx.tool(&compiler)? else { return Ok(()) };
    if !sources.exists() {
        return ctx.leave_out(&tests, "the sources of the standard library are missing", remedy);
    }
    let cargo = Path::new("/usr/bin/cargo");
    if !cargo.exists() {
        bail!("{} is there, but {} is not: {remedy}", rustc.display(), cargo.display());
    }
    let mut command = Command::new(cargo);
    command
        .current_dir(ctx.root())
        .args(["check", "--locked", "-Z", "build-std=std,panic_abort"])
        .args(PACKAGES)
        .args(targets.iter().flat_map(|target| ["--target", target]))
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        // The library is only looked at: optimising it would take minutes.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_TARGET_DIR", ctx.target().join("cross"))
        .env_remove("RUSTUP_TOOLCHAIN");
    ctx.run(&format!("cargo check for {} (standard library from sources)", targets.join(", ")), &mut command)
}
