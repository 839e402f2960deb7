//! The sample page `samples/web`: built into a folder that any server of files can serve, served, and tested in headless
//! Chromium. Its tests are of the part `samples`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::ctx::{Ctx, Tool, Wasm, WasmKit};

/// What the page's tests click through.
const CHROMIUM: Tool = Tool { tests: "tests of the sample page", ..super::wasm_js::CHROMIUM };
/// The sample's folder.
const SAMPLE: &str = "samples/web";
/// What the page is made of beside the modules: where it is, and where it goes in the site.
const COPIED: [(&str, &str); 4] = [
    ("samples/web/page", ""),
    ("crates/wasm/lib", "weaveheap-wasm/lib"),
    // The page's own modules ask for it beside themselves.
    ("crates/wasm/lib/embedder.mjs", "embedder.mjs"),
    ("samples/web/node_modules/apache-arrow/Arrow.es2015.min.js", "arrow.js"),
];

/// Builds the page. The folder to serve; `None` if nothing can build it here.
pub fn build(ctx: &Ctx) -> Result<Option<PathBuf>> {
    // For its JavaScript, and `index.mjs`, which is what a page imports.
    let Some(package) = super::wasm_js::setup(ctx)? else { return Ok(None) };
    let Some(small) = ctx.wasm_kit(Wasm::Small, CHROMIUM.tests)? else { return Ok(None) };
    let Some(threads) = ctx.wasm_kit(Wasm::Threads, CHROMIUM.tests)? else { return Ok(None) };
    ctx.npm_ci(&ctx.path(SAMPLE))?;
    let site = ctx.target().join("wasm/site");
    if site.exists() {
        std::fs::remove_dir_all(&site).with_context(|| format!("cannot remove {}", site.display()))?;
    }
    for (from, to) in COPIED {
        copy(&ctx.path(from), &site.join(to))?;
    }
    copy(&package.join("index.mjs"), &site.join("weaveheap-wasm/index.mjs"))?;
    // One module in place of the package's: it has the package's functions and the page's own.
    module(ctx, &small, &site, "factory", "weaveheap_sample_web")?;
    module(ctx, &threads, &site, "web", "turns")?;
    let mut table = Command::new(ctx.node()?);
    table.arg(ctx.path(SAMPLE).join("make_table.mjs")).arg(site.join("table.arrow"));
    ctx.run("make the sample page's table", &mut table)?;
    Ok(Some(site))
}

/// Builds the sample's module of one kind, and its JavaScript, into the site.
fn module(ctx: &Ctx, kit: &WasmKit, site: &Path, target: &str, name: &str) -> Result<()> {
    let mut command = kit.cargo(ctx);
    command.args(["build", "--release", "--locked", "--package", "weaveheap-sample-web"]).args(kit.target_args());
    // The other kind's standard library is not built for linking as one program.
    let lto = if kit.wasm == Wasm::Small { "fat" } else { "off" };
    for (key, value) in [("LTO", lto), ("PANIC", "abort"), ("DEBUG", "false")] {
        command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    ctx.run(&format!("build the sample page's module for {} (release)", kit.wasm.name()), &mut command)?;
    let mut command = Command::new(ctx.wasm_bindgen()?);
    command.arg(kit.modules("release").join("weaveheap_sample_web.wasm")).arg(site);
    ctx.run("wasm-bindgen", command.args(["--target", target, "--name", name]))?;
    if kit.wasm != Wasm::Small {
        return Ok(());
    }
    let wrapped = site.join(format!("{name}_bg.wasm"));
    let made = site.join(format!("{name}_opt.wasm"));
    let mut command = ctx.wasm_opt()?;
    ctx.run("wasm-opt -Oz", command.args(["-Oz", "--strip-debug"]).arg(&wrapped).arg("-o").arg(&made))?;
    std::fs::rename(&made, &wrapped).with_context(|| format!("cannot make {}", wrapped.display()))
}

/// Copies a file or a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        return Ok(());
    }
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Builds the page and serves it until the program is ended.
pub fn serve(ctx: &Ctx, port: u16) -> Result<()> {
    let Some(site) = build(ctx)? else { bail!("nothing can build the page here") };
    let mut command = Command::new(ctx.node()?);
    command.arg(ctx.path(SAMPLE).join("serve.mjs")).arg(site).arg(port.to_string());
    let status = command.status().context("cannot run the server")?;
    ensure!(status.success(), "the server has ended ({status})");
    Ok(())
}

/// The drawing's own tests, those of loading in Node, then the page in the browser.
pub fn test(ctx: &Ctx) -> Result<()> {
    let mut command = Command::new(ctx.node()?);
    command.current_dir(ctx.path(SAMPLE)).args(["--test", "test/picture.test.mjs"]);
    ctx.run_tests("the drawing of a heap", &mut command)?;
    let Some(site) = build(ctx)? else { return Ok(()) };
    let mut command = Command::new(ctx.node()?);
    command.current_dir(ctx.path(SAMPLE)).args(["--test", "test/loading.test.mjs"]);
    ctx.run_tests("loading into a buffer", &mut command)?;
    let Some(browser) = ctx.tool(&CHROMIUM)? else { return Ok(()) };
    let mut command = Command::new(ctx.node()?);
    command.current_dir(ctx.path(SAMPLE)).args(["test/page.mjs"]).arg(site).arg(browser);
    ctx.run_tests("the sample page in Chromium", &mut command)?;
    Ok(())
}
