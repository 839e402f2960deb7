//! The Python package: its wheel, built once, and its tests on the oldest and on a recent Python. Its exceptions are
//! written here from the one list.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::ctx::{Ctx, Venv, home};
use crate::generate::Generated;
use crate::generate::errors::{ErrorEntry, entries};

/// The Pythons that the tests run on.
const VERSIONS: [&str; 2] = ["3.11", "3.13"];

/// The package's folder.
const PACKAGE: &str = "crates/python";

/// The built-in exceptions that a class is as well. Those that the buffer protocol can meet are `BufferError`s, as its
/// consumers expect; the others are what Python itself would raise.
const ALSO: &[(&str, &str)] = &[
    ("InvalidArgument", "ValueError"),
    ("StaleHandle", "BufferError"),
    ("StaleView", "BufferError"),
    ("BorrowConflict", "BufferError"),
    ("Borrowed", "BufferError"),
    ("Denied", "BufferError"),
    ("Poisoned", "BufferError"),
    ("OutOfMemory", "MemoryError"),
    ("LimitReached", "BufferError"),
    ("NotFound", "LookupError"),
    ("AlreadyExists", ""),
    ("InvalidName", "ValueError"),
    ("NotAttached", "BufferError"),
    ("Timeout", "TimeoutError"),
    ("Incompatible", ""),
    ("Corrupt", "BufferError"),
    ("Io", "OSError"),
    ("InvalidUtf8", "UnicodeError"),
    ("Unsupported", "BufferError"),
    ("Internal", "BufferError"),
];

/// Installs the wheel on each Python, and runs the package's tests there.
pub fn test(ctx: &Ctx) -> Result<()> {
    let program = super::cli::program(ctx)?;
    // A second copy of the library for a process that has this one in its module.
    let library = super::capi::library(ctx)?;
    for version in VERSIONS {
        let venv = environment(ctx, version)?;
        let package = ctx.path(PACKAGE);
        let mut tests = Command::new(&venv.python);
        tests.current_dir(&package).args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
        tests.env("WEAVEHEAP_CLI", &program).env("WEAVEHEAP_LIBRARY", &library);
        ctx.run_tests(&format!("pytest on Python {version}"), &mut tests)?;
        // pytest has counted the cases; this is the runner as a program, with its closing line and its status.
        let mut runner = Command::new(&venv.python);
        runner.current_dir(&package).arg("tests/conformance.py");
        ctx.run(&format!("conformance program on Python {version}"), &mut runner)?;
    }
    Ok(())
}

/// An environment of this Python version (`"3.11"`, `"3.13"`) with the package and what its tests need: NumPy, pyarrow.
/// The wheel is built and installed once in a run, however many parts ask for it.
pub fn environment(ctx: &Ctx, version: &str) -> Result<Venv> {
    static MADE: Mutex<BTreeMap<String, Venv>> = Mutex::new(BTreeMap::new());
    static WHEEL: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(venv) = made.get(version) {
        return Ok(venv.clone());
    }
    let mut built = WHEEL.lock().unwrap_or_else(PoisonError::into_inner);
    let wheel = match &*built {
        Some(wheel) => wheel.clone(),
        None => built.insert(wheel(ctx, version)?).clone(),
    };
    let venv = install(ctx, version, &wheel)?;
    made.insert(version.to_owned(), venv.clone());
    Ok(venv)
}

