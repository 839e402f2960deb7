//! Errors of the core as the interface has them.

use weaveheap_core::{Error, ErrorCode};

use crate::error_code;

use crate::bindings::exports::weaveheap::heap::errors::Error as Refusal;

/// What a call of the interface answers.
pub(crate) type Answer<T> = std::result::Result<T, Refusal>;

/// The error. Who holds what is in the way is not looked up here (B6): `heap.holders` does.
pub(crate) fn refusal(error: &Error) -> Refusal {
    let (code, about) = (error.code(), error.subject());
    let held = matches!(code, ErrorCode::BorrowConflict | ErrorCode::Borrowed) && !about.is_null();
    let message = match held {
        true => format!("{about}: {} End what `holders` lists, and try again.", code.meaning()),
        false => error.message(),
    };
    Refusal { code: error_code::of_core(code), about: about.to_bits(), message }
}

/// `InvalidArgument` with this message.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::with_message(ErrorCode::InvalidArgument, message.into())
}
