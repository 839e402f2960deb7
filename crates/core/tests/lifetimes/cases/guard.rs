//! The bytes of a guard are reached through it alone, and end with it.
#![allow(dead_code, reason = "the programs are compiled, not run")]

use weaveheap_core::{Buffer, Heap, Ref, RegionOptions, Result};

fn bytes_of_a_shared_guard_end_with_it() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let guard = buffer.borrow_shared()?;
    let bytes: &[u8] = &guard;
    #[cfg(feature = "wrong")]
    drop(guard); // E0505
    assert_eq!(bytes[0], 0);
    Ok(())
}

fn text_of_a_shared_guard_ends_with_it() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.string("text")?;
    let guard = buffer.borrow_shared()?;
    let text: &str = guard.as_str()?;
    #[cfg(feature = "wrong")]
    drop(guard); // E0505
    assert_eq!(text, "text");
    Ok(())
}

fn bytes_read_of_a_unique_guard_end_with_it() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let guard = buffer.borrow_unique()?;
    let bytes: &[u8] = &guard;
    #[cfg(feature = "wrong")]
    drop(guard); // E0505
    assert_eq!(bytes[0], 0);
    Ok(())
}

fn bytes_written_of_a_unique_guard_end_with_it() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut guard = buffer.borrow_unique()?;
    let bytes: &mut [u8] = &mut guard;
    #[cfg(feature = "wrong")]
    drop(guard); // E0505
    bytes[0] = 1;
    Ok(())
}

fn bytes_stay_in_the_scope_of_their_guard() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let kept: &[u8];
    {
        let guard = buffer.borrow_shared()?;
        let bytes: &[u8] = &guard; // E0597
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

fn bytes_of_a_guard_without_a_name_end_at_once() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.string("text")?;
    let text = buffer.borrow_shared()?.as_str()?; // E0716
    #[cfg(feature = "wrong")]
    assert_eq!(text, "text");
    Ok(())
}

fn bytes_of_a_guard_are_not_returned() -> Result<()> {
    fn bytes<'a>(guard: &'a Ref<'_>) -> &'a [u8] {
        guard
    }
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffer = region.alloc(16)?;
    let take = || -> Result<u8> {
        let guard = buffer.borrow_shared()?;
        Ok(bytes(&guard)[0])
    };
    assert_eq!(take()?, 0);
    #[cfg(feature = "wrong")]
    fn leave<'a>(buffer: &'a Buffer<'_>) -> Result<&'a [u8]> {
        let guard = buffer.borrow_shared()?;
        Ok(bytes(&guard)) // E0515
    }
    Ok(())
}

fn bytes_of_a_guard_are_written_in_one_place() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut guard = buffer.borrow_unique()?;
    let one: &mut [u8] = &mut guard;
    one[0] = 1;
    let two: &mut [u8] = &mut guard; // E0499
    two[0] = 2;
    #[cfg(feature = "wrong")]
    one.fill(1);
    Ok(())
}

fn bytes_of_a_guard_are_not_written_while_read() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut guard = buffer.borrow_unique()?;
    let read: &[u8] = &guard;
    assert_eq!(read[0], 0);
    let write: &mut [u8] = &mut guard; // E0502
    write[0] = 2;
    #[cfg(feature = "wrong")]
    assert_eq!(read[0], 0);
    Ok(())
}

fn bytes_of_a_shared_guard_are_not_written() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    #[cfg(feature = "wrong")]
    let mut guard = buffer.borrow_shared()?;
    #[cfg(not(feature = "wrong"))]
    let mut guard = buffer.borrow_unique()?;
    guard[0] = 1; // E0594
    Ok(())
}

fn unique_guard_that_is_lent_is_not_written() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut guard = buffer.borrow_unique()?;
    #[cfg(feature = "wrong")]
    let lent = &guard;
    #[cfg(not(feature = "wrong"))]
    let lent = &mut guard;
    lent[0] = 1; // E0596
    Ok(())
}

fn guard_is_not_used_twice() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let mut buffer = region.alloc(16)?;
    let mut one = buffer.borrow_unique()?;
    #[cfg(feature = "wrong")]
    let _two = one;
    one[0] = 1; // E0382
    Ok(())
}

fn guard_goes_to_threads_that_end_before_its_buffer(buffer: &Buffer<'_>) -> Result<()> {
    let guard = buffer.borrow_shared()?;
    #[cfg(feature = "wrong")]
    std::thread::spawn(move || drop(guard)); // E0521
    #[cfg(not(feature = "wrong"))]
    std::thread::scope(|scope| scope.spawn(move || drop(guard)).join()).expect("no panic");
    Ok(())
}

fn main() {}
