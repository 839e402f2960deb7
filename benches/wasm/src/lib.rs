//! The peer of the rows in WebAssembly: a function of wasm-bindgen that takes and returns bytes.
#![cfg(target_family = "wasm")]

use wasm_bindgen::prelude::*;

/// The same bytes.
#[wasm_bindgen]
pub fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}
