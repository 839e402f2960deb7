//! `View`: what a borrow is in Python. It owns the borrow and ends it when it is released (B7, V3).

use std::sync::Arc;

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyAny;
use weaveheap_core::{BorrowKind, Error, ErrorCode, Lease};

use crate::border::guard;
use crate::buffer::{Key, PyBuffer, byte_at};
use crate::error::{Fault, Res};
use crate::export::{Hold, Source};
use crate::exporter::PyExporter;
use crate::handle::PyHandle;
use crate::shown::PyShown;
use crate::window::{Use, Window};

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
#[pyclass(frozen, weakref, extends = PyShown, name = "View", module = "weaveheap")]
pub struct PyView {
    window: Arc<Window>,
    buffer: Py<PyBuffer>,
}

impl PyView {
    fn wrap<'py>(py: Python<'py>, window: Arc<Window>, buffer: Py<PyBuffer>) -> Res<Bound<'py, PyView>> {
        let base = PyExporter::of_view(Arc::clone(&window));
        Ok(Bound::new(
            py,
            PyClassInitializer::from(base).add_subclass(PyShown).add_subclass(PyView { window, buffer }),
        )?)
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
            let hold = Hold::Use(slf.get().enter()?);
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

    fn __repr__(&self) -> String {
        let state = if self.window.is_released() { ", released" } else { "" };
        let kind = self.window.kind().name();
        format!("<weaveheap.View {kind} of {}, {} bytes{state}>", self.window.handle(), self.window.len())
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
