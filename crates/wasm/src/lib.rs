//! The heap for JavaScript in WebAssembly, by wasm-bindgen: in browsers and in Node.
//!
//! What is exported are functions of numbers: JavaScript's layer (`lib/`) makes the classes of them, checks arguments, and
//! reads and writes bytes in the module's memory itself. `border.rs` says how results and errors go out.
#![cfg(target_family = "wasm")]

#[cfg(all(feature = "allocator", target_arch = "wasm32", not(target_feature = "atomics")))]
mod allocator;
mod border;
mod buffer;
mod data;
mod embedder;
mod heap;

mod region;
mod view;
