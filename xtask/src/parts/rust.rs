//! The part `rust`: the core's own tests and doctests, and those of this program.

use anyhow::Result;

use crate::ctx::Ctx;

/// Runs the tests of the crates that are Rust alone.
pub fn test(ctx: &Ctx) -> Result<()> {
    ctx.run_tests("cargo test weaveheap-core", ctx.cargo().args(["test", "--locked", "--package", "weaveheap-core"]))?;
    ctx.run_tests("cargo test xtask", ctx.cargo().args(["test", "--locked", "--package", "xtask"]))?;
    Ok(())
}
