//! The heap for JavaScript in WebAssembly, by wasm-bindgen: in browsers and in Node.
#![cfg(target_family = "wasm")]

mod embedder;
mod error;
mod heap;
