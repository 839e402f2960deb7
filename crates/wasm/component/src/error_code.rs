//! The core's error codes as those of the interface, written from `spec/errors.toml` by `cargo xtask gen`. Do not edit.

use weaveheap_core::ErrorCode as Core;

use crate::bindings::exports::weaveheap::heap::errors::ErrorCode;

/// The same code. `Internal` for one that the core has since `cargo xtask gen` was last run.
pub(crate) fn of_core(code: Core) -> ErrorCode {
    match code {
        Core::InvalidArgument => ErrorCode::InvalidArgument,
        Core::StaleHandle => ErrorCode::StaleHandle,
        Core::StaleView => ErrorCode::StaleView,
        Core::BorrowConflict => ErrorCode::BorrowConflict,
        Core::Borrowed => ErrorCode::Borrowed,
        Core::Denied => ErrorCode::Denied,
        Core::Poisoned => ErrorCode::Poisoned,
        Core::OutOfMemory => ErrorCode::OutOfMemory,
        Core::LimitReached => ErrorCode::LimitReached,
        Core::NotFound => ErrorCode::NotFound,
        Core::AlreadyExists => ErrorCode::AlreadyExists,
        Core::InvalidName => ErrorCode::InvalidName,
        Core::NotAttached => ErrorCode::NotAttached,
        Core::Timeout => ErrorCode::Timeout,
        Core::Incompatible => ErrorCode::Incompatible,
        Core::Corrupt => ErrorCode::Corrupt,
        Core::Io => ErrorCode::Io,
        Core::InvalidUtf8 => ErrorCode::InvalidUtf8,
        Core::Unsupported => ErrorCode::Unsupported,
        Core::Internal => ErrorCode::Internal,
        _ => ErrorCode::Internal,
    }
}
