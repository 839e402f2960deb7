//! `Region`: an arena of a heap, and who owns it (R1 to R7).

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyResourceWarning, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use weaveheap_core::{DEFAULT_ALIGN, Error, ErrorCode, Handle, Init};

use crate::border::{Size, Wait, detached, guard, utf8, wait};
use crate::buffer::PyBuffer;
use crate::error::Res;
use crate::export::Source;
use crate::handle::PyHandle;
use crate::heap::{PyHeap, record};

/// A region: an arena of a heap, whose buffers are freed together. Made by `heap.region()`.
///
/// A region is a context manager: leaving it closes it. Any thread may use it.
#[pyclass(frozen, weakref, name = "Region", module = "weaveheap")]
pub struct PyRegion {
    pub heap: Py<PyHeap>,
    pub handle: Handle,
    /// True while this object owns a region of a private heap that nobody has closed (R7).
    owns: AtomicBool,
}

impl PyRegion {
    pub fn new(heap: Py<PyHeap>, handle: Handle, owns: bool) -> PyRegion {
        PyRegion { heap, handle, owns: AtomicBool::new(owns) }
    }

    /// An object that refers to a region and owns nothing.
    pub fn referred(heap: Py<PyHeap>, handle: Handle) -> PyRegion {
        PyRegion::new(heap, handle, false)
    }

    pub fn core(&self) -> &weaveheap_core::Heap {
        &self.heap.get().core
    }

    /// The program has closed the region: there is nothing left to own. Relaxed, for the flag guards no other memory.
    fn disown(&self) {
        self.owns.store(false, Ordering::Relaxed);
    }

    fn do_close(&self, py: Python<'_>) -> weaveheap_core::Result<()> {
        let result = py.detach(|| self.core().close(self.handle));
        match &result {
            Err(error) if error.code() != ErrorCode::StaleHandle => {}
            _ => self.disown(),
        }
        result
    }

    fn do_close_when_idle(&self, py: Python<'_>) -> weaveheap_core::Result<()> {
        let result = py.detach(|| self.core().close_when_idle(self.handle));
        if result.is_ok() {
            self.disown();
        }
        result
    }

    fn leave(&self, py: Python<'_>, with_exception: bool) -> Res<()> {
        match self.do_close(py) {
            Ok(()) => Ok(()),
            // Closed already, here or elsewhere: that is what leaving is for.
            Err(error) if error.code() == ErrorCode::StaleHandle => Ok(()),
            Err(_) if with_exception => {
                // The frames of the traceback may keep views. The region goes when they do; what that says is not
                // more important than the exception that is on its way.
                let _refused = self.do_close_when_idle(py);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for PyRegion {
    fn drop(&mut self) {
        let owned = *self.owns.get_mut();
        let handle = self.handle;
        // A panic must not leave a destructor; what `guard` makes of one has nowhere to go here.
        let _nothing_to_raise_to = guard(|| {
            Python::try_attach(|py| {
                let heap = self.heap.get();
                heap.forget(handle);
                if owned && heap.core.collect_region(handle) {
                    warn(py, handle);
                }
            });
            Ok(())
        });
    }
}

/// Warns of a region that was collected while open, and leaves an exception that is on its way alone.
fn warn(py: Python<'_>, handle: Handle) {
    let pending = PyErr::take(py);
    let text = format!("unclosed region {handle} of a private heap: it is closed when idle. Close it, or use `with`.");
    let category = py.get_type::<PyResourceWarning>();
    let text = std::ffi::CString::new(text).unwrap_or_default();
    if let Err(error) = PyErr::warn(py, &category, &text, 1) {
        error.write_unraisable(py, None);
    }
    if let Some(pending) = pending {
        pending.restore(py);
    }
}

#[pymethods]
impl PyRegion {
    /// The region's handle.
    #[getter]
    fn handle(&self) -> PyHandle {
        PyHandle(self.handle)
    }

    /// The region's heap.
    #[getter]
    fn heap(&self, py: Python<'_>) -> Py<PyHeap> {
        self.heap.clone_ref(py)
    }

    /// The name for people; may be empty.
    #[getter]
    fn name(&self) -> Res<String> {
        guard(|| Ok(self.core().region_info(self.handle)?.name))
    }

    /// Allocates a buffer of `length` bytes, aligned to `align`, a power of two up to 4096.
    ///
    /// The bytes are 0, unless `zeroed=False` asks for whatever was there, which is faster. `OutOfMemory` when the heap
    /// is full, `LimitReached` when the region is.
    #[pyo3(signature = (length, align=Size(DEFAULT_ALIGN), *, zeroed=true), text_signature = "($self, length, align=64, *, zeroed=True)")]
    fn alloc<'py>(slf: &Bound<'py, Self>, length: Size, align: Size, zeroed: bool) -> Res<Bound<'py, PyBuffer>> {
        guard(|| {
            let region = slf.get();
            let init = if zeroed { Init::Zeroed } else { Init::Uninit };
            let work = || region.core().alloc(region.handle, length.0, align.0, init);
            let handle = detached(slf.py(), length.0, work)?;
            PyBuffer::wrap(slf.clone(), handle, length.0)
        })
    }

    /// Allocates a buffer and copies the bytes of `data` into it: `bytes`, a `memoryview`, a NumPy array, anything with
    /// contiguous bytes. The copy is counted as `ingest`.
    #[pyo3(signature = (data, align=Size(DEFAULT_ALIGN)), text_signature = "($self, data, align=64)")]
    fn alloc_from<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>, align: Size) -> Res<Bound<'py, PyBuffer>> {
        guard(|| {
            let region = slf.get();
            if let Ok(bytes) = data.cast::<PyBytes>() {
                let bytes = bytes.as_bytes();
                let work = || region.core().alloc_from(region.handle, bytes, align.0);
                // Nobody can change a `bytes`, so that others may run meanwhile.
                let handle = detached(slf.py(), bytes.len() as u64, work)?;
                return PyBuffer::wrap(slf.clone(), handle, bytes.len() as u64);
            }
            // SAFETY: a type without the slot is fine for this check.
            if unsafe { ffi::PyObject_CheckBuffer(data.as_ptr()) } == 0 {
                let kind = data.get_type().name()?;
                return Err(PyTypeError::new_err(format!("bytes or another buffer is needed, not {kind}")).into());
            }
            let source = Source::of(data)?;
            let handle = region.core().alloc_from(region.handle, source.as_slice(), align.0)?;
            PyBuffer::wrap(slf.clone(), handle, source.len() as u64)
        })
    }

