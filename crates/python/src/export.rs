//! The buffer protocol, both ways: filling the views that Python asks for, and reading the bytes of others. The only
//! file that touches a `Py_buffer`.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// What an object keeps for its consumers: the shape that it shows them, and room for the hold of one of them, so that
/// the usual single consumer costs no allocation.
pub struct Exports {
    shape: [isize; 1],
    taken: AtomicBool,
    first: UnsafeCell<MaybeUninit<Hold>>,
}

// SAFETY: `first` is touched in `fill` and `release` only, which Python calls with the interpreter lock held; `Hold` may
// be sent, so that it does not matter which thread ends it.
unsafe impl Send for Exports {}
// SAFETY: as above.
unsafe impl Sync for Exports {}

impl Exports {
    /// For an object of this many bytes.
    pub fn new(length: usize) -> Exports {
        let shape = [isize::try_from(length).unwrap_or(isize::MAX)];
        Exports { shape, taken: AtomicBool::new(false), first: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.shape[0].unsigned_abs()
    }

    /// A place for a hold: the first one in the object, others on the heap. The interpreter lock is held, so that the
    /// flag needs no ordering.
    fn keep(&self, hold: Hold) -> *mut Hold {
        if self.taken.load(Ordering::Relaxed) {
            return Box::into_raw(Box::new(hold));
        }
        self.taken.store(true, Ordering::Relaxed);
        let place = self.first.get().cast::<Hold>();
        // SAFETY: the place is free, and nobody else can take it meanwhile.
        unsafe { place.write(hold) };
        place
    }

    /// Takes a hold back from its place.
    ///
    /// # Safety
    /// `keep` of this object gave the place, and nobody has taken it back.
    unsafe fn take(&self, place: *mut Hold) -> Hold {
        if place == self.first.get().cast::<Hold>() {
            // SAFETY: the place holds a value that nobody has taken.
            let hold = unsafe { place.read() };
            self.taken.store(false, Ordering::Relaxed);
            return hold;
        }
        // SAFETY: any other place is a box.
        *unsafe { Box::from_raw(place) }
    }
}

/// Gives a consumer its `Py_buffer`.
///
/// # Safety
/// `view` is what Python gave to `__getbuffer__` of `owner`, and `exports` is a field of `owner`, as long as the hold.
pub unsafe fn fill(
    owner: Bound<'_, PyAny>,
    view: *mut ffi::Py_buffer,
    flags: c_int,
    exports: &Exports,
    hold: Hold,
) -> Res<()> {
    static STRIDE: isize = 1;
    let readonly = hold.is_readonly();
    if flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE && readonly {
        return Err(Error::with_message(
            ErrorCode::Denied,
            "A shared borrow is read-only. Ask for a writable view with `borrow_unique()`.",
        )
        .into());
    }
    let asks = |flag: c_int| flags & flag == flag;
    // SAFETY: the caller passes on Python's own pointer. The shape lives in the owner, which `obj` keeps, and is never
    // written, as the protocol demands of consumers.
    unsafe {
        (*view).buf = hold.pointer().cast();
        (*view).len = hold.len() as isize;
        (*view).readonly = c_int::from(readonly);
        (*view).itemsize = 1;
        (*view).format = if asks(ffi::PyBUF_FORMAT) { c"B".as_ptr().cast_mut() } else { null_mut() };
        (*view).ndim = 1;
        (*view).shape = if asks(ffi::PyBUF_ND) { exports.shape.as_ptr().cast_mut() } else { null_mut() };
        (*view).strides = if asks(ffi::PyBUF_STRIDES) { (&raw const STRIDE).cast_mut() } else { null_mut() };
        (*view).suboffsets = null_mut();
        (*view).internal = exports.keep(hold).cast::<c_void>();
        (*view).obj = owner.into_ptr();
    }
    Ok(())
}

/// Takes back what [`fill`] gave: the hold ends.
///
/// # Safety
/// `view` was filled by [`fill`] with these exports and is released once, as Python promises.
pub unsafe fn release(view: *mut ffi::Py_buffer, exports: &Exports) {
    // SAFETY: `internal` is what `keep` gave; it is cleared, so that it is taken back once.
    unsafe {
        let place = std::mem::replace(&mut (*view).internal, null_mut()).cast::<Hold>();
        if !place.is_null() {
            drop(exports.take(place));
        }
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

/// Compares bytes with those of another object: `None` if the other has no bytes to compare with.
pub fn equals(mine: &Hold, other: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    // SAFETY: a type without the slot is fine for this check.
    if unsafe { ffi::PyObject_CheckBuffer(other.as_ptr()) } == 0 {
        return Ok(None);
    }
    let other = Source::of(other)?;
    // SAFETY: the hold keeps the bytes while the slice is used, under the interpreter lock.
    let mine = unsafe { std::slice::from_raw_parts(mine.pointer(), mine.len()) };
    Ok(Some(mine == other.as_slice()))
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
