//! The part `crash`: processes that die at each kill point of the core, and at random instants. The core is built for it
//! with its kill points, in a target folder of its own.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::ctx::Ctx;

/// Builds the core with its kill points and runs the crash tests; with `--long` each of them in full.
pub fn test(ctx: &Ctx) -> Result<()> {
    let mut command = ctx.cargo();
    command
        .args(["test", "--locked", "--package", "weaveheap-core", "--test", "crash"])
        .env("CARGO_TARGET_DIR", ctx.target().join("crash"))
        .env("CARGO_ENCODED_RUSTFLAGS", "--cfg\u{1f}weaveheap_kill_points")
        .env("WEAVEHEAP_LONG", if ctx.is_long() { "1" } else { "0" });
    if !makes_namespaces() {
        ctx.leave_out(
            "crash tests across PID namespaces",
            "this user may not make PID namespaces (unshare --pid)",
            "run them as root",
        )?;
        command.args(["--", "--skip", "namespaces::"]);
    }
    ctx.run_tests("crash tests", &mut command)?;
    Ok(())
}

/// Whether the tests can start processes in PID namespaces of their own.
fn makes_namespaces() -> bool {
    let mut probe = Command::new("unshare");
    probe.args(["--pid", "--fork", "--mount-proc", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
