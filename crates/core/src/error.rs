//! The error type: a code, a message that is made when it is read, and the holders that were in the way (B6).

use std::borrow::Cow;
use std::fmt;
use std::sync::Weak;

use crate::attachment::Attachment;
pub use crate::error_code::ErrorCode;
#[cfg(target_family = "wasm")]
use crate::error_word::Place;
use crate::handle::Handle;
use crate::snapshot::Holder;

/// The result of an operation on a heap.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed: a code, the handle it was about, and a message for people.
///
/// `Display` gives one line: the code's name, what was wrong, what to do. For refusals because of a borrow it lists
/// the holders, gathered when it is called and not when the refusal happened.
#[derive(Clone)]
pub struct Error(Place);

/// What an error says.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) code: ErrorCode,
    subject: Handle,
    message: Option<Box<Cow<'static, str>>>,
    heap: Option<Weak<Attachment>>,
}

impl Parts {
    pub(crate) fn new(code: ErrorCode) -> Parts {
        Parts { code, subject: Handle::NULL, message: None, heap: None }
    }

    /// Whether the code is all that it says.
    #[cfg(target_family = "wasm")]
    pub(crate) fn is_code_alone(&self) -> bool {
        self.subject.is_null() && self.message.is_none() && self.heap.is_none()
    }
}

/// An error holds what it says.
#[cfg(not(target_family = "wasm"))]
#[derive(Clone)]
struct Place(Parts);

#[cfg(not(target_family = "wasm"))]
impl Place {
    fn of(parts: Parts) -> Place {
        Place(parts)
    }

    fn of_code(code: ErrorCode) -> Place {
        Place(Parts::new(code))
    }

    fn code(&self) -> ErrorCode {
        self.0.code
    }

    fn parts(&self) -> &Parts {
        &self.0
    }

    fn into_parts(self) -> Parts {
        self.0
    }
}

impl Error {
    /// An error with this code and the code's own message.
    pub fn new(code: ErrorCode) -> Error {
        Error(Place::of_code(code))
    }

    /// An error with a message that says what was wrong and what to do.
    pub fn with_message(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Error {
        Error(Place::of(Parts { message: Some(Box::new(message.into())), ..Parts::new(code) }))
    }

    /// The same with a message of `format_args!`.
    #[cold]
    #[inline(never)]
    pub(crate) fn told(code: ErrorCode, message: fmt::Arguments<'_>) -> Error {
        match message.as_str() {
            Some(text) => Error::with_message(code, text),
            None => Error::with_message(code, fmt::format(message)),
        }
    }

    /// The same error about this handle.
    pub fn about(self, subject: Handle) -> Error {
        Error(Place::of(Parts { subject, ..self.0.into_parts() }))
    }

    pub(crate) fn held(code: ErrorCode, subject: Handle, heap: Weak<Attachment>) -> Error {
        Error(Place::of(Parts { subject, heap: Some(heap), ..Parts::new(code) }))
    }

    /// What went wrong.
    pub fn code(&self) -> ErrorCode {
        self.0.code()
    }

    /// The handle it was about; null if it was about none.
    pub fn subject(&self) -> Handle {
        self.0.parts().subject
    }

    /// The message that this error alone has: without it, the code's meaning and remedy say all.
    pub fn own_message(&self) -> Option<String> {
        self.0.parts().message.as_ref().map(|message| message.to_string())
    }

    /// True if borrows were in the way: `holders` says which are now.
    pub fn has_holders(&self) -> bool {
        self.0.parts().heap.is_some()
    }

    /// Who holds borrows of the subject now. Empty for errors that are not about borrows, and after the heap is
    /// detached.
    pub fn holders(&self) -> Vec<Holder> {
        let parts = self.0.parts();
        match parts.heap.as_ref().and_then(Weak::upgrade) {
            Some(heap) => heap.holders(parts.subject),
            None => Vec::new(),
        }
    }

    /// The message without the code's name: what was wrong, and what to do about it.
    pub fn message(&self) -> String {
        let parts = self.0.parts();
        let mut text = match &parts.message {
            Some(message) => message.to_string(),
            None => parts.code.meaning().to_string(),
        };
        if !parts.subject.is_null() {
            text = format!("{}: {text}", parts.subject);
        }
        if parts.heap.is_some() {
            let holders = self.holders();
            if holders.is_empty() {
                text.push_str(" No borrow is live any more: try again.");
            } else {
                text.push_str(" Held: ");
                let shown: Vec<String> = holders.iter().take(8).map(Holder::to_string).collect();
                text.push_str(&shown.join("; "));
                if holders.len() > shown.len() {
                    text.push_str(&format!("; and {} more", holders.len() - shown.len()));
                }
                text.push('.');
            }
        }
        if parts.message.is_none() {
            text.push(' ');
            text.push_str(parts.code.remedy());
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code().name(), self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code())
            .field("subject", &self.subject())
            .field("message", &self.0.parts().message)
            .finish()
    }
}

impl std::error::Error for Error {}
