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
use crate::told;

/// The result of an operation on a heap.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed: a code, the handle it was about, and a message for people.
///
/// `Display` gives one line: the code's name, what was wrong, what to do. For refusals because of a borrow it lists
/// the holders, gathered when it is called and not when the refusal happened.
#[derive(Clone)]
pub struct Error(Place);

/// What an error alone has to say.
#[cfg(feature = "texts")]
type Message = Cow<'static, str>;
/// The same as a text's number and values (`told`).
#[cfg(not(feature = "texts"))]
type Message = Vec<u8>;

/// What an error says.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) code: ErrorCode,
    subject: Handle,
    message: Option<Box<Message>>,
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
        #[cfg(feature = "texts")]
        return Error::saying(code, message.into());
        #[cfg(not(feature = "texts"))]
        Error::numbered(code, told::number("{}"), &[told::Value::Text(&message.into())])
    }

    fn saying(code: ErrorCode, message: Message) -> Error {
        Error(Place::of(Parts { message: Some(Box::new(message)), ..Parts::new(code) }))
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

    /// The error for records that contradict each other.
    #[cfg(feature = "texts")]
    #[cold]
    #[inline(never)]
    pub(crate) fn damaged(what: fmt::Arguments<'_>) -> Error {
        let [before, after] = told::DAMAGED;
        Error::told(ErrorCode::Corrupt, format_args!("{before}{what}{after}"))
    }

    /// An error whose message others make, of a text with up to three numbers.
    #[cfg(not(feature = "texts"))]
    #[cold]
    #[inline(never)]
    pub(crate) fn with_numbers(code: ErrorCode, number: u32, a: u64, b: u64, c: u64) -> Error {
        Error::numbered(code, number, &[a, b, c].map(told::Value::Number))
    }

    /// An error whose message others make.
    #[cfg(not(feature = "texts"))]
    #[cold]
    #[inline(never)]
    pub(crate) fn numbered(code: ErrorCode, number: u32, values: &[told::Value<'_>]) -> Error {
        Error::saying(code, told::encoded(number, values))
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

    /// What this error alone has to say, as its text's number and values: nothing if its code's meaning and remedy say all.
    /// With the feature `texts` it is the text.
    #[cfg(target_family = "wasm")]
    pub fn numbered_message(&self) -> Vec<u8> {
        match &self.0.parts().message {
            #[cfg(feature = "texts")]
            Some(message) => told::encoded(told::number("{}"), &[told::Value::Text(message)]),
            #[cfg(not(feature = "texts"))]
            Some(message) => message.to_vec(),
            None => Vec::new(),
        }
    }

    /// What it says was wrong, without what it says in parentheses.
    #[cfg(feature = "texts")]
    pub(crate) fn claim(&self) -> String {
        self.message().split(" (").next().unwrap_or_default().to_owned()
    }

    /// What it says was wrong, by its text's number.
    #[cfg(not(feature = "texts"))]
    pub(crate) fn claim(&self) -> String {
        self.message()
    }

    /// The message of this error alone.
    #[cfg(feature = "texts")]
    fn own_message(&self) -> Option<String> {
        self.0.parts().message.as_ref().map(|message| message.to_string())
    }

    /// The same for people who have the list of texts.
    #[cfg(not(feature = "texts"))]
    fn own_message(&self) -> Option<String> {
        let parts = self.0.parts();
        let number = parts.message.as_ref()?.first_chunk()?;
        Some(format!("text {:08x}. {}", u32::from_le_bytes(*number), parts.code.meaning()))
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
        let mut text = self.own_message().unwrap_or_else(|| parts.code.meaning().to_string());
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
            .field("message", &self.own_message())
            .finish()
    }
}

impl std::error::Error for Error {}
