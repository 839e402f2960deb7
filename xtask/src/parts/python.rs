//! The part `python`.

use anyhow::Result;

use crate::ctx::Ctx;
use crate::generate::Generated;

/// Sets up what is needed and runs every test of the part.
pub fn test(_ctx: &Ctx) -> Result<()> {
    Ok(())
}

/// The files of this part that are generated.
pub fn generate(_ctx: &Ctx) -> Result<Vec<Generated>> {
    Ok(Vec::new())
}
