//! The heap's directory, from names to handles (H8).

use std::ffi::c_char;

use crate::argument::{self, given};
use crate::boundary::{self, ErrorOut};
use crate::handle::{CHandle, handle};
use crate::heap::CHeap;

/// Puts a handle into the heap's directory, and wakes those who wait for the name.
///
/// Success: 0. The directory owns nothing: a region that is closed leaves a name that is found no more.
/// Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_ALREADY_EXISTS` if the name has a live handle,
/// `WEAVEHEAP_ERROR_INVALID_NAME` for a bad name. The library keeps nothing of `name`.
/// Threads: any.
/// Null: `heap` or `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_directory_publish(
    heap: Option<&CHeap>,
    name: *const c_char,
    handle: CHandle,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let heap = &given(heap, "heap")?.0;
        // SAFETY: the caller gives null or a string.
        heap.publish(unsafe { argument::text(name, "name") }?, self::handle(handle))
    })
}

/// The handle under this name.
///
/// Success: the handle.
/// Failure: 0. `WEAVEHEAP_ERROR_NOT_FOUND` at once if there is none. The library keeps nothing of `name`.
/// Threads: any.
/// Null: `heap` or `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_directory_lookup(
    heap: Option<&CHeap>,
    name: *const c_char,
    err: ErrorOut<'_>,
) -> CHandle {
    boundary::value(err, || {
        let heap = &given(heap, "heap")?.0;
        // SAFETY: the caller gives null or a string.
        Ok(heap.lookup(unsafe { argument::text(name, "name") }?)?.to_bits())
    })
}

/// The handle under this name, waited for at most `timeout` seconds; for ever if it is negative.
///
/// Success: the handle.
/// Failure: 0. `WEAVEHEAP_ERROR_TIMEOUT` when the time is over, `WEAVEHEAP_ERROR_INVALID_ARGUMENT` if `timeout` is not a
/// number. The library keeps nothing of `name`.
/// Threads: any; only the calling one sleeps.
/// Null: `heap` or `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_directory_lookup_wait(
    heap: Option<&CHeap>,
    name: *const c_char,
    timeout: f64,
    err: ErrorOut<'_>,
) -> CHandle {
    boundary::value(err, || {
        let heap = &given(heap, "heap")?.0;
        // SAFETY: the caller gives null or a string.
        let name = unsafe { argument::text(name, "name") }?;
        Ok(heap.lookup_wait(name, argument::timeout(timeout)?)?.to_bits())
    })
}

/// Takes a name out of the directory.
///
/// Success: 0. What it named is not touched.
/// Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_NOT_FOUND` if it is not there. The library keeps nothing
/// of `name`.
/// Threads: any.
/// Null: `heap` or `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_directory_unpublish(
    heap: Option<&CHeap>,
    name: *const c_char,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let heap = &given(heap, "heap")?.0;
        // SAFETY: the caller gives null or a string.
        heap.unpublish(unsafe { argument::text(name, "name") }?)
    })
}
