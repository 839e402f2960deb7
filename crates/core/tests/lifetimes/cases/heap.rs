//! What a heap lends ends before the heap does.
#![allow(dead_code, reason = "the programs are compiled, not run")]

use weaveheap_core::{Heap, Region, RegionOptions, Result};

fn shared_view_ends_before_its_heap() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let view = buffer.borrow_shared()?;
    #[cfg(feature = "wrong")]
    drop(heap); // E0505
    assert_eq!(view[0], 0);
    Ok(())
}

fn unique_view_ends_before_its_heap() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut view = buffer.borrow_unique()?;
    #[cfg(feature = "wrong")]
    drop(heap); // E0505
    view[0] = 1;
    Ok(())
}

fn view_by_a_handle_ends_before_its_heap() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.create_region(&RegionOptions::new())?;
    let handle = heap.alloc_from(region, b"text", 64)?;
    let buffer = heap.buffer(handle)?;
    let view = buffer.borrow_shared()?;
    #[cfg(feature = "wrong")]
    drop(heap); // E0505
    assert_eq!(view.as_str()?, "text");
    Ok(())
}

fn view_of_a_clones_region_ends_before_the_clone() -> Result<()> {
    let heap = Heap::private()?;
    let clone = heap.clone();
    let region = clone.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let view = buffer.borrow_shared()?;
    #[cfg(feature = "wrong")]
    drop(clone); // E0505
    assert_eq!(view[0], 0);
    drop(heap);
    Ok(())
}

fn region_stays_in_the_scope_of_its_heap() -> Result<()> {
    let kept: Option<Region<'_>>;
    {
        let heap = Heap::private()?;
        let region = heap.region(&RegionOptions::new())?; // E0597
        #[cfg(feature = "wrong")]
        {
            kept = Some(region);
        }
        #[cfg(not(feature = "wrong"))]
        {
            drop(region);
            kept = None;
        }
    }
    drop(kept);
    Ok(())
}

fn heap_is_not_replaced_under_a_region() -> Result<()> {
    let mut heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    #[cfg(not(feature = "wrong"))]
    drop(region);
    heap = Heap::private()?; // E0506
    #[cfg(feature = "wrong")]
    drop(region);
    drop(heap);
    Ok(())
}

fn main() {}
