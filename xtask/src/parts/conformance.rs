//! The part `conformance`: the cases through Rust's public API, the table of rules, and the Rust samples. The other
//! languages run the same cases in their own parts.

use anyhow::{Context, Result, ensure};

use crate::ctx::Ctx;

/// Runs the Rust runner with the tests of the table of rules, and the samples with what the compiler refuses.
pub fn test(ctx: &Ctx) -> Result<()> {
    every_runner_is_there(ctx)?;
    let mut cases = ctx.cargo();
    cases.args(["test", "--locked", "--package", "weaveheap-core", "--test", "it", "--", "conformance::", "rules::"]);
    ctx.run_tests("conformance cases in Rust, table of rules", &mut cases)?;
    ctx.run_tests("Rust samples", ctx.cargo().args(["test", "--locked", "--package", "weaveheap-samples"]))?;
    Ok(())
}

/// Each language's runner names the folders of cases: a runner that was moved away would leave its language untested.
fn every_runner_is_there(ctx: &Ctx) -> Result<()> {
    let folders: &[&str] = &["wrong", "manifest"];
    // The npm packages share one.
    let shared: &[&str] = &["conformance_suite.mjs", "testCases("];
    let runners = [
        ("crates/core/tests/it/conformance.rs", folders),
        ("crates/capi/tests/conformance/runner.c", folders),
        ("crates/capi/tests/cpp/conformance.cc", folders),
        ("crates/python/tests/test_conformance.py", folders),
        ("crates/node/test/conformance_suite.mjs", folders),
        ("crates/node/test/conformance.test.mjs", shared),
        ("crates/wasm/test/conformance.test.mjs", shared),
    ];
    for (runner, words) in runners {
        let path = ctx.path(runner);
        let content = std::fs::read_to_string(&path).with_context(|| format!("cannot read {runner}"))?;
        for word in words {
            ensure!(
                content.contains(*word),
                "{runner} does not speak of `{word}`: conformance/README.md says what it must do"
            );
        }
    }
    Ok(())
}
