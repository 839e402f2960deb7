//! Buffers: allocated, freed, frozen, described (R2, K4, C2, N1). JavaScript itself writes and reads their bytes.

use std::cell::RefCell;

use wasm_bindgen::prelude::*;
use weaveheap_core::{BorrowKind, CopyReason, Init, Lease};

use crate::border::{give, give_bits, give_data, handle};
use crate::heap::with;

thread_local! {
    /// The borrow of the copy that is being made: there is one at a time.
    static READING: RefCell<Option<Lease>> = const { RefCell::new(None) };
}

/// Allocates bytes. Gives the handle.
#[wasm_bindgen]
pub fn alloc(heap: u32, low: u32, high: u32, length: f64, align: f64, uninitialised: bool) -> u32 {
    with(heap, &|heap| {
        let init = if uninitialised { Init::Uninit } else { Init::Zeroed };
        give_bits(0, heap.alloc(handle(low, high), length as u64, align as u64, init)?.to_bits());
        Ok(())
    })
}

/// Frees a buffer.
#[wasm_bindgen]
pub fn free(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| heap.free(handle(low, high)))
}

/// Takes the right to write.
#[wasm_bindgen]
pub fn freeze(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| heap.freeze(handle(low, high)))
}

/// Makes a poisoned buffer usable again.
#[wasm_bindgen]
pub fn clear_poison(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| heap.clear_poison(handle(low, high)))
}

/// Checks a handle. Gives the region's, and the length.
#[wasm_bindgen]
pub fn buffer_at(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| {
        let info = heap.buffer_info(handle(low, high))?;
        give_bits(0, info.region.to_bits());
        give_bits(2, info.length);
        Ok(())
    })
}

/// Gives the state.
#[wasm_bindgen]
pub fn buffer_info(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| {
        let info = heap.buffer_info(handle(low, high))?;
        give_data(|data| data.buffer(&info));
        Ok(())
    })
}

/// Allocates bytes that JavaScript fills before anyone knows of them. Gives the handle and the first byte's address.
#[wasm_bindgen]
pub fn alloc_for_copy(heap: u32, low: u32, high: u32, length: f64, align: f64) -> u32 {
    with(heap, &|heap| {
        let buffer = heap.alloc(handle(low, high), length as u64, align as u64, Init::Uninit)?;
        let info = heap.buffer_info(buffer)?;
        give_bits(0, buffer.to_bits());
        give(2, heap.base().addr() as u32 + info.offset as u32);
        Ok(())
    })
}

/// Counts the copy that JavaScript has made into such a buffer.
#[wasm_bindgen]
pub fn count_copy(heap: u32, low: u32, high: u32, bytes: f64) -> u32 {
    with(heap, &|heap| {
        heap.count_copy(handle(low, high), CopyReason::Ingest, bytes as u64);
        Ok(())
    })
}

/// Begins a borrow in which JavaScript copies the bytes out. Gives the first byte's address and the length.
#[wasm_bindgen]
pub fn read_begin(heap: u32, low: u32, high: u32) -> u32 {
    with(heap, &|heap| {
        let lease = heap.borrow(handle(low, high), BorrowKind::Shared)?;
        give(0, lease.as_ptr().addr() as u32);
        give(1, lease.len() as u32);
        READING.set(Some(lease));
        Ok(())
    })
}

/// Ends it, and counts the copy if it was made.
#[wasm_bindgen]
pub fn read_end(copied: bool) {
    if let Some(lease) = READING.take()
        && copied
    {
        lease.count_copy(CopyReason::Export, lease.len() as u64);
    }
}