/// Builds the release wheel with this Python: one for 3.11 and all later ones, whichever builds it.
fn wheel(ctx: &Ctx, version: &str) -> Result<PathBuf> {
    let venv = ctx.venv(version)?;
    require(ctx, &venv, "requirements-build.txt")?;
    let out = ctx.target().join("wheels");
    if out.exists() {
        // A wheel of another version must not be taken for this one.
        std::fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    let mut build = Command::new(venv.bin().join("maturin"));
    build
        .current_dir(ctx.path(PACKAGE))
        .args(["build", "--release", "--locked", "--quiet", "--interpreter"])
        .arg(&venv.python)
        .arg("--out")
        .arg(&out)
        .env("CARGO_TARGET_DIR", ctx.target())
        .env("CARGO_ENCODED_RUSTFLAGS", ctx.release_rustflags().join("\u{1f}"))
        .env_remove("RUSTFLAGS");
    ctx.run("build the Python wheel", &mut build)?;
    let found: Vec<PathBuf> = std::fs::read_dir(&out)?.flatten().map(|entry| entry.path()).collect();
    match found.as_slice() {
        [wheel] if wheel.to_string_lossy().contains("-cp311-abi3-") => Ok(wheel.clone()),
        other => bail!("maturin made {other:?} where one abi3 wheel for Python 3.11 was to be"),
    }
}

fn install(ctx: &Ctx, version: &str, wheel: &Path) -> Result<Venv> {
    let venv = ctx.venv(version)?;
    require(ctx, &venv, "requirements-test.txt")?;
    let mut install = Command::new(&venv.python);
    install
        .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
        .args(["--force-reinstall", "--no-deps"])
        .arg(wheel);
    ctx.run(&format!("install the wheel on Python {version}"), &mut install)?;
    refuse_paths(ctx, &venv)?;
    Ok(venv)
}

/// Installs the pinned lines of a requirements file.
fn require(ctx: &Ctx, venv: &Venv, name: &str) -> Result<()> {
    let path = ctx.path(PACKAGE).join(name);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    venv.pip(ctx, &lines)
}

/// A wheel goes to other machines: it must not hold the paths of this one.
fn refuse_paths(ctx: &Ctx, venv: &Venv) -> Result<()> {
    let mut ask = Command::new(&venv.python);
    ask.args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
    let site = PathBuf::from(ctx.output("find the site packages", &mut ask)?.trim());
    let mut paths = vec![ctx.root().to_owned(), ctx.target().to_owned()];
    paths.extend(home());
    let needles: Vec<String> = paths.iter().map(|path| path.display().to_string()).filter(|p| p.len() > 1).collect();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&site)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("weaveheap") {
            collect(&entry.path(), &mut files)?;
        }
    }
    for file in &files {
        // What pip itself notes about an installation is no part of the wheel.
        if file.file_name().is_some_and(|name| name == "direct_url.json")
            || file.extension().is_some_and(|e| e == "pyc")
        {
            continue;
        }
        let content = std::fs::read(file)?;
        for needle in &needles {
            if content.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                bail!("{} in the wheel holds a path of this machine: {needle}", file.display());
            }
        }
    }
    if files.is_empty() { bail!("nothing of the package is in {}", site.display()) } else { Ok(()) }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.push(path.to_owned());
    }
    Ok(())
}

/// The files of this part that are generated: the exceptions, from `spec/errors.toml`.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    Ok(vec![Generated::new(format!("{PACKAGE}/python/weaveheap/_codes.py"), exceptions(&entries(ctx)?)?)])
}

fn exceptions(codes: &[ErrorEntry]) -> Result<String> {
    let mut text = String::from(
        "\"\"\"The exceptions, one for each code, written from `spec/errors.toml` by `cargo xtask gen`. Do not edit.\"\"\"\n\n\
         from typing import ClassVar\n\n\
         from ._errors import WeaveHeapError\n",
    );
    for code in codes {
        let ErrorEntry { number, name, meaning, remedy } = code;
        let Some((_, also)) = ALSO.iter().find(|(known, _)| known == name) else {
            bail!("which built-in exception is {name} as well? Add it to ALSO, with \"\" for none");
        };
        let bases = if also.is_empty() { String::new() } else { format!(", {also}") };
        writeln!(text, "\n\nclass {name}(WeaveHeapError{bases}):")?;
        writeln!(text, "    \"\"\"{meaning}\n\n    {remedy}\n    \"\"\"\n")?;
        writeln!(text, "    __module__ = \"weaveheap\"\n")?;
        writeln!(text, "    code: ClassVar[str] = {name:?}")?;
        writeln!(text, "    number: ClassVar[int] = {number}")?;
        writeln!(text, "    meaning: ClassVar[str] = {meaning:?}")?;
        writeln!(text, "    remedy: ClassVar[str] = {remedy:?}")?;
    }
    text.push_str("\n\n#: The class of each code, by number.\nCLASSES: dict[int, type[WeaveHeapError]] = {\n");
    for code in codes {
        writeln!(text, "    {}: {},", code.number, code.name)?;
    }
    text.push_str("}\n\n__all__ = [\n");
    for code in codes {
        writeln!(text, "    {:?},", code.name)?;
    }
    text.push_str("]\n");
    Ok(text)
}
