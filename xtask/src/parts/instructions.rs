//! The part `instructions`: the hottest operations take as many instructions as are pinned, with a margin of 5 %.

use anyhow::Result;

use crate::bench::instructions;
use crate::ctx::{Counts, Ctx};

/// Counts each operation and compares.
pub fn test(ctx: &Ctx) -> Result<()> {
    let pinned = instructions::pinned(ctx)?;
    let Some(counted) = instructions::count(ctx)? else { return Ok(()) };
    let failed = instructions::differences(&pinned, &counted).len() as u64;
    let passed = (counted.operations.len() as u64).saturating_sub(failed);
    ctx.count(Counts { passed, failed, ..Counts::default() });
    instructions::verdict(&pinned, &counted)
}
