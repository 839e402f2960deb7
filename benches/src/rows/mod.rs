//! The rows of the target table that this program measures, by name.

mod alloc;
mod border;
pub mod borrow;
pub mod close;
pub mod shared;

use std::path::Path;

use anyhow::{Context, Result, bail};
use weaveheap_bench::harness::Row;

/// All of them.
pub const ROWS: &[Row] = &[
    ("borrow_shared", borrow::shared),
    ("borrow_shared_2t", borrow::shared_by_two),
    ("borrow_shared_2t_peer", borrow::shared_by_two_peer),
    ("borrow_unique", borrow::unique),
    ("stale", borrow::stale),
    ("alloc_free_64", alloc::free_64),
    ("alloc_free_4k_batch", alloc::free_4k_batch),
    ("alloc_free_1m_batch", alloc::free_1m_batch),
    ("alloc_borrow_free", alloc::borrow_free),
    ("fill_reset", alloc::fill_reset),
    ("alloc_2t", alloc::by_two),
    ("close_1m", close::million),
    ("close_growth", close::growth),
    ("borrow_growth", borrow::growth),
    ("attach_growth", shared::attach_growth),
    ("recover", shared::recover),
    ("capi_borrow", border::capi_borrow),
    ("counters", border::counters),
];

/// What other processes of this program do in some rows.
pub fn role(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut next = || arguments.next().context("an argument is missing");
    match next()?.as_str() {
        "hold" => shared::hold(Path::new(&next()?)),
        "share" => shared::share(Path::new(&next()?)),
        "open" => shared::fresh(Path::new(&next()?)),
        other => bail!("nobody has the role {other}"),
    }
}
