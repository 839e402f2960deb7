//! The bytes of a lease end with it, and are written in one place.
#![allow(dead_code, reason = "the programs are compiled, not run")]

use weaveheap_core::{BorrowKind, Heap, Lease, RegionOptions, Result};

fn lease(kind: BorrowKind) -> Result<Lease> {
    let heap = Heap::private()?;
    let region = heap.create_region(&RegionOptions::new())?;
    let buffer = heap.alloc_from(region, &[7; 16], 64)?;
    // The heap's object goes here: a lease keeps the heap mapped.
    heap.borrow(buffer, kind)
}

fn bytes_of_a_lease_end_when_it_is_dropped() -> Result<()> {
    let lease = lease(BorrowKind::Shared)?;
    let bytes = lease.as_slice();
    #[cfg(feature = "wrong")]
    drop(lease); // E0505
    assert_eq!(bytes[0], 7);
    Ok(())
}

fn bytes_of_a_lease_end_when_it_is_ended() -> Result<()> {
    let lease = lease(BorrowKind::Shared)?;
    let bytes = lease.as_slice();
    #[cfg(feature = "wrong")]
    lease.end(); // E0505
    assert_eq!(bytes[0], 7);
    Ok(())
}

fn bytes_of_a_lease_end_when_a_finalizer_ends_it() -> Result<()> {
    let mut lease = lease(BorrowKind::Unique)?;
    let bytes = lease.as_mut_slice();
    #[cfg(feature = "wrong")]
    lease.end_by_finalizer(); // E0505
    assert_eq!(bytes.map(|bytes| bytes.len()), Some(16));
    Ok(())
}

fn bytes_stay_in_the_scope_of_their_lease() -> Result<()> {
    let kept: &[u8];
    {
        let lease = lease(BorrowKind::Shared)?;
        let bytes = lease.as_slice(); // E0597
        #[cfg(feature = "wrong")]
        {
            kept = bytes;
        }
        #[cfg(not(feature = "wrong"))]
        {
            kept = if bytes.is_empty() { b"" } else { b"more" };
        }
    }
    assert!(!kept.is_empty());
    Ok(())
}

fn bytes_of_a_lease_without_a_name_end_at_once() -> Result<()> {
    let bytes = lease(BorrowKind::Shared)?.as_slice(); // E0716
    #[cfg(feature = "wrong")]
    assert_eq!(bytes[0], 7);
    Ok(())
}

fn lease_is_not_replaced_under_its_bytes() -> Result<()> {
    let mut held = lease(BorrowKind::Shared)?;
    let bytes = held.as_slice();
    assert_eq!(bytes[0], 7);
    held = lease(BorrowKind::Shared)?; // E0506
    #[cfg(feature = "wrong")]
    assert_eq!(bytes[0], 7);
    drop(held);
    Ok(())
}

fn bytes_of_a_lease_are_written_in_one_place() -> Result<()> {
    let mut lease = lease(BorrowKind::Unique)?;
    let one = lease.as_mut_slice();
    assert!(one.is_some());
    let two = lease.as_mut_slice(); // E0499
    assert!(two.is_some());
    #[cfg(feature = "wrong")]
    assert!(one.is_some());
    Ok(())
}

fn bytes_of_a_lease_are_not_written_while_read() -> Result<()> {
    let mut lease = lease(BorrowKind::Unique)?;
    let read = lease.as_slice();
    assert_eq!(read[0], 7);
    let write = lease.as_mut_slice(); // E0502
    assert!(write.is_some());
    #[cfg(feature = "wrong")]
    assert_eq!(read[0], 7);
    Ok(())
}

fn lease_that_is_lent_is_not_written() -> Result<()> {
    let mut lease = lease(BorrowKind::Unique)?;
    #[cfg(feature = "wrong")]
    let lent = &lease;
    #[cfg(not(feature = "wrong"))]
    let lent = &mut lease;
    assert!(lent.as_mut_slice().is_some()); // E0596
    Ok(())
}

fn lease_ends_once() -> Result<()> {
    let lease = lease(BorrowKind::Shared)?;
    #[cfg(feature = "wrong")]
    lease.end();
    lease.end(); // E0382
    Ok(())
}

fn main() {}
