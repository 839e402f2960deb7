//! DLPack, written from its specification (1.x): a capsule with a tensor of bytes that holds the borrow until the
//! consumer's deleter runs, on whatever thread that is.

use std::ffi::{CStr, c_void};

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use weaveheap_core::{Error, ErrorCode};

use crate::error::Res;
use crate::export::Hold;

/// The CPU.
pub const DEVICE: (i32, i32) = (1, 0);

const NAME: &CStr = c"dltensor";
const NAME_VERSIONED: &CStr = c"dltensor_versioned";
const UNSIGNED: u8 = 1;
const FLAG_READ_ONLY: u64 = 1;

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Versioned {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Versioned)>,
    flags: u64,
    tensor: Tensor,
}

#[repr(C)]
struct Unversioned {
    tensor: Tensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Unversioned)>,
}

/// What the consumer's pointer points into: the managed tensor first, then what it needs.
#[repr(C)]
struct Managed<T> {
    managed: T,
    shape: [i64; 1],
    strides: [i64; 1],
    hold: Hold,
}

unsafe extern "C" fn delete<T>(managed: *mut T) {
    if !managed.is_null() {
        // SAFETY: the pointer came from the box of `Managed<T>`, whose first field it is; a consumer deletes once.
        drop(unsafe { Box::from_raw(managed.cast::<Managed<T>>()) });
    }
}

/// Runs when a capsule dies. A consumer renames the capsule that it has taken, so that only one that nobody took still
/// has its name.
unsafe fn destroy<T>(capsule: *mut ffi::PyObject, name: &CStr) {
    // SAFETY: Python calls a destructor with its own capsule, attached; the pointer under this name is ours.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, name.as_ptr()) == 1 {
            delete(ffi::PyCapsule_GetPointer(capsule, name.as_ptr()).cast::<T>());
        }
    }
}

unsafe extern "C" fn destroy_versioned(capsule: *mut ffi::PyObject) {
    // SAFETY: passed on from Python.
    unsafe { destroy::<Versioned>(capsule, NAME_VERSIONED) }
}

unsafe extern "C" fn destroy_unversioned(capsule: *mut ffi::PyObject) {
    // SAFETY: passed on from Python.
    unsafe { destroy::<Unversioned>(capsule, NAME) }
}

/// What `__dlpack__` is asked for. Only what would need another device or a copy is refused.
pub fn check(device: Option<(i32, i32)>, copy: Option<bool>, stream: Option<&Bound<'_, PyAny>>) -> Res<()> {
    let refuse = |message: &'static str| Err(Error::with_message(ErrorCode::Unsupported, message).into());
    if device.is_some_and(|device| device != DEVICE) {
        return refuse("A buffer's bytes are on the CPU, DLPack device (1, 0). Copy them to another device yourself.");
    }
    if copy == Some(true) {
        return refuse("A buffer is handed over without a copy. Copy the array that you get.");
    }
    if stream.is_some_and(|stream| !stream.is_none()) {
        return refuse("The CPU has no streams. Leave `stream` out.");
    }
    Ok(())
}

/// The capsule over a hold.
pub fn capsule(py: Python<'_>, hold: Hold, max_version: Option<(u32, u32)>) -> Res<Py<PyAny>> {
    if max_version.is_some_and(|(major, _)| major >= 1) {
        let flags = if hold.is_readonly() { FLAG_READ_ONLY } else { 0 };
        let make = |tensor| Versioned {
            major: 1,
            minor: 0,
            context: std::ptr::null_mut(),
            deleter: Some(delete::<Versioned>),
            flags,
            tensor,
        };
        return wrap(py, hold, make, |v| &mut v.tensor, NAME_VERSIONED, destroy_versioned);
    }
    if hold.is_readonly() {
        // Capsules before DLPack 1.0 cannot say that they are read-only, and a lie would let the consumer write.
        return Err(PyBufferError::new_err(
            "a shared borrow is read-only, which DLPack before 1.0 cannot say: pass max_version=(1, 0), or export a \
             view from borrow_unique()",
        )
        .into());
    }
    let make = |tensor| Unversioned { tensor, context: std::ptr::null_mut(), deleter: Some(delete::<Unversioned>) };
    wrap(py, hold, make, |v| &mut v.tensor, NAME, destroy_unversioned)
}

fn wrap<T>(
    py: Python<'_>,
    hold: Hold,
    make: impl FnOnce(Tensor) -> T,
    tensor_of: impl FnOnce(&mut T) -> &mut Tensor,
    name: &'static CStr,
    destructor: unsafe extern "C" fn(*mut ffi::PyObject),
) -> Res<Py<PyAny>> {
    let tensor = Tensor {
        data: hold.pointer().cast(),
        device_type: DEVICE.0,
        device_id: DEVICE.1,
        ndim: 1,
        code: UNSIGNED,
        bits: 8,
        lanes: 1,
        shape: std::ptr::null_mut(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    };
    let length = hold.len() as i64;
    let mut managed = Box::new(Managed { managed: make(tensor), shape: [length], strides: [1], hold });
    let (shape, strides) = (managed.shape.as_mut_ptr(), managed.strides.as_mut_ptr());
    let tensor = tensor_of(&mut managed.managed);
    (tensor.shape, tensor.strides) = (shape, strides);
    let pointer = Box::into_raw(managed);
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
