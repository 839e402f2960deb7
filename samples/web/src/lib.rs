//! The sample page's own Rust. It is one module with the package `weaveheap-wasm`, so that both work on the same heaps: the
//! page makes them in JavaScript, and passes a heap's id and a buffer's handle.
#![cfg(target_family = "wasm")]

mod table;
mod thrown;
// In a module whose memory threads share: the page has one for its workers, beside the other.
#[cfg(target_feature = "atomics")]
mod turns;

// Nothing here calls the package: JavaScript does.
use weaveheap_wasm as _;
