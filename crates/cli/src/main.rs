//! The `weaveheap` program.
fn main() {}
