//! Gives back what the library handed out: strings and byte blocks.

use std::ffi::{CString, c_char};
use std::ptr;

/// Releases a string that the library returned.
///
/// Success: the string is gone. Releasing it twice, or one that the library did not return, is undefined.
/// Failure: it cannot fail.
/// Threads: any, whichever got the string.
/// Null: `text` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_free_string(text: *const c_char) {
    if !text.is_null() {
        // SAFETY: the header says that it came from this library, hence from `CString::into_raw`, and is released once.
        drop(unsafe { CString::from_raw(text.cast_mut()) });
    }
}

/// Releases a byte block that the library returned. `length` is the one that it was returned with.
///
/// Success: the block is gone. Releasing it twice, with another length, or one that the library did not return, is
/// undefined.
/// Failure: it cannot fail.
/// Threads: any, whichever got the block.
/// Null: `bytes` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_free_bytes(bytes: *mut u8, length: usize) {
    if !bytes.is_null() {
        // SAFETY: the header says that pointer and length came from `bytes` below and are released once.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(bytes, length)) });
    }
}

/// A byte block for the caller: never null.
pub(crate) fn owned_bytes(bytes: Vec<u8>) -> *mut u8 {
    Box::into_raw(bytes.into_boxed_slice()).cast::<u8>()
}
