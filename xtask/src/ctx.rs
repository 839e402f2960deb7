//! What every command of the project works with: the folders, how commands are run, which tools there are, and what
//! the tests have counted. Running is in `ctx/run.rs`, finding and installing tools in `ctx/tools.rs`, those for
//! WebAssembly in `ctx/wasm.rs`.

mod run;
mod tools;
mod wasm;

pub use run::Counts;
pub use tools::{Tool, Venv};
pub use wasm::{Wasm, WasmKit};

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The context of one run of `cargo xtask`.
pub struct Ctx {
    root: PathBuf,
    target: PathBuf,
    verbose: bool,
    ci: bool,
    long: Cell<bool>,
    apt_updated: Cell<bool>,
    counts: Cell<Counts>,
    left_out: RefCell<Vec<LeftOut>>,
    steps: RefCell<Vec<(String, Duration)>>,
}

/// Tests that were not run, and what would make them run.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// The tests.
    pub tests: String,
    /// What is missing.
    pub missing: String,
    /// What to do about it.
    pub remedy: String,
}

impl Ctx {
    /// The context of this checkout. `verbose` streams what commands print; without it only failures are shown.
    pub fn new(verbose: bool) -> Result<Ctx> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let from_env = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root =
            from_env.as_deref().unwrap_or(manifest).parent().context("xtask is not inside a checkout")?.to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) if Path::new(&folder).is_absolute() => PathBuf::from(folder),
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        std::fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
        let ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        Ok(Ctx {
            root,
            target,
            verbose,
            ci,
            long: Cell::new(false),
            apt_updated: Cell::new(false),
            counts: Cell::new(Counts::default()),
            left_out: RefCell::default(),
            steps: RefCell::default(),
        })
    }

    /// The root of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the checkout.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Where everything built goes: `CARGO_TARGET_DIR` or `target`.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// True if commands stream their output.
    pub fn verbose(&self) -> bool {
        self.verbose
    }

    /// Tests run in full from here on, or as the short run has them.
    pub fn set_long(&self, long: bool) {
        self.long.set(long);
    }

    /// True if tests run in full.
    pub fn is_long(&self) -> bool {
        self.long.get()
    }

    /// True in CI (`CI=true`), where nothing may be left out.
    pub fn is_ci(&self) -> bool {
        self.ci
    }

    /// `cargo`, in the root, with the target folder of this run.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// `cargo` for release builds: the same, with flags that keep this machine's paths out of the binaries. All release
    /// builds use it, or cargo would build everything anew for each set of flags.
    pub fn cargo_release(&self) -> Command {
        let mut command = self.cargo();
        command.env("CARGO_ENCODED_RUSTFLAGS", self.release_rustflags().join("\u{1f}")).env_remove("RUSTFLAGS");
        command
    }

    /// The compiler flags of release builds: the checkout, cargo's home and the target folder get neutral names.
    pub fn release_rustflags(&self) -> Vec<String> {
        let given = std::env::var("RUSTFLAGS").unwrap_or_default();
        let mut flags: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
        // The last prefix that matches wins, so the widest stand first.
        if let Some(home) = home() {
            flags.push(format!("--remap-path-prefix={}=home", home.display()));
        }
        if let Some(cargo) =
            std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| home().map(|h| h.join(".cargo")))
        {
            flags.push(format!("--remap-path-prefix={}=cargo", cargo.display()));
        }
        flags.push(format!("--remap-path-prefix={}=weaveheap", self.root.display()));
        flags.push(format!("--remap-path-prefix={}=target", self.target.display()));
        flags
    }

    /// Builds a package for release and returns the folder that holds what was built.
    pub fn release_build(&self, package: &str) -> Result<PathBuf> {
        let mut command = self.cargo_release();
        command.args(["build", "--release", "--locked", "--package", package]);
        self.run(&format!("build {package} (release)"), &mut command)?;
        Ok(self.target.join("release"))
    }

    /// Says that tests are left out because something is missing. In CI that is an error.
    pub fn leave_out(&self, tests: &str, missing: &str, remedy: &str) -> Result<()> {
        if self.ci {
            bail!("{missing}, and in CI nothing may be left out ({tests}): {remedy}");
        }
        eprintln!("  left out: {tests}: {missing}. {remedy}");
        let entry = LeftOut { tests: tests.to_owned(), missing: missing.to_owned(), remedy: remedy.to_owned() };
        self.left_out.borrow_mut().push(entry);
        Ok(())
    }

    /// What was left out so far.
    pub fn left_out(&self) -> Vec<LeftOut> {
        self.left_out.borrow().clone()
    }

    /// Does something under a name, and remembers how long it took.
    pub fn timed<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> (Result<T>, Duration) {
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        self.steps.borrow_mut().push((name.to_owned(), took));
        (result, took)
    }

    /// What was timed so far.
    pub fn steps(&self) -> Vec<(String, Duration)> {
        self.steps.borrow().clone()
    }
}

/// The user's home folder.
pub fn home() -> Option<PathBuf> {
    std::env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// Seconds or minutes, for people.
pub fn human_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.0995 => format!("{:.1} ms", s * 1e3),
        s if s < 9.95 => format!("{s:.2} s"),
        s if s < 119.5 => format!("{s:.0} s"),
        s => format!("{:.1} min", s / 60.0),
    }
}
