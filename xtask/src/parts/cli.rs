//! The part `cli`: the command line's own tests, on real heaps and as its users run it.

use anyhow::Result;

use crate::ctx::Ctx;

/// Runs the unit tests of the renderers and checks, and the tests of the built program.
pub fn test(ctx: &Ctx) -> Result<()> {
    ctx.run_tests("cargo test weaveheap-cli", ctx.cargo().args(["test", "--locked", "--package", "weaveheap-cli"]))?;
    Ok(())
}
