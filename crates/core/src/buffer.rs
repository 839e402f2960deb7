//! The typed buffer and its guards: slices that the compiler and the ledger both watch (V1).

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::error::{Error, Result};
use crate::error_code::ErrorCode;
use crate::handle::{Handle, Token};
use crate::heap::Heap;
use crate::lease::RawBorrow;
use crate::snapshot::{BorrowKind, BufferInfo};

/// A buffer. The object is a reference: dropping it frees nothing.
#[derive(Debug)]
pub struct Buffer<'region> {
    heap: &'region Heap,
    handle: Handle,
    length: u64,
}

impl<'region> Buffer<'region> {
    pub(crate) fn new(heap: &'region Heap, handle: Handle, length: u64) -> Buffer<'region> {
        Buffer { heap, handle, length }
    }

    /// The buffer's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// True if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Borrows the bytes for reading; `BorrowConflict` while anyone has them for writing.
    pub fn borrow_shared(&self) -> Result<Ref<'_>> {
        let borrow = self.heap.attachment.borrow_owned(self.handle, BorrowKind::Shared)?;
        Ok(Ref { heap: self.heap, borrow, lifetime: PhantomData })
    }

    /// Borrows the bytes for writing; `BorrowConflict` while anyone else has them at all.
    pub fn borrow_unique(&mut self) -> Result<RefMut<'_>> {
        let borrow = self.heap.attachment.borrow_owned(self.handle, BorrowKind::Unique)?;
        Ok(RefMut { heap: self.heap, borrow, lifetime: PhantomData })
    }

    /// The state.
    pub fn info(&self) -> Result<BufferInfo> {
        self.heap.buffer_info(self.handle)
    }

    /// Takes the right to write, for everyone and for good (K4).
    pub fn freeze(&self) -> Result<()> {
        self.heap.freeze(self.handle)
    }

    /// Frees the buffer. `Borrowed` while anyone borrows it.
    pub fn free(self) -> Result<()> {
        self.heap.free(self.handle)
    }
}

/// A shared borrow: the bytes for reading.
#[derive(Debug)]
pub struct Ref<'buffer> {
    heap: &'buffer Heap,
    borrow: RawBorrow,
    lifetime: PhantomData<&'buffer [u8]>,
}

impl Ref<'_> {
    /// The name of this borrow in the ledger.
    pub fn token(&self) -> Token {
        self.borrow.token
    }

    /// The bytes as text; `InvalidUtf8` if they are none.
    pub fn as_str(&self) -> Result<&str> {
        std::str::from_utf8(self).map_err(|error| {
            Error::with_message(
                ErrorCode::InvalidUtf8,
                format!("the bytes are UTF-8 only up to offset {}", error.valid_up_to()),
            )
        })
    }
}

impl Deref for Ref<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the borrow is live as long as self; nobody writes under a shared borrow.
        unsafe { std::slice::from_raw_parts(self.borrow.pointer, self.borrow.length) }
    }
}

impl Drop for Ref<'_> {
    fn drop(&mut self) {
        self.heap.attachment.end_owned(self.borrow.token);
    }
}

// SAFETY: any thread may end a borrow (B3), and the bytes are only read.
unsafe impl Send for Ref<'_> {}
// SAFETY: as above.
unsafe impl Sync for Ref<'_> {}

/// A unique borrow: the bytes for writing.
#[derive(Debug)]
pub struct RefMut<'buffer> {
    heap: &'buffer Heap,
    borrow: RawBorrow,
    lifetime: PhantomData<&'buffer mut [u8]>,
}

impl RefMut<'_> {
    /// The name of this borrow in the ledger.
    pub fn token(&self) -> Token {
        self.borrow.token
    }
}

impl Deref for RefMut<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the borrow is unique and live as long as self; writing needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.borrow.pointer, self.borrow.length) }
    }
}

impl DerefMut for RefMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`, and self is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.borrow.pointer, self.borrow.length) }
    }
}

impl Drop for RefMut<'_> {
    fn drop(&mut self) {
        self.heap.attachment.end_owned(self.borrow.token);
    }
}

// SAFETY: any thread may end a borrow (B3), and the bytes are reached through this object alone.
unsafe impl Send for RefMut<'_> {}
// SAFETY: as above: `&RefMut` only reads.
unsafe impl Sync for RefMut<'_> {}
