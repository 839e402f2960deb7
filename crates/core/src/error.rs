//! The error type: a code, a message that is made when it is read, and the holders that were in the way (B6).

use std::borrow::Cow;
use std::fmt;
use std::sync::Weak;

use crate::attachment::Attachment;
pub use crate::error_code::ErrorCode;
use crate::handle::Handle;
use crate::snapshot::Holder;

/// The result of an operation on a heap.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed: a code, the handle it was about, and a message for people.
///
/// `Display` gives one line: the code's name, what was wrong, what to do. For refusals because of a borrow it lists
/// the holders, gathered when it is called and not when the refusal happened.
#[derive(Clone)]
pub struct Error {
    code: ErrorCode,
    subject: Handle,
    message: Option<Box<Cow<'static, str>>>,
    heap: Option<Weak<Attachment>>,
}

impl Error {
    /// An error with this code and the code's own message.
    pub fn new(code: ErrorCode) -> Error {
        Error { code, subject: Handle::NULL, message: None, heap: None }
    }

    /// An error with a message that says what was wrong and what to do.
    pub fn with_message(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Error {
        Error { code, subject: Handle::NULL, message: Some(Box::new(message.into())), heap: None }
    }

    /// The same error about this handle.
    pub fn about(mut self, subject: Handle) -> Error {
        self.subject = subject;
        self
    }

    pub(crate) fn held(code: ErrorCode, subject: Handle, heap: Weak<Attachment>) -> Error {
        Error { code, subject, message: None, heap: Some(heap) }
    }

    /// What went wrong.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The handle it was about; null if it was about none.
    pub fn subject(&self) -> Handle {
        self.subject
    }

    /// Who holds borrows of the subject now. Empty for errors that are not about borrows, and after the heap is
    /// detached.
    pub fn holders(&self) -> Vec<Holder> {
        match self.heap.as_ref().and_then(Weak::upgrade) {
            Some(heap) => heap.holders(self.subject),
            None => Vec::new(),
        }
    }

    /// The message without the code's name: what was wrong, and what to do about it.
    pub fn message(&self) -> String {
        let mut text = match &self.message {
            Some(message) => message.to_string(),
            None => self.code.meaning().to_string(),
        };
        if !self.subject.is_null() {
            text = format!("{}: {text}", self.subject);
        }
        if self.heap.is_some() {
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
        if self.message.is_none() {
            text.push(' ');
            text.push_str(self.code.remedy());
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code)
            .field("subject", &self.subject)
            .field("message", &self.message)
            .finish()
    }
}

impl std::error::Error for Error {}
