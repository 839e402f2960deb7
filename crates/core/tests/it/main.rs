//! The core's integration tests, one module a noun. All go through the public API.

mod conformance;
mod support;
