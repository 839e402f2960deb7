//! `Buffer`: a run of bytes in a region, its borrows and what native consumers get of it (R2, B1, V3).

use std::ffi::c_int;

use pyo3::exceptions::{PyIndexError, PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBytes, PyMemoryView, PySlice, PyString, PyType};
use weaveheap_core::{BorrowKind, CopyReason, Error, ErrorCode, Handle, Heap};

use crate::border::guard;
use crate::error::Res;
use crate::export::{self, Exports, Hold};
use crate::handle::PyHandle;
use crate::heap::{PyHeap, record};
use crate::region::{PyRegion, only_step_one};
use crate::view::PyView;
use crate::{arrow, dlpack};

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
#[pyclass(frozen, weakref, name = "Buffer", module = "weaveheap")]
pub struct PyBuffer {
    /// A share of the attachment, here as well so that a borrow is one step away.
    core: Heap,
    region: Py<PyRegion>,
    handle: Handle,
    exports: Exports,
}

impl PyBuffer {
    pub fn wrap(region: Bound<'_, PyRegion>, handle: Handle, length: u64) -> Res<Bound<'_, PyBuffer>> {
        let py = region.py();
        let core = region.get().core().clone();
        let exports = Exports::new(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(Bound::new(py, PyBuffer { core, region: region.unbind(), handle, exports })?)
    }

    pub fn handle(&self) -> Handle {
        self.handle
    }

    fn len(&self) -> usize {
        self.exports.len()
    }

    /// A shared borrow for a call or a consumer.
    fn hold(&self) -> Res<Hold> {
        Ok(Hold::Lease(self.core.borrow(self.handle, BorrowKind::Shared)?))
    }

    /// A shared borrow for a native consumer, counted as a view.
    fn counted_hold(&self) -> Res<Hold> {
        let lease = self.core.borrow(self.handle, BorrowKind::Shared)?;
        lease.count_view();
        Ok(Hold::Lease(lease))
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
            Ok(self.len())
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

    /// The bytes as text, copied (counted as `export`). `InvalidUtf8` if they are none.
    fn text<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyString>> {
        guard(|| {
            let hold = self.hold()?;
            let text = text_of(py, &hold, self.handle)?;
            self.core.count_copy(self.handle, CopyReason::Export, hold.len() as u64);
            Ok(text)
        })
    }

    /// A copy of the bytes, counted as `export`.
    fn __bytes__<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyBytes>> {
        guard(|| {
            let hold = self.hold()?;
            let bytes = hold.to_bytes(py)?;
            self.core.count_copy(self.handle, CopyReason::Export, hold.len() as u64);
            Ok(bytes)
        })
    }

    /// `buffer[3]` is a byte, `buffer[2:5]` a borrowed view of a part, read-only.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> Res<Py<PyAny>> {
        guard(|| match Key::of(key, slf.get().len())? {
            Key::Byte(at) => {
                let hold = slf.get().hold()?;
                Ok(byte_at(&hold, at).into_pyobject(slf.py()).map_err(PyErr::from)?.into_any().unbind())
            }
            Key::Part(start, end) => {
                let whole = PyBuffer::view(slf, BorrowKind::Shared)?;
                Ok(PyView::part_owned(&whole, start, end)?.into_any().unbind())
            }
        })
    }

    /// True if the other has the same bytes: a buffer, a view, `bytes`, anything with contiguous bytes.
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

    /// DLPack: a read-only tensor of bytes that holds a shared borrow as long as its consumer does.
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
            dlpack::capsule(py, self.counted_hold()?, max_version)
        })
    }

    /// The DLPack device: the CPU.
    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::DEVICE
    }

    /// The Arrow C data interface: an array of `uint8` that holds a shared borrow as long as its consumer does.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__(
        &self,
        py: Python<'_>,
        requested_schema: Option<&Bound<'_, PyAny>>,
    ) -> Res<(Py<PyAny>, Py<PyAny>)> {
        // The specification lets a producer leave a requested schema to the consumer's cast.
        let _left_to_the_consumer = requested_schema;
        guard(|| arrow::pair(py, self.counted_hold()?))
    }

    /// Pickles as a read-only `memoryview`: with protocol 5 the bytes go out of band when the pickler has a
    /// `buffer_callback`, without a copy; before protocol 5 they are copied (counted as `serialize`).
    fn __reduce_ex__<'py>(slf: &Bound<'py, Self>, protocol: i32) -> Res<(Bound<'py, PyType>, (Bound<'py, PyAny>,))> {
        guard(|| {
            let py = slf.py();
            let content = if protocol >= 5 {
                py.import("pickle")?.getattr("PickleBuffer")?.call1((slf,))?
            } else {
                let hold = slf.get().hold()?;
                let bytes = hold.to_bytes(py)?;
                slf.get().core.count_copy(slf.get().handle, CopyReason::Serialize, hold.len() as u64);
                bytes.into_any()
            };
            Ok((py.get_type::<PyMemoryView>(), (content,)))
        })
    }

    fn __repr__(&self) -> String {
        format!("<weaveheap.Buffer {} of {} bytes>", self.handle, self.len())
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> Res<()> {
        // SAFETY: Python gives a view to be filled; `obj` has to be null when it is not.
        unsafe { (*view).obj = std::ptr::null_mut() };
        guard(|| {
            let hold = slf.get().counted_hold()?;
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

/// The bytes of a hold as text.
pub fn text_of<'py>(py: Python<'py>, hold: &Hold, handle: Handle) -> Res<Bound<'py, PyString>> {
    let own;
    let bytes = if hold.is_readonly() {
        // SAFETY: the hold keeps the bytes, and nobody writes under a shared borrow.
        unsafe { std::slice::from_raw_parts(hold.pointer().cast_const(), hold.len()) }
    } else {
        // A NumPy array of the same borrow may be written by another thread: what is validated must stay as it is.
        own = hold.to_bytes(py)?;
        own.as_bytes()
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(error) => {
            let message = format!("The bytes are UTF-8 only up to offset {}.", error.valid_up_to());
            Err(Error::with_message(ErrorCode::InvalidUtf8, message).about(handle).into())
        }
    }
}

/// `==` and `!=` by content. A refusal to borrow is raised: bytes that cannot be seen are neither equal nor unequal.
pub fn compare(other: &Bound<'_, PyAny>, equal: bool, mine: impl FnOnce() -> Res<Hold>) -> Res<Py<PyAny>> {
    let py = other.py();
    // SAFETY: a type without the slot is fine for this check.
    if unsafe { ffi::PyObject_CheckBuffer(other.as_ptr()) } == 0 {
        return Ok(py.NotImplemented());
    }
    match export::equals(&mine()?, other)? {
        Some(same) => Ok((same == equal).into_pyobject(py).map_err(PyErr::from)?.to_owned().into_any().unbind()),
        None => Ok(py.NotImplemented()),
    }
}
