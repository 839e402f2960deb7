//! The two functions by which Python gets and gives back the bytes of a buffer or a view. `memoryview(buffer)` is little
//! more than a borrow and its end, and PyO3's own way in and out is long beside them (docs/adr/0013): so these are plain
//! slots of a class of their own, between `Exporter` and those that derive from it.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::impl_::pyclass::{PyClassImplCollector, PyClassItems, PyMethods};
use pyo3::prelude::*;

use crate::border::panicked;
use crate::error::Fault;
use crate::export;
use crate::exporter::PyExporter;

/// What `Buffer` and `View` derive from: an exporter with the buffer protocol.
#[pyclass(frozen, subclass, extends = PyExporter, name = "_Shown", module = "weaveheap._native")]
pub struct PyShown;

// What `#[pymethods]` would write, had it a way to take functions as they are.
impl PyMethods<PyShown> for PyClassImplCollector<PyShown> {
    fn py_methods(self) -> &'static PyClassItems {
        static ITEMS: PyClassItems = PyClassItems {
            methods: &[],
            slots: &[
                ffi::PyType_Slot { slot: ffi::Py_bf_getbuffer, pfunc: get as *mut c_void },
                ffi::PyType_Slot { slot: ffi::Py_bf_releasebuffer, pfunc: release as *mut c_void },
            ],
        };
        &ITEMS
    }
}

/// `bf_getbuffer`.
///
/// # Safety
/// Python calls it, on an object of a class that derives from `PyShown`.
unsafe extern "C" fn get(object: *mut ffi::PyObject, view: *mut ffi::Py_buffer, flags: c_int) -> c_int {
    // SAFETY: Python gives a view to be filled; `obj` has to be null when it is not.
    unsafe { (*view).obj = null_mut() };
    let body = || -> Result<(), Box<Fault>> {
        // SAFETY: Python holds its lock when it calls, and gives an object of this class, which derives from `PyExporter`.
        let (py, object) = unsafe {
            let py = Python::assume_attached();
            (py, Borrowed::from_ptr(py, object).cast_unchecked::<PyExporter>())
        };
        let exporter = object.get();
        let shown = exporter.show(flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE)?;
        let owner = object.to_owned().into_any();
        let _attached = py;
        // SAFETY: the view is Python's; the bytes stay until the release of what `show` gave, and the shape is a field of
        // the object, which does not move.
        unsafe { export::fill(owner, view, flags, shown, exporter.shape()) };
        Ok(())
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(fault)) => refuse(*fault),
        Err(panic) => refuse_panic(&*panic),
    }
}

/// `bf_releasebuffer`.
///
/// # Safety
/// Python calls it, on an object and with a view that `get` has filled.
unsafe extern "C" fn release(object: *mut ffi::PyObject, view: *mut ffi::Py_buffer) {
    // SAFETY: Python releases what `get` filled, once; `internal` is cleared, so that it is ended once.
    let internal = unsafe { std::mem::replace(&mut (*view).internal, null_mut()) };
    if internal.is_null() {
        return;
    }
    let body = || {
        // SAFETY: as in `get`; what `show` of this object gave is hidden once, and its consumer has let go.
        unsafe {
            let object = Borrowed::from_ptr(Python::assume_attached(), object).cast_unchecked::<PyExporter>();
            object.get().hide(internal);
        }
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
        unraisable(&*panic);
    }
}

/// Raises, and says so to Python.
#[cold]
fn refuse(fault: Fault) -> c_int {
    let raised = catch_unwind(AssertUnwindSafe(|| {
        Python::try_attach(|py| PyErr::from(fault).restore(py));
    }));
    // SAFETY: Python holds its lock while it calls; the texts are terminated.
    unsafe {
        if raised.is_err() || ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_SetString(ffi::PyExc_BufferError, c"the refusal itself could not be told".as_ptr());
        }
    }
    -1
}

#[cold]
fn refuse_panic(panic: &(dyn Any + Send)) -> c_int {
    refuse(panicked(panic))
}

/// A panic in what cannot raise.
#[cold]
fn unraisable(panic: &(dyn Any + Send)) {
    let fault = panicked(panic);
    drop(catch_unwind(AssertUnwindSafe(|| {
        Python::try_attach(|py| PyErr::from(fault).write_unraisable(py, None));
    })));
}
