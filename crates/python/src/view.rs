//! `View`: what a borrow is in Python. It owns the borrow and ends it when it is released (B7, V3).

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBytes, PyMemoryView, PyString, PyType};
use weaveheap_core::{BorrowKind, CopyReason, Error, ErrorCode, Lease};

use crate::border::guard;
use crate::buffer::{Key, PyBuffer, byte_at, compare, text_of};
use crate::error::{Fault, Res};
use crate::export::{self, Exports, Hold, Source};
use crate::handle::PyHandle;
use crate::window::{Use, Window};
use crate::{arrow, dlpack};

/// A borrowed view of a buffer's bytes, from `borrow_shared()`, `borrow_unique()` or a slice.
///
/// It is a context manager, and leaving it releases it. `memoryview(view)`, NumPy, Arrow and DLPack use its bytes in
/// place; while one of them lives, releasing the view raises `Borrowed`, and the borrow lives until the last of them is
/// gone. Released, a view raises `StaleView`.
///
/// >>> import weaveheap
/// >>> heap = weaveheap.Heap.private()
/// >>> region = heap.region()
/// >>> buffer = region.alloc(3)
/// >>> with buffer.borrow_unique() as view:
/// ...     view[0] = 7
/// ...     view[1:] = b"ab"
/// >>> list(memoryview(buffer))
/// [7, 97, 98]
/// >>> view[0]
/// Traceback (most recent call last):
///     ...
/// weaveheap.StaleView: ...
/// >>> region.close()
#[pyclass(frozen, weakref, name = "View", module = "weaveheap")]
pub struct PyView {
    window: Arc<Window>,
    buffer: Py<PyBuffer>,
    exports: Exports,
}

impl PyView {
    fn wrap<'py>(py: Python<'py>, window: Arc<Window>, buffer: Py<PyBuffer>) -> Res<Bound<'py, PyView>> {
        let exports = Exports::new(window.len());
        Ok(Bound::new(py, PyView { window, buffer, exports })?)
    }

    /// The view over all of a borrow.
    pub fn whole<'py>(buffer: &Bound<'py, PyBuffer>, lease: Lease) -> Res<Bound<'py, PyView>> {
        PyView::wrap(buffer.py(), Window::whole(lease), buffer.clone().unbind())
    }

    /// A part of a view. The range was checked.
    fn part<'py>(slf: &Bound<'py, Self>, start: usize, end: usize) -> Res<Bound<'py, PyView>> {
        let view = slf.get();
        PyView::wrap(slf.py(), view.window.part(start, end)?, view.buffer.clone_ref(slf.py()))
    }

    /// A part that is alone with the borrow: when it is released, the borrow ends.
    pub fn part_owned<'py>(whole: &Bound<'py, Self>, start: usize, end: usize) -> Res<Bound<'py, PyView>> {
        let part = PyView::part(whole, start, end)?;
        // The part uses the whole, so that this is refused, and the part's end ends the borrow: what is meant.
        match whole.get().window.release() {
            Ok(()) | Err(Fault::InUse(..)) => Ok(part),
            Err(other) => Err(other),
        }
    }

    fn enter(&self) -> Res<Use> {
        self.window.enter()
    }

    fn hold(&self) -> Res<Hold> {
        Ok(Hold::Use(self.enter()?))
    }
}

#[pymethods]
impl PyView {
    /// The buffer that is borrowed.
    #[getter]
    fn buffer(&self, py: Python<'_>) -> Py<PyBuffer> {
        self.buffer.clone_ref(py)
    }

    /// The buffer's handle.
    #[getter]
    fn handle(&self) -> PyHandle {
        PyHandle(self.window.handle())
    }

