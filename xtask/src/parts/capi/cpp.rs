//! The C++ binding: the error codes of its header, written from `spec/errors.toml`, its tests, and the conformance cases
//! through it; with exceptions and without, in C++17 and C++20.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::build::Library;
use super::suite::{Suite, Watch};
use crate::ctx::{Counts, Ctx};
use crate::generate::Generated;
use crate::generate::errors::{ErrorEntry, entries};

/// How the tests are built: a name for the program, and what the compiler is told. Later flags go before earlier ones.
const KINDS: [(&str, &[&str]); 4] = [
    ("c++17", &["-std=c++17"]),
    ("c++20", &["-std=c++20"]),
    ("c++17-results", &["-std=c++17", "-DWEAVEHEAP_NO_EXCEPTIONS"]),
    ("c++20-no-exceptions", &["-std=c++20", "-fno-exceptions"]),
];

/// The header's list of codes.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    Ok(vec![Generated::new("include/weaveheap/error_code.hpp", error_codes(&entries(ctx)?)?)])
}

fn error_codes(entries: &[ErrorEntry]) -> Result<String> {
    let mut out = String::from(
        "// Written from spec/errors.toml by `cargo xtask gen`. Do not edit.\n\n\
         #ifndef WEAVEHEAP_ERROR_CODE_HPP\n#define WEAVEHEAP_ERROR_CODE_HPP\n\n#include <cstdint>\n\n\
         namespace weaveheap {\n\n\
         /// What a call comes to. The numbers are those of weaveheap.h, and never change.\n\
         enum class ErrorCode : std::int32_t {\n  /// Success.\n  Ok = 0,\n",
    );
    for ErrorEntry { number, name, meaning, remedy } in entries {
        writeln!(out, "  /// {meaning}\n  /// {remedy}\n  {name} = {number},")?;
    }
    out.push_str("};\n\n}  // namespace weaveheap\n\n#endif  // WEAVEHEAP_ERROR_CODE_HPP\n");
    Ok(out)
}

impl Suite<'_> {
    /// The tests of the C++ header, each way to build them, and the conformance cases through it.
    pub fn cpp(&self, library: &Library, watch: Watch) -> Result<()> {
        let folder = self.ctx().path("crates/capi/tests/cpp");
        for (kind, flags) in KINDS {
            let name = format!("cpp-tests-{kind}-{}", watch.name());
            let sources = [folder.join("tests.cc"), folder.join("other_kind.cc")];
            let binary = self.compile(&name, &sources, Some(library), (watch, true), flags)?;
            self.run(&name, &binary, watch, &[])?;
        }
        let cases = self.ctx().path("conformance");
        // The runner itself throws; its calls of the library need not.
        for (kind, flags) in [KINDS[1], KINDS[2]] {
            let name = format!("cpp-conformance-{kind}-{}", watch.name());
            let binary = self.compile(&name, &[folder.join("conformance.cc")], Some(library), (watch, true), flags)?;
            self.run(&name, &binary, watch, &[&cases])?;
            self.run(&format!("{name} (wrong cases)"), &binary, watch, &[&cases, Path::new("--wrong")])?;
        }
        Ok(())
    }

    /// What must not compile: each block of `refused.cc` alone is an error, and without any the file compiles.
    pub fn cpp_refused(&self) -> Result<()> {
        let source = self.ctx().path("crates/capi/tests/cpp/refused.cc");
        let text = std::fs::read_to_string(&source).context("cannot read refused.cc")?;
        let blocks: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#ifdef ")).collect();
        anyhow::ensure!(!blocks.is_empty(), "refused.cc has no blocks");
        let check = |define: Option<&str>| -> Result<bool> {
            let mut command = super::build::compiler(self.ctx(), true)?;
            // No warnings: what fails is an error of the language.
            command.args(["-std=c++17", "-fsyntax-only", "-w", "-I"]).arg(self.ctx().path("include")).arg(&source);
            command.args(define.map(|name| format!("-D{name}")));
            Ok(command.output().context("cannot run the C++ compiler")?.status.success())
        };
        anyhow::ensure!(check(None)?, "refused.cc does not compile without any of its blocks");
        for block in &blocks {
            anyhow::ensure!(!check(Some(block))?, "the compiler takes what it must refuse: {block} in refused.cc");
        }
        eprintln!("  refused.cc: {} programs are refused by the compiler", blocks.len());
        self.ctx().count(Counts { passed: blocks.len() as u64, ..Counts::default() });
        Ok(())
    }

    /// The same sources with clang, where it is: they have no warning there either.
    pub fn cpp_by_clang(&self) -> Result<()> {
        let Some(clang) = ["clang++", "clang++-22"].into_iter().find_map(|name| self.ctx().find(name)) else {
            return Ok(());
        };
        for (kind, flags) in KINDS {
            let mut command = Command::new(&clang);
            command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_GNU_SOURCE", "-fsyntax-only"]).args(flags);
            command.arg("-I").arg(self.ctx().path("include"));
            command.arg(self.ctx().path("crates/capi/tests/cpp/tests.cc"));
            self.ctx().run(&format!("{kind} by clang"), &mut command)?;
            self.ctx().count(Counts { passed: 1, ..Counts::default() });
        }
        Ok(())
    }
}
