//! What of the package `weaveheap-wasm` is written from the same source as Node's: the classes of errors, all types, and the
//! JavaScript that needs neither of the native halves.

use anyhow::{Context, Result, ensure};

use crate::ctx::Ctx;
use crate::generate::Generated;
use crate::generate::errors::{ErrorEntry, entries};
use crate::parts::node::errors::class;

mod messages;

const NOTE: &str = "// Written by `cargo xtask gen`. Do not edit.\n";
/// Modules of `crates/node/lib` that both packages have.
const MODULES: [&str; 5] = ["bytes_of", "owners", "scope", "typed_arrays", "weaveheap_error"];

/// The generated files.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    let node = |name: &str| -> Result<String> {
        let path = ctx.path("crates/node").join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let own = node("index.d.ts")?.replace("./lib/error_codes.js", "./error_codes.js");
    let errors = node("lib/error_codes.d.ts")?.replace("'../index.js'", "'./weaveheap.js'");
    let list = entries(ctx)?;
    let mut files = vec![
        Generated::new("crates/wasm/lib/error_codes.mjs", classes(&list)),
        Generated::new("crates/wasm/lib/error_texts.mjs", texts(&list)?),
        Generated::new("crates/wasm/lib/messages.mjs", messages::write(ctx)?),
        Generated::new(
            "crates/wasm/lib/version.mjs",
            format!(
                "{NOTE}\n/** The version of the package. */\nexport const VERSION = '{}';\n",
                env!("CARGO_PKG_VERSION")
            ),
        ),
        Generated::new(
            "crates/wasm/types/weaveheap.d.ts",
            format!("{NOTE}// Those of the package `weaveheap`.\n{own}"),
        ),
        Generated::new("crates/wasm/types/error_codes.d.ts", errors),
    ];
    for name in MODULES {
        let text = module(name, &node(&format!("lib/{name}.js"))?)?;
        files.push(Generated::new(format!("crates/wasm/lib/{name}.mjs"), text));
    }
    Ok(files)
}

/// A CommonJS module as an ES module: what it requires, each with a line of its own, and what it exports, in its last line.
fn module(name: &str, text: &str) -> Result<String> {
    let mut out = format!("// Written from `crates/node/lib/{name}.js` by `cargo xtask gen`. Do not edit.\n");
    for line in text.lines().filter(|line| *line != "'use strict';") {
        let required = line
            .strip_prefix("const ")
            .and_then(|rest| rest.strip_suffix(".js');"))
            .and_then(|rest| rest.split_once(" = require('./"));
        if let Some((names, from)) = required {
            out.push_str(&format!("import {names} from './{from}.mjs';\n"));
        } else if let Some(names) = line.strip_prefix("module.exports = ") {
            out.push_str(&format!("export {names}\n"));
        } else {
            ensure!(
                !line.contains("require(") && !line.contains("exports"),
                "{line:?} cannot be written as an ES module"
            );
            out.push_str(&format!("{line}\n"));
        }
    }
    Ok(out)
}

fn classes(entries: &[ErrorEntry]) -> String {
    let mut out = format!(
        "{NOTE}\nimport {{ WeaveHeapError }} from './weaveheap_error.mjs';\n\nexport {{ WeaveHeapError }} from './weaveheap_error.mjs';\n"
    );
    for entry in entries {
        let (comment, declared) = class(entry);
        out.push_str(&format!("\n{comment}export {declared}"));
    }
    out
}

/// What the codes say and what to do about them, which the module leaves to JavaScript.
fn texts(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = format!(
        "{NOTE}\n/** What each code says, and what to do about it, by number. */\nexport const TEXTS = new Map([\n"
    );
    for ErrorEntry { number, meaning, remedy, .. } in entries {
        let (meaning, remedy) = (serde_json::to_string(meaning)?, serde_json::to_string(remedy)?);
        out.push_str(&format!("  [{number}, [{meaning}, {remedy}]],\n"));
    }
    out.push_str("]);\n");
    Ok(out)
}
