//! The core's integration tests, one module a noun. All go through the public API. What needs shared heaps runs where
//! the system has them.

mod borrow;
mod conformance;
mod handle;
mod heap;
mod limits;
mod model;
mod panic;
mod region;
mod rules;
mod support;
mod tables;

#[cfg(target_os = "linux")]
mod file;
#[cfg(target_os = "linux")]
mod fork;
#[cfg(target_os = "linux")]
mod inspect;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod planted;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod roles;
#[cfg(target_os = "linux")]
mod second;
#[cfg(target_os = "linux")]
mod shared;
#[cfg(target_os = "linux")]
mod system;
