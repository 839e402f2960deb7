//! Work on a column of a table where it lies: numbers of 64 bits, so many bytes into a buffer.

use wasm_bindgen::prelude::*;
use weaveheap_core::{BorrowKind, CopyReason, Handle, Heap, Lease};

use crate::thrown::Thrown;

/// Counts bytes that the page has copied into a buffer, as `ingest`: it says so itself.
#[wasm_bindgen]
pub fn count_ingest(heap: &str, buffer: u64, bytes: f64) -> Result<(), Thrown> {
    Heap::by_id(heap)?.count_copy(Handle::from_bits(buffer), CopyReason::Ingest, bytes as u64);
    Ok(())
}

/// The sum of a column, under a shared borrow.
#[wasm_bindgen]
pub fn column_sum(heap: &str, buffer: u64, at: u32, rows: u32) -> Result<f64, Thrown> {
    let lease = borrow(heap, buffer, BorrowKind::Shared)?;
    let bytes = place(&lease, at, rows).and_then(|(at, end)| lease.as_slice().get(at..end));
    let (values, _) = bytes.ok_or_else(outside)?.as_chunks();
    Ok(values.iter().fold(0.0, |sum, value| sum + f64::from_le_bytes(*value)))
}

/// Multiplies a column by a factor, under a unique borrow.
#[wasm_bindgen]
pub fn column_scale(heap: &str, buffer: u64, at: u32, rows: u32, factor: f64) -> Result<(), Thrown> {
    let mut lease = borrow(heap, buffer, BorrowKind::Unique)?;
    let place = place(&lease, at, rows);
    let bytes = lease.as_mut_slice().zip(place).and_then(|(bytes, (at, end))| bytes.get_mut(at..end));
    let (values, _) = bytes.ok_or_else(outside)?.as_chunks_mut();
    for value in values {
        *value = (f64::from_le_bytes(*value) * factor).to_le_bytes();
    }
    Ok(())
}

fn borrow(heap: &str, buffer: u64, kind: BorrowKind) -> Result<Lease, Thrown> {
    Ok(Heap::by_id(heap)?.borrow(Handle::from_bits(buffer), kind)?)
}

/// Where a column begins and ends, if the buffer has it.
fn place(lease: &Lease, at: u32, rows: u32) -> Option<(usize, usize)> {
    let (at, rows) = (at as usize, rows as usize);
    let end = rows.checked_mul(8)?.checked_add(at)?;
    (end <= lease.len()).then_some((at, end))
}

fn outside() -> Thrown {
    Thrown::new("InvalidArgument", "the column does not lie within the buffer")
}
