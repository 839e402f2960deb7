//! `Handle`: 64 bits that name a region or a buffer, as a Python object with a text form (K1, K5).

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::PyType;
use weaveheap_core::{Handle, HandleKind};

use crate::border::{HandleArg, Text, guard};
use crate::error::Res;

/// A handle names a region or a buffer of a heap: 64 bits, the same in every process and language.
///
/// It is data: keeping or dropping one borrows and frees nothing, and every use of one is checked. `int(handle)` gives
/// the bits, `str(handle)` the text form.
///
/// >>> import weaveheap
/// >>> handle = weaveheap.Handle.parse("b17:2043")
/// >>> str(handle), handle.kind, handle.index, handle.generation
/// ('b17:2043', 'buffer', 17, 2043)
/// >>> weaveheap.Handle(int(handle)) == handle
/// True
#[pyclass(frozen, name = "Handle", module = "weaveheap")]
pub struct PyHandle(pub Handle);

#[pymethods]
impl PyHandle {
    /// The handle with these bits. Any value from 0 to 2**64 - 1 may be given.
    #[new]
    #[pyo3(signature = (bits, /))]
    fn new(bits: HandleArg) -> PyHandle {
        PyHandle(bits.0)
    }

    /// Reads the text form: `b17:2043` for a buffer, `r3:77` for a region, `null`. `InvalidArgument` for other text.
    #[classmethod]
    #[pyo3(signature = (text, /))]
    fn parse(_class: &Bound<'_, PyType>, text: Text) -> Res<PyHandle> {
        guard(|| Ok(PyHandle(text.0.parse::<Handle>()?)))
    }

    /// `"buffer"` or `"region"`.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.kind() {
            HandleKind::Buffer => "buffer",
            HandleKind::Region => "region",
        }
    }

    /// The index in its table, from 0.
    #[getter]
    fn index(&self) -> u32 {
        self.0.index()
    }

    /// The generation: odd in every live handle, and never used twice.
    #[getter]
    fn generation(&self) -> u32 {
        self.0.generation()
    }

    fn __int__(&self) -> u64 {
        self.0.to_bits()
    }

    fn __index__(&self) -> u64 {
        self.0.to_bits()
    }

    /// False for the null handle.
    fn __bool__(&self) -> bool {
        !self.0.is_null()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Handle({:?})", self.0.to_string())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> Option<bool> {
        other.cast::<PyHandle>().ok().map(|other| other.get().0 == self.0)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (u64,)) {
        (slf.get_type(), (slf.get().0.to_bits(),))
    }
}
