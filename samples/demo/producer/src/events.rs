//! What the process reports: one JSON object a line, with the time on the clock that all processes share.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

/// Prints an event. `fields` is a JSON object.
pub fn report(name: &str, fields: Value) -> Result<()> {
    let mut line = json!({ "event": name, "at": now() });
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Nanoseconds on the system's monotonic clock: Python's `time.monotonic_ns()` and Node's `process.hrtime.bigint()`
/// read the same one.
#[cfg(unix)]
pub fn now() -> u64 {
    #[cfg(target_os = "macos")]
    const CLOCK: libc::clockid_t = libc::CLOCK_UPTIME_RAW;
    #[cfg(not(target_os = "macos"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to, and the clock exists on this system.
    unsafe { libc::clock_gettime(CLOCK, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Nanoseconds since this process first asked.
#[cfg(not(unix))]
pub fn now() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}
