//! `cargo xtask check`: what needs no test to be run. Generated files, format, lints, paths of this machine, and that
//! the core, the C ABI and the command line compile for systems other than this one.

mod cross;
mod paths;

use anyhow::{Result, bail};

use crate::ctx::Ctx;
use crate::generate;

type Check = fn(&Ctx) -> Result<()>;

/// Makes all checks, and names those that fail.
pub fn run(ctx: &Ctx) -> Result<()> {
    let checks: [(&str, Check); 5] = [
        ("generated files", generated),
        ("format", format),
        ("lints", lints),
        ("paths and hosts", paths::check),
        ("other systems", cross::check),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        eprintln!("{name}");
        let (result, _) = ctx.timed(name, || check(ctx));
        if let Err(error) = result {
            eprintln!("  {name}: {error:#}");
            failed.push(name);
        }
    }
    println!();
    for (name, time) in ctx.steps() {
        let state = if failed.contains(&name.as_str()) { "failed" } else { "ok" };
        println!("{name:<18}{state:<8}{:>10}", crate::ctx::human_time(time));
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn generated(ctx: &Ctx) -> Result<()> {
    let differing = generate::differing(ctx)?;
    if differing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = differing.iter().map(|path| path.display().to_string()).collect();
    bail!("{} differ from what is generated: run `cargo xtask gen` and commit what it writes", names.join(", "))
}

fn format(ctx: &Ctx) -> Result<()> {
    ctx.run("cargo fmt --check", ctx.cargo().args(["fmt", "--all", "--check"]))
}

fn lints(ctx: &Ctx) -> Result<()> {
    let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    ctx.run("cargo clippy --workspace --all-targets", ctx.cargo().args(arguments))
}
