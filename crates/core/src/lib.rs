//! One heap for all runtimes: regions that are freed at once, handles whose every use is checked, and borrows that
//! are on record, in one process or across several through shared memory.
//!
//! ```no_run
//! use weaveheap_core::{Heap, RegionOptions};
//!
//! # fn main() -> weaveheap_core::Result<()> {
//! let heap = Heap::private()?;
//! let region = heap.region(&RegionOptions::new().name("frames"))?;
//! let mut buffer = region.alloc(1024)?;
//! buffer.borrow_unique()?[0] = 7;
//! assert_eq!(buffer.borrow_shared()?[0], 7);
//! region.close().map_err(|(_, error)| error)?;
//! # Ok(())
//! # }
//! ```

// These instructions are not stable yet, and the targets that need them are built from the compiler's sources.
#![cfg_attr(target_arch = "wasm64", feature(simd_wasm64))]
#![cfg_attr(all(target_family = "wasm", target_feature = "atomics"), feature(stdarch_wasm_atomic_wait))]
// In WebAssembly the library's own tests have the runner of the others.
#![cfg_attr(all(test, target_family = "wasm"), feature(custom_test_frameworks, test), test_runner(runner::run))]

#[cfg(all(test, target_family = "wasm"))]
extern crate test;

/// Puts the rest of a block into a span of `tracing`. Modules of WebAssembly have none: the end of a
/// span is large, also where nobody hears of it.
macro_rules! span {
    ($($field:tt)*) => {
        #[cfg(not(target_family = "wasm"))]
        let _span = tracing::info_span!($($field)*).entered();
    };
}
pub(crate) use span;

#[cfg(weaveheap_kill_points)]
mod accounts;
mod alloc;
mod arena;
mod attachment;
mod borrow;
mod buffer;
mod check;
mod check_borrows;
mod check_lists;
mod chunks;
mod context;
mod current;
mod directory;
mod entries;
mod error;
mod error_code;
#[cfg(target_family = "wasm")]
mod error_word;
mod fast;
mod fault;
mod growth;
mod handle;
mod heap;
mod inspect;
mod journal;
mod keys;
#[cfg(weaveheap_kill_points)]
pub mod kill_points;
mod large;
mod layout;
mod lease;
mod ledger;
mod liveness;
mod marks;
#[cfg(loom)]
pub mod model;
mod names;
mod near;
mod packing;
mod pages;
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
mod plain;
mod process;
mod recovery;
mod region;
#[cfg(all(test, target_family = "wasm"))]
#[path = "../tests/wasm/runner.rs"]
mod runner;
mod runtime;
mod segment;
mod snapshot;
mod sole;
mod sync;
mod sys;
mod threads;
mod tokens;
mod told;

pub use buffer::{Buffer, Ref, RefMut};
pub use error::{Error, ErrorCode, Result};
pub use fast::Miss;
pub use handle::{Handle, HandleKind, Token};
pub use heap::{Heap, HeapEntry, HeapOptions, Init, RegionOptions};
pub use inspect::Inspector;
pub use keys::{BufferKey, RegionKey};
pub use lease::{Lease, RawBorrow};
pub use region::{DEFAULT_ALIGN, Region};
pub use runtime::{CopyReason, Runtime};
pub use snapshot::{
    AttachmentInfo, BorrowKind, BufferInfo, CheckReport, CopyCount, CopyCounters, Counters, HeapInfo, Holder, NameInfo,
    RegionInfo, RegionState, RuntimeCounters, Snapshot,
};

#[cfg(target_family = "wasm")]
pub use sys::{Hooks, set_hooks};

/// The version of the segment's layout. An attachment refuses a heap of another one (F5).
pub const LAYOUT_VERSION: u32 = 1;
