//! What JavaScript gives the core: a clock, random numbers, and whether this thread may sleep.

use js_sys::{Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use weaveheap_core::Hooks;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn milliseconds() -> f64;
    #[wasm_bindgen(js_namespace = performance, js_name = timeOrigin, thread_local_v2)]
    static ORIGIN: f64;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn random_values(array: &Uint8Array) -> Result<(), JsValue>;
}

/// Runs when an instance starts.
#[wasm_bindgen(start)]
fn start() {
    // All threads of a module share its memory: the first has set them already.
    weaveheap_core::set_hooks(Hooks { now: Some(now), random: Some(random), may_sleep: Some(may_sleep) });
}

/// Nanoseconds. Each worker counts from its own origin, whose moment is known.
fn now() -> u64 {
    let origin = ORIGIN.with(|origin| *origin);
    ((origin + milliseconds()) * 1e6) as u64
}

fn random(bytes: &mut [u8]) -> bool {
    let array = Uint8Array::new_with_length(bytes.len() as u32);
    let filled = random_values(&array).is_ok();
    if filled {
        array.copy_to(bytes);
    }
    filled
}

/// The main thread of a browser, which has the document, must not sleep.
fn may_sleep() -> bool {
    let document = Reflect::get(&js_sys::global(), &JsValue::from_str("Document"));
    !document.is_ok_and(|document| document.is_instance_of::<Function>())
}
