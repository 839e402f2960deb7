//! The parts that the project is tested in, in the order in which they run. Each module sets up what its part needs
//! and runs all its tests.

pub mod capi;
pub mod cli;
pub mod component;
pub mod conformance;
pub mod crash;
pub mod demo;
pub mod docs;
pub mod fuzz;
pub mod instructions;
pub mod loom;
pub mod node;
pub mod python;
pub mod rust;
pub mod samples;
pub mod sanitizers;
pub mod wasm;
pub mod wasm_js;
pub mod web;

use anyhow::Result;

use crate::ctx::Ctx;

/// One part.
pub struct Part {
    /// What `cargo xtask test NAME` calls it.
    pub name: &'static str,
    /// Sets up what is needed and runs the tests.
    pub test: fn(&Ctx) -> Result<()>,
    /// Whether `cargo xtask test` runs it without being told its name.
    pub usual: bool,
}

/// All parts, in order: what others build on comes first.
pub const ALL: &[Part] = &[
    Part { name: "rust", test: rust::test, usual: true },
    Part { name: "loom", test: loom::test, usual: true },
    Part { name: "instructions", test: instructions::test, usual: true },
    Part { name: "crash", test: crash::test, usual: true },
    Part { name: "sanitizers", test: sanitizers::test, usual: true },
    Part { name: "races", test: sanitizers::races, usual: false },
    Part { name: "capi", test: capi::test, usual: true },
    Part { name: "python", test: python::test, usual: true },
    Part { name: "node", test: node::test, usual: true },
    Part { name: "wasm", test: wasm::test, usual: true },
    Part { name: "wasm-js", test: wasm_js::test, usual: true },
    Part { name: "component", test: component::test, usual: true },
    Part { name: "cli", test: cli::test, usual: true },
    Part { name: "conformance", test: conformance::test, usual: true },
    Part { name: "samples", test: samples::test, usual: true },
    Part { name: "docs", test: docs::test, usual: true },
    Part { name: "demo", test: demo::test, usual: true },
    Part { name: "fuzz", test: fuzz::test, usual: true },
];
