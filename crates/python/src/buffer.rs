//! `Buffer`: a run of bytes in a region, and its borrows (R2, B1). What consumers get of it is in `exporter.rs`.

use pyo3::exceptions::{PyIndexError, PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PySlice};
use weaveheap_core::{BorrowKind, Handle, Heap};

use crate::border::guard;
use crate::error::Res;
use crate::export::Hold;
use crate::exporter::PyExporter;
use crate::handle::PyHandle;
use crate::heap::{PyHeap, record};
use crate::region::{PyRegion, only_step_one};
use crate::shown::PyShown;
use crate::view::PyView;

/// A buffer: a run of bytes in a region. Made by `region.alloc()` and its like, or found by `heap.buffer(handle)`.
///
/// The object is a reference: dropping it frees nothing. `memoryview(buffer)`, NumPy, Arrow and DLPack read the bytes in
/// place, read-only, and hold a shared borrow as long as they live. `borrow_unique()` gives the writable view.
///
/// >>> import weaveheap
/// >>> heap = weaveheap.Heap.private()
/// >>> region = heap.region()
/// >>> buffer = region.alloc_from(b"warp and weft")
/// >>> memoryview(buffer)[:4].tobytes(), buffer == b"warp and weft"
/// (b'warp', True)
/// >>> region.close()
#[pyclass(frozen, weakref, extends = PyShown, name = "Buffer", module = "weaveheap")]
pub struct PyBuffer {
    /// A share of the attachment, here as well so that a borrow is one step away.
    core: Heap,
    region: Py<PyRegion>,
    handle: Handle,
    length: usize,
}

impl PyBuffer {
    pub fn wrap(region: Bound<'_, PyRegion>, handle: Handle, length: u64) -> Res<Bound<'_, PyBuffer>> {
        let py = region.py();
        let core = region.get().core().clone();
        let base = PyExporter::of_buffer(core.clone(), handle, length);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let buffer = PyBuffer { core, region: region.unbind(), handle, length };
        Ok(Bound::new(py, PyClassInitializer::from(base).add_subclass(PyShown).add_subclass(buffer))?)
    }

    pub fn handle(&self) -> Handle {
        self.handle
    }

    fn view<'py>(slf: &Bound<'py, Self>, kind: BorrowKind) -> Res<Bound<'py, PyView>> {
        let lease = slf.get().core.borrow(slf.get().handle, kind)?;
        lease.count_view();
        PyView::whole(slf, lease)
    }
}

#[pymethods]
impl PyBuffer {
    /// The buffer's handle.
    #[getter(handle)]
    fn py_handle(&self) -> PyHandle {
        PyHandle(self.handle)
    }

    /// The buffer's region.
    #[getter]
    fn region(&self, py: Python<'_>) -> Py<PyRegion> {
        self.region.clone_ref(py)
    }

    /// The buffer's heap.
    #[getter]
    fn heap(&self, py: Python<'_>) -> Py<PyHeap> {
        self.region.get().heap.clone_ref(py)
    }

    /// Bytes.
    #[getter]
    fn nbytes(&self) -> Res<u64> {
        guard(|| Ok(self.core.buffer_info(self.handle)?.length))
    }

    /// Bytes. The handle is checked, as at every use.
    fn __len__(&self) -> Res<usize> {
        guard(|| {
            self.core.buffer_info(self.handle)?;
            Ok(self.length)
        })
    }

    /// Borrows the bytes for reading, together with any number of others. `BorrowConflict` while anyone has them for
    /// writing. The view is a context manager; leaving it ends the borrow.
    fn borrow_shared<'py>(slf: &Bound<'py, Self>) -> Res<Bound<'py, PyView>> {
        guard(|| PyBuffer::view(slf, BorrowKind::Shared))
    }

    /// Borrows the bytes for writing, alone. `BorrowConflict` while anyone else has them at all, `Denied` once they are
    /// frozen. The view is a context manager; leaving it ends the borrow.
    fn borrow_unique<'py>(slf: &Bound<'py, Self>) -> Res<Bound<'py, PyView>> {
        guard(|| PyBuffer::view(slf, BorrowKind::Unique))
    }

    /// Frees the buffer. `Borrowed` while anyone borrows it.
    fn free(&self) -> Res<()> {
        guard(|| Ok(self.core.free(self.handle)?))
    }

    /// Takes the right to write, for everyone and for good. `BorrowConflict` under a unique borrow.
    fn freeze(&self) -> Res<()> {
        guard(|| Ok(self.core.freeze(self.handle)?))
    }

    /// Makes the bytes usable again whose writer died. They may be half changed.
    fn clear_poison(&self) -> Res<()> {
        guard(|| Ok(self.core.clear_poison(self.handle)?))
    }

    /// State and borrows, as a `dict`.
    fn info<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyAny>> {
        guard(|| record(py, &self.core.buffer_info(self.handle)?))
    }

    /// `buffer[3]` is a byte, `buffer[2:5]` a borrowed view of a part, read-only.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> Res<Py<PyAny>> {
        guard(|| match Key::of(key, slf.get().length)? {
            Key::Byte(at) => {
                let hold = slf.as_super().as_super().get().hold()?;
                Ok(byte_at(&hold, at).into_pyobject(slf.py()).map_err(PyErr::from)?.into_any().unbind())
            }
            Key::Part(start, end) => {
                let whole = PyBuffer::view(slf, BorrowKind::Shared)?;
                Ok(PyView::part_owned(&whole, start, end)?.into_any().unbind())
            }
        })
    }

    fn __repr__(&self) -> String {
        format!("<weaveheap.Buffer {} of {} bytes>", self.handle, self.length)
    }
}

/// What an index names.
pub enum Key {
    /// One byte.
    Byte(usize),
    /// A range.
    Part(usize, usize),
}

impl Key {
    /// Reads an index or a slice for this length, as sequences do.
    pub fn of(key: &Bound<'_, PyAny>, length: usize) -> Res<Key> {
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = slice.indices(length as isize)?;
            if range.step != 1 {
                return Err(only_step_one().into());
            }
            let start = range.start.unsigned_abs();
            return Ok(Key::Part(start, start + range.slicelength));
        }
        if !key.hasattr("__index__")? {
            let kind = key.get_type().name()?;
            return Err(PyTypeError::new_err(format!("an index is a whole number or a slice, not {kind}")).into());
        }
        let out_of_range = || PyIndexError::new_err("the index is out of range");
        let at: isize = key.extract().map_err(|error: PyErr| {
            // What an `__index__` of the user's raises is the user's.
            if error.is_instance_of::<PyOverflowError>(key.py()) { out_of_range() } else { error }
        })?;
        let at = if at < 0 { at.checked_add_unsigned(length) } else { Some(at) };
        match at.map(usize::try_from) {
            Some(Ok(at)) if at < length => Ok(Key::Byte(at)),
            _ => Err(out_of_range().into()),
        }
    }
}

/// One byte of a hold; the index was checked.
pub fn byte_at(hold: &Hold, at: usize) -> u8 {
    debug_assert!(at < hold.len());
    // SAFETY: the index is inside the bytes that the hold keeps.
    unsafe { hold.pointer().add(at).read() }
}
