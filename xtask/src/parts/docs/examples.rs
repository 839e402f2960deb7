//! The examples of README and docs: blocks whose fence says `run` after the language are whole programs. They are run
//! against the built packages, a page's in order and with one folder of heaps; a block `text output` that follows one is
//! exactly what it prints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::markdown::{Block, Page};
use crate::ctx::{Counts, Ctx, Tool};
use crate::parts::{capi, node};

/// The languages that README shows. Each must have an example that is run.
const LANGUAGES: [&str; 5] = ["rust", "python", "js", "c", "cpp"];

/// A program of a page.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    line: usize,
    language: &'static str,
    code: String,
    output: Option<String>,
}

/// The examples of a page, and what is wrong with how they are marked.
fn examples(page: &Page) -> Result<Vec<Example>> {
    let mut found: Vec<Example> = Vec::new();
    let mut last_was_run = false;
    for Block { line, info, code } in &page.blocks {
        let words: Vec<&str> = info.iter().map(String::as_str).collect();
        match words.as_slice() {
            [language, "run"] => {
                let Some(language) = LANGUAGES.into_iter().find(|known| known == language) else {
                    bail!("line {line}: examples are run in {}, not in {language}", LANGUAGES.join(", "));
                };
                found.push(Example { line: *line, language, code: code.clone(), output: None });
                last_was_run = true;
                continue;
            }
            ["text", "output"] => match found.last_mut() {
                Some(example) if last_was_run => example.output = Some(code.clone()),
                _ => bail!("line {line}: an output without the example that prints it"),
            },
            [] | [_] => {}
            [_, word] if word.starts_with("file=") => {}
            _ => bail!(
                "line {line}: a block is `LANGUAGE`, `LANGUAGE run`, `LANGUAGE file=PATH` or `text output`, not `{}`",
                words.join(" ")
            ),
        }
        last_was_run = false;
    }
    Ok(found)
}

/// Runs all examples.
pub fn run(ctx: &Ctx, pages: &BTreeMap<String, Page>, python: &Path) -> Result<()> {
    let mut programs = Vec::new();
    for (name, page) in pages.iter().filter(|(name, _)| *name == "README.md" || name.starts_with("docs/")) {
        programs.push((name.as_str(), examples(page).with_context(|| name.clone())?));
    }
    for language in LANGUAGES {
        let shown = programs.iter().filter(|(name, _)| *name == "README.md").flat_map(|(_, examples)| examples);
        if !shown.into_iter().any(|example| example.language == language) {
            bail!("README.md has no {language} example that is run");
        }
    }
    let bench = Bench::new(ctx, python, &programs)?;
    let mut failed = Vec::new();
    for (name, examples) in programs.iter().filter(|(_, examples)| !examples.is_empty()) {
        let heaps = Heaps::new()?;
        for example in examples {
            let label = format!("{name}:{} ({})", example.line, example.language);
            match bench.run(ctx, &label, name, example, &heaps.folder) {
                Ok(()) => ctx.count(Counts { passed: 1, ..Counts::default() }),
                Err(error) => {
                    eprintln!("  {error:#}");
                    ctx.count(Counts { failed: 1, ..Counts::default() });
                    failed.push(label);
                }
            }
        }
        if let Some(left) = heaps.left()? {
            bail!("the examples of {name} leave the heap {left} behind: remove it in the last one");
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("examples failed: {}", failed.join(", ")) }
}

/// A folder of heaps for one page, removed with all in it.
struct Heaps {
    folder: PathBuf,
}

impl Heaps {
    fn new() -> Result<Heaps> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        // The first heap makes it, with the mode that it must have.
        let folder = parent.join(format!("weaveheap-docs-{}", std::process::id()));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(Heaps { folder })
    }

    fn left(&self) -> Result<Option<String>> {
        if !self.folder.exists() {
            return Ok(None);
        }
        let first = std::fs::read_dir(&self.folder)?.next().transpose()?;
        Ok(first.map(|entry| entry.file_name().to_string_lossy().into_owned()))
    }
}

impl Drop for Heaps {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            eprintln!("  {} could not be removed: {error}", self.folder.display());
        }
    }
}

/// The built packages and what runs programs against them.
struct Bench {
    folder: PathBuf,
    python: PathBuf,
    node: PathBuf,
    compiler: PathBuf,
    cxx: PathBuf,
    library: PathBuf,
    rust: PathBuf,
}

impl Bench {
    fn new(ctx: &Ctx, python: &Path, programs: &[(&str, Vec<Example>)]) -> Result<Bench> {
        let folder = ctx.target().join("docs");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let modules = folder.join("node_modules");
        std::fs::create_dir_all(&modules).with_context(|| format!("cannot make {}", modules.display()))?;
        link(&node::setup(ctx)?, &modules.join("weaveheap"))?;
        let compiler = ctx
            .tool(&Tool {
                programs: &["gcc", "cc", "clang"],
                packages: &["gcc", "libc6-dev"],
                tests: "the examples in C",
                remedy: "Install a C compiler.",
            })?
            .context("the examples in C need a C compiler")?;
        let cxx = ctx
            .tool(&Tool {
                programs: &["g++", "c++", "clang++"],
                packages: &["g++"],
                tests: "the examples in C++",
                remedy: "Install a C++ compiler.",
            })?
            .context("the examples in C++ need a C++ compiler")?;
        let library = folder.join("prefix");
        capi::install(ctx, &library)?;
        let rust = build_rust(ctx, &folder.join("rust"), programs)?;
        Ok(Bench { folder, python: python.to_owned(), node: ctx.node()?, compiler, cxx, library, rust })
    }

