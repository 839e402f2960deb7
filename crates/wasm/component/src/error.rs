//! Errors of the core as the interface has them.

use weaveheap_core::{Error, ErrorCode};

use crate::{error_code, room};

use crate::bindings::exports::weaveheap::heap::errors::Error as Refusal;

/// What a call of the interface answers.
pub(crate) type Answer<T> = std::result::Result<T, Refusal>;

/// More than a message and the pieces that it is made of take.
const MESSAGE: usize = 2 << 10;

/// The error. Who holds what is in the way is not looked up here (B6): `heap.holders` does.
pub(crate) fn refusal(error: &Error) -> Refusal {
    let (code, about) = (error.code(), error.subject());
    // Without memory for a message there is none.
    if code == ErrorCode::OutOfMemory && !room::is_there(MESSAGE) {
        return Refusal { code: error_code::of_core(code), about: about.to_bits(), message: String::new() };
    }
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