    /// Allocates a string: the text as UTF-8, without a terminator. `buffer.text()` reads it back.
    #[pyo3(signature = (text, /))]
    fn string<'py>(slf: &Bound<'py, Self>, text: &Bound<'py, PyString>) -> Res<Bound<'py, PyBuffer>> {
        guard(|| {
            let region = slf.get();
            let bytes = utf8(text)?.as_bytes();
            let work = || region.core().alloc_from(region.handle, bytes, DEFAULT_ALIGN);
            let handle = detached(slf.py(), bytes.len() as u64, work)?;
            PyBuffer::wrap(slf.clone(), handle, bytes.len() as u64)
        })
    }

    /// The region's buffers that live, by index, at most `limit` of them.
    #[pyo3(signature = (limit=Size(1000)), text_signature = "($self, limit=1000)")]
    fn buffers<'py>(slf: &Bound<'py, Self>, limit: Size) -> Res<Vec<Bound<'py, PyBuffer>>> {
        guard(|| {
            let region = slf.get();
            let limit = usize::try_from(limit.0).unwrap_or(usize::MAX);
            let found = slf.py().detach(|| region.core().buffers(region.handle, limit))?;
            found.into_iter().map(|info| PyBuffer::wrap(slf.clone(), info.handle, info.length)).collect()
        })
    }

    /// State, sizes and counters, as a `dict`.
    fn info<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyAny>> {
        guard(|| {
            let info = py.detach(|| self.core().region_info(self.handle))?;
            record(py, &info)
        })
    }

    /// Frees all buffers and keeps the region. `Borrowed`, and nothing is changed, while one of them is borrowed.
    fn reset(&self, py: Python<'_>) -> Res<()> {
        guard(|| Ok(py.detach(|| self.core().reset(self.handle))?))
    }

    /// Frees the region and all in it. `Borrowed`, and nothing is changed, while a buffer is borrowed.
    fn close(&self, py: Python<'_>) -> Res<()> {
        guard(|| Ok(self.do_close(py)?))
    }

    /// Refuses new borrows and allocations from now on; the last borrow to end frees the region.
    fn close_when_idle(&self, py: Python<'_>) -> Res<()> {
        guard(|| Ok(self.do_close_when_idle(py)?))
    }

    /// Sleeps until no buffer of the region is borrowed. `Timeout` after `timeout` seconds, never with `None`.
    #[pyo3(signature = (timeout=Wait::For(None)), text_signature = "($self, timeout=None)")]
    fn wait_idle(&self, py: Python<'_>, timeout: Wait) -> Res<()> {
        guard(|| {
            let time = match timeout {
                Wait::AtOnce => None,
                Wait::For(time) => time,
            };
            wait(py, time, |step| self.core().wait_idle(self.handle, step))
        })
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Closes the region. With an exception on its way, a region that is still borrowed is closed when idle, and the
    /// exception goes on.
    fn __exit__(
        &self,
        py: Python<'_>,
        exception: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Res<bool> {
        guard(|| self.leave(py, !exception.is_none()).map(|()| false))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> Option<bool> {
        let other = other.cast::<PyRegion>().ok()?.get();
        Some(self.handle == other.handle && self.heap.is(&other.heap))
    }

    fn __hash__(&self) -> u64 {
        self.handle.to_bits()
    }

    fn __repr__(&self) -> Res<String> {
        guard(|| {
            Ok(match self.core().region_info(self.handle) {
                Ok(info) if info.name.is_empty() => format!("<weaveheap.Region {}>", self.handle),
                Ok(info) => format!("<weaveheap.Region {} {:?}>", self.handle, info.name),
                Err(_) => format!("<weaveheap.Region {} stale>", self.handle),
            })
        })
    }
}

/// An error for an argument that has to be a slice with step 1.
pub fn only_step_one() -> Error {
    Error::with_message(
        ErrorCode::InvalidArgument,
        "A borrowed view is one run of bytes: its step is 1. Slice a memoryview of it for other steps.",
    )
}
