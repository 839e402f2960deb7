//! The native module `weaveheap._native`: PyO3 over the core, one file for each noun. `python/weaveheap` makes the
//! public package of it. This crate converts and guards; what a heap does is the core's alone.

mod arrow;
mod border;
mod buffer;
mod dlpack;
mod error;
mod export;
mod exporter;
mod handle;
mod heap;
mod holder;
mod region;
mod shown;
mod view;
mod window;

use pyo3::prelude::*;

/// The native part of WeaveHeap.
#[pymodule(gil_used = true)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::buffer::PyBuffer;
    #[pymodule_export]
    use crate::error::ErrorDetail;
    #[pymodule_export]
    use crate::exporter::PyExporter;
    #[pymodule_export]
    use crate::handle::PyHandle;
    #[pymodule_export]
    use crate::heap::{PyHeap, PyHeapEntry};
    #[pymodule_export]
    use crate::holder::PyHolder;
    #[pymodule_export]
    use crate::panic_inside;
    #[pymodule_export]
    use crate::region::PyRegion;
    #[pymodule_export]
    use crate::shown::PyShown;
    #[pymodule_export]
    use crate::view::PyView;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
        module.add("LAYOUT_VERSION", weaveheap_core::LAYOUT_VERSION)?;
        module.add("ERROR_CODES", crate::error::codes(module.py())?)
    }
}

/// Panics inside the border, so that a test can see what becomes of it (F1).
#[pyfunction]
fn panic_inside() -> error::Res<()> {
    border::guard(|| panic!("asked for"))
}
