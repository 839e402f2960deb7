//! Samples in Rust: the programs are in `bin/`; this is what the compiler refuses, as documentation whose examples are
//! tested.

pub mod lifetimes;
