//! What builds for WebAssembly: compilers with a standard library for each kind of module, `wasm-bindgen`, `wasm-opt`.
//!
//! rustup brings the library for plain `wasm32-unknown-unknown` where it can. All else is built once from the library's
//! source, which rustup has, or else Debian beside a compiler of its own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Ctx;
use super::tools::fingerprint;

/// The version of npm's package `binaryen`, which has `wasm-opt`.
const BINARYEN: &str = "132.0.0";

/// A kind of module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wasm {
    /// Memory of 32 bits and one thread.
    Wasm32,
    /// Memory of 32 bits that threads share.
    Threads,
    /// Memory of 64 bits and one thread.
    Wasm64,
    /// As `Wasm32`, as small as it can be: for what is loaded through the network.
    Small,
}

impl Wasm {
    /// What people and folders call it.
    pub fn name(self) -> &'static str {
        match self {
            Wasm::Wasm32 => "wasm32",
            Wasm::Threads => "wasm32-threads",
            Wasm::Wasm64 => "wasm64",
            Wasm::Small => "wasm32-small",
        }
    }

    /// What the compiler calls it.
    pub fn triple(self) -> &'static str {
        match self {
            Wasm::Wasm32 | Wasm::Threads | Wasm::Small => "wasm32-unknown-unknown",
            Wasm::Wasm64 => "wasm64-unknown-unknown",
        }
    }

    /// What all of a module is compiled with, the standard library too.
    fn features(self) -> &'static [&'static str] {
        match self {
            Wasm::Wasm32 | Wasm::Wasm64 => &[],
            Wasm::Threads => &["-Ctarget-feature=+atomics,+bulk-memory,+mutable-globals"],
            // A panic traps without a word: the code of its words is as large as the rest.
            Wasm::Small => &[
                "-Cembed-bitcode=yes",
                "-Zunstable-options",
                "-Cpanic=immediate-abort",
                "-Copt-level=z",
                "-Zfmt-debug=none",
                "-Zlocation-detail=none",
            ],
        }
    }

    /// What a module is linked with.
    fn linked(self) -> &'static [&'static str] {
        match self {
            Wasm::Wasm32 | Wasm::Wasm64 => &[],
            Wasm::Threads => &[
                "-Clink-arg=--shared-memory",
                "-Clink-arg=--import-memory",
                "-Clink-arg=--max-memory=4294967296",
                // What a thread sets up for itself, and what it is told to do.
                "-Clink-arg=--export=__stack_pointer",
                "-Clink-arg=--export=__wasm_init_tls",
                "-Clink-arg=--export=__tls_size",
                "-Clink-arg=--export=__tls_align",
                "-Clink-arg=--export=__tls_base",
                "-Clink-arg=--export-table",
            ],
            Wasm::Small => &[
                // Whoever makes an instance says how far its memory may grow.
                "-Clink-arg=--import-memory",
                // What the compiler does to loops and loads for speed's sake makes code longer.
                "-Cllvm-args=-disable-lsr",
                "-Cllvm-args=-enable-load-pre=false",
            ],
        }
    }
}

/// A compiler, and the linker for its modules where it brings none.
#[derive(Clone, Debug)]
struct Compiler {
    cargo: PathBuf,
    rustc: PathBuf,
    linker: Option<PathBuf>,
    /// Debian's stands beside the one that runs this program.
    debian: bool,
}

/// All that builds one kind of module.
#[derive(Clone, Debug)]
pub struct WasmKit {
    /// The kind.
    pub wasm: Wasm,
    compiler: Compiler,
    sysroot: Option<PathBuf>,
    target: PathBuf,
}

