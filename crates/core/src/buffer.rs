//! The typed buffer and its guards: slices that the compiler and the ledger both watch (V1).

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::borrow::By;
use crate::error::{Error, Result};
use crate::error_code::ErrorCode;
use crate::fast::{Begun, Miss, Own};
use crate::handle::{Handle, Token};
use crate::heap::Heap;
use crate::snapshot::{BorrowKind, BufferInfo};
use crate::told::told;

/// A buffer. The object is a reference: dropping it frees nothing.
#[derive(Debug)]
pub struct Buffer<'region> {
    heap: &'region Heap,
    handle: Handle,
    length: u64,
}

impl<'region> Buffer<'region> {
    #[inline]
    pub(crate) fn new(heap: &'region Heap, handle: Handle, length: u64) -> Buffer<'region> {
        Buffer { heap, handle, length }
    }

    /// The buffer's handle.
    #[inline]
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
    #[inline]
    pub fn borrow_shared(&self) -> Result<Ref<'_>> {
        Ok(Ref { held: Held::begin(self)?, lifetime: PhantomData })
    }

    /// Borrows the bytes for writing; `BorrowConflict` while anyone else has them at all.
    #[inline]
    pub fn borrow_unique(&mut self) -> Result<RefMut<'_>> {
        Ok(RefMut { held: Held::begin(self)?, lifetime: PhantomData })
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
    #[inline]
    pub fn free(self) -> Result<()> {
        self.heap.free(self.handle)
    }
}

/// A live borrow of a guard. `KIND` is `BorrowKind` as a number.
struct Held<'buffer, const KIND: u8> {
    pointer: *mut u8,
    length: usize,
    own: Own<'buffer>,
}

impl<'buffer, const KIND: u8> Held<'buffer, KIND> {
    const KIND: BorrowKind = if KIND == BorrowKind::Unique as u8 { BorrowKind::Unique } else { BorrowKind::Shared };

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn begin(buffer: &'buffer Buffer<'_>) -> Result<Held<'buffer, KIND>> {
        match buffer.heap.attachment.begin_fast(buffer.handle, Self::KIND, By::Guard) {
            Ok(Begun { pointer, length, own, .. }) => Ok(Held { pointer, length, own }),
            Err(Miss::Stale) => Err(Error::new(ErrorCode::StaleHandle).about(buffer.handle)),
            Err(Miss::Slow) => match begin_long(buffer, Self::KIND) {
                Ok(Begun { pointer, length, own, .. }) => Ok(Held { pointer, length, own }),
                Err(error) => Err(error),
            },
        }
    }

    fn token(&self) -> Token {
        self.own.token()
    }

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn bytes(&self) -> (*mut u8, usize) {
        (self.pointer, self.length)
    }
}

/// What is read again here need not be kept while a borrow begins the short way.
#[cold]
#[inline(never)]
fn begin_long<'buffer>(buffer: &'buffer Buffer<'_>, kind: BorrowKind) -> Result<Begun<'buffer>> {
    buffer.heap.attachment.begin_long(buffer.handle, kind, By::Guard)
}

impl<const KIND: u8> Drop for Held<'_, KIND> {
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn drop(&mut self) {
        self.own.end(Self::KIND);
    }
}

impl<const KIND: u8> fmt::Debug for Held<'_, KIND> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pointer, length) = self.bytes();
        f.debug_struct("Held")
            .field("token", &self.token())
            .field("pointer", &pointer)
            .field("length", &length)
            .finish()
    }
}

/// A shared borrow: the bytes for reading.
#[derive(Debug)]
pub struct Ref<'buffer> {
    held: Held<'buffer, { BorrowKind::Shared as u8 }>,
    lifetime: PhantomData<&'buffer [u8]>,
}

impl Ref<'_> {
    /// The name of this borrow in the ledger.
    pub fn token(&self) -> Token {
        self.held.token()
    }

    /// The bytes as text; `InvalidUtf8` if they are none.
    pub fn as_str(&self) -> Result<&str> {
        std::str::from_utf8(self).map_err(|error| {
            told!(ErrorCode::InvalidUtf8, "the bytes are UTF-8 only up to offset {}", error.valid_up_to())
        })
    }
}

impl Deref for Ref<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let (pointer, length) = self.held.bytes();
        // SAFETY: the borrow is live as long as self; nobody writes under a shared borrow.
        unsafe { std::slice::from_raw_parts(pointer, length) }
    }
}

// SAFETY: any thread may end a borrow (B3), and the bytes are only read.
unsafe impl Send for Ref<'_> {}
// SAFETY: as above.
unsafe impl Sync for Ref<'_> {}

/// A unique borrow: the bytes for writing.
#[derive(Debug)]
pub struct RefMut<'buffer> {
    held: Held<'buffer, { BorrowKind::Unique as u8 }>,
    lifetime: PhantomData<&'buffer mut [u8]>,
}

impl RefMut<'_> {
    /// The name of this borrow in the ledger.
    pub fn token(&self) -> Token {
        self.held.token()
    }
}

impl Deref for RefMut<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let (pointer, length) = self.held.bytes();
        // SAFETY: the borrow is unique and live as long as self; writing needs `&mut self`.
        unsafe { std::slice::from_raw_parts(pointer, length) }
    }
}

impl DerefMut for RefMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let (pointer, length) = self.held.bytes();
        // SAFETY: as for `deref`, and self is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(pointer, length) }
    }
}

// SAFETY: any thread may end a borrow (B3), and the bytes are reached through this object alone.
unsafe impl Send for RefMut<'_> {}
// SAFETY: as above: `&RefMut` only reads.
unsafe impl Sync for RefMut<'_> {}
