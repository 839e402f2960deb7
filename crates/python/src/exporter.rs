//! `Exporter`: what a buffer and a view have in common, which is how others get their bytes (V3): NumPy, DLPack, Arrow,
//! pickle, copies, and comparing, and what the buffer protocol (`shown.rs`) shows. `Buffer` and `View` derive from it.

use std::ffi::c_void;
use std::sync::Arc;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBytes, PyMemoryView, PyString, PyType};
use weaveheap_core::{BorrowKind, CopyReason, Error, ErrorCode, Handle, Heap, Miss, RawBorrow, Token};

use crate::border::guard;
use crate::error::{Fault, Res};
use crate::export::{self, Hold, Shown};
use crate::window::{Use, Window};
use crate::{arrow, dlpack};

/// What the bytes of an object are reached by.
enum Origin {
    /// A buffer: each consumer has a borrow of its own, shared.
    Buffer(Heap, Handle),
    /// A view: each consumer is a use of its borrow.
    View(Arc<Window>),
}

/// The base of `Buffer` and `View`: consumers of their bytes.
#[pyclass(frozen, subclass, name = "_Exporter", module = "weaveheap._native")]
pub struct PyExporter {
    origin: Origin,
    /// What consumers of the buffer protocol are shown; it stays in place as long as the object lives.
    shape: [isize; 1],
}

impl PyExporter {
    /// The base of a buffer.
    pub fn of_buffer(heap: Heap, handle: Handle, length: u64) -> PyExporter {
        PyExporter { origin: Origin::Buffer(heap, handle), shape: [isize::try_from(length).unwrap_or(isize::MAX)] }
    }

    /// The base of a view.
    pub fn of_view(window: Arc<Window>) -> PyExporter {
        let shape = [isize::try_from(window.len()).unwrap_or(isize::MAX)];
        PyExporter { origin: Origin::View(window), shape }
    }

    /// The bytes for the length of a call.
    pub fn hold(&self) -> Res<Hold> {
        match &self.origin {
            Origin::Buffer(heap, handle) => Ok(Hold::Lease(heap.borrow(*handle, BorrowKind::Shared)?)),
            Origin::View(window) => Ok(Hold::Use(window.enter()?)),
        }
    }

    /// The bytes for a native consumer: a borrow that begins here is counted as a view.
    fn counted_hold(&self) -> Res<Hold> {
        let hold = self.hold()?;
        if let Hold::Lease(lease) = &hold {
            lease.count_view();
        }
        Ok(hold)
    }

    /// What consumers of the buffer protocol are told: how many bytes there are.
    pub fn shape(&self) -> &[isize; 1] {
        &self.shape
    }

    /// The bytes for a consumer of the buffer protocol.
    #[inline(always)]
    pub fn show(&self, writable: bool) -> Result<Shown, Box<Fault>> {
        match &self.origin {
            Origin::Buffer(heap, handle) => {
                let borrow = match heap.begin_view_short(*handle, BorrowKind::Shared) {
                    Ok(borrow) => borrow,
                    Err(miss) => begin_long(heap, *handle, miss)?,
                };
                if writable || borrow.length != self.shape[0].unsigned_abs() {
                    // SAFETY: begun above, and nobody has its bytes.
                    unsafe { heap.end_view(borrow.token) };
                    return Err(Box::new(if writable { read_only() } else { other_length(*handle) }));
                }
                Ok(Shown { pointer: borrow.pointer, readonly: true, keep: borrow.token.to_bits() as *mut c_void })
            }
            Origin::View(window) => show_window(window, writable),
        }
    }

    /// The consumer has let go.
    ///
    /// # Safety
    /// `show` of this object gave it, it is given back once, and nobody uses the bytes any more.
    #[inline]
    pub unsafe fn hide(&self, keep: *mut c_void) {
        match &self.origin {
            // SAFETY: the caller's promise.
            Origin::Buffer(heap, _) => unsafe { heap.end_view(Token::from_bits(keep as u64)) },
            // SAFETY: the caller's promise.
            Origin::View(_) => drop(unsafe { Use::from_raw(keep) }),
        }
    }

    fn count_copy(&self, reason: CopyReason, bytes: usize) {
        let (heap, handle) = match &self.origin {
            Origin::Buffer(heap, handle) => (heap, *handle),
            Origin::View(window) => (window.heap(), window.handle()),
        };
        heap.count_copy(handle, reason, bytes as u64);
    }

