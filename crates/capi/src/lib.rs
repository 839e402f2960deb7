//! The C ABI over `weaveheap-core`: `libweaveheap` and `include/weaveheap.h`. Conversion only; every rule is the core's.
//!
//! Keeps F1 (one panic boundary, `boundary`), F2 (names, results, checked arguments), F4 (no caller's pointer outlives
//! its call, save a registered log callback) and V2. The doc comments here are the header's text: each function says
//! what is owned after success and after failure, which threads may call it, and which pointers may be null.
#![expect(
    clippy::missing_safety_doc,
    reason = "the sections Success, Failure, Threads and Null are the contract, in the header's words"
)]

#[cfg(panic = "abort")]
compile_error!("the C ABI turns panics into errors (F1): build it with panic = \"unwind\"");

mod argument;
mod attached;
mod boundary;

pub mod abi;
pub mod borrow;
pub mod buffer;
pub mod directory;
pub mod error;
pub mod handle;
pub mod heap;
pub mod inspect;
pub mod log;
pub mod region;
pub mod release;
pub mod string;

#[cfg(feature = "test-symbols")]
pub mod test_symbols;
