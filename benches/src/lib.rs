//! What the measuring programs of `cargo xtask bench` share: rounds in turns, threads, floors, shared memory. Each program
//! prints one JSON object a line; `cargo xtask bench` reads them and makes the reports.

pub mod floor;
pub mod harness;
pub mod scratch;
pub mod threads;
