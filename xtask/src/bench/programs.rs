//! The programs that measure: building them, running them, and reading what they print, a JSON object a line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use super::report::Outcome;
use super::rows::{Program, Row};
use crate::ctx::Ctx;
use crate::parts;

/// The package of the hottest operations.
pub const OPS: &str = "weaveheap-bench-ops";

/// How each program is started.
pub struct Programs(BTreeMap<&'static str, Command>);

/// Builds what these rows need.
pub fn build(ctx: &Ctx, rows: &[&Row]) -> Result<Programs> {
    let mut commands = BTreeMap::new();
    for program in Program::ALL {
        if rows.iter().any(|row| row.by == program) {
            commands.insert(program.name(), command(ctx, program)?);
        }
    }
    Ok(Programs(commands))
}

/// Builds one program, and says how it is started.
fn command(ctx: &Ctx, program: Program) -> Result<Command> {
    let mut command = match program {
        Program::Rust => rust(ctx, "weaveheap-bench", "rows")?,
        Program::Handoff => rust(ctx, "weaveheap-bench-handoff", "rows")?,
        Program::C => {
            let mut command = rust(ctx, "weaveheap-bench", "rows")?;
            let library = ctx.release_build("weaveheap-capi")?.join(library_name("weaveheap"));
            command.env("WEAVEHEAP_BENCH_CAPI", library).env("WEAVEHEAP_BENCH_C", c_loop(ctx)?);
            command
        }
        Program::Counters => {
            let mut command = rust(ctx, "weaveheap-bench", "rows")?;
            let counting = ctx.release_build(OPS)?.join(library_name("weaveheap_bench_ops"));
            command.env("WEAVEHEAP_BENCH_OPS", counting).env("WEAVEHEAP_BENCH_OPS_PLAIN", without_counters(ctx)?);
            command
        }
        Program::Python => {
            let mut command = Command::new(parts::python::environment(ctx, "3.11")?.python);
            command.arg(ctx.path("benches/python/rows.py"));
            command
        }
        Program::Node => {
            let package = parts::node::setup(ctx)?;
            let mut command = Command::new(ctx.node()?);
            command.arg(ctx.path("benches/node/rows.mjs")).arg(package);
            command
        }
        Program::Wasm => {
            let package = parts::wasm_js::setup(ctx)?.context("nothing builds WebAssembly here")?;
            let mut command = Command::new(ctx.node()?);
            command.arg(ctx.path("benches/node/wasm.mjs")).arg(package).arg(parts::wasm_js::bench_peer(ctx)?);
            command
        }
        Program::Demo => {
            crate::demo::ready(ctx)?;
            Command::new(this_program()?)
        }
    };
    command.current_dir(ctx.root());
    Ok(command)
}

/// This program, also when a build has put another in its place meanwhile.
fn this_program() -> Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe().context("cannot find this program") }
}

/// One of the programs of the package, told what to do; built alone: the other links much more.
pub fn rust(ctx: &Ctx, name: &str, what: &str) -> Result<Command> {
    let mut build = ctx.cargo_release();
    build.args(["build", "--release", "--locked", "--package", "weaveheap-bench", "--bin", name]);
    ctx.run(&format!("build {name} (release)"), &mut build)?;
    let program = ctx.target().join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command.arg(what).current_dir(ctx.root());
    Ok(command)
}

