//! `cargo xtask check`: what needs no test to be run. Generated files, format, lints, paths of this machine, and that
//! the core, the C ABI and the command line compile for systems other than this one.

mod cross;
mod paths;

use anyhow::{Result, bail};

use crate::ctx::{Ctx, Wasm};
use crate::generate;

/// Workspaces of their own: the folder, and where in the target folder their builds go.
const WORKSPACES: [(&str, &str); 3] =
    [("fuzz", "fuzz"), ("xtask/bindgen", "wasm/bindgen"), ("crates/wasm/component/hosts/wasmtime", "wasm/wasmtime")];

/// What is compiled for WebAssembly, by the kind of module.
const WASM_PACKAGES: &[(Wasm, &[&str])] = &[
    (
        Wasm::Wasm32,
        &["weaveheap-core", "weaveheap-wasm", "weaveheap-component", "weaveheap-sample-web", "weaveheap-bench-wasm"],
    ),
    (Wasm::Threads, &["weaveheap-core", "weaveheap-sample-web"]),
];

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
    ctx.run("cargo fmt --check", ctx.cargo().args(["fmt", "--all", "--check"]))?;
    for (folder, _) in WORKSPACES {
        let mut command = ctx.cargo();
        command.args(["fmt", "--check", "--manifest-path"]).arg(ctx.path(folder).join("Cargo.toml"));
        ctx.run(&format!("cargo fmt --check in {folder}"), &mut command)?;
    }
    Ok(())
}

/// What stands after all else that clippy is told.
const NO_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

fn lints(ctx: &Ctx) -> Result<()> {
    let arguments = ["clippy", "--locked", "--workspace", "--all-targets"];
    ctx.run("cargo clippy --workspace --all-targets", ctx.cargo().args(arguments).args(NO_WARNINGS))?;
    for (folder, target) in WORKSPACES {
        let mut command = ctx.cargo();
        command.env("CARGO_TARGET_DIR", ctx.target().join(target)).args(["clippy", "--locked", "--all-targets"]);
        command.arg("--manifest-path").arg(ctx.path(folder).join("Cargo.toml")).args(NO_WARNINGS);
        ctx.run(&format!("cargo clippy in {folder}"), &mut command)?;
    }
    wasm_lints(ctx)
}

/// Elsewhere most of this code is not there.
fn wasm_lints(ctx: &Ctx) -> Result<()> {
    for (wasm, packages) in WASM_PACKAGES {
        let Some(kit) = ctx.wasm_kit(*wasm, "lints for WebAssembly")? else { continue };
        let packages = packages.iter().flat_map(|package| ["--package", package]);
        let mut command = kit.cargo(ctx);
        if !kit.has_clippy() {
            command.args(["check", "--locked"]).args(packages).args(kit.target_args());
            ctx.run(&format!("cargo check for {}, by a compiler without clippy", wasm.name()), &mut command)?;
            continue;
        }
        command.args(["clippy", "--locked", "--all-targets"]).args(packages).args(kit.target_args()).args(NO_WARNINGS);
        // The runner of the core's tests is a feature that is not stable.
        command.env("RUSTC_BOOTSTRAP", "1");
        ctx.run(&format!("cargo clippy for {}", wasm.name()), &mut command)?;
    }
    Ok(())
}