impl WasmKit {
    /// `cargo`, in the root, with compiler, flags and a target folder of its own. The caller adds the command and its
    /// arguments; `--target` is for all commands that build, and comes from [`WasmKit::target_args`].
    pub fn cargo(&self, ctx: &Ctx) -> Command {
        let mut flags = ctx.release_rustflags();
        flags.extend(self.wasm.features().iter().chain(self.wasm.linked()).map(|flag| (*flag).to_owned()));
        if let Some(sysroot) = &self.sysroot {
            flags.extend(["--sysroot".to_owned(), sysroot.display().to_string()]);
        }
        let mut command = self.compiler.command(ctx, self.wasm);
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        if self.wasm != Wasm::Wasm32 {
            // These targets and their instructions are not stable.
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    /// `--target` and its value.
    pub fn target_args(&self) -> [&'static str; 2] {
        ["--target", self.wasm.triple()]
    }

    /// Whether its compiler comes with clippy.
    pub fn has_clippy(&self) -> bool {
        !self.compiler.debian
    }

    /// The folder in which a profile's modules are: `debug` or `release`.
    pub fn modules(&self, profile: &str) -> PathBuf {
        self.target.join(self.wasm.triple()).join(profile)
    }
}

impl Compiler {
    fn command(&self, ctx: &Ctx, wasm: Wasm) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(ctx.root()).env_remove("RUSTFLAGS");
        if self.debian {
            // What rustup's `cargo` has set for its own tools.
            command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
            command.env("RUSTC", &self.rustc).env("RUSTDOC", self.rustc.with_file_name("rustdoc"));
        }
        if let Some(linker) = &self.linker {
            let triple = wasm.triple().to_uppercase().replace('-', "_");
            command.env(format!("CARGO_TARGET_{triple}_LINKER"), linker);
        }
        command
    }

    /// What this compiler answers.
    fn ask(&self, ctx: &Ctx, question: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.rustc);
        command.current_dir(ctx.root()).args(question);
        if self.debian {
            command.env_remove("RUSTUP_TOOLCHAIN");
        }
        let answer = command.output().with_context(|| format!("cannot run {}", self.rustc.display()))?;
        ensure!(answer.status.success(), "{} {} failed", self.rustc.display(), question.join(" "));
        Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }
}

impl Ctx {
    /// True if the toolchain has a target, or rustup could add it.
    pub fn has_target(&self, target: &str) -> bool {
        if self.target_installed(target) {
            return true;
        }
        let Some(rustup) = self.find("rustup") else { return false };
        // Fails where rustup can fetch nothing; the other way is taken then.
        let added = Command::new(rustup).current_dir(self.root()).args(["target", "add", target]).output();
        added.is_ok_and(|output| output.status.success()) && self.target_installed(target)
    }

    fn target_installed(&self, target: &str) -> bool {
        let question = ["--print", "target-libdir", "--target", target];
        let asked = Command::new("rustc").current_dir(self.root()).args(question).output();
        asked.is_ok_and(|output| {
            let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let mut files = std::fs::read_dir(Path::new(&folder)).into_iter().flatten();
            output.status.success() && files.next().is_some()
        })
    }

    /// What builds this kind of module. `None` says that it is missing and that these tests were noted as left out; in CI
    /// that is an error.
    pub fn wasm_kit(&self, wasm: Wasm, tests: &str) -> Result<Option<WasmKit>> {
        let target = self.target().join("wasm").join(wasm.name());
        let rustup = Compiler { cargo: cargo(), rustc: "rustc".into(), linker: None, debian: false };
        if wasm == Wasm::Wasm32 && self.has_target(wasm.triple()) {
            return Ok(Some(WasmKit { wasm, compiler: rustup, sysroot: None, target }));
        }
        let source = self.std_source(&rustup)?;
        let compiler = match source {
            true => Some(rustup),
            false => self.debian_compiler(tests)?,
        };
        let Some(compiler) = compiler else { return Ok(None) };
        let sysroot = self.sysroot(wasm, &compiler)?;
        // Two compilers do not share a folder.
        let target = if compiler.debian { target.with_extension("debian") } else { target };
        Ok(Some(WasmKit { wasm, compiler, sysroot: Some(sysroot), target }))
    }

    /// Whether the source of the standard library is there, fetched by rustup if it can be.
    fn std_source(&self, compiler: &Compiler) -> Result<bool> {
        let sysroot = PathBuf::from(compiler.ask(self, &["--print", "sysroot"])?);
        let lock = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
        if !lock.exists()
            && let Some(rustup) = self.find("rustup")
        {
            // Where nothing can be fetched, the other way is taken.
            let mut fetch = Command::new(rustup);
            let _ = fetch.current_dir(self.root()).args(["component", "add", "rust-src"]).output();
        }
        Ok(lock.exists())
    }

