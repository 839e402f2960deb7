//! The resources `shared-borrow` and `unique-borrow`: leases of the core, and the copies made through them (N1).

use std::cell::RefCell;
use std::ops::Range;

use weaveheap_core::{CopyReason, Error, ErrorCode, Lease, Result};

use crate::bindings::exports::weaveheap::heap::heap::{
    GuestSharedBorrow, GuestUniqueBorrow, SharedBorrow as Shared, SharedBorrowBorrow, UniqueBorrow as Unique,
};
use crate::entry::{Held, call, freeing_call};
use crate::error::{Answer, invalid};
use crate::room::Line;

/// Reading.
pub(crate) struct SharedBorrow(Held<Lease>, Line);

impl SharedBorrow {
    pub(crate) fn new(lease: Lease) -> SharedBorrow {
        SharedBorrow(Held::new(lease), Line::new())
    }
}

/// Reading and writing. Nobody enters while a call is under way, so that the cell is never borrowed twice.
pub(crate) struct UniqueBorrow(Held<RefCell<Lease>>, Line);

impl UniqueBorrow {
    pub(crate) fn new(lease: Lease) -> UniqueBorrow {
        UniqueBorrow(Held::new(RefCell::new(lease)), Line::new())
    }
}

/// The bytes from `offset` on, which must all be there.
fn whole(lease: &Lease, offset: u64, length: u64) -> Result<Range<usize>> {
    let end = offset.checked_add(length).filter(|end| *end <= lease.len() as u64);
    let Some(end) = end else {
        let message = format!("{length} bytes from {offset} on are not in a buffer of {} bytes", lease.len());
        return Err(invalid(message).about(lease.handle()));
    };
    // Both are no more than the length, which is a `usize`.
    Ok(offset as usize..end as usize)
}

/// Up to `length` bytes from `offset` on, copied and counted.
fn read(lease: &Lease, offset: u64, length: u64) -> Result<Vec<u8>> {
    let rest = (lease.len() as u64).saturating_sub(offset);
    let bytes = &lease.as_slice()[whole(lease, offset, length.min(rest))?];
    let mut copy = Vec::new();
    if copy.try_reserve_exact(bytes.len()).is_err() {
        let message = format!("there is no memory for a list of {} bytes: read less at a time", bytes.len());
        return Err(Error::with_message(ErrorCode::OutOfMemory, message));
    }
    copy.extend_from_slice(bytes);
    lease.count_copy(CopyReason::Export, bytes.len() as u64);
    Ok(copy)
}

/// The bytes to write to.
fn place(lease: &mut Lease, range: Range<usize>) -> Result<&mut [u8]> {
    let bytes = lease.as_mut_slice().and_then(|bytes| bytes.get_mut(range));
    bytes.ok_or_else(|| Error::with_message(ErrorCode::Internal, "a unique borrow gives no bytes to write to"))
}

impl GuestSharedBorrow for SharedBorrow {
    fn handle(&self) -> u64 {
        self.0.handle().to_bits()
    }

    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, length: u64) -> Answer<Vec<u8>> {
        call(|| read(&self.0, offset, length))
    }

    fn text(&self) -> Answer<String> {
        call(|| {
            let lease = &self.0;
            std::str::from_utf8(lease.as_slice()).map_err(|error| {
                let message = format!("the bytes are UTF-8 only up to offset {}", error.valid_up_to());
                Error::with_message(ErrorCode::InvalidUtf8, message).about(lease.handle())
            })?;
            let copy = read(lease, 0, lease.len() as u64)?;
            String::from_utf8(copy).map_err(|_| Error::new(ErrorCode::InvalidUtf8).about(lease.handle()))
        })
    }

    fn end(this: Shared) -> Answer<()> {
        freeing_call(|| Ok(()))?;
        drop(this);
        Ok(())
    }
}

impl GuestUniqueBorrow for UniqueBorrow {
    fn handle(&self) -> u64 {
        self.0.borrow().handle().to_bits()
    }

    fn length(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn read(&self, offset: u64, length: u64) -> Answer<Vec<u8>> {
        call(|| read(&self.0.borrow(), offset, length))
    }

    fn write(&self, offset: u64, bytes: Vec<u8>) -> Answer<()> {
        call(|| {
            let mut lease = self.0.borrow_mut();
            let range = whole(&lease, offset, bytes.len() as u64)?;
            place(&mut lease, range)?.copy_from_slice(&bytes);
            lease.count_copy(CopyReason::Ingest, bytes.len() as u64);
            Ok(())
        })
    }

    fn fill(&self, offset: u64, length: u64, value: u8) -> Answer<()> {
        call(|| {
            let mut lease = self.0.borrow_mut();
            let range = whole(&lease, offset, length)?;
            place(&mut lease, range)?.fill(value);
            Ok(())
        })
    }

    fn copy_from(&self, offset: u64, source: SharedBorrowBorrow<'_>, source_offset: u64, length: u64) -> Answer<()> {
        call(|| {
            let source = &source.get::<SharedBorrow>().0;
            let mut lease = self.0.borrow_mut();
            let from = whole(source, source_offset, length)?;
            let to = whole(&lease, offset, length)?;
            place(&mut lease, to)?.copy_from_slice(&source.as_slice()[from]);
            lease.count_copy(CopyReason::Ingest, length);
            Ok(())
        })
    }

    fn end(this: Unique) -> Answer<()> {
        freeing_call(|| Ok(()))?;
        drop(this);
        Ok(())
    }
}
