//! Buffers: allocated, freed, frozen, described, and copied out at the caller's word (R2, K4, C2, N1).

use weaveheap_core::{BorrowKind, CopyReason, DEFAULT_ALIGN, Error, ErrorCode, Init};

use crate::border::{Call, Outcome};
use crate::error::invalid;
use crate::value;
use crate::view;

fn alignment(call: &Call, position: usize) -> Outcome<u64> {
    Ok(call.optional_size(position, "align")?.unwrap_or(DEFAULT_ALIGN))
}

/// `alloc(heap, region, length, align, uninitialised)`: its handle.
pub fn alloc(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let init = if call.flag(4) { Init::Uninit } else { Init::Zeroed };
    let buffer = entry.heap.alloc(call.handle(1)?, call.size(2, "length")?, alignment(call, 3)?, init)?;
    value::bigint(call.env, buffer.to_bits())
}

/// `allocFrom(heap, region, bytes, align)`: its handle.
pub fn alloc_from(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let buffer = entry.heap.alloc_from(call.handle(1)?, call.bytes(2)?, alignment(call, 3)?)?;
    value::bigint(call.env, buffer.to_bits())
}

/// `allocText(heap, region, text)`: its handle; beside it the length in bytes.
pub fn alloc_text(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let text = call.text(2, "text")?;
    let buffer = entry.heap.alloc_from(call.handle(1)?, text.as_bytes(), DEFAULT_ALIGN)?;
    call.addon.give(0, [text.len() as f64, 0.0, 0.0]);
    value::bigint(call.env, buffer.to_bits())
}

/// `free(heap, buffer)`.
pub fn free(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    entry.heap.free(call.handle(1)?)?;
    value::undefined(call.env)
}

/// `freeze(heap, buffer)`.
pub fn freeze(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    entry.heap.freeze(call.handle(1)?)?;
    value::undefined(call.env)
}

/// `clearPoison(heap, buffer)`.
pub fn clear_poison(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    entry.heap.clear_poison(call.handle(1)?)?;
    value::undefined(call.env)
}

/// `bufferAt(heap, buffer)`: checks the handle. Beside it: the region's handle and the length.
pub fn at(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let info = entry.heap.buffer_info(call.handle(1)?)?;
    call.addon.give(info.region.to_bits(), [info.length as f64, 0.0, 0.0]);
    value::undefined(call.env)
}

/// `bufferInfo(heap, buffer)`: as JSON.
pub fn info(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    value::json(call.env, &entry.heap.buffer_info(call.handle(1)?)?)
}

/// `toBytes(heap, buffer)`: an `ArrayBuffer` with a copy of the bytes, counted as `export`.
pub fn to_bytes(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let lease = entry.heap.borrow(call.handle(1)?, BorrowKind::Shared)?;
    let array = view::array_with(call.env, lease.as_slice())?;
    lease.count_copy(CopyReason::Export, lease.len() as u64);
    Ok(array)
}

/// `toText(heap, buffer)`: the bytes as text, a copy counted as `export`.
pub fn to_text(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let handle = call.handle(1)?;
    let lease = entry.heap.borrow(handle, BorrowKind::Shared)?;
    let text = std::str::from_utf8(lease.as_slice()).map_err(|error| {
        let text = format!("The bytes are UTF-8 only up to offset {}: read them with toBytes().", error.valid_up_to());
        Error::with_message(ErrorCode::InvalidUtf8, text).about(handle)
    })?;
    let result = value::string(call.env, text)?;
    lease.count_copy(CopyReason::Export, lease.len() as u64);
    Ok(result)
}

/// `countCopy(heap, buffer, reason, bytes)`: counts a copy that the JavaScript layer made.
pub fn count_copy(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let reason = call.text(2, "reason")?;
    let reason = CopyReason::ALL.iter().find(|known| known.name() == reason);
    let reason = *reason.ok_or_else(|| invalid("this is no reason for a copy"))?;
    entry.heap.count_copy(call.handle(1)?, reason, call.size(3, "bytes")?);
    value::undefined(call.env)
}
