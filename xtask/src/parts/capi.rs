//! The part `capi`: the header and the ABI files, the installed library, and the tests in C.

mod header;

use anyhow::Result;

use crate::ctx::Ctx;
use crate::generate::Generated;

/// Sets up what is needed and runs every test of the part.
pub fn test(_ctx: &Ctx) -> Result<()> {
    Ok(())
}

/// The files of this part that are generated.
pub fn generate(ctx: &Ctx) -> Result<Vec<Generated>> {
    Ok(vec![Generated::new("include/weaveheap.h", header::text(ctx)?)])
}
