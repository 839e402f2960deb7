//! The error classes of the npm package, written from `spec/errors.toml` (F3): for CommonJS, for ES modules, and their
//! types.

use std::fmt::Write;

use anyhow::Result;

use crate::ctx::Ctx;
use crate::generate::Generated;
use crate::generate::errors::{ErrorEntry, entries};

const NOTE: &str = "// Written from spec/errors.toml by `cargo xtask gen`. Do not edit.\n";

/// The generated files.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    let list = entries(ctx)?;
    Ok(vec![
        Generated::new("crates/node/lib/error_codes.js", classes(&list)?),
        Generated::new("crates/node/lib/error_codes.mjs", names(&list)?),
        Generated::new("crates/node/lib/error_codes.d.ts", types(&list)?),
    ])
}

fn classes(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = format!("'use strict';\n{NOTE}\nconst {{ WeaveHeapError }} = require('./weaveheap_error.js');\n");
    for entry in entries {
        let (comment, declared) = class(entry);
        let name = &entry.name;
        write!(out, "\n{comment}{declared}exports.{name}Error = {name}Error;\n")?;
    }
    out.push_str("\n/** The classes by number. */\nexports.CLASSES = new Map([\n");
    for ErrorEntry { number, name, .. } in entries {
        writeln!(out, "  [{number}, {name}Error],")?;
    }
    out.push_str("]);\n");
    Ok(out)
}

/// The comment and the declaration of a class.
pub fn class(ErrorEntry { number, name, meaning, remedy }: &ErrorEntry) -> (String, String) {
    let declared = format!(
        "class {name}Error extends WeaveHeapError {{\n  static code = '{name}';\n  static number = {number};\n}}\n"
    );
    (format!("/** {meaning} {remedy} */\n"), declared)
}

fn names(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = format!("{NOTE}\nimport weaveheap from '../index.js';\n\nexport const {{\n  WeaveHeapError,\n");
    for ErrorEntry { name, .. } in entries {
        writeln!(out, "  {name}Error,")?;
    }
    out.push_str("} = weaveheap;\n");
    Ok(out)
}

fn types(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = format!(
        "{NOTE}\nimport {{ WeaveHeapError }} from '../index.js';\n\n/** The names of the codes, the same in all languages. */\nexport type ErrorCode =\n"
    );
    for (position, ErrorEntry { name, .. }) in entries.iter().enumerate() {
        writeln!(out, "  | '{name}'{}", if position + 1 == entries.len() { ";" } else { "" })?;
    }
    for ErrorEntry { number, name, meaning, remedy } in entries {
        write!(
            out,
            "\n/** {meaning} {remedy} */\nexport class {name}Error extends WeaveHeapError {{\n  readonly code: '{name}';\n  \
             readonly number: {number};\n}}\n"
        )?;
    }
    Ok(out)
}
