//! Strings: buffers that hold UTF-8, without a terminator and without a copy.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use weaveheap_core::{BorrowKind, Result};

use crate::abi::WEAVEHEAP_ALIGN_DEFAULT;
use crate::argument::{self, given};
use crate::boundary::{self, ErrorOut};
use crate::handle::{CHandle, CToken, handle};
use crate::heap::CHeap;

/// A shared borrow of a string: UTF-8 to read, without a terminator.
#[repr(C)]
pub struct CStringView {
    /// The first byte; never null, also for a length of 0.
    pub data: *const c_char,
    /// Bytes.
    pub length: usize,
    /// What `weaveheap_borrow_end` takes.
    pub token: CToken,
}

/// Allocates a string: a buffer with a copy of `length` bytes of UTF-8, counted as `WEAVEHEAP_COPY_INGEST`. `text` needs
/// no terminator, and none is stored.
///
/// Success: the buffer's handle, as from `weaveheap_buffer_alloc`.
/// Failure: 0; nothing was allocated. `WEAVEHEAP_ERROR_INVALID_UTF8` for bytes that are not UTF-8. The library keeps
/// nothing of `text`.
/// Threads: any; nobody may write `text` meanwhile.
/// Null: `heap` null, or `text` null with a `length` above 0, is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_string_alloc(
    heap: Option<&CHeap>,
    region: CHandle,
    text: *const c_char,
    length: usize,
    err: ErrorOut<'_>,
) -> CHandle {
    boundary::value(err, || {
        let heap = &given(heap, "heap")?.0;
        // SAFETY: the caller gives null or `length` bytes.
        let bytes = unsafe { argument::bytes(text.cast::<u8>(), length, "text") }?;
        validate(bytes, "text")?;
        Ok(heap.alloc_from(handle(region), bytes, WEAVEHEAP_ALIGN_DEFAULT)?.to_bits())
    })
}

fn validate(bytes: &[u8], name: &'static str) -> Result<()> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(argument::bad_utf8(name, error.valid_up_to())),
    }
}

/// Whether a buffer's bytes are UTF-8, looked at under a shared borrow that lasts for the call.
///
/// Success: 0 if they are.
/// Failure: the code. `WEAVEHEAP_ERROR_INVALID_UTF8` if they are not; `WEAVEHEAP_ERROR_BORROW_CONFLICT` under a unique
/// borrow.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_string_validate(heap: Option<&CHeap>, buffer: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        let lease = given(heap, "heap")?.0.borrow(handle(buffer), BorrowKind::Shared)?;
        validate(lease.as_slice(), "the buffer")
    })
}

/// Borrows a string for reading. The bytes are validated first, which takes time in proportion to the length; where that
/// is known, `weaveheap_borrow_shared` does the same without it.
///
/// Success: 0; `*view` has the text and the token. End the borrow with `weaveheap_borrow_end`; the pointer is good until
/// then.
/// Failure: the code; nothing is borrowed and `*view` is as it was. `WEAVEHEAP_ERROR_INVALID_UTF8` for bytes that are not
/// UTF-8; the others are those of `weaveheap_borrow_shared`.
/// Threads: any. The text may be read from any thread, and another may end the borrow.
/// Null: `heap` or `view` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_string_borrow(
    heap: Option<&CHeap>,
    buffer: CHandle,
    view: Option<&mut MaybeUninit<CStringView>>,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let (heap, view) = (&given(heap, "heap")?.0, given(view, "view")?);
        let borrow = heap.borrow_raw(handle(buffer), BorrowKind::Shared)?;
        // SAFETY: the borrow lives until it is ended below or by the caller, and the slice is not used after that.
        let checked = validate(unsafe { argument::borrowed(&borrow) }, "the buffer");
        if let Err(error) = checked {
            heap.end(borrow.token)?;
            return Err(error);
        }
        view.write(CStringView {
            data: borrow.pointer.cast_const().cast::<c_char>(),
            length: borrow.length,
            token: borrow.token.to_bits(),
        });
        Ok(())
    })
}
