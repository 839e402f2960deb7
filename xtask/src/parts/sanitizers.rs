//! The parts `sanitizers` and `races`: the core's integration tests under AddressSanitizer with its leak checker, and under
//! ThreadSanitizer; with `--long` all of them. Before the tests each build must report faults that are planted in it.
//!
//! The runtimes of both come with stable compilers; their flags are unstable, so `RUSTC_BOOTSTRAP` allows them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::fuzz::host;
use crate::ctx::{Counts, Ctx};

/// A sanitizer, and what is run under it.
struct Sanitizer {
    name: &'static str,
    /// What the whole of the program, the standard library too if `with_std`, is compiled with.
    flags: &'static [&'static str],
    /// ThreadSanitizer must see what the standard library orders; AddressSanitizer needs to see our own code alone.
    with_std: bool,
    options: (&'static str, &'static str),
    /// Faults of `crates/core/tests/it/planted.rs`, and words of their reports.
    faults: &'static [(&'static str, &'static str)],
    /// What the short run has: parts of the names of tests.
    short: &'static [&'static str],
}

const ADDRESS: Sanitizer = Sanitizer {
    name: "AddressSanitizer",
    // The leak checker is told of the memory that a fork wipes, which holds pointers.
    flags: &["-Zsanitizer=address", "--cfg=weaveheap_leak_checks"],
    with_std: false,
    options: ("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1"),
    faults: &[
        ("use_after_free", "AddressSanitizer: heap-use-after-free"),
        ("overflow", "AddressSanitizer: heap-buffer-overflow"),
        ("leak", "LeakSanitizer: detected memory leaks"),
    ],
    // All that works on memory of the allocator or maps it: attaching, threads that end, forks, names, views.
    short: &[
        "borrow::guards",
        "borrow::leases",
        "borrow::threads_that",
        "fork::",
        "handle::",
        "heap::",
        "inspect::",
        "model::",
        "region::",
        "shared::",
        "process::handles",
    ],
};

const THREAD: Sanitizer = Sanitizer {
    name: "ThreadSanitizer",
    // With exchanges that it sees instead of assembly.
    flags: &["-Zsanitizer=thread", "--cfg=weaveheap_race_checks"],
    with_std: true,
    options: ("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1"),
    faults: &[("race", "ThreadSanitizer: data race")],
    // All in which threads meet in one process.
    short: &["borrow::", "heap::same", "heap::waits", "region::wait_idle", "shared::nobody", "shared::one_of"],
};

/// Tests that cannot run under either, and why.
const CANNOT: &[(&str, &str)] = &[(
    "shared::heap_is_smaller_where_the_system_gives_less",
    "it limits the address space to 4 GiB, and the sanitizers' own tables need terabytes of it",
)];

/// The part `sanitizers`: the tests under AddressSanitizer.
pub fn test(ctx: &Ctx) -> Result<()> {
    ADDRESS.test(ctx)
}

/// The part `races`: the tests under ThreadSanitizer. A part of its own, since not every machine can fetch the source that
/// it needs.
pub fn races(ctx: &Ctx) -> Result<()> {
    THREAD.test(ctx)
}

/// Whether the source of the standard library is there, fetched if it can be.
fn has_sources(ctx: &Ctx) -> Result<bool> {
    let mut command = Command::new("rustc");
    let root = ctx.output("rustc --print sysroot", command.current_dir(ctx.root()).args(["--print", "sysroot"]))?;
    let lock = Path::new(root.trim()).join("lib/rustlib/src/rust/library/Cargo.lock");
    if !lock.exists()
        && let Some(rustup) = ctx.find("rustup")
    {
        // Where nothing can be fetched, what is missing is said by the caller.
        let mut fetch = Command::new(rustup);
        let _ = ctx
            .run("rustup component add rust-src", fetch.current_dir(ctx.root()).args(["component", "add", "rust-src"]));
    }
    Ok(lock.exists())
}

impl Sanitizer {
    fn test(&self, ctx: &Ctx) -> Result<()> {
        let tests = format!("tests under {}", self.name);
        if !cfg!(target_os = "linux") {
            return ctx.leave_out(&tests, "they are built for Linux alone", "Run them there.");
        }
        if self.with_std && !has_sources(ctx)? {
            let remedy = "Run `rustup component add rust-src`.";
            return ctx.leave_out(&tests, "the standard library's source is missing", remedy);
        }
        let binary = self.build(ctx)?;
        for (fault, words) in self.faults {
            self.planted(ctx, &binary, fault, words)?;
        }
        let list = ctx.output(&format!("{}: list of tests", self.name), self.command(ctx, &binary).arg("--list"))?;
        let known: Vec<&str> = list.lines().filter_map(|line| line.strip_suffix(": test")).collect();
        let mut command = self.command(ctx, &binary);
        for (test, why) in CANNOT {
            ensure!(known.contains(test), "there is no test {test}");
            eprintln!("  {}: without {test}: {why}", self.name);
            command.args(["--skip", test]);
        }
        if !ctx.is_long() {
            for filter in self.short {
                ensure!(known.iter().any(|test| test.contains(filter)), "no test is called {filter}");
            }
            command.args(self.short);
        }
        ctx.run_tests(&tests, &mut command)?;
        Ok(())
    }

    /// Builds the integration tests and returns their program. A target system is named, so that build scripts and
    /// macros are built without the flags.
    fn build(&self, ctx: &Ctx) -> Result<PathBuf> {
        let host = host(ctx)?;
        let mut command = ctx.cargo();
        command.args(["test", "--no-run", "--locked", "--package", "weaveheap-core", "--test", "it"]);
        command.args(["--target", &host, "--message-format=json-render-diagnostics"]);
        command.args(self.with_std.then_some("-Zbuild-std"));
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", ctx.target().join("sanitizers"));
        command.env("CARGO_ENCODED_RUSTFLAGS", self.flags.join("\u{1f}")).env_remove("RUSTFLAGS");
        let output = ctx.output(&format!("{}: build the tests", self.name), &mut command)?;
        let messages = output.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let of_tests = |message: serde_json::Value| {
            (message["target"]["name"] == "it").then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
        };
        messages.filter_map(of_tests).next_back().context("cargo does not say what it built")
    }

    fn command(&self, ctx: &Ctx, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.current_dir(ctx.path("crates/core")).env(self.options.0, self.options.1);
        command
    }

    /// The fault must be reported, and end the process.
    fn planted(&self, ctx: &Ctx, binary: &Path, fault: &str, words: &str) -> Result<()> {
        let mut command = self.command(ctx, binary);
        command.args(["--exact", "roles::second_process", "--nocapture"]);
        command.env("WEAVEHEAP_TEST_ROLE", "fault").env("WEAVEHEAP_TEST_ARGUMENTS", fault);
        let answer = command.output().with_context(|| format!("cannot run {}", binary.display()))?;
        let said = String::from_utf8_lossy(&answer.stderr);
        if answer.status.success() || !said.contains(words) {
            bail!("{} does not see the planted {fault} ({}, no \"{words}\"):\n{said}", self.name, answer.status);
        }
        eprintln!("  {}: planted {fault} reported", self.name);
        ctx.count(Counts { passed: 1, ..Counts::default() });
        Ok(())
    }
}
