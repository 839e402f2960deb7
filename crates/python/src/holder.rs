//! `Holder`: one live borrow and who holds it, as refusals and `holders()` list it (B4, B6).

use pyo3::prelude::*;
use weaveheap_core::Holder;

use crate::handle::PyHandle;

/// One live borrow, and who holds it. `str(holder)` is a line for people.
#[pyclass(frozen, name = "Holder", module = "weaveheap")]
pub struct PyHolder(pub Holder);

#[pymethods]
impl PyHolder {
    /// The buffer.
    #[getter]
    fn handle(&self) -> PyHandle {
        PyHandle(self.0.handle)
    }

    /// The region of the buffer.
    #[getter]
    fn region(&self) -> PyHandle {
        PyHandle(self.0.region)
    }

    /// `"shared"` or `"unique"`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.name()
    }

    /// The process id.
    #[getter]
    fn process(&self) -> u32 {
        self.0.process
    }

    /// The thread id, as the system has it.
    #[getter]
    fn thread(&self) -> u64 {
        self.0.thread
    }

    /// The language, in lower case: `"python"`, `"node"`, `"rust"` and so on.
    #[getter]
    fn runtime(&self) -> &'static str {
        self.0.runtime.name()
    }

    /// What the attachment calls itself; empty if it has no label.
    #[getter]
    fn label(&self) -> &str {
        &self.0.label
    }

    /// The age of the borrow in milliseconds, to about 10.
    #[getter]
    fn age_ms(&self) -> u64 {
        self.0.age_ms
    }

    /// False if the holder was seen to be dead.
    #[getter]
    fn alive(&self) -> bool {
        self.0.alive
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Holder: {}>", self.0)
    }
}
