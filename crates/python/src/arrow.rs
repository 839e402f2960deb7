//! The Arrow C data interface, written from its specification: an array of `uint8` over the bytes that holds the borrow
//! until its consumer releases it, on whatever thread that is.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::Res;
use crate::export::Hold;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
/// Arrow's format string of `uint8`.
const FORMAT: &CStr = c"C";

#[repr(C)]
struct ArrowSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut ArrowSchema,
    dictionary: *mut ArrowSchema,
    release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    private_data: *mut c_void,
}

/// What an array keeps: its table of buffers (no validity bitmap, then the bytes) and the hold.
struct Kept {
    buffers: [*const c_void; 2],
    #[expect(dead_code, reason = "held for its drop")]
    hold: Hold,
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: a consumer calls this once, with a live structure. All that it points to is static.
    unsafe { (*schema).release = None };
}

unsafe extern "C" fn release_array(array: *mut ArrowArray) {
    // SAFETY: a consumer calls this once, with a live structure; `private_data` is the box of `pair`.
    unsafe {
        drop(Box::from_raw((*array).private_data.cast::<Kept>()));
        (*array).private_data = null_mut();
        (*array).release = None;
    }
}

unsafe extern "C" fn destroy_schema(capsule: *mut ffi::PyObject) {
    // SAFETY: Python calls a destructor with its own capsule. A consumer that moved the content out has set `release`
    // to null, as the specification demands.
    unsafe {
        let schema = ffi::PyCapsule_GetPointer(capsule, SCHEMA.as_ptr()).cast::<ArrowSchema>();
        if let Some(release) = (*schema).release {
            release(schema);
        }
        drop(Box::from_raw(schema));
    }
}

unsafe extern "C" fn destroy_array(capsule: *mut ffi::PyObject) {
    // SAFETY: as for the schema.
    unsafe {
        let array = ffi::PyCapsule_GetPointer(capsule, ARRAY.as_ptr()).cast::<ArrowArray>();
        if let Some(release) = (*array).release {
            release(array);
        }
        drop(Box::from_raw(array));
    }
}

/// The pair of capsules that `__arrow_c_array__` returns.
pub fn pair(py: Python<'_>, hold: Hold) -> Res<(Py<PyAny>, Py<PyAny>)> {
    let schema = Box::new(ArrowSchema {
        format: FORMAT.as_ptr(),
        name: c"".as_ptr(),
        metadata: null(),
        flags: 0,
        n_children: 0,
        children: null_mut(),
        dictionary: null_mut(),
        release: Some(release_schema),
        private_data: null_mut(),
    });
    let schema = capsule(py, schema, SCHEMA, destroy_schema)?;
    let length = hold.len() as i64;
    let kept = Box::into_raw(Box::new(Kept { buffers: [null(), hold.pointer().cast_const().cast()], hold }));
    let array = Box::new(ArrowArray {
        length,
        null_count: 0,
        offset: 0,
        n_buffers: 2,
        n_children: 0,
        // SAFETY: `kept` is a live box; this takes an address and reads nothing.
        buffers: unsafe { (&raw mut (*kept).buffers).cast() },
        children: null_mut(),
        dictionary: null_mut(),
        release: Some(release_array),
        private_data: kept.cast(),
    });
    match capsule(py, array, ARRAY, destroy_array) {
        Ok(array) => Ok((schema, array)),
        Err(error) => {
            // SAFETY: no capsule has taken the array, so that the box is still only ours.
            drop(unsafe { Box::from_raw(kept) });
            Err(error)
        }
    }
}

fn capsule<T>(
    py: Python<'_>,
    content: Box<T>,
    name: &'static CStr,
    destructor: unsafe extern "C" fn(*mut ffi::PyObject),
) -> Res<Py<PyAny>> {
    let pointer = Box::into_raw(content);
    // SAFETY: the pointer is not null, the name lives for ever, and the destructor fits the pointer.
    let capsule = unsafe { ffi::PyCapsule_New(pointer.cast(), name.as_ptr(), Some(destructor)) };
    if capsule.is_null() {
        // SAFETY: no capsule has taken the box.
        drop(unsafe { Box::from_raw(pointer) });
        return Err(PyErr::fetch(py).into());
    }
    // SAFETY: a new reference to a live object.
    Ok(unsafe { Bound::from_owned_ptr(py, capsule) }.unbind())
}
