//! The part `capi`: the header and the ABI files, the installed library, and the tests in C and C++.

mod abi;
mod build;
mod cpp;
mod header;
mod installed;
mod suite;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::ctx::{Counts, Ctx};
use crate::generate::Generated;
use build::Library;
use suite::{Suite, Watch};

/// Sets up what is needed and runs every test of the part.
pub fn test(ctx: &Ctx) -> Result<()> {
    let mut command = ctx.cargo();
    command.args(["test", "--locked", "--package", "weaveheap-capi", "--lib"]);
    ctx.run_tests("cargo test weaveheap-capi", &mut command)?;

    let release = Library::release(ctx)?;
    compare(ctx, &release)?;
    installed::binaries(ctx, &release)?;
    let prefix = ctx.target().join("capi").join("prefix");
    build::install(ctx, &release, &prefix)?;
    installed::by_pkg_config(ctx, &prefix)?;
    installed::by_cmake(ctx, &prefix)?;

    let suite = Suite::new(ctx)?;
    // A failure does not keep the rest from running: together they say more.
    let mut results = Vec::new();
    for cxx in [false, true] {
        results.push(suite.nouns(&release, Watch::Plain, cxx, false));
    }
    results.push(suite.conformance(&release, Watch::Plain));
    results.push(suite.cpp_refused());
    results.push(suite.cpp_by_clang());
    let watched = Library::for_tests(ctx)?;
    results.push(suite.planted(&watched));
    for watch in suite.watches() {
        results.push(suite.dlopen(&watched, watch));
        results.push(suite.cpp(if watch == Watch::Plain { &release } else { &watched }, watch));
        if watch != Watch::Plain {
            for cxx in [false, true] {
                results.push(suite.nouns(&watched, watch, cxx, true));
            }
            results.push(suite.conformance(&watched, watch));
        }
    }
    results.push(suite.nothing_is_left());
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}

/// The shared library, built for release.
pub fn library(ctx: &Ctx) -> Result<PathBuf> {
    Ok(Library::release(ctx)?.shared)
}

/// Builds the library and lays it out under a prefix, for pkg-config and CMake.
pub fn install(ctx: &Ctx, prefix: &Path) -> Result<()> {
    build::install(ctx, &Library::release(ctx)?, prefix)
}

/// The files of this part that are generated.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    generated(ctx, &Library::release(ctx)?)
}

fn generated(ctx: &Ctx, library: &Library) -> Result<Vec<Generated>> {
    let header = header::text(ctx)?;
    let layout = abi::layout(ctx, &header)?;
    let mut files = vec![
        Generated::new("abi/symbols.txt", abi::symbols(ctx, library)?),
        Generated::new("abi/layout.json", layout),
        Generated::new("include/weaveheap.h", header),
    ];
    files.extend(cpp::generate(ctx)?);
    Ok(files)
}

/// The committed files are those that the sources give, and every function in them is tested.
fn compare(ctx: &Ctx, library: &Library) -> Result<()> {
    let files = generated(ctx, library)?;
    for file in &files {
        if !std::fs::read_to_string(ctx.path(&file.path)).is_ok_and(|text| text == file.text) {
            bail!(
                "{} is not what the sources give: run `cargo xtask gen` and look at the difference",
                file.path.display()
            );
        }
    }
    abi::all_are_tested(ctx, &files[0].text, &files[2].text)?;
    let documented = header::documented_functions(&files[2].text).len();
    let exported = files[0].text.lines().count();
    if documented != exported {
        bail!("the header declares {documented} functions, the library exports {exported}");
    }
    ctx.count(Counts { passed: files.len() as u64 + 2, ..Counts::default() });
    Ok(())
}