    fn run(&self, ctx: &Ctx, label: &str, page: &str, example: &Example, heaps: &Path) -> Result<()> {
        let stem = stem(page, example);
        let mut command = match example.language {
            "python" => {
                let mut command = Command::new(&self.python);
                command.args(["-W", "error"]).arg(self.write(&stem, "py", &example.code)?);
                command
            }
            "js" => {
                let mut command = Command::new(&self.node);
                command.arg(self.write(&stem, "mjs", &example.code)?);
                command
            }
            "c" | "cpp" => Command::new(self.compile(ctx, label, &stem, example)?),
            _ => Command::new(self.rust.join(format!("{stem}{}", std::env::consts::EXE_SUFFIX))),
        };
        command.current_dir(&self.folder).env("WEAVEHEAP_DIR", heaps).env_remove("WEAVEHEAP_INSPECT");
        let printed = ctx.output(label, &mut command)?;
        match &example.output {
            Some(wanted) if *wanted != printed => {
                bail!("{label} prints\n{printed}and the page says\n{wanted}")
            }
            _ => Ok(()),
        }
    }

    fn write(&self, stem: &str, extension: &str, code: &str) -> Result<PathBuf> {
        let path = self.folder.join(format!("{stem}.{extension}"));
        std::fs::write(&path, code).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Against the library as `cargo xtask install` lays it out.
    fn compile(&self, ctx: &Ctx, label: &str, stem: &str, example: &Example) -> Result<PathBuf> {
        let cxx = example.language == "cpp";
        let source = self.write(stem, example.language, &example.code)?;
        let program = self.folder.join(stem);
        let mut command = Command::new(if cxx { &self.cxx } else { &self.compiler });
        command.args([if cxx { "-std=c++17" } else { "-std=c11" }, "-Wall", "-Wextra", "-Werror"]).arg(&source);
        let libraries = self.library.join("lib");
        command.arg("-I").arg(self.library.join("include")).arg("-L").arg(&libraries).arg("-lweaveheap");
        command.arg(format!("-Wl,-rpath,{}", libraries.display())).arg("-o").arg(&program);
        ctx.output(&format!("compile {label}"), &mut command)?;
        Ok(program)
    }
}

/// Builds the examples in Rust as the programs of a package of its own, as a user's would be. Returns their folder.
fn build_rust(ctx: &Ctx, folder: &Path, programs: &[(&str, Vec<Example>)]) -> Result<PathBuf> {
    let sources = folder.join("src/bin");
    std::fs::create_dir_all(&sources).with_context(|| format!("cannot make {}", sources.display()))?;
    for (page, examples) in programs {
        for example in examples.iter().filter(|example| example.language == "rust") {
            std::fs::write(sources.join(format!("{}.rs", stem(page, example))), &example.code)?;
        }
    }
    let core = toml::Value::String(ctx.path("crates/core").display().to_string());
    let manifest = format!(
        "[package]\nname = \"examples\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\nweaveheap-core = {{ path = {core} }}\n\n[workspace]\n"
    );
    std::fs::write(folder.join("Cargo.toml"), manifest)?;
    // The versions that everything else is built with.
    std::fs::copy(ctx.path("Cargo.lock"), folder.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    let target = ctx.target().join("docs-rust");
    let mut build = ctx.cargo();
    build.current_dir(folder).env("CARGO_TARGET_DIR", &target).args(["build", "--quiet"]);
    ctx.run("build the examples in Rust", &mut build)?;
    Ok(target.join("debug"))
}

/// A file name for an example.
fn stem(page: &str, example: &Example) -> String {
    let plain: String =
        page.trim_end_matches(".md").chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    format!("{plain}_{}", example.line).to_lowercase()
}

#[cfg(unix)]
fn link(to: &Path, path: &Path) -> Result<()> {
    std::os::unix::fs::symlink(to, path).with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(windows)]
fn link(to: &Path, path: &Path) -> Result<()> {
    std::os::windows::fs::symlink_dir(to, path).with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Vec<Example>> {
        examples(&Page::new(text).unwrap())
    }

    #[test]
    fn runs_have_the_output_that_follows_them() {
        let found = found("```c run\nx\n```\n```text output\n1\n```\n```c\ny\n```\n```js run\nz\n```\n").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].language, found[0].output.as_deref()), ("c", Some("1\n")));
        assert_eq!((found[1].language, found[1].output.as_deref()), ("js", None));
    }

    #[test]
    fn marks_that_mean_nothing_are_refused() {
        assert!(found("```python rum\nx\n```\n").is_err());
        assert!(found("```go run\nx\n```\n").is_err());
        assert!(found("```text output\nx\n```\n").is_err());
        assert!(found("```c run\nx\n```\n```sh\ny\n```\n```text output\nx\n```\n").is_err());
    }
}