/// What the compiler calls a shared library.
fn library_name(stem: &str) -> String {
    format!("{}{stem}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// The operations over a core that counts nothing, in a target folder of their own: the flag is for every crate.
fn without_counters(ctx: &Ctx) -> Result<PathBuf> {
    let target = ctx.target().join("bench").join("without-counters");
    let mut flags = ctx.release_rustflags();
    flags.extend(["--cfg", "weaveheap_no_counters"].map(str::to_owned));
    let mut command = ctx.cargo();
    command
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env_remove("RUSTFLAGS");
    command.args(["build", "--release", "--locked", "--package", OPS]);
    ctx.run(&format!("build {OPS} without counters"), &mut command)?;
    Ok(target.join("release").join(library_name("weaveheap_bench_ops")))
}

/// The loop in C. The program that loads it has loaded the library that it calls.
fn c_loop(ctx: &Ctx) -> Result<PathBuf> {
    let library = ctx.target().join("bench").join(library_name("weaveheap_bench_c"));
    let compiler = ["cc", "gcc", "clang"].iter().find_map(|name| ctx.find(name)).context("a C compiler is missing")?;
    let mut command = Command::new(compiler);
    command.args(["-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
    if cfg!(target_os = "macos") {
        command.args(["-undefined", "dynamic_lookup"]);
    }
    command.arg("-I").arg(ctx.path("include")).arg(ctx.path("benches/c/borrow.c")).arg("-o").arg(&library);
    std::fs::create_dir_all(ctx.target().join("bench"))?;
    ctx.run("compile the loop in C", &mut command)?;
    Ok(library)
}

impl Programs {
    /// Runs the program of these rows. `at` hears the name of each row as it begins, `got` what it gave.
    pub fn measure(
        &mut self,
        ctx: &Ctx,
        program: Program,
        rows: &[&str],
        quick: bool,
        at: &mut dyn FnMut(&str),
        got: &mut dyn FnMut(Outcome),
    ) -> Result<()> {
        let command = self.0.get_mut(program.name()).context("the program was not built")?;
        if program == Program::Demo {
            rows.iter().for_each(|row| at(row));
            let outcome = super::demo::measure(ctx, command, quick);
            got(outcome.unwrap_or_else(|error| Outcome::failed(rows[0], &error)));
            return Ok(());
        }
        command.args(rows).args(quick.then_some("--quick"));
        let mut missing: Vec<&str> = rows.to_vec();
        let ended = listen(command, |line| {
            if let Some(name) = line["begin"].as_str() {
                at(name);
            } else if line["row"].is_string() {
                let outcome = Outcome::of(&line)?;
                missing.retain(|name| *name != outcome.name());
                got(outcome);
            }
            Ok(())
        });
        // The rows of other programs can still be measured.
        let error = ended.err().unwrap_or_else(|| anyhow!("nothing was measured"));
        missing.iter().for_each(|name| got(Outcome::failed(name, &error)));
        Ok(())
    }
}

/// Runs a command and hears each line that it prints as data. What it says beside that is in the error if it fails, and
/// on the terminal in any case.
pub fn listen(command: &mut Command, mut hear: impl FnMut(Value) -> Result<()>) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
    let output = child.stdout.take().context("no output")?;
    let errors = child.stderr.take().context("no error output")?;
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        for line in BufReader::new(errors).split(b'\n').map_while(std::io::Result::ok) {
            eprintln!("{}", String::from_utf8_lossy(&line));
            said.extend(line);
            said.push(b'\n');
        }
        said
    });
    let mut result = Ok(());
    for line in BufReader::new(output).lines() {
        result = line.map_err(anyhow::Error::from).and_then(|line| {
            serde_json::from_str(&line).with_context(|| format!("{shown} says {line:?}")).and_then(&mut hear)
        });
        if result.is_err() {
            let _ = child.kill();
            break;
        }
    }
    let status = child.wait()?;
    let said = said.join().unwrap_or_default();
    result?;
    if status.success() { Ok(()) } else { bail!("{shown} ended with {status}: {}", last_words(&said, b"")) }
}

/// The end of what a program that failed has said, on one line: of its errors, or else of its output.
pub fn last_words(errors: &[u8], output: &[u8]) -> String {
    const LINES: usize = 6;
    let told = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let text = console::strip_ansi_codes(&text);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].join(" | ")
    };
    match (told(errors), told(output)) {
        (errors, _) if !errors.is_empty() => errors,
        (_, output) if !output.is_empty() => output,
        _ => "it says nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{last_words, listen};

    #[test]
    fn error_of_a_program_has_its_last_words() {
        let lines: String = (0..20).map(|number| format!("\u{1b}[31mline {number}\u{1b}[0m\n\n")).collect();
        assert_eq!(
            last_words(lines.as_bytes(), b"no"),
            (14..20).map(|n| format!("line {n}")).collect::<Vec<_>>().join(" | ")
        );
        assert_eq!(last_words(b"\n", b"some output\n"), "some output");
        assert_eq!(last_words(b"", b""), "it says nothing");
    }

    #[cfg(unix)]
    #[test]
    fn program_that_fails_is_heard_and_says_why() {
        let mut heard = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo '{\"begin\": \"x\"}'; echo 'no such luck' >&2; exit 3"]);
        let error = listen(&mut command, |line| {
            heard.push(line);
            Ok(())
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("3") && error.contains("no such luck"), "{error}");
        assert_eq!(heard.len(), 1);
    }
}
