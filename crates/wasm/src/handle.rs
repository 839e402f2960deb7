//! Handles as text, the same in all languages (K5).

use wasm_bindgen::prelude::*;
use weaveheap_core::Handle;

use crate::border::{give_bits, give_text, handle, status, text};

/// Gives the text of a handle.
#[wasm_bindgen]
pub fn handle_to_text(low: u32, high: u32) {
    give_text(handle(low, high).to_string());
}

/// Gives the handle that a text names.
#[wasm_bindgen]
pub fn handle_from_text(length: u32) -> u32 {
    status(text(length).and_then(|text| {
        give_bits(0, text.parse::<Handle>()?.to_bits());
        Ok(())
    }))
}
