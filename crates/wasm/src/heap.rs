//! Heaps: private ones in the memory of this instance (V5), by the numbers that JavaScript's objects call them by; and the
//! directory of names.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use weaveheap_core::{Error, ErrorCode, Handle, Heap, HeapOptions, Result, Runtime};

use crate::border::{give, give_bits, give_bytes, give_data, handle, status, text, with_holders};

thread_local! {
    static HEAPS: RefCell<Vec<Option<Rc<Entry>>>> = const { RefCell::new(Vec::new()) };
}

/// One object of JavaScript's.
pub(crate) struct Entry {
    pub(crate) heap: Heap,
    /// True if the object made the heap, false if it refers to one (`Heap.byId`).
    owner: bool,
    /// Views of this object that live.
    pub(crate) views: Cell<u32>,
    dropped: Cell<bool>,
}

/// The heap with this number; `NotAttached` if its object has detached.
pub(crate) fn at(number: u32) -> Result<Rc<Entry>> {
    HEAPS.with_borrow(|heaps| match heaps.get(number as usize) {
        Some(Some(entry)) => Ok(Rc::clone(entry)),
        Some(None) => Err(Error::new(ErrorCode::NotAttached)),
        None => Err(Error::new(ErrorCode::InvalidArgument)),
    })
}

/// Does something with the heap with this number.
pub(crate) fn with(number: u32, work: &dyn Fn(&Heap) -> Result<()>) -> u32 {
    status(at(number).and_then(|entry| work(&entry.heap)))
}

fn add(heap: Heap, owner: bool) {
    let entry = Entry { heap, owner, views: Cell::new(0), dropped: Cell::new(false) };
    HEAPS.with_borrow_mut(|heaps| {
        heaps.push(Some(Rc::new(entry)));
        give(0, heaps.len() as u32 - 1);
    });
}

fn forget(number: u32) {
    // A heap that goes looks at no other.
    let entry = HEAPS.with_borrow_mut(|heaps| heaps.get_mut(number as usize).and_then(Option::take));
    drop(entry);
}

/// A view of the heap with this number has ended.
pub(crate) fn view_ended(number: u32, entry: &Entry) {
    entry.views.set(entry.views.get().saturating_sub(1));
    if entry.dropped.get() && entry.views.get() == 0 {
        forget(number);
    }
}

/// Makes a private heap; no limit is NaN. Gives its number.
#[wasm_bindgen]
pub fn heap_private(limit: f64, verify: bool, label: u32) -> u32 {
    let mut options = HeapOptions::new().runtime(Runtime::Wasm).label(text(label)).verify(verify);
    if !limit.is_nan() {
        options = options.limit(limit as u64);
    }
    status(options.private().map(|heap| add(heap, true)))
}

/// Another object for the heap with this id. Gives its number.
#[wasm_bindgen]
pub fn heap_by_id(id: u32) -> u32 {
    status(Heap::by_id(&text(id)).map(|heap| add(heap, false)))
}

/// Gives the id as text, then the limit and whether shared borrows are checksummed.
#[wasm_bindgen]
pub fn heap_describe(number: u32) -> u32 {
    with(number, &|heap| {
        give_bytes(heap.id().into_bytes());
        give_bits(2, heap.limit());
        give(4, heap.verify().into());
        Ok(())
    })
}

/// True also if another object has detached the heap.
#[wasm_bindgen]
pub fn heap_is_detached(number: u32) -> bool {
    at(number).map_or(true, |entry| entry.heap.is_detached())
}

/// Ends the heap, or this object's reference to one that another object made (H9).
#[wasm_bindgen]
pub fn heap_detach(number: u32) -> u32 {
    status(at(number).and_then(|entry| {
        if entry.owner {
            entry.heap.detach()?;
        } else if entry.views.get() > 0 {
            let holders = entry.heap.holders(Handle::NULL)?;
            return Err(with_holders(Error::new(ErrorCode::Borrowed), holders));
        }
        drop(entry);
        forget(number);
        Ok(())
    }))
}

/// The object was collected: the heap is forgotten, at once or when its last view ends (H9).
#[wasm_bindgen]
pub fn heap_drop(number: u32) {
    let Ok(entry) = at(number) else { return };
    entry.dropped.set(true);
    if entry.views.get() == 0 {
        drop(entry);
        forget(number);
    }
}

/// Gives the statistics.
#[wasm_bindgen]
pub fn heap_snapshot(number: u32) -> u32 {
    with(number, &|heap| {
        let snapshot = heap.snapshot()?;
        give_data(|data| data.snapshot(&snapshot));
        Ok(())
    })
}

/// Gives the report of a check.
#[wasm_bindgen]
pub fn heap_check(number: u32) -> u32 {
    with(number, &|heap| {
        let report = heap.check()?;
        give_data(|data| data.report(&report));
        Ok(())
    })
}

/// Gives the bytes given back.
#[wasm_bindgen]
pub fn heap_trim(number: u32) -> u32 {
    with(number, &|heap| {
        give_bits(0, heap.trim()?);
        Ok(())
    })
}

/// Gives the holders.
#[wasm_bindgen]
pub fn heap_holders(number: u32, low: u32, high: u32) -> u32 {
    with(number, &|heap| {
        let holders = heap.holders(handle(low, high))?;
        give_data(|data| data.holders(&holders));
        Ok(())
    })
}

/// Puts a handle under a name.
#[wasm_bindgen]
pub fn publish(number: u32, name: u32, low: u32, high: u32) -> u32 {
    with(number, &|heap| heap.publish(&text(name), handle(low, high)))
}

/// Gives the handle under a name.
#[wasm_bindgen]
pub fn lookup(number: u32, name: u32) -> u32 {
    with(number, &|heap| {
        give_bits(0, heap.lookup(&text(name))?.to_bits());
        Ok(())
    })
}

/// Takes a name out.
#[wasm_bindgen]
pub fn unpublish(number: u32, name: u32) -> u32 {
    with(number, &|heap| heap.unpublish(&text(name)))
}
