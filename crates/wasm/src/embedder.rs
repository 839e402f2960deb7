//! What JavaScript gives the core (`lib/embedder.mjs`): a clock, random numbers, and whether this thread may sleep. Numbers
//! alone go over the border, since all that makes objects of JavaScript's usable here costs as much as the rest.

use wasm_bindgen::prelude::*;
use weaveheap_core::Hooks;

#[wasm_bindgen(raw_module = "./embedder.mjs")]
extern "C" {
    /// Milliseconds of a clock that all workers share.
    fn milliseconds() -> f64;
    /// 32 random bits; negative if there are none to be had.
    #[wasm_bindgen(js_name = randomBits)]
    fn random_bits() -> f64;
    #[wasm_bindgen(js_name = maySleep)]
    fn sleeps() -> bool;
}

/// Runs when an instance starts.
#[wasm_bindgen(start)]
fn start() {
    // All threads of a module share its memory: the first has set them already.
    weaveheap_core::set_hooks(Hooks { now: Some(now), random: Some(random), may_sleep: Some(sleeps) });
}

fn now() -> u64 {
    (milliseconds() * 1e6) as u64
}

fn random(bytes: &mut [u8]) -> bool {
    bytes.chunks_mut(4).all(|chunk| {
        let bits = random_bits();
        for (byte, random) in chunk.iter_mut().zip((bits as u32).to_le_bytes()) {
            *byte = random;
        }
        bits >= 0.0
    })
}
