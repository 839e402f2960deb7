//! Errors of the core as JavaScript's, with their code.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// An `Error` with the name of the code in `code`.
pub(crate) fn thrown(error: weaveheap_core::Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.to_string());
    // A new object takes every property.
    let _ = Reflect::set(&thrown, &"code".into(), &error.code().name().into());
    thrown.into()
}
