//! Names of shared heaps and the folder they live in (H4).

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::heap::HeapEntry;

pub(crate) fn remove(name: &str) -> Result<()> {
    let _ = name;
    todo!()
}

pub(crate) fn remove_path(path: &Path) -> Result<()> {
    let _ = path;
    todo!()
}

pub(crate) fn list() -> Result<Vec<HeapEntry>> {
    todo!()
}

pub(crate) fn folder() -> PathBuf {
    todo!()
}
