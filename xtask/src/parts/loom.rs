//! The part `loom`: the models of the protocol, run by loom on the core itself; with `--long` to higher bounds.

use anyhow::Result;

use crate::ctx::Ctx;

/// Builds the core for models, in a target folder of its own, and explores them.
pub fn test(ctx: &Ctx) -> Result<()> {
    let mut command = ctx.cargo();
    command
        .args(["test", "--locked", "--release", "--package", "weaveheap-core", "--test", "loom"])
        .env("CARGO_TARGET_DIR", ctx.target().join("loom"))
        .env("CARGO_ENCODED_RUSTFLAGS", "--cfg\u{1f}loom")
        // What the build would take longer with, the models do not gain.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("WEAVEHEAP_LONG", if ctx.is_long() { "1" } else { "0" });
    ctx.run_tests("models of the protocol", &mut command)?;
    Ok(())
}
