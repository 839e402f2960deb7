//! A heap that workers share: instances of this module over one memory, which take turns at one buffer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wasm_bindgen::prelude::*;
use weaveheap_core::{BorrowKind, Handle, Heap, Init, Lease, RegionOptions};

use crate::thrown::Thrown;

/// The heap that `make_place` has made lives as long as the memory, whatever instance goes.
static KEPT: Mutex<Vec<Heap>> = Mutex::new(Vec::new());

/// Where the turns are taken: plain data, which a page posts to its workers.
#[wasm_bindgen(getter_with_clone)]
pub struct Place {
    /// The heap's id.
    pub heap: String,
    /// The region's handle.
    pub region: u64,
    /// The buffer's handle.
    pub buffer: u64,
}

/// Makes a heap with one buffer of so many bytes.
#[wasm_bindgen]
pub fn make_place(bytes: u32) -> Result<Place, Thrown> {
    let heap = Heap::private()?;
    let region = heap.create_region(&RegionOptions::new().name("turns"))?;
    let buffer = heap.alloc(region, bytes.into(), 64, Init::Zeroed)?;
    let place = Place { heap: heap.id(), region: region.to_bits(), buffer: buffer.to_bits() };
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(heap);
    Ok(place)
}

/// A unique borrow of this worker's. `free` ends it, too.
#[wasm_bindgen]
pub struct Turn {
    lease: Lease,
}

/// Begins a turn; `BorrowConflict` while another worker has one.
#[wasm_bindgen]
pub fn begin_turn(heap: &str, buffer: u64) -> Result<Turn, Thrown> {
    let lease = Heap::by_id(heap)?.borrow(Handle::from_bits(buffer), BorrowKind::Unique)?;
    Ok(Turn { lease })
}

#[wasm_bindgen]
impl Turn {
    /// Where the bytes are in the memory.
    pub fn address(&self) -> u32 {
        self.lease.as_ptr().addr() as u32
    }

    /// Ends the turn, and wakes who waits for it.
    pub fn end(self) {
        self.lease.end();
    }
}

/// Sleeps until no buffer of the region is borrowed; `Timeout` after so many milliseconds.
#[wasm_bindgen]
pub fn wait_idle(heap: &str, region: u64, milliseconds: u32) -> Result<(), Thrown> {
    Ok(Heap::by_id(heap)?.wait_idle(Handle::from_bits(region), Some(Duration::from_millis(milliseconds.into())))?)
}

/// Who holds borrows in the region, in words.
#[wasm_bindgen]
pub fn holders(heap: &str, region: u64) -> Result<String, Thrown> {
    let holders = Heap::by_id(heap)?.holders(Handle::from_bits(region))?;
    Ok(holders.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// Verifies the heap: how many borrows live.
#[wasm_bindgen]
pub fn check_place(heap: &str) -> Result<f64, Thrown> {
    Ok(Heap::by_id(heap)?.check()?.borrows as f64)
}

/// The memory of this instance, for the instances of workers.
#[wasm_bindgen]
pub fn memory_of_all() -> JsValue {
    wasm_bindgen::memory()
}
