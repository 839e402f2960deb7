//! The parts that the project is tested in, in the order in which they run. Each module sets up what its part needs
//! and runs all its tests.

pub mod capi;
pub mod cli;
pub mod conformance;
pub mod demo;
pub mod docs;
pub mod node;
pub mod python;
pub mod rust;
pub mod samples;

use anyhow::Result;

use crate::ctx::Ctx;

/// One part.
pub struct Part {
    /// What `cargo xtask test NAME` calls it.
    pub name: &'static str,
    /// Sets up what is needed and runs the tests.
    pub test: fn(&Ctx) -> Result<()>,
}

/// All parts, in order: what others build on comes first.
pub const ALL: &[Part] = &[
    Part { name: "rust", test: rust::test },
    Part { name: "capi", test: capi::test },
    Part { name: "python", test: python::test },
    Part { name: "node", test: node::test },
    Part { name: "cli", test: cli::test },
    Part { name: "conformance", test: conformance::test },
    Part { name: "samples", test: samples::test },
    Part { name: "docs", test: docs::test },
    Part { name: "demo", test: demo::test },
];
