//! Views: borrows whose bytes JavaScript sees in the module's memory (V5). JavaScript's object ends each once.

use wasm_bindgen::prelude::*;
use weaveheap_core::{BorrowKind, Error, ErrorCode, Token};

use crate::border::{bits, give, give_bits, handle, status, with_holders};
use crate::heap::{at, view_ended};

/// Begins a borrow. Gives the first byte's address, the length, and the token.
#[wasm_bindgen]
pub fn begin(heap: u32, low: u32, high: u32, unique: bool) -> u32 {
    status(at(heap).and_then(|entry| {
        let kind = if unique { BorrowKind::Unique } else { BorrowKind::Shared };
        let borrow = entry.heap.begin_view(handle(low, high), kind)?;
        entry.views.set(entry.views.get() + 1);
        give(0, borrow.pointer.addr() as u32);
        give(1, borrow.length as u32);
        give_bits(2, borrow.token.to_bits());
        Ok(())
    }))
}

/// Ends what `begin` began, once; by a finalizer, or by the program.
#[wasm_bindgen]
pub fn end(heap: u32, low: u32, high: u32, token_low: u32, token_high: u32, finalizer: bool) -> u32 {
    status(at(heap).map(|entry| {
        if finalizer {
            entry.heap.count_finalized(handle(low, high));
        }
        // SAFETY: JavaScript's layer gives the token of a `begin` of this heap, and forgets it with this call. The bytes
        // are those of the module's own memory, which nobody in the module uses.
        unsafe { entry.heap.end_view(Token::from_bits(bits(token_low, token_high))) };
        view_ended(heap, &entry);
    }))
}

/// A checksum of bytes, for heaps that verify. One changed byte always changes it before it is folded.
#[wasm_bindgen]
pub fn checksum(address: u32, length: u32) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let start = std::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: JavaScript's layer gives what `begin` gave, while that borrow lives.
    let bytes = unsafe { std::slice::from_raw_parts(start, length as usize) };
    let sum = bytes.iter().fold(ODD, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(ODD).rotate_left(23));
    (sum >> 32) as u32 ^ sum as u32
}

/// Makes the error for bytes that changed during a shared borrow, with the holders.
#[wasm_bindgen]
pub fn changed(heap: u32, low: u32, high: u32) -> u32 {
    status(at(heap).and_then(|entry| {
        let error = Error::with_message(
            ErrorCode::BorrowConflict,
            "The bytes changed during a shared borrow: someone wrote through a view that is for reading. Borrow unique to \
             write.",
        );
        let subject = handle(low, high);
        Err(with_holders(error.about(subject), entry.heap.holders(subject)?))
    }))
}

/// How many bytes from there on are UTF-8.
#[wasm_bindgen]
pub fn valid_up_to(address: u32, length: u32) -> u32 {
    let start = std::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: as for `checksum`.
    let bytes = unsafe { std::slice::from_raw_parts(start, length as usize) };
    bytes.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len()) as u32
}
