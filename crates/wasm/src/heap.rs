//! `Heap`: a private heap in the memory of this instance.

use wasm_bindgen::prelude::*;
use weaveheap_core::Heap as Core;

use crate::error::thrown;

/// A private heap in the memory of this instance.
#[wasm_bindgen]
pub struct Heap(Core);

#[wasm_bindgen]
impl Heap {
    /// A new heap with this limit in bytes; the largest that there can be if it is not given.
    #[wasm_bindgen(constructor)]
    pub fn new(limit: Option<f64>) -> Result<Heap, JsValue> {
        let options = Core::options();
        let options = match limit {
            Some(limit) => options.limit(limit as u64),
            None => options,
        };
        options.private().map(Heap).map_err(thrown)
    }

    /// What no other heap has.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// The most that it may hold, in bytes.
    #[wasm_bindgen(getter)]
    pub fn limit(&self) -> f64 {
        self.0.limit() as f64
    }

    /// Verifies the whole heap; an error if it is damaged.
    pub fn check(&self) -> Result<(), JsValue> {
        self.0.check().map(drop).map_err(thrown)
    }

    /// Leaves the heap, which ends with its last user.
    pub fn detach(&self) -> Result<(), JsValue> {
        self.0.detach().map_err(thrown)
    }
}
