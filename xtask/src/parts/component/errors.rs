//! The error codes of the component, written from `spec/errors.toml` (F3): in WIT, and what turns the core's into them.

use std::fmt::Write;

use anyhow::Result;

use crate::ctx::Ctx;
use crate::generate::Generated;
use crate::generate::errors::{ErrorEntry, entries};

/// The generated files.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    let list = entries(ctx)?;
    Ok(vec![
        Generated::new("wit/errors.wit", interface(&list)?),
        Generated::new("crates/wasm/component/src/error_code.rs", conversion(&list)?),
    ])
}

/// A name as WIT spells it: `StaleHandle` is `stale-handle`, `InvalidUtf8` is `invalid-utf8`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (position, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && position > 0 {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

fn interface(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = String::from(
        "// Written from spec/errors.toml by `cargo xtask gen`. Do not edit.\n\n\
         /// Why a call is refused. The codes are those of all languages.\n\
         interface errors {\n    \
         /// What went wrong. New codes come at the end.\n    \
         enum error-code {\n",
    );
    for ErrorEntry { number, name, meaning, remedy } in entries {
        writeln!(out, "        /// {number}: {meaning} {remedy}\n        {},", kebab(name))?;
    }
    out.push_str(
        "    }\n\n    \
         /// A refusal.\n    \
         record error {\n        \
         /// What went wrong.\n        \
         code: error-code,\n        \
         /// The handle that it was about, as 64 bits; 0 if it was about none. `heap.holders` says who is in the way of it.\n        \
         about: u64,\n        \
         /// What was wrong and what to do, for people; empty where there was no memory for it.\n        \
         message: string,\n    \
         }\n}\n",
    );
    Ok(out)
}

fn conversion(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = String::from(
        "//! The core's error codes as those of the interface, written from `spec/errors.toml` by `cargo xtask gen`. Do not edit.\n\n\
         use weaveheap_core::ErrorCode as Core;\n\n\
         use crate::bindings::exports::weaveheap::heap::errors::ErrorCode;\n\n\
         /// The same code. `Internal` for one that the core has since `cargo xtask gen` was last run.\n\
         pub(crate) fn of_core(code: Core) -> ErrorCode {\n    match code {\n",
    );
    for ErrorEntry { name, .. } in entries {
        writeln!(out, "        Core::{name} => ErrorCode::{name},")?;
    }
    out.push_str("        _ => ErrorCode::Internal,\n    }\n}\n");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::kebab;

    #[test]
    fn names_are_spelled_as_wit_has_them() {
        assert_eq!(kebab("StaleHandle"), "stale-handle");
        assert_eq!(kebab("InvalidUtf8"), "invalid-utf8");
        assert_eq!(kebab("Io"), "io");
    }
}
