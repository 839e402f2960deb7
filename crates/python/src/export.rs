//! The buffer protocol, both ways: filling the views that Python asks for, and reading the bytes of others. The
//! objects whose bytes are shown are in `exporter.rs`.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use weaveheap_core::{BorrowKind, Error, ErrorCode, Lease};

use crate::error::Res;
use crate::window::Use;

/// What a consumer of the bytes keeps: a borrow of its own, or a use of a view's. The bytes stay while it lives.
pub enum Hold {
    /// A borrow of its own.
    Lease(Lease),
    /// A use of a view's borrow.
    Use(Use),
}

impl Hold {
    /// The first byte; never null.
    pub fn pointer(&self) -> *mut u8 {
        match self {
            Hold::Lease(lease) => lease.as_ptr(),
            Hold::Use(part) => part.pointer(),
        }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        match self {
            Hold::Lease(lease) => lease.len(),
            Hold::Use(part) => part.len(),
        }
    }

    /// True if the bytes must not be written.
    pub fn is_readonly(&self) -> bool {
        match self {
            Hold::Lease(lease) => lease.kind() == BorrowKind::Shared,
            Hold::Use(part) => part.is_readonly(),
        }
    }

    /// A copy of the bytes. They are copied through the pointer, for another thread may write through a NumPy array of
    /// the same unique borrow.
    pub fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, self.len(), |target| {
            // SAFETY: the hold keeps `len` bytes at the pointer; the target is as long, new, and nobody else's.
            unsafe { std::ptr::copy_nonoverlapping(self.pointer(), target.as_mut_ptr(), self.len()) };
            Ok(())
        })
    }
}

/// What a consumer of the buffer protocol is shown.
pub struct Shown {
    /// The first byte; never null.
    pub pointer: *mut u8,
    /// True if the bytes must not be written.
    pub readonly: bool,
    /// What keeps the bytes until it is given back; never null.
    pub keep: *mut c_void,
}

/// Gives a consumer its `Py_buffer` over bytes as long as the shape says.
///
/// # Safety
/// `view` is what Python gave to be filled for `owner`, `shape` is a field of `owner`, and the bytes stay until the owner
/// takes `internal` back.
#[inline]
pub unsafe fn fill(owner: Bound<'_, PyAny>, view: *mut ffi::Py_buffer, flags: c_int, shown: Shown, shape: &[isize; 1]) {
    static STRIDE: isize = 1;
    let asks = |flag: c_int| flags & flag == flag;
    // SAFETY: the caller passes on Python's own pointer. The shape lives in the owner, which `obj` keeps, and is never
    // written, as the protocol demands of consumers.
    unsafe {
        (*view).buf = shown.pointer.cast();
        (*view).len = shape[0];
        (*view).readonly = c_int::from(shown.readonly);
        (*view).itemsize = 1;
        (*view).format = if asks(ffi::PyBUF_FORMAT) { c"B".as_ptr().cast_mut() } else { null_mut() };
        (*view).ndim = 1;
        (*view).shape = if asks(ffi::PyBUF_ND) { shape.as_ptr().cast_mut() } else { null_mut() };
        (*view).strides = if asks(ffi::PyBUF_STRIDES) { (&raw const STRIDE).cast_mut() } else { null_mut() };
        (*view).suboffsets = null_mut();
        (*view).internal = shown.keep;
        (*view).obj = owner.into_ptr();
    }
}

/// The contiguous bytes of any object with the buffer protocol, for the length of a call.
pub struct Source<'py> {
    view: Box<ffi::Py_buffer>,
    py: Python<'py>,
}

impl<'py> Source<'py> {
    /// Asks an object for its bytes. `TypeError` if it has none; what it raises itself passes through.
    pub fn of(object: &Bound<'py, PyAny>) -> PyResult<Source<'py>> {
        let mut view = Box::new(MaybeUninit::<ffi::Py_buffer>::zeroed());
        // SAFETY: the object is alive and the view is zeroed memory of the right type, in a box that stays in place.
        let code = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), ffi::PyBUF_SIMPLE) };
        if code != 0 {
            return Err(PyErr::take(object.py()).unwrap_or_else(|| PyBufferError::new_err("no buffer was given")));
        }
        // SAFETY: zeroed memory is a valid `Py_buffer`, and Python has filled it.
        let view = unsafe { view.assume_init() };
        Ok(Source { view, py: object.py() })
    }

    /// The first byte; dangling, not null, for no bytes.
    pub fn pointer(&self) -> *const u8 {
        if self.view.buf.is_null() { std::ptr::dangling() } else { self.view.buf.cast::<u8>().cast_const() }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.view.len as usize
    }

    /// The bytes, with the interpreter lock held as long as they are used.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the exporter keeps `len` bytes there until the release, and self is not sent to other threads: the
        // lock is held, under which Python code does not run meanwhile.
        unsafe { std::slice::from_raw_parts(self.pointer(), self.len()) }
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        let _attached = self.py;
        // SAFETY: the view was filled by Python and is released once, with the interpreter attached.
        unsafe { ffi::PyBuffer_Release(&mut *self.view) };
    }
}

/// Compares bytes with those of another object that has bytes.
pub fn equals(mine: &Hold, other: &Bound<'_, PyAny>) -> PyResult<bool> {
    let other = Source::of(other)?;
    // SAFETY: the hold keeps the bytes while the slice is used, under the interpreter lock.
    let mine = unsafe { std::slice::from_raw_parts(mine.pointer(), mine.len()) };
    Ok(mine == other.as_slice())
}

/// What a consumer gets that would fall back to a copy: the refusal itself, which NumPy has swallowed by then. NumPy
/// asks for `__array__` only after the buffer protocol has refused.
pub fn refuse_copy(again: Res<Hold>) -> Res<Py<PyAny>> {
    again?;
    Err(Error::with_message(
        ErrorCode::BorrowConflict,
        "The buffer protocol gives the bytes without a copy; `__array__` would copy them. The buffer can be borrowed \
         now: try again.",
    )
    .into())
}
