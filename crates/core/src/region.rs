//! The typed region: an arena whose lifetime the compiler watches (V1).

use std::time::Duration;

use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::error_code::ErrorCode;
use crate::handle::Handle;
use crate::heap::{Heap, Init};
use crate::snapshot::RegionInfo;

/// The alignment that buffers have unless asked otherwise (R2).
pub const DEFAULT_ALIGN: u64 = 64;

/// A region of a heap. Buffers borrow it, so that it cannot be closed under them.
///
/// The object of a region made in a private heap owns it: dropped while open, it is closed when idle (R7). A region of
/// a shared heap lives until it is closed.
#[derive(Debug)]
pub struct Region<'heap> {
    heap: &'heap Heap,
    handle: Handle,
    owns: bool,
}

impl<'heap> Region<'heap> {
    pub(crate) fn owned(heap: &'heap Heap, handle: Handle) -> Region<'heap> {
        Region { heap, handle, owns: !heap.is_shared() }
    }

    pub(crate) fn referred(heap: &'heap Heap, handle: Handle) -> Region<'heap> {
        Region { heap, handle, owns: false }
    }

    /// The region's handle.
    #[inline]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// The region's heap.
    pub fn heap(&self) -> &'heap Heap {
        self.heap
    }

    /// Allocates zeroed bytes, aligned to 64.
    pub fn alloc(&self, length: u64) -> Result<Buffer<'_>> {
        self.alloc_with(length, DEFAULT_ALIGN, Init::Zeroed)
    }

    /// Allocates with an alignment (a power of two up to 4096) and the memory's first content.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub fn alloc_with(&self, length: u64, align: u64, init: Init) -> Result<Buffer<'_>> {
        let handle = self.heap.alloc(self.handle, length, align, init)?;
        Ok(Buffer::new(self.heap, handle, length))
    }

    /// Allocates a copy of these bytes, counted as `ingest`.
    pub fn alloc_from(&self, bytes: &[u8]) -> Result<Buffer<'_>> {
        let handle = self.heap.alloc_from(self.handle, bytes, DEFAULT_ALIGN)?;
        Ok(Buffer::new(self.heap, handle, bytes.len() as u64))
    }

    /// Allocates a string: the text's bytes, without a terminator.
    pub fn string(&self, text: &str) -> Result<Buffer<'_>> {
        self.alloc_from(text.as_bytes())
    }

    /// The state and counters.
    pub fn info(&self) -> Result<RegionInfo> {
        self.heap.region_info(self.handle)
    }

    /// Empties the region and keeps it. The compiler sees to it that no buffer of this object is in use; those of
    /// others make it `Borrowed`.
    pub fn reset(&mut self) -> Result<()> {
        self.heap.reset(self.handle)
    }

    /// Frees the region. On failure it is given back with the error.
    pub fn close(mut self) -> std::result::Result<(), (Self, Error)> {
        match self.heap.close(self.handle) {
            Err(error) if error.code() != ErrorCode::StaleHandle => Err((self, error)),
            result => {
                self.owns = false;
                result.map_err(|error| (self, error))
            }
        }
    }

    /// Refuses new borrows at once; the last borrow to end frees the region (R4).
    pub fn close_when_idle(mut self) -> Result<()> {
        self.owns = false;
        self.heap.close_when_idle(self.handle)
    }

    /// Sleeps until no buffer of the region is borrowed.
    pub fn wait_idle(&self, timeout: Option<Duration>) -> Result<()> {
        self.heap.wait_idle(self.handle, timeout)
    }
}

impl Drop for Region<'_> {
    fn drop(&mut self) {
        if self.owns {
            self.heap.collect_region(self.handle);
        }
    }
}