    fn handle(&self) -> Handle {
        match &self.origin {
            Origin::Buffer(_, handle) => *handle,
            Origin::View(window) => window.handle(),
        }
    }

    fn copied<'py>(&self, py: Python<'py>, reason: CopyReason) -> Res<Bound<'py, PyBytes>> {
        let hold = self.hold()?;
        let bytes = hold.to_bytes(py)?;
        self.count_copy(reason, hold.len());
        Ok(bytes)
    }
}

#[pymethods]
impl PyExporter {
    /// The bytes as text, copied (counted as `export`). `InvalidUtf8` if they are none.
    fn text<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyString>> {
        guard(|| {
            let hold = self.hold()?;
            let text = text_of(py, &hold, self.handle())?;
            self.count_copy(CopyReason::Export, hold.len());
            Ok(text)
        })
    }

    /// A copy of the bytes, counted as `export`.
    fn __bytes__<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyBytes>> {
        guard(|| self.copied(py, CopyReason::Export))
    }

    /// True if the other has the same bytes: a buffer, a view, `bytes`, anything with contiguous bytes.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> Res<Py<PyAny>> {
        guard(|| self.compare(other, true))
    }

    fn __ne__(&self, other: &Bound<'_, PyAny>) -> Res<Py<PyAny>> {
        guard(|| self.compare(other, false))
    }

    /// Refuses: NumPy asks for it only when the buffer protocol has refused, and what follows would be a silent copy.
    #[pyo3(signature = (dtype=None, *, copy=None))]
    fn __array__(&self, dtype: Option<&Bound<'_, PyAny>>, copy: Option<&Bound<'_, PyAny>>) -> Res<Py<PyAny>> {
        let _whatever_is_asked = (dtype, copy);
        guard(|| export::refuse_copy(self.hold()))
    }

    /// DLPack: a tensor of bytes that holds a borrow as long as its consumer does; read-only if the borrow is shared.
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

    /// The Arrow C data interface: an array of `uint8` that holds a borrow as long as its consumer does.
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
                slf.get().copied(py, CopyReason::Serialize)?.into_any()
            };
            Ok((py.get_type::<PyMemoryView>(), (content,)))
        })
    }
}

// A token goes through a pointer of the buffer protocol.
const _: () = assert!(size_of::<*mut c_void>() >= size_of::<Token>());

impl PyExporter {
    /// `==` and `!=` by content. A refusal to borrow is raised: bytes that cannot be seen are neither equal nor unequal.
    fn compare(&self, other: &Bound<'_, PyAny>, equal: bool) -> Res<Py<PyAny>> {
        let py = other.py();
        // SAFETY: a type without the slot is fine for this check.
        if unsafe { ffi::PyObject_CheckBuffer(other.as_ptr()) } == 0 {
            return Ok(py.NotImplemented());
        }
        let same = export::equals(&self.hold()?, other)?;
        Ok((same == equal).into_pyobject(py).map_err(PyErr::from)?.to_owned().into_any().unbind())
    }
}

#[cold]
#[inline(never)]
fn begin_long(heap: &Heap, handle: Handle, miss: Miss) -> Result<RawBorrow, Box<Fault>> {
    let begun = match miss {
        Miss::Stale => Err(Error::new(ErrorCode::StaleHandle).about(handle)),
        Miss::Slow => heap.begin_view(handle, BorrowKind::Shared),
    };
    begun.map_err(|error| Box::new(error.into()))
}

#[inline(never)]
fn show_window(window: &Arc<Window>, writable: bool) -> Result<Shown, Box<Fault>> {
    let part = window.enter().map_err(Box::new)?;
    if writable && part.is_readonly() {
        return Err(Box::new(read_only()));
    }
    Ok(Shown { pointer: part.pointer(), readonly: part.is_readonly(), keep: part.into_raw() })
}

#[cold]
fn read_only() -> Fault {
    let message = "A shared borrow is read-only. Ask for a writable view with `borrow_unique()`.";
    Error::with_message(ErrorCode::Denied, message).into()
}

#[cold]
fn other_length(handle: Handle) -> Fault {
    Error::with_message(ErrorCode::Corrupt, "The buffer has not the length that it was made with.").about(handle).into()
}

/// The bytes of a hold as text.
fn text_of<'py>(py: Python<'py>, hold: &Hold, handle: Handle) -> Res<Bound<'py, PyString>> {
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
