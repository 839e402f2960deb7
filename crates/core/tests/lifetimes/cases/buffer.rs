//! Views of one buffer exclude each other, and the buffer outlives them.
#![allow(dead_code, reason = "the programs are compiled, not run")]

use weaveheap_core::{Heap, Ref, RegionOptions, Result};

fn two_unique_views_do_not_live_together() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut one = buffer.borrow_unique()?;
    one[0] = 1;
    #[cfg(not(feature = "wrong"))]
    drop(one);
    let mut two = buffer.borrow_unique()?; // E0499
    two[0] = 2;
    #[cfg(feature = "wrong")]
    drop(one);
    Ok(())
}

fn unique_view_waits_for_the_shared_one() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let shared = buffer.borrow_shared()?;
    #[cfg(not(feature = "wrong"))]
    drop(shared);
    let mut unique = buffer.borrow_unique()?; // E0502
    unique[0] = 1;
    #[cfg(feature = "wrong")]
    drop(shared);
    Ok(())
}

fn shared_view_waits_for_the_unique_one() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut unique = buffer.borrow_unique()?;
    unique[0] = 1;
    #[cfg(not(feature = "wrong"))]
    drop(unique);
    let shared = buffer.borrow_shared()?; // E0502
    assert_eq!(shared[0], 1);
    #[cfg(feature = "wrong")]
    drop(unique);
    Ok(())
}

fn unique_view_needs_the_buffer_alone() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    #[cfg(feature = "wrong")]
    let buffer = &buffer;
    #[cfg(not(feature = "wrong"))]
    let buffer = &mut buffer;
    drop(buffer.borrow_unique()?); // E0596
    Ok(())
}

fn buffer_is_not_freed_under_a_shared_view() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let view = buffer.borrow_shared()?;
    #[cfg(feature = "wrong")]
    let _ = buffer.free(); // E0505
    assert_eq!(view[0], 0);
    Ok(())
}

fn buffer_is_not_freed_under_a_unique_view() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut view = buffer.borrow_unique()?;
    #[cfg(feature = "wrong")]
    let _ = buffer.free(); // E0505
    view[0] = 1;
    Ok(())
}

fn freed_buffer_is_gone() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    #[cfg(feature = "wrong")]
    buffer.free()?;
    drop(buffer.borrow_shared()?); // E0382
    Ok(())
}

fn view_stays_in_the_scope_of_its_buffer() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let kept: Option<Ref<'_>>;
    {
        let buffer = region.alloc(16)?;
        let view = buffer.borrow_shared()?; // E0597
        #[cfg(feature = "wrong")]
        {
            kept = Some(view);
        }
        #[cfg(not(feature = "wrong"))]
        {
            drop(view);
            kept = None;
        }
    }
    drop(kept);
    Ok(())
}

fn main() {}
