//! A region is not closed, emptied or dropped under its buffers and views.
#![allow(dead_code, reason = "the programs are compiled, not run")]

use weaveheap_core::{Buffer, Heap, RegionOptions, Result};

fn region_is_not_closed_under_a_shared_view() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let view = buffer.borrow_shared()?;
    #[cfg(feature = "wrong")]
    let _ = region.close(); // E0505
    assert_eq!(view[0], 0);
    Ok(())
}

fn region_is_not_closed_under_a_unique_view() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut view = buffer.borrow_unique()?;
    #[cfg(feature = "wrong")]
    let _ = region.close(); // E0505
    view[0] = 1;
    Ok(())
}

fn region_is_not_closed_under_a_buffer() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    #[cfg(feature = "wrong")]
    let _ = region.close(); // E0505
    buffer.borrow_shared()?;
    Ok(())
}

fn region_is_not_closed_when_idle_under_a_buffer() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.string("text")?;
    #[cfg(feature = "wrong")]
    region.close_when_idle()?; // E0505
    buffer.borrow_shared()?;
    Ok(())
}

fn region_is_not_reset_under_a_shared_view() -> Result<()> {
    let heap = Heap::private()?;
    #[allow(unused_mut, reason = "the wrong program needs it")]
    let mut region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let view = buffer.borrow_shared()?;
    #[cfg(feature = "wrong")]
    region.reset()?; // E0502
    assert_eq!(view[0], 0);
    Ok(())
}

fn region_is_not_reset_under_a_unique_view() -> Result<()> {
    let heap = Heap::private()?;
    #[allow(unused_mut, reason = "the wrong program needs it")]
    let mut region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut view = buffer.borrow_unique()?;
    #[cfg(feature = "wrong")]
    region.reset()?; // E0502
    view[0] = 1;
    Ok(())
}

fn region_is_not_reset_under_a_buffer() -> Result<()> {
    let heap = Heap::private()?;
    let mut region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc_from(b"bytes")?;
    #[cfg(not(feature = "wrong"))]
    drop(buffer);
    region.reset()?; // E0502
    #[cfg(feature = "wrong")]
    drop(buffer.borrow_shared()?);
    Ok(())
}

fn region_is_not_dropped_under_a_view() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let view = buffer.borrow_shared()?;
    #[cfg(feature = "wrong")]
    drop(region); // E0505
    assert_eq!(view[0], 0);
    Ok(())
}

fn buffer_stays_in_the_scope_of_its_region() -> Result<()> {
    let heap = Heap::private()?;
    let kept: Option<Buffer<'_>>;
    {
        let region = heap.region(&RegionOptions::new())?;
        let buffer = region.alloc(16)?; // E0597
        #[cfg(feature = "wrong")]
        {
            kept = Some(buffer);
        }
        #[cfg(not(feature = "wrong"))]
        {
            drop(buffer);
            kept = None;
        }
    }
    drop(kept);
    Ok(())
}

fn closed_region_is_gone() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    #[cfg(feature = "wrong")]
    let _ = region.close();
    region.alloc(16)?; // E0382
    Ok(())
}

fn main() {}
