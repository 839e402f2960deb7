//! The error list: `spec/errors.toml` is read here and becomes the Rust enum and the page in the docs (F3).

use std::fmt::Write;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Generated;
use crate::ctx::Ctx;

/// One entry of `spec/errors.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorEntry {
    /// Its number, never used for something else.
    pub number: i32,
    /// Its name in all languages.
    pub name: String,
    /// What it says, in one sentence.
    pub meaning: String,
    /// What to do, in one sentence.
    pub remedy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorList {
    error: Vec<ErrorEntry>,
}

/// The list, in order of number. Numbers are positive and used once, and so are names.
pub fn entries(ctx: &Ctx) -> Result<Vec<ErrorEntry>> {
    let path = ctx.path("spec/errors.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).context("spec/errors.toml")
}

fn parse(text: &str) -> Result<Vec<ErrorEntry>> {
    let list: ErrorList = toml::from_str(text)?;
    let mut last = 0;
    let mut names = std::collections::BTreeSet::new();
    for entry in &list.error {
        if entry.number <= last {
            bail!("{} has number {}, which is not greater than the one before it", entry.name, entry.number);
        }
        if !names.insert(&entry.name) {
            bail!("{} stands twice", entry.name);
        }
        last = entry.number;
    }
    Ok(list.error)
}

/// The files that are made of the list.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    let entries = entries(ctx)?;
    Ok(vec![
        Generated::new("crates/core/src/error_code.rs", formatted(ctx, &rust_enum(&entries)?)?),
        Generated::new("docs/errors.md", page(&entries)?),
    ])
}

/// Rust source as `cargo fmt` leaves it, so that the two never disagree.
fn formatted(ctx: &Ctx, source: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(ctx.path("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt does not start: `rustup component add rustfmt`")?;
    child.stdin.take().context("rustfmt takes no input")?.write_all(source.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("rustfmt refused what was generated");
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn rust_enum(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = String::from(
        "//! The error codes, written from `spec/errors.toml` by `cargo xtask gen`. Do not edit.\n\n\
         /// What went wrong. The numbers are part of the ABI and are never used for something else (F3).\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\n\
         #[repr(i32)]\n\
         #[non_exhaustive]\n\
         pub enum ErrorCode {\n",
    );
    for entry in entries {
        writeln!(out, "    /// {}\n    {} = {},", entry.meaning, entry.name, entry.number)?;
    }
    out.push_str("}\n\nimpl ErrorCode {\n    /// Every code, in order of number.\n    pub const ALL: &'static [ErrorCode] = &[\n");
    for entry in entries {
        writeln!(out, "        ErrorCode::{},", entry.name)?;
    }
    out.push_str(
        "    ];\n\n    \
         /// The code with this number; `None` for 0 (success) and for numbers not in use.\n    \
         pub fn from_number(number: i32) -> Option<ErrorCode> {\n        \
         Self::ALL.iter().copied().find(|code| code.number() == number)\n    }\n\n    \
         /// The number that crosses the C ABI.\n    \
         pub fn number(self) -> i32 {\n        self as i32\n    }\n",
    );
    let mut table = |doc: &str, name: &str, value: fn(&ErrorEntry) -> &str| -> Result<()> {
        writeln!(out, "\n    /// {doc}\n    pub fn {name}(self) -> &'static str {{\n        match self {{")?;
        for entry in entries {
            writeln!(out, "            ErrorCode::{} => {:?},", entry.name, value(entry))?;
        }
        out.push_str("        }\n    }\n");
        Ok(())
    };
    table("The name, the same in all languages.", "name", |entry| &entry.name)?;
    table("What the code says, in one sentence.", "meaning", |entry| &entry.meaning)?;
    table("What to do about it, in one sentence.", "remedy", |entry| &entry.remedy)?;
    out.push_str("}\n");
    Ok(out)
}

fn page(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = String::from(
        "<!-- Written from spec/errors.toml by `cargo xtask gen`. Do not edit. -->\n\
         # Errors\n\n\
         One list for all languages. A number is never changed and never used for something else; 0 is success.\n\n\
         | language | what a program sees |\n|---|---|\n\
         | Rust | `weaveheap_core::Error`; `error.code()` is an `ErrorCode` |\n\
         | C | `weaveheap_error.code`, one of the numbers below; the message is in `weaveheap_error.message` |\n\
         | C++ | a `weaveheap::Error` that is thrown, or in a `Result`; `code()` is an `ErrorCode`, and `holders()` is JSON |\n\
         | Python | one exception class for each code, under `WeaveHeapError`, with `.code`, `.number` and `.holders` |\n\
         | Node, WebAssembly | an `Error` whose `code` is the name below; `holders` lists the borrows that were in the way |\n\
         | a host of the component | an `error` whose `code` is the name below, spelled `stale-handle`; `heap.holders` lists the borrows |\n\n\
         | number | code | what it says | what to do |\n|---|---|---|---|\n",
    );
    for entry in entries {
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(out, "| {} | `{}` | {} | {} |", entry.number, entry.name, cell(&entry.meaning), cell(&entry.remedy))?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::parse;

    const ONE: &str = "[[error]]\nnumber = 1\nname = \"A\"\nmeaning = \"m\"\nremedy = \"r\"\n";

    #[test]
    fn a_number_used_twice_is_refused() {
        assert_eq!(parse(ONE).unwrap().len(), 1);
        let twice = format!("{ONE}{}", ONE.replace("\"A\"", "\"B\""));
        assert!(parse(&twice).unwrap_err().to_string().contains("B has number 1"));
    }

    #[test]
    fn a_name_used_twice_is_refused() {
        let twice = format!("{ONE}{}", ONE.replace("= 1", "= 2"));
        assert!(parse(&twice).unwrap_err().to_string().contains("A stands twice"));
    }
}