    /// `"shared"` or `"unique"`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.window.kind().name()
    }

    /// True if the bytes cannot be written through this view.
    #[getter]
    fn readonly(&self) -> bool {
        self.window.kind() == BorrowKind::Shared
    }

    /// True once the view was released.
    #[getter]
    fn released(&self) -> bool {
        self.window.is_released()
    }

    /// Bytes.
    #[getter]
    fn nbytes(&self) -> Res<usize> {
        guard(|| Ok(self.enter()?.len()))
    }

    fn __len__(&self) -> Res<usize> {
        guard(|| Ok(self.enter()?.len()))
    }

    /// Releases the view. Again does no harm. `Borrowed` while something made of the view still uses the memory; the
    /// borrow then lives until the last of that is gone.
    fn release(&self) -> Res<()> {
        guard(|| self.window.release())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Res<Bound<'_, Self>> {
        guard(|| {
            drop(slf.get().enter()?);
            Ok(slf)
        })
    }

    /// Releases the view. With an exception on its way, that goes on, whatever still uses the memory.
    fn __exit__(
        &self,
        exception: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Res<bool> {
        guard(|| match self.window.release() {
            Err(_) if !exception.is_none() => Ok(false),
            result => result.map(|()| false),
        })
    }

    /// `view[3]` is a byte, `view[2:5]` a view of a part of the same borrow.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> Res<Py<PyAny>> {
        guard(|| {
            let hold = slf.get().hold()?;
            match Key::of(key, hold.len())? {
                Key::Byte(at) => {
                    Ok(byte_at(&hold, at).into_pyobject(slf.py()).map_err(PyErr::from)?.into_any().unbind())
                }
                Key::Part(start, end) => Ok(PyView::part(slf, start, end)?.into_any().unbind()),
            }
        })
    }

    /// `view[3] = 7`, `view[2:5] = b"abc"`: in a unique view, and with as many bytes as the range has.
    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Res<()> {
        guard(|| {
            let hold = self.enter()?;
            if hold.is_readonly() {
                let message = "A shared borrow is read-only. Write through a view from `borrow_unique()`.";
                return Err(Error::with_message(ErrorCode::Denied, message).about(self.window.handle()).into());
            }
            match Key::of(key, hold.len())? {
                Key::Byte(at) => {
                    let byte = byte_of(value)?;
                    // SAFETY: the index is inside the bytes that the use keeps, and the borrow is unique.
                    unsafe { hold.pointer().add(at).write(byte) };
                }
                Key::Part(start, end) => {
                    let source = Source::of(value)?;
                    if source.len() != end - start {
                        let message = format!(
                            "The range has {} bytes and the value {}: give as many.",
                            end - start,
                            source.len()
                        );
                        return Err(Error::with_message(ErrorCode::InvalidArgument, message).into());
                    }
                    // SAFETY: the range is inside the bytes that the use keeps, the source has as many, and `copy`
                    // takes a source that overlaps (a part of the same view).
                    unsafe { std::ptr::copy(source.pointer(), hold.pointer().add(start), source.len()) };
                }
            }
            Ok(())
        })
    }

    /// The bytes as text, copied (counted as `export`). `InvalidUtf8` if they are none.
    fn text<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyString>> {
        guard(|| {
            let hold = self.hold()?;
            let text = text_of(py, &hold, self.window.handle())?;
            self.window.heap().count_copy(self.window.handle(), CopyReason::Export, hold.len() as u64);
            Ok(text)
        })
    }

    /// A copy of the bytes, counted as `export`.
    fn __bytes__<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyBytes>> {
        guard(|| {
            let hold = self.hold()?;
            let bytes = hold.to_bytes(py)?;
            self.window.heap().count_copy(self.window.handle(), CopyReason::Export, hold.len() as u64);
            Ok(bytes)
        })
    }

    /// True if the other has the same bytes.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> Res<Py<PyAny>> {
        guard(|| compare(other, true, || self.hold()))
    }

    fn __ne__(&self, other: &Bound<'_, PyAny>) -> Res<Py<PyAny>> {
        guard(|| compare(other, false, || self.hold()))
    }

    /// Refuses: NumPy asks for it only when the buffer protocol has refused, and what follows would be a silent copy.
    #[pyo3(signature = (dtype=None, *, copy=None))]
    fn __array__(&self, dtype: Option<&Bound<'_, PyAny>>, copy: Option<&Bound<'_, PyAny>>) -> Res<Py<PyAny>> {
        let _whatever_is_asked = (dtype, copy);
        guard(|| export::refuse_copy(self.hold()))
    }

    /// DLPack: a tensor of bytes that uses this borrow as long as its consumer does.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__(
        &self,
        py: Python<'_>,
        stream: Option<&Bound<'_, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> Res<Py<PyAny>> {
        guard(|| {
            dlpack::check(dl_device, copy, stream)?;
            dlpack::capsule(py, self.hold()?, max_version)
        })
    }

    /// The DLPack device: the CPU.
    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::DEVICE
    }

    /// The Arrow C data interface: an array of `uint8` that uses this borrow as long as its consumer does.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__(
        &self,
        py: Python<'_>,
        requested_schema: Option<&Bound<'_, PyAny>>,
    ) -> Res<(Py<PyAny>, Py<PyAny>)> {
        // The specification lets a producer leave a requested schema to the consumer's cast.
        let _left_to_the_consumer = requested_schema;
        guard(|| arrow::pair(py, self.hold()?))
    }

    /// Pickles as a `memoryview`, as a buffer does.
    fn __reduce_ex__<'py>(slf: &Bound<'py, Self>, protocol: i32) -> Res<(Bound<'py, PyType>, (Bound<'py, PyAny>,))> {
        guard(|| {
            let py = slf.py();
            let window = &slf.get().window;
            let content = if protocol >= 5 {
                py.import("pickle")?.getattr("PickleBuffer")?.call1((slf,))?
            } else {
                let hold = slf.get().hold()?;
                let bytes = hold.to_bytes(py)?;
                window.heap().count_copy(window.handle(), CopyReason::Serialize, hold.len() as u64);
                bytes.into_any()
            };
            Ok((py.get_type::<PyMemoryView>(), (content,)))
        })
    }

    fn __repr__(&self) -> String {
        let state = if self.window.is_released() { ", released" } else { "" };
        let kind = self.window.kind().name();
        format!("<weaveheap.View {kind} of {}, {} bytes{state}>", self.window.handle(), self.window.len())
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Res<()> {
        // SAFETY: Python gives a view to be filled; `obj` has to be null when it is not.
        unsafe { (*view).obj = std::ptr::null_mut() };
        guard(|| {
            let hold = slf.get().hold()?;
            let owner = slf.clone().into_any();
            // SAFETY: the view is Python's, and the exports are a field of the object, which does not move.
            unsafe { export::fill(owner, view, flags, &slf.get().exports, hold) }
        })
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python releases what `__getbuffer__` filled, once.
        unsafe { export::release(view, &self.exports) };
    }
}

/// A byte from 0 to 255.
fn byte_of(value: &Bound<'_, PyAny>) -> Res<u8> {
    if !value.hasattr("__index__")? {
        let kind = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("a byte is a whole number, not {kind}")).into());
    }
    value.extract::<u8>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            Error::with_message(ErrorCode::InvalidArgument, "A byte is a number from 0 to 255.").into()
        } else {
            Fault::Python(error)
        }
    })
}
