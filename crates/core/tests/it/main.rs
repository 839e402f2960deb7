//! The core's integration tests, one module a noun. All go through the public API. What needs shared heaps runs where
//! the system has them. A module of WebAssembly has a runner of its own (`tests/wasm`).

#![cfg_attr(target_family = "wasm", feature(custom_test_frameworks, test), test_runner(runner::run))]

#[cfg(target_family = "wasm")]
extern crate test;
#[cfg(target_family = "wasm")]
use weaveheap_core::{Hooks, set_hooks};

mod borrow;
mod handle;
mod heap;
mod limits;
mod region;
mod support;

// Files, unwinding, and threads without end.
#[cfg(not(target_family = "wasm"))]
mod conformance;
#[cfg(not(target_family = "wasm"))]
mod model;
#[cfg(not(target_family = "wasm"))]
mod panic;
#[cfg(not(target_family = "wasm"))]
mod rules;
#[cfg(not(target_family = "wasm"))]
mod tables;

#[cfg(target_family = "wasm")]
mod growth;
#[cfg(target_family = "wasm")]
mod programs;
#[cfg(target_family = "wasm")]
#[path = "../wasm/runner.rs"]
mod runner;
#[cfg(all(target_family = "wasm", target_feature = "atomics"))]
mod workers;

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
