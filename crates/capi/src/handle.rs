//! Handles and tokens as numbers, and the text form of handles (K1, K5).

use std::ffi::c_char;

use weaveheap_core::{Handle, Token};

use crate::argument;
use crate::boundary::{self, ErrorOut};

/// A handle: 64 bits that name a region or a buffer, the same in every process. 0 names nothing. It is data: copying
/// it or forgetting it borrows and frees nothing, and every use of it is checked.
pub type CHandle = u64;

/// A token: 64 bits that name one live borrow. 0 names nothing. It ends once.
pub type CToken = u64;

pub(crate) fn handle(bits: CHandle) -> Handle {
    Handle::from_bits(bits)
}

pub(crate) fn token(bits: CToken) -> Token {
    Token::from_bits(bits)
}

/// The text form of a handle: "b17:2043" for a buffer, "r3:77" for a region, "null" for 0. The handle is not checked.
///
/// Success: a string that the caller owns; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any.
/// Null: `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_handle_to_text(handle: CHandle, err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || Ok(boundary::owned_text(Handle::from_bits(handle).to_string())))
}

/// The handle with this text form. That it is live is checked only when it is used.
///
/// Success: the handle; 0 with `err->code` 0 for "null".
/// Failure: 0; `WEAVEHEAP_ERROR_INVALID_ARGUMENT` for text that is no handle. The library keeps nothing of `text`.
/// Threads: any.
/// Null: `text` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_handle_from_text(text: *const c_char, err: ErrorOut<'_>) -> CHandle {
    boundary::value(err, || {
        // SAFETY: the caller gives null or a string, as the header says.
        let text = unsafe { argument::text(text, "text") }?;
        Ok(text.parse::<Handle>()?.to_bits())
    })
}
