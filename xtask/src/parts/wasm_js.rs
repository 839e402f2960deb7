//! The part `wasm-js`: builds the npm package `weaveheap-wasm`, and runs its tests in Node and in headless Chromium.

mod shared;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::ctx::{Ctx, Tool, Wasm};
use crate::generate::Generated;

/// The browser of the tests.
pub const CHROMIUM: Tool = Tool {
    programs: &["chromium", "chromium-browser", "google-chrome"],
    packages: &["chromium"],
    tests: "tests of the WebAssembly package in a browser",
    remedy: "Install Chromium.",
};

/// What `wasm-opt` does to the package's module. Its memory is new with each instance, and so of zeros; it begins with the
/// stack, whose last kilobyte is never used.
const SHRINK: [&str; 11] = [
    "--low-memory-unused",
    "--zero-filled-memory",
    "--flatten",
    "--rereloop",
    "-Oz",
    "--gufa-optimizing",
    "-Oz",
    "--converge",
    "--strip-debug",
    "--strip-producers",
    "--strip-target-features",
];

/// Builds the module and its JavaScript, puts both into the package's folder, and installs the packages that its tests need.
/// The package's folder; `None` if nothing can build it here.
pub fn setup(ctx: &Ctx) -> Result<Option<PathBuf>> {
    let Some(kit) = ctx.wasm_kit(Wasm::Small, "tests of the WebAssembly package")? else { return Ok(None) };
    let mut command = kit.cargo(ctx);
    // As a module alone: with a library beside it, the linker would not see the whole program.
    command.args([
        "rustc",
        "--release",
        "--locked",
        "--package",
        "weaveheap-wasm",
        "--features",
        "allocator",
        "--crate-type",
        "cdylib",
    ]);
    command.args(kit.target_args());
    for (key, value) in [("OPT_LEVEL", "z"), ("LTO", "fat"), ("PANIC", "abort"), ("DEBUG", "false")] {
        command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    ctx.run("build weaveheap-wasm (release)", &mut command)?;
    let module = kit.modules("release").join("weaveheap_wasm.wasm");
    let folder = ctx.target().join("wasm/package");
    let mut command = Command::new(ctx.wasm_bindgen()?);
    command.arg(&module).arg(&folder).args(["--target", "factory", "--name", "weaveheap_wasm"]);
    ctx.run("wasm-bindgen", &mut command)?;
    let package = ctx.path("crates/wasm");
    let wrapped = folder.join("weaveheap_wasm_bg.wasm");
    let made = package.join("weaveheap.wasm");
    let mut command = ctx.wasm_opt()?;
    command.args(SHRINK).arg(&wrapped).arg("-o").arg(&made);
    ctx.run("wasm-opt -Oz", &mut command)?;
    copy(&folder.join("weaveheap_wasm.js"), &package.join("lib/module.mjs"))?;
    ctx.npm_ci(&package)?;
    ctx.run("bundle for Node", ctx.npm()?.current_dir(&package).args(["run", "--silent", "bundle"]))?;
    print_size(&made)?;
    Ok(Some(package))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

fn print_size(module: &Path) -> Result<()> {
    let size = std::fs::metadata(module).with_context(|| format!("cannot read {}", module.display()))?.len();
    eprintln!("  the module has {size} bytes");
    Ok(())
}

/// Builds what the bench rows are measured against: its JavaScript for Node.
pub fn bench_peer(ctx: &Ctx) -> Result<PathBuf> {
    let kit = ctx.wasm_kit(Wasm::Wasm32, "rows in WebAssembly")?.context("nothing builds WebAssembly here")?;
    let mut command = kit.cargo(ctx);
    command.args(["build", "--release", "--locked", "--package", "weaveheap-bench-wasm"]).args(kit.target_args());
    ctx.run("build weaveheap-bench-wasm (release)", &mut command)?;
    let folder = ctx.target().join("bench/wasm");
    let mut command = Command::new(ctx.wasm_bindgen()?);
    command.arg(kit.modules("release").join("weaveheap_bench_wasm.wasm")).arg(&folder);
    ctx.run("wasm-bindgen", command.args(["--target", "nodejs", "--name", "weaveheap_bench_wasm"]))?;
    Ok(folder.join("weaveheap_bench_wasm.js"))
}

/// Sets up what is needed and runs every test of the part.
pub fn test(ctx: &Ctx) -> Result<()> {
    let Some(package) = setup(ctx)? else { return Ok(()) };
    // Its tests run on both packages.
    super::node::setup(ctx)?;
    let node = ctx.node()?;
    super::node::typecheck(ctx, &package, &node)?;
    ctx.run_tests("weaveheap-wasm in Node", &mut super::node::node_test(&package, &node)?)?;
    let Some(browser) = ctx.tool(&CHROMIUM)? else { return Ok(()) };
    let mut command = Command::new(&node);
    ctx.run_tests("weaveheap-wasm in Chromium", command.current_dir(&package).arg("test/browser.mjs").arg(browser))?;
    Ok(())
}

/// The files of this part that are generated.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    shared::generate(ctx)
}
