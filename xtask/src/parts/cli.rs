//! The part `cli`.

use anyhow::Result;

use crate::ctx::Ctx;

/// Sets up what is needed and runs every test of the part.
pub fn test(_ctx: &Ctx) -> Result<()> {
    Ok(())
}
