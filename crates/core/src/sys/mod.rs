//! What differs from system to system, one module each behind one interface: address space, files, liveness of
//! processes, sleeping on a word, clocks. What a system lacks returns `Unsupported`.

#[cfg(unix)]
mod unix;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(all(unix, not(target_os = "linux")))]
mod other_unix;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use other_unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;
#[cfg(target_family = "wasm")]
pub use wasm::{Hooks, set_hooks};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::*;

/// Who a process is, so that it is told apart from a later one with the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessId {
    pub(crate) pid: u32,
    /// When it started, in the system's own unit; 0 if not known.
    pub(crate) start: u64,
    /// The PID namespace; 0 if the system has none.
    pub(crate) namespace: u64,
}

/// An error of the system as this library's: full or no memory, not there, and so on, with its own words.
pub(crate) fn error(what: &str, error: &std::io::Error) -> crate::error::Error {
    use std::io::ErrorKind;

    use crate::error::ErrorCode;
    let code = match error.kind() {
        ErrorKind::NotFound => ErrorCode::NotFound,
        ErrorKind::AlreadyExists => ErrorCode::AlreadyExists,
        ErrorKind::PermissionDenied => ErrorCode::Denied,
        ErrorKind::OutOfMemory | ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            ErrorCode::OutOfMemory
        }
        ErrorKind::Unsupported => ErrorCode::Unsupported,
        _ => ErrorCode::Io,
    };
    crate::told::told_with!(code, "{}: {}", what, &reason(error))
}

/// The error for what this system lacks.
pub(crate) fn unsupported(what: &str) -> crate::error::Error {
    use crate::error::ErrorCode;
    crate::told::told_with!(ErrorCode::Unsupported, "{} on this system; docs/platforms.md lists what works where", what)
}