    /// Debian's compiler, which brings the source of its library, and its linker.
    fn debian_compiler(&self, tests: &str) -> Result<Option<Compiler>> {
        let compiler = Compiler {
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
            linker: Some("/usr/bin/wasm-ld-22".into()),
            debian: true,
        };
        let source = Path::new("/usr/lib/rustlib/src/rust/library/Cargo.toml");
        let needed = || [&compiler.cargo, &compiler.rustc].into_iter().chain(&compiler.linker).map(PathBuf::as_path);
        let there = || needed().chain([source]).all(Path::exists);
        if !there() && self.can_apt() {
            self.apt(&["rustc-web", "cargo-web", "rust-web-src", "lld-22"])?;
        }
        if !there() {
            let remedy = "Run `rustup target add wasm32-unknown-unknown` and `rustup component add rust-src`, or on Debian install rustc-web cargo-web rust-web-src lld-22.";
            self.leave_out(tests, "a Rust compiler with a library for WebAssembly is missing", remedy)?;
            return Ok(None);
        }
        Ok(Some(compiler))
    }

    /// A compiler's libraries, and those for this kind of module, which are built from their source the first time.
    fn sysroot(&self, wasm: Wasm, compiler: &Compiler) -> Result<PathBuf> {
        let version = compiler.ask(self, &["-vV"])?;
        let stamp = fingerprint(format!("{version}{:?}", wasm.features()).as_bytes());
        let folder = self.target().join("wasm").join(format!("sysroot-{}-{stamp:016x}", wasm.name()));
        if folder.exists() {
            return Ok(folder);
        }
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
        let draft = folder.with_extension("draft");
        let empty = draft.join("empty");
        let build = draft.join("build");
        if draft.exists() {
            std::fs::remove_dir_all(&draft).with_context(|| format!("cannot remove {}", draft.display()))?;
        }
        write(
            &empty.join("Cargo.toml"),
            "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[profile.release]\npanic = \"abort\"\n[workspace]\n",
        )?;
        write(&empty.join("src/lib.rs"), "")?;
        let mut flags = self.release_rustflags();
        flags.extend(wasm.features().iter().map(|flag| (*flag).to_owned()));
        let mut command = compiler.command(self, wasm);
        command
            .current_dir(&empty)
            .args(["build", "--release", "--target", wasm.triple()])
            .args(match wasm {
                Wasm::Small => {
                    &["-Z", "build-std=std,panic_abort", "-Z", "build-std-features=optimize_for_size"] as &[_]
                }
                _ => &["-Z", "build-std=std,panic_abort,test"],
            })
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &build)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        self.run(&format!("build the standard library for {} (once)", wasm.name()), &mut command)?;
        let place = draft.join("lib/rustlib").join(wasm.triple()).join("lib");
        std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let built = build.join(wasm.triple()).join("release/deps");
        for entry in std::fs::read_dir(&built).with_context(|| format!("cannot read {}", built.display()))? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            if path.extension() == Some(OsStr::new("rlib")) && !name.to_string_lossy().starts_with("libempty-") {
                std::fs::copy(&path, place.join(&name)).with_context(|| format!("cannot copy {}", path.display()))?;
            }
        }
        let own = PathBuf::from(compiler.ask(self, &["--print", "sysroot"])?).join("lib/rustlib").join(host);
        link(&own, &draft.join("lib/rustlib").join(host))?;
        for done in [empty, build] {
            std::fs::remove_dir_all(&done).with_context(|| format!("cannot remove {}", done.display()))?;
        }
        std::fs::rename(&draft, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// The project's `wasm-bindgen`, built the first time: `MODULE FOLDER --target web|nodejs|bundler|factory --name NAME`. It is of
    /// the same version as the crate, which cargo's lock of it says.
    pub fn wasm_bindgen(&self) -> Result<PathBuf> {
        let folder = self.target().join("wasm").join("bindgen");
        let manifest = self.path("xtask/bindgen/Cargo.toml");
        let mut command = self.cargo();
        command.args(["build", "--release", "--locked", "--manifest-path"]).arg(manifest);
        self.run("build wasm-bindgen", command.env("CARGO_TARGET_DIR", &folder))?;
        Ok(folder.join("release").join(if cfg!(windows) { "weaveheap-bindgen.exe" } else { "weaveheap-bindgen" }))
    }

    /// `wasm-opt`, fetched the first time. The caller adds its arguments.
    pub fn wasm_opt(&self) -> Result<Command> {
        let mut command = Command::new(self.node()?);
        command.arg(self.npm_program("binaryen", BINARYEN, "bin/wasm-opt")?);
        Ok(command)
    }
}

fn cargo() -> PathBuf {
    std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")).into()
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> Result<()> {
    std::os::unix::fs::symlink(to, at).with_context(|| format!("cannot link {}", at.display()))
}

#[cfg(not(unix))]
fn link(to: &Path, _at: &Path) -> Result<()> {
    anyhow::bail!("{} cannot be linked on this system: add the target with rustup", to.display())
}
