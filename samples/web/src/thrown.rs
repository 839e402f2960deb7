//! Errors of the heap as exceptions of JavaScript, with the code's name beside the message.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use weaveheap_core::Error;

/// What a function throws.
pub(crate) struct Thrown(JsValue);

impl From<Error> for Thrown {
    fn from(error: Error) -> Thrown {
        Thrown::new(error.code().name(), &error.message())
    }
}

impl Thrown {
    /// An exception with this code.
    pub(crate) fn new(code: &str, message: &str) -> Thrown {
        let exception = js_sys::Error::new(message);
        // A new object takes every property.
        let _ = Reflect::set(&exception, &"code".into(), &code.into());
        Thrown(exception.into())
    }
}

impl From<Thrown> for JsValue {
    fn from(thrown: Thrown) -> JsValue {
        thrown.0
    }
}
