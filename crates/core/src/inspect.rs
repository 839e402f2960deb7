//! Inspection from outside: a heap mapped read-only, without an attachment (N2, H10).

use std::path::Path;

use crate::error::Result;
use crate::handle::Handle;
use crate::snapshot::{BufferInfo, Holder, Snapshot};

/// A heap seen read-only from another process. Nothing in it is changed, and nobody notices.
pub struct Inspector {
    _private: (),
}

impl Inspector {
    /// The shared heap with this name.
    pub fn open(name: &str) -> Result<Inspector> {
        let _ = name;
        todo!()
    }

    /// The shared heap in this file.
    pub fn open_path(path: &Path) -> Result<Inspector> {
        let _ = path;
        todo!()
    }

    /// The private heaps of a process that were made with `inspect` (H10). Empty if it has none; `NotFound` if there
    /// is no such process.
    pub fn of_process(process: u32) -> Result<Vec<Inspector>> {
        let _ = process;
        todo!()
    }

    /// The heap as it is now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        todo!()
    }

    /// Buffers of a region that live, by index, at most `limit`.
    pub fn buffers(&self, region: Handle, limit: usize) -> Result<Vec<BufferInfo>> {
        let _ = (region, limit);
        todo!()
    }

    /// Who holds borrows of a buffer, or of any buffer of a region. `StaleHandle` if the handle is.
    pub fn holders(&self, handle: Handle) -> Result<Vec<Holder>> {
        let _ = handle;
        todo!()
    }
}
