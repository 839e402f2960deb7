//! The C functions with arbitrary arguments, as far as their contract lets a caller go: null pointers, forged handles
//! and tokens, any length and alignment, text that is not UTF-8, sizes of structs that do not exist (F1, F2, K1).
//!
//! What must hold whatever is given: no crash and no panic, a result and an error that agree, messages that are UTF-8,
//! output that is untouched after a failure, and a sound heap.
#![no_main]

#[path = "c_abi/call.rs"]
mod call;
#[path = "c_abi/judge.rs"]
mod judge;
#[path = "c_abi/world.rs"]
mod world;

use std::os::unix::fs::DirBuilderExt;

use libfuzzer_sys::fuzz_target;

/// Calls of one program.
const MOST: usize = 64;

fuzz_target!(init: {
    // Named heaps go where nobody else looks for them.
    let folder = weaveheap_fuzz::folder().join("names");
    std::fs::DirBuilder::new().mode(0o700).create(&folder).expect("a folder of our own");
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("WEAVEHEAP_DIR", &folder) };
}, |calls: Vec<call::Call>| {
    let mut world = world::World::new();
    calls.iter().take(MOST).for_each(|call| world.make(call));
    world.finish();
});
