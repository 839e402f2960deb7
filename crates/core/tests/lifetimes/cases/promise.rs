//! What no type can check is `unsafe`: other processes, other copies of the library, tokens of views.
#![allow(dead_code, reason = "the programs are compiled, not run")]

use weaveheap_core::{Heap, Result, Token};

fn shared_heaps_need_a_promise() -> Result<()> {
    #[cfg(feature = "wrong")]
    let heap = Heap::options().create("demo")?; // E0133
    #[cfg(not(feature = "wrong"))]
    // SAFETY: compiled, not run.
    let heap = unsafe { Heap::options().create("demo")? };
    drop(heap);
    Ok(())
}

fn shared_heaps_in_a_file_need_a_promise() -> Result<()> {
    let path = std::path::Path::new("demo");
    #[cfg(feature = "wrong")]
    let heap = Heap::options().create_path(path)?; // E0133
    #[cfg(not(feature = "wrong"))]
    // SAFETY: compiled, not run.
    let heap = unsafe { Heap::options().create_path(path)? };
    drop(heap);
    Ok(())
}

fn opening_by_name_needs_a_promise() -> Result<()> {
    #[cfg(feature = "wrong")]
    let heap = Heap::options().open("demo")?; // E0133
    #[cfg(not(feature = "wrong"))]
    // SAFETY: compiled, not run.
    let heap = unsafe { Heap::options().open("demo")? };
    drop(heap);
    Ok(())
}

fn opening_a_file_needs_a_promise() -> Result<()> {
    let path = std::path::Path::new("demo");
    #[cfg(feature = "wrong")]
    let heap = Heap::options().open_path(path)?; // E0133
    #[cfg(not(feature = "wrong"))]
    // SAFETY: compiled, not run.
    let heap = unsafe { Heap::options().open_path(path)? };
    drop(heap);
    Ok(())
}

fn second_copies_need_a_promise() -> Result<()> {
    let first = Heap::private()?;
    #[cfg(feature = "wrong")]
    let second = Heap::options().attach(first.base())?; // E0133
    #[cfg(not(feature = "wrong"))]
    // SAFETY: compiled, not run.
    let second = unsafe { Heap::options().attach(first.base())? };
    drop(second);
    Ok(())
}

fn ends_of_views_need_a_promise(heap: &Heap, token: Token) {
    #[cfg(feature = "wrong")]
    heap.end_view(token); // E0133
    #[cfg(not(feature = "wrong"))]
    // SAFETY: compiled, not run.
    unsafe {
        heap.end_view(token)
    };
}

fn main() {}
