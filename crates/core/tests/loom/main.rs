//! Models of the protocol between threads, run by loom on the core itself: `cargo xtask test loom`.
//!
//! Each file is about one noun and says which rules its models show. A test that ends in `needs_…` plants a fault
//! (`weaveheap_core::model::Fault`) and passes if its model finds it.

#![cfg(loom)]

mod alloc;
mod borrow;
mod close;
mod detach;
mod drain;
mod free;
mod lock;
mod recovery;
mod reuse;
mod scene;
mod sole;
mod wait;
