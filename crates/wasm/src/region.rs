//! Regions (R1 to R7).

use std::time::Duration;

use wasm_bindgen::prelude::*;
use weaveheap_core::RegionOptions;

use crate::border::{give_bits, give_data, handle, text};
use crate::heap::{at, with};

/// Makes a region; no limit is NaN. Gives its handle.
#[wasm_bindgen]
pub fn region_create(heap: u32, name: u32, limit: f64) -> u32 {
    with(heap, &|heap| {
        let mut options = RegionOptions::new().name(text(name));
        if !limit.is_nan() {
            options = options.limit(limit as u64);
        }
        give_bits(0, heap.create_region(&options)?.to_bits());
        Ok(())
    })
}

/// Gives state and counters .
#[wasm_bindgen]
pub fn region_info(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| {
        let info = heap.region_info(handle(low, high))?;
        give_data(|data| data.region(&info));
        Ok(())
    })
}

/// Gives the states of so many buffers .
#[wasm_bindgen]
pub fn region_buffers(heap: u32, low: u32, high: u32, limit: f64) -> u32 {
    with(heap, &|heap| {
        let buffers = heap.buffers(handle(low, high), limit as usize)?;
        give_data(|data| data.buffers(&buffers));
        Ok(())
    })
}

/// Empties a region.
#[wasm_bindgen]
pub fn region_reset(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| heap.reset(handle(low, high)))
}

/// Frees a region.
#[wasm_bindgen]
pub fn region_close(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| heap.close(handle(low, high)))
}

/// Frees a region with its last borrow.
#[wasm_bindgen]
pub fn region_close_when_idle(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| heap.close_when_idle(handle(low, high)))
}

/// 0 if no buffer of the region is borrowed; `Timeout` if one is.
#[wasm_bindgen]
pub fn region_idle(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| heap.wait_idle(handle(low, high), Some(Duration::ZERO)))
}

/// The region's object was collected. True if the region was open (R7).
#[wasm_bindgen]
pub fn region_collect(heap: u32, low: u32, high: u32) -> bool {
    at(heap).is_ok_and(|entry| entry.heap.collect_region(handle(low, high)))
}
