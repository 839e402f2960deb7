//! What of the package `weaveheap-wasm` is written from the same source as Node's: the classes of errors, and all types.

use anyhow::{Context, Result};

use super::node::errors::class;
use crate::ctx::Ctx;
use crate::generate::Generated;
use crate::generate::errors::{ErrorEntry, entries};

const NOTE: &str = "// Written by `cargo xtask gen`. Do not edit.\n";

/// The generated files.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    let types = |name: &str| -> Result<String> {
        let path = ctx.path("crates/node").join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let own = types("index.d.ts")?.replace("./lib/error_codes.js", "./error_codes.js");
    let errors = types("lib/error_codes.d.ts")?.replace("'../index.js'", "'./weaveheap.js'");
    Ok(vec![
        Generated::new("crates/wasm/lib/error_codes.mjs", classes(&entries(ctx)?)),
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
    ])
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
