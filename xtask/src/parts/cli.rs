//! The part `cli`: the command line's own tests, on real heaps and as its users run it.

use std::path::PathBuf;

use anyhow::Result;

use crate::ctx::Ctx;

/// Runs the unit tests of the renderers and checks, and the tests of the built program.
pub fn test(ctx: &Ctx) -> Result<()> {
    ctx.run_tests("cargo test weaveheap-cli", ctx.cargo().args(["test", "--locked", "--package", "weaveheap-cli"]))?;
    Ok(())
}

/// Builds the program, for parts whose heaps are looked at from outside.
pub fn program(ctx: &Ctx) -> Result<PathBuf> {
    let name = format!("weaveheap{}", std::env::consts::EXE_SUFFIX);
    Ok(ctx.release_build("weaveheap-cli")?.join(name))
}
