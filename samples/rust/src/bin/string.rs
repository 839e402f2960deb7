//! A string in a shared heap: one process puts it there, any other reads it in place. Here a second attachment of this
//! process stands for the other one; run `weaveheap list` meanwhile to see the heap from outside.

use weaveheap_core::{Heap, RegionOptions, Result};

fn main() -> Result<()> {
    let name = format!("sample-string-{}", std::process::id());
    // SAFETY: whoever attaches follows the protocol: bytes are touched through borrows only.
    let heap = unsafe { Heap::options().limit(64 << 20).create(&name) }?;
    let result = share(&heap, &name);
    // Who is attached keeps the memory; the name is gone.
    Heap::remove(&name)?;
    result
}

fn share(heap: &Heap, name: &str) -> Result<()> {
    let region = heap.region(&RegionOptions::new())?;
    let greeting = region.string("Grüße aus Rust")?;
    heap.publish("greeting", greeting.handle())?;
    println!("{} bytes under the name greeting", greeting.len());

    // SAFETY: as in `main`.
    let other = unsafe { Heap::options().open(name) }?;
    let found = other.buffer(other.lookup("greeting")?)?;
    {
        let text = found.borrow_shared()?;
        println!("read in place: {}", text.as_str()?);
        match region.close() {
            Err((region, error)) => {
                println!("closing says {}", error.code().name());
                drop(text);
                region.close().map_err(|(_, error)| error)?;
            }
            Ok(()) => println!("unexpected: closed under a view"),
        }
    }
    println!(
        "after close the name is {}",
        other.lookup("greeting").map_or_else(|e| e.code().name(), |_| "still there")
    );
    Ok(())
}
