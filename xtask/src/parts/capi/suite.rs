//! The tests in C: each way to build them, each tool that watches them, and proof that the tools see.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::build::{Library, compiler};
use crate::ctx::{Counts, Ctx, Tool};

/// What watches a program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Nothing.
    Plain,
    /// AddressSanitizer with its leak checker, and UBSan, in the C code; they also watch what the library allocates.
    Sanitizers,
    /// Valgrind, with its leak checker.
    Valgrind,
}

/// Valgrind refuses the 64 GiB of an ordinary heap; the tests and the conformance runner read their limit here.
const SMALL: (&str, &str) = ("WEAVEHEAP_TEST_LIMIT", "1073741824");

/// Where the C tests are built, and the heaps' folder that they use.
pub struct Suite<'a> {
    ctx: &'a Ctx,
    folder: PathBuf,
    heaps: PathBuf,
    valgrind: Option<PathBuf>,
}

impl<'a> Suite<'a> {
    /// The suite, with its tools.
    pub fn new(ctx: &'a Ctx) -> Result<Suite<'a>> {
        let folder = ctx.target().join("capi").join("tests");
        let heaps = folder.join("heaps");
        if heaps.exists() {
            std::fs::remove_dir_all(&heaps).with_context(|| format!("cannot remove {}", heaps.display()))?;
        }
        std::fs::create_dir_all(&heaps).with_context(|| format!("cannot make {}", heaps.display()))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&heaps, std::fs::Permissions::from_mode(0o700))?;
        }
        // There is no valgrind for other systems.
        let valgrind = if cfg!(target_os = "linux") {
            ctx.tool(&Tool {
                programs: &["valgrind"],
                packages: &["valgrind"],
                tests: "the C tests under valgrind",
                remedy: "Install valgrind.",
            })?
        } else {
            None
        };
        Ok(Suite { ctx, folder, heaps, valgrind })
    }

    /// What the suite runs with.
    pub fn ctx(&self) -> &Ctx {
        self.ctx
    }

    /// The ways to watch that this system has.
    pub fn watches(&self) -> Vec<Watch> {
        let mut watches = vec![Watch::Plain, Watch::Sanitizers];
        watches.extend(self.valgrind.is_some().then_some(Watch::Valgrind));
        watches
    }

    /// Compiles a program from sources of `crates/capi`, linked with this library.
    pub fn compile(
        &self,
        name: &str,
        sources: &[PathBuf],
        library: Option<&Library>,
        how: (Watch, bool),
        defines: &[&str],
    ) -> Result<PathBuf> {
        let (watch, cxx) = how;
        let binary = self.folder.join(name);
        let mut command = compiler(self.ctx, cxx)?;
        if cxx {
            command.args(["-x", "c++", "-std=c++17"]);
        } else {
            command.arg("-std=c11");
        }
        if watch == Watch::Sanitizers {
            command.args([
                "-fsanitize=address,undefined",
                "-fno-sanitize-recover=undefined",
                "-fno-omit-frame-pointer",
            ]);
        }
        command.arg("-I").arg(self.ctx.path("include")).args(defines).args(sources).arg("-o").arg(&binary);
        if cxx {
            command.args(["-x", "none"]);
        }
        if let Some(library) = library {
            // The program finds the library beside this link, under the name that it records.
            command.arg("-Wpedantic");
            let links = self.folder.join(format!("{name}.lib"));
            self.link(library, &links)?;
            command.arg("-L").arg(&links).arg("-lweaveheap").arg(format!("-Wl,-rpath,{}", links.display()));
        }
        command.args(["-lm", "-lpthread", "-ldl"]);
        self.ctx.run(&format!("compile {name}"), &mut command)?;
        Ok(binary)
    }

    fn link(&self, library: &Library, folder: &Path) -> Result<()> {
        if folder.exists() {
            std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let plain = library.shared.file_name().context("a library without a name")?;
        for name in [plain, super::build::SONAME.as_ref()] {
            #[cfg(unix)]
            std::os::unix::fs::symlink(&library.shared, folder.join(name))?;
            #[cfg(not(unix))]
            std::fs::copy(&library.shared, folder.join(name))?;
        }
        Ok(())
    }

    /// The command that runs a program under a watch.
    pub fn command(&self, binary: &Path, watch: Watch) -> Result<Command> {
        let mut command = match watch {
            Watch::Valgrind => {
                let mut command = Command::new(self.valgrind.as_ref().context("valgrind is missing")?);
                command.args(["-q", "--error-exitcode=99", "--leak-check=full", "--fair-sched=yes"]);
                command.args(["--errors-for-leak-kinds=definite,indirect", "--show-leak-kinds=definite,indirect"]);
                command.arg(format!(
                    "--suppressions={}",
                    self.ctx.root().join("crates/capi/tests/c/valgrind.supp").display()
                ));
                command.arg(binary).env(SMALL.0, SMALL.1);
                command
            }
            Watch::Plain | Watch::Sanitizers => Command::new(binary),
        };
        command.env("WEAVEHEAP_DIR", &self.heaps).env("RUST_BACKTRACE", "0").env("RUST_LIB_BACKTRACE", "0");
        // Cargo sets these for what it runs; they would go before the folder that the program was linked with.
        command.env_remove("LD_LIBRARY_PATH").env_remove("DYLD_FALLBACK_LIBRARY_PATH").env_remove("DYLD_LIBRARY_PATH");
        let leaks = if cfg!(target_os = "linux") { "detect_leaks=1:" } else { "" };
        command.env("ASAN_OPTIONS", format!("{leaks}strict_string_checks=1:detect_stack_use_after_return=1"));
        command.env("UBSAN_OPTIONS", "print_stacktrace=1");
        Ok(command)
    }

    /// Runs a program that closes with `N passed, N failed`.
    pub fn run(&self, label: &str, binary: &Path, watch: Watch, arguments: &[&Path]) -> Result<()> {
        self.ctx.run_tests(label, self.command(binary, watch)?.args(arguments)).map(|_| ())
    }

    /// The tests of every noun.
    pub fn nouns(&self, library: &Library, watch: Watch, cxx: bool, test_symbols: bool) -> Result<()> {
        let language = if cxx { "c++17" } else { "c11" };
        let name = format!("tests-{language}-{}{}", watch.name(), if test_symbols { "-symbols" } else { "" });
        let defines: &[&str] = if test_symbols { &["-DWEAVEHEAP_TEST_SYMBOLS"] } else { &[] };
        let sources = files(&self.ctx.path("crates/capi/tests/c"), "c", &["dlopen.c"])?;
        let binary = self.compile(&name, &sources, Some(library), (watch, cxx), defines)?;
        self.run(&name, &binary, watch, &[])
    }

    /// Loading, closing and loading the library again.
    pub fn dlopen(&self, library: &Library, watch: Watch) -> Result<()> {
        let name = format!("dlopen-{}", watch.name());
        let source = self.ctx.path("crates/capi/tests/c/dlopen.c");
        let binary = self.compile(&name, &[source], None, (watch, false), &[])?;
        // The heap is dropped with a borrow on purpose, so its records are not given back.
        self.ctx
            .run_tests(&name, self.command(&binary, watch)?.arg(&library.shared).env("LSAN_OPTIONS", "exitcode=0"))
            .map(|_| ())
    }

    /// Each planted fault must be reported by each tool that is to see it.
    pub fn planted(&self, library: &Library) -> Result<()> {
        let faults = [
            ("use_after_free", Watch::Sanitizers, "heap-use-after-free"),
            ("use_after_free", Watch::Valgrind, "Invalid read"),
            ("leak", Watch::Sanitizers, "detected memory leaks"),
            ("leak", Watch::Valgrind, "definitely lost"),
            ("undefined", Watch::Sanitizers, "signed integer overflow"),
        ];
        for (fault, watch, words) in faults {
            // The leak checker of AddressSanitizer is Linux's alone.
            let absent = match watch {
                Watch::Valgrind => self.valgrind.is_none(),
                _ => fault == "leak" && !cfg!(target_os = "linux"),
            };
            if absent {
                continue;
            }
            let name = format!("planted-{fault}-{}", watch.name());
            let source = self.ctx.path("crates/capi/tests/c/planted").join(fault).with_extension("c");
            let binary = self.compile(&name, &[source], Some(library), (watch, false), &[])?;
            let answer = self.command(&binary, watch)?.output().with_context(|| format!("cannot run {name}"))?;
            let said = String::from_utf8_lossy(&answer.stderr);
            if answer.status.success() || !said.contains(words) {
                bail!("{name}: the fault was not reported ({}, no \"{words}\"):\n{said}", answer.status);
            }
            eprintln!("  {name}  reported");
            self.ctx.count(Counts { passed: 1, ..Counts::default() });
        }
        Ok(())
    }

    /// The conformance cases, and those that must fail.
    pub fn conformance(&self, library: &Library, watch: Watch) -> Result<()> {
        let name = format!("conformance-{}", watch.name());
        let source = self.ctx.path("crates/capi/tests/conformance/runner.c");
        let binary = self.compile(&name, &[source], Some(library), (watch, false), &[])?;
        let cases = self.ctx.path("conformance");
        self.run(&name, &binary, watch, &[&cases])?;
        self.run(&format!("{name} (wrong cases)"), &binary, watch, &[&cases, Path::new("--wrong")])
    }

    /// No test left a heap behind.
    pub fn nothing_is_left(&self) -> Result<()> {
        let left: Vec<_> = std::fs::read_dir(&self.heaps)?.flatten().map(|entry| entry.file_name()).collect();
        if !left.is_empty() {
            bail!("the C tests left {left:?} in the folder of heaps");
        }
        Ok(())
    }
}

impl Watch {
    /// Its part of a program's name.
    pub fn name(self) -> &'static str {
        match self {
            Watch::Plain => "plain",
            Watch::Sanitizers => "sanitizers",
            Watch::Valgrind => "valgrind",
        }
    }
}

/// The files of a folder that end so, by name, without some.
pub fn files(folder: &Path, end: &str, without: &[&str]) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == end))
        .filter(|path| !without.iter().any(|name| path.file_name().is_some_and(|file| file == *name)))
        .collect();
    files.sort();
    Ok(files)
}
