//! The resource `region`, and what keeps a region open: its owner, and the buffers that came from it (R7).

use std::rc::Rc;

use weaveheap_core::{DEFAULT_ALIGN, Handle, Heap, Init, Result};

use crate::bindings::exports::weaveheap::heap::heap::{BufferOptions, ByteBuffer, GuestRegion, RegionInfo};
use crate::buffer::Buffer;
use crate::entry::{Held, call, freeing_call};
use crate::error::Answer;
use crate::info;
use crate::room::Line;

/// A region with its heap. The one that owns it closes it when idle, if it is still open when the last user goes.
pub(crate) struct Arena {
    pub(crate) heap: Heap,
    handle: Handle,
    owns: bool,
    _line: Line,
}

impl Arena {
    pub(crate) fn owned(heap: &Heap, handle: Handle) -> Arena {
        Arena { heap: heap.clone(), handle, owns: true, _line: Line::new() }
    }

    pub(crate) fn referred(heap: &Heap, handle: Handle) -> Arena {
        Arena { heap: heap.clone(), handle, owns: false, _line: Line::new() }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.owns {
            self.heap.collect_region(self.handle);
        }
    }
}

/// A region as its user has it.
pub(crate) struct Region(Held<Rc<Arena>>);

impl Region {
    pub(crate) fn new(arena: Arena) -> Region {
        Region(Held::new(Rc::new(arena)))
    }

    fn buffer(&self, handle: Handle, length: u64) -> ByteBuffer {
        ByteBuffer::new(Buffer::new(&self.0, handle, length))
    }

    fn alloc_bytes(&self, bytes: &[u8]) -> Result<ByteBuffer> {
        let handle = self.0.heap.alloc_from(self.0.handle, bytes, DEFAULT_ALIGN)?;
        Ok(self.buffer(handle, bytes.len() as u64))
    }
}

impl GuestRegion for Region {
    fn handle(&self) -> u64 {
        self.0.handle.to_bits()
    }

    fn alloc(&self, length: u64, options: BufferOptions) -> Answer<ByteBuffer> {
        call(|| {
            let init = if options.uninitialised { Init::Uninit } else { Init::Zeroed };
            let align = options.align.unwrap_or(DEFAULT_ALIGN);
            let handle = self.0.heap.alloc(self.0.handle, length, align, init)?;
            Ok(self.buffer(handle, length))
        })
    }

    fn alloc_from(&self, bytes: Vec<u8>) -> Answer<ByteBuffer> {
        call(|| self.alloc_bytes(&bytes))
    }

    fn alloc_string(&self, text: String) -> Answer<ByteBuffer> {
        call(|| self.alloc_bytes(text.as_bytes()))
    }

    fn info(&self) -> Answer<RegionInfo> {
        call(|| self.0.heap.region_info(self.0.handle).map(info::region))
    }

    fn reset(&self) -> Answer<()> {
        freeing_call(|| self.0.heap.reset(self.0.handle))
    }

    fn close(&self) -> Answer<()> {
        freeing_call(|| self.0.heap.close(self.0.handle))
    }

    fn close_when_idle(&self) -> Answer<()> {
        freeing_call(|| self.0.heap.close_when_idle(self.0.handle))
    }
}
