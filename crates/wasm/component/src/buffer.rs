//! The resource `byte-buffer`.

use std::rc::Rc;

use weaveheap_core::{BorrowKind, Handle, Lease, Result};

use crate::bindings::exports::weaveheap::heap::heap::{BufferInfo, GuestByteBuffer, SharedBorrow, UniqueBorrow};
use crate::borrow;
use crate::entry::{Held, call, freeing_call};
use crate::error::Answer;
use crate::info;
use crate::region::Arena;

/// A buffer. It keeps its region's owner.
pub(crate) struct Buffer {
    arena: Held<Rc<Arena>>,
    handle: Handle,
    length: u64,
}

impl Buffer {
    pub(crate) fn new(arena: &Rc<Arena>, handle: Handle, length: u64) -> Buffer {
        Buffer { arena: Held::new(Rc::clone(arena)), handle, length }
    }

    fn borrow(&self, kind: BorrowKind) -> Result<Lease> {
        self.arena.heap.borrow(self.handle, kind)
    }
}

impl GuestByteBuffer for Buffer {
    fn handle(&self) -> u64 {
        self.handle.to_bits()
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn info(&self) -> Answer<BufferInfo> {
        call(|| self.arena.heap.buffer_info(self.handle).map(info::buffer))
    }

    fn borrow_shared(&self) -> Answer<SharedBorrow> {
        call(|| Ok(SharedBorrow::new(borrow::SharedBorrow::new(self.borrow(BorrowKind::Shared)?))))
    }

    fn borrow_unique(&self) -> Answer<UniqueBorrow> {
        call(|| Ok(UniqueBorrow::new(borrow::UniqueBorrow::new(self.borrow(BorrowKind::Unique)?))))
    }

    fn freeze(&self) -> Answer<()> {
        call(|| self.arena.heap.freeze(self.handle))
    }

    fn free(&self) -> Answer<()> {
        freeing_call(|| self.arena.heap.free(self.handle))
    }
}
