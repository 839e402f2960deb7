//! Errors on their way to Python: one exception class for each code (F3), with the holders gathered when they are asked
//! for (B6). The classes are in `_codes.py`, which is written from the one list.

use std::sync::Weak;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};
use weaveheap_core::{Error, ErrorCode};

use crate::handle::PyHandle;
use crate::holder::PyHolder;
use crate::window::Window;

/// The result of the body of a call.
pub type Res<T> = Result<T, Fault>;

/// Why a call failed.
pub enum Fault {
    /// The core refused.
    Core(Error),
    /// A view cannot be released, because something made of it still uses the memory.
    InUse(Error, Weak<Window>),
    /// Python raised.
    Python(PyErr),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Core(error)
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Fault {
        Fault::Python(error)
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> PyErr {
        let detail = match fault {
            Fault::Python(error) => return error,
            Fault::Core(error) => ErrorDetail { error, window: None },
            Fault::InUse(error, window) => ErrorDetail { error, window: Some(window) },
        };
        Python::attach(|py| raise(py, detail).unwrap_or_else(|error| error))
    }
}

fn raise(py: Python<'_>, detail: ErrorDetail) -> PyResult<PyErr> {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("weaveheap._codes")?.getattr("CLASSES")?.cast_into::<PyDict>()?.unbind())
    })?;
    let class = classes.bind(py).as_any().get_item(detail.error.code().number())?;
    Ok(PyErr::from_value(class.call1((py.None(), detail))?))
}

/// The list of codes, for the package to be compared with: number, name, meaning, remedy.
pub fn codes(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    PyList::new(py, ErrorCode::ALL.iter().map(|c| (c.number(), c.name(), c.meaning(), c.remedy())))
}

/// What an exception keeps of the error: enough to make the message and the list of holders later.
#[pyclass(frozen, module = "weaveheap._native")]
pub struct ErrorDetail {
    error: Error,
    window: Option<Weak<Window>>,
}

#[pymethods]
impl ErrorDetail {
    /// What was wrong and what to do, with the holders as they are now.
    fn message(&self) -> String {
        let mut text = self.error.message();
        if self.window.is_some() {
            let shown: Vec<String> = self.gather().iter().take(8).map(ToString::to_string).collect();
            if !shown.is_empty() {
                text.push_str(&format!(" Held: {}.", shown.join("; ")));
            }
        }
        text
    }

    /// Who holds borrows of the subject now.
    fn holders(&self) -> Vec<PyHolder> {
        self.gather().into_iter().map(PyHolder).collect()
    }

    /// The handle that the error is about, the null handle if it is about none.
    #[getter]
    fn subject(&self) -> PyHandle {
        PyHandle(self.error.subject())
    }
}

impl ErrorDetail {
    fn gather(&self) -> Vec<weaveheap_core::Holder> {
        match &self.window {
            Some(window) => window.upgrade().map(|w| w.holders()).unwrap_or_default(),
            None => self.error.holders(),
        }
    }
}
