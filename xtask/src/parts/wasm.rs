//! The part `wasm`: the core's own tests in WebAssembly, each in an instance of its own: with memory of 32 bits, with such
//! memory that threads could share, and with memory of 64 bits.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::ctx::{Ctx, Wasm, WasmKit};

/// Why tests cannot run there, and what their names begin with: of the unit tests, and of the integration tests.
const CANNOT: &[(&str, &[&str], &[&str])] = &[
    (
        "they start threads, and these modules have one",
        &["check_lists::tests::nothing_is_lost", "lease::tests::first_call", "process::tests::a_process"],
        &[
            "borrow::allocat",
            "borrow::busy_heap",
            "borrow::closing_under",
            "borrow::ends_by_a_thread",
            "borrow::every_safe_way",
            "borrow::joined_by_another",
            "borrow::leases_end_in_other",
            "borrow::one_thread_frees",
            "borrow::statistics_are_whole",
            "borrow::threads_that_have_ended",
            "borrow::two_ends_of_one_token",
            "borrow::unique_borrows_of_many",
            "heap::same_attachment",
            "heap::view_outlives",
            "heap::waits_may_be_left",
            "limits::full_of_threads",
            "region::wait_idle_of",
            "region::wait_idle_wakes",
        ],
    ),
    ("they need a clock of the system's", &[], &["borrow::age_and_thread", "heap::labels_are_cut"]),
];

/// Builds and runs all of it.
pub fn test(ctx: &Ctx) -> Result<()> {
    run(ctx, Wasm::Wasm32)?;
    run(ctx, Wasm::Threads)?;
    run(ctx, Wasm::Wasm64)
}

/// Builds the core's tests and runs them in Node: memory with 64 bits needs a newer one than the rest of the project.
fn run(ctx: &Ctx, wasm: Wasm) -> Result<()> {
    let tests = format!("the core's tests on {}", wasm.name());
    let Some(kit) = ctx.wasm_kit(wasm, &tests)? else { return Ok(()) };
    let node = match wasm {
        Wasm::Wasm64 => super::node::newer_node(ctx)?,
        _ => Some(ctx.node()?),
    };
    let Some(node) = node else { return Ok(()) };
    for (why, unit, whole) in CANNOT {
        eprintln!("  {}: {} kinds of tests are not for it: {why}", wasm.name(), unit.len() + whole.len());
    }
    let mut modules = build(ctx, &kit)?;
    if wasm == Wasm::Wasm32 {
        modules.push(optimised(ctx, &modules[1])?);
    }
    for module in modules {
        let mut command = Command::new(&node);
        command.arg(ctx.path("crates/core/tests/wasm/run.mjs")).arg(&module);
        let name = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let whole = name.starts_with("it-");
        for name in CANNOT.iter().flat_map(|(_, unit, it)| if whole { *it } else { *unit }) {
            command.args(["--skip", name]);
        }
        let what = match (whole, name.ends_with(OPTIMISED)) {
            (false, _) => "unit tests",
            (true, false) => "integration tests",
            (true, true) => "integration tests after wasm-opt",
        };
        ctx.run_tests(&format!("{} in Node: {what}", wasm.name()), &mut command)?;
    }
    Ok(())
}

/// What the names of modules end with that have gone through `wasm-opt`.
const OPTIMISED: &str = ".optimised.wasm";

/// A module as it is shipped: `wasm-opt` must not change what it does.
fn optimised(ctx: &Ctx, module: &Path) -> Result<PathBuf> {
    let made = PathBuf::from(format!("{}{OPTIMISED}", module.display()));
    let mut command = ctx.wasm_opt()?;
    ctx.run("wasm-opt -Oz", command.arg("-Oz").arg(module).arg("-o").arg(&made))?;
    Ok(made)
}

/// The modules of the core's unit tests and integration tests.
fn build(ctx: &Ctx, kit: &WasmKit) -> Result<Vec<PathBuf>> {
    let mut command = kit.cargo(ctx);
    command.args(["test", "--no-run", "--locked", "--package", "weaveheap-core", "--lib", "--test", "it"]);
    command.args(kit.target_args()).arg("--message-format=json-render-diagnostics");
    // The runner of these tests is a feature that is not stable.
    command.env("RUSTC_BOOTSTRAP", "1");
    let output = ctx.output(&format!("build the core's tests for {}", kit.wasm.name()), &mut command)?;
    let messages = output.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let modules: Vec<PathBuf> =
        messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect();
    let is_whole = |module: &PathBuf| module.file_name().is_some_and(|name| name.to_string_lossy().starts_with("it-"));
    let (whole, unit): (Vec<_>, Vec<_>) = modules.into_iter().partition(is_whole);
    ensure!(whole.len() == 1 && unit.len() == 1, "cargo named other modules of tests than two");
    Ok(unit.into_iter().chain(whole).collect())
}
