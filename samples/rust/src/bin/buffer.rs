//! A buffer: borrowed for writing, borrowed for reading, refused while it is held, and stale once its region is closed.

use weaveheap_core::{ErrorCode, Heap, RegionOptions, Result};

fn main() -> Result<()> {
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new().name("frames").limit(1 << 20))?;

    let mut frame = region.alloc(1024)?;
    let handle = frame.handle();
    {
        let mut pixels = frame.borrow_unique()?;
        pixels[..4].copy_from_slice(&[1, 2, 3, 4]);
    }

    // Another holder of the handle, a C library for instance, is refused as long as somebody reads.
    let view = frame.borrow_shared()?;
    println!("first pixels: {:?} of {}", &view[..4], view.len());
    match heap.free(handle) {
        Err(error) if error.code() == ErrorCode::Borrowed => println!("not freed, {} holds it", error.holders().len()),
        other => println!("unexpected: {other:?}"),
    }
    drop(view);

    let counters = heap.snapshot()?.counters;
    println!("borrows: {}, bytes copied: {}", counters.borrows_begun, counters.bytes_copied_total());

    region.close().map_err(|(_, error)| error)?;
    match heap.buffer(handle) {
        Err(error) => println!("after close: {}", error.code().name()),
        Ok(buffer) => println!("unexpected: {buffer:?}"),
    }
    Ok(())
}
