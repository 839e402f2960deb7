//! The core's integration tests, one module a noun. All go through the public API.

mod borrow;
mod conformance;
mod file;
#[cfg(unix)]
mod fork;
mod handle;
mod heap;
mod inspect;
mod limits;
mod model;
mod process;
mod region;
mod roles;
mod rules;
mod support;
#[cfg(unix)]
mod system;
