//! Owned borrows: what a binding's view object keeps. One lease is one live borrow with a share of its attachment.

use std::fmt;
use std::sync::Arc;

use crate::attachment::Attachment;
use crate::error::Result;
use crate::handle::{Handle, Token};
use crate::heap::Heap;
use crate::layout::counter;
use crate::snapshot::BorrowKind;

/// A borrow that a token ends: where the bytes are, and the token.
#[derive(Clone, Copy, Debug)]
pub struct RawBorrow {
    /// What [`Heap::end`] takes.
    pub token: Token,
    /// The first byte. Never null, also for a length of 0.
    pub pointer: *mut u8,
    /// Bytes.
    pub length: usize,
    /// Shared or unique.
    pub kind: BorrowKind,
}

/// One live borrow, ended when dropped, from any thread.
///
/// It keeps the heap mapped. Under a shared one nobody may write the bytes; under a unique one nobody else may touch
/// them.
pub struct Lease {
    attachment: Arc<Attachment>,
    borrow: RawBorrow,
    handle: Handle,
}

// SAFETY: the pointer is into a mapping that the attachment keeps, and any thread may end a borrow (B3); access
// through `&Lease` only reads, access through `&mut Lease` is alone.
unsafe impl Send for Lease {}
// SAFETY: as above.
unsafe impl Sync for Lease {}

impl Lease {
    pub(crate) fn begin(attachment: &Arc<Attachment>, handle: Handle, kind: BorrowKind) -> Result<Lease> {
        let borrow = attachment.borrow_owned(handle, kind)?;
        Ok(Lease { attachment: Arc::clone(attachment), borrow, handle })
    }

    /// The heap that the bytes are in.
    pub fn heap(&self) -> Heap {
        Heap::from(Arc::clone(&self.attachment))
    }

    /// The buffer.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// The name of this borrow in the ledger.
    pub fn token(&self) -> Token {
        self.borrow.token
    }

    /// Shared or unique.
    pub fn kind(&self) -> BorrowKind {
        self.borrow.kind
    }

    /// The first byte; never null, aligned as the buffer was allocated.
    pub fn as_ptr(&self) -> *mut u8 {
        self.borrow.pointer
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.borrow.length
    }

    /// True if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the borrow is live as long as self; nobody writes under a shared one, and under a unique one a write
        // needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.borrow.pointer, self.borrow.length) }
    }

    /// The bytes to write to; `None` under a shared borrow.
    pub fn as_mut_slice(&mut self) -> Option<&mut [u8]> {
        if self.borrow.kind == BorrowKind::Shared {
            return None;
        }
        // SAFETY: the borrow is unique and live as long as self, which is borrowed alone.
        Some(unsafe { std::slice::from_raw_parts_mut(self.borrow.pointer, self.borrow.length) })
    }

    /// Counts a native view made of this borrow (N1).
    pub fn count_view(&self) {
        self.attachment.count_held(self.handle, &[(counter::VIEWS, 1)]);
    }

    /// Counts a copy of bytes of this borrow (N1).
    pub fn count_copy(&self, reason: crate::runtime::CopyReason, bytes: u64) {
        let at = reason as usize;
        self.attachment.count_held(self.handle, &[(counter::COPIES + at, 1), (counter::COPY_BYTES + at, bytes)]);
    }

    /// Ends the borrow now.
    pub fn end(self) {}

    /// Ends the borrow from a finalizer, and counts that (N1).
    pub fn end_by_finalizer(self) {
        self.attachment.count_held(self.handle, &[(counter::FINALIZED, 1)]);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.attachment.end_owned(self.borrow.token);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("handle", &self.handle)
            .field("kind", &self.borrow.kind)
            .field("length", &self.borrow.length)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{BorrowKind, ErrorCode, Heap, Init, RegionOptions};

    #[test]
    fn first_call_of_a_thread_may_be_refused_under_the_lock() {
        let heap = Heap::private().unwrap();
        let region = heap.create_region(&RegionOptions::new()).unwrap();
        let buffer = heap.alloc(region, 64, 64, Init::Zeroed).unwrap();
        let lease = heap.borrow(buffer, BorrowKind::Shared).unwrap();
        let calls: [fn(&Heap, crate::Handle) -> crate::Result<()>; 4] = [
            |heap, _| heap.publish("name", crate::Handle::NULL),
            |heap, region| heap.close(region),
            |heap, region| heap.reset(region),
            |heap, _| heap.close(crate::Handle::NULL),
        ];
        let expected = [ErrorCode::StaleHandle, ErrorCode::Borrowed, ErrorCode::Borrowed, ErrorCode::StaleHandle];
        for (call, expected) in calls.into_iter().zip(expected) {
            let other = heap.clone();
            let refused = std::thread::spawn(move || call(&other, region).unwrap_err()).join().unwrap();
            assert_eq!(refused.code(), expected);
            assert!(!refused.to_string().contains("lock"), "{refused}");
        }
        lease.end();
    }

    #[test]
    fn token_of_a_lease_or_guard_ends_nothing() {
        let heap = Heap::private().unwrap();
        let region = heap.create_region(&RegionOptions::new()).unwrap();
        let buffer = heap.alloc(region, 64, 64, Init::Zeroed).unwrap();
        let lease = heap.borrow(buffer, BorrowKind::Unique).unwrap();
        assert_eq!(heap.end(lease.token()).unwrap_err().code(), ErrorCode::InvalidArgument);
        assert_eq!(heap.holders(buffer).unwrap().len(), 1);
        lease.end();
        let guarded = heap.buffer(buffer).unwrap();
        let guard = guarded.borrow_shared().unwrap();
        assert_eq!(heap.end(guard.token()).unwrap_err().code(), ErrorCode::InvalidArgument);
        drop(guard);
        let raw = heap.borrow_raw(buffer, BorrowKind::Unique).unwrap();
        heap.end(raw.token).unwrap();
        assert_eq!(heap.end(raw.token).unwrap_err().code(), ErrorCode::StaleHandle);
        assert!(heap.holders(buffer).unwrap().is_empty());
    }
}
