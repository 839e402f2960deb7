//! How a command fails: one line on standard error, and a status that says of which sort the failure was.

use std::fmt;
use std::io;

use weaveheap_core::Error;

/// The command was understood in its form, but not in its meaning: status 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Status of an operation that failed.
pub const FAILED: u8 = 1;
/// Status of a command that was not understood.
pub const MISUSED: u8 = 2;

/// The status for an error; `None` if the reader of our output has gone, which is no failure of ours.
pub fn status(error: &anyhow::Error) -> Option<u8> {
    let closed = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    if closed {
        None
    } else if error.is::<Usage>() {
        Some(MISUSED)
    } else {
        Some(FAILED)
    }
}

/// The error as one line, whatever the names in it contain.
pub fn line(error: &anyhow::Error) -> String {
    format!("weaveheap: {}", crate::human::printable(&format!("{error:#}")))
}

/// An error of a heap, with the heap's name before it unless the message has it already.
pub fn of_heap(title: &str, error: Error) -> anyhow::Error {
    let text = error.to_string();
    if text.contains(title) { error.into() } else { anyhow::Error::from(error).context(title.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weaveheap_core::ErrorCode;

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert_eq!(status(&error), None);
    }

    #[test]
    fn usage_and_failure_have_their_own_status() {
        assert_eq!(status(&Usage("no handle".into()).into()), Some(2));
        assert_eq!(status(&Error::new(ErrorCode::NotFound).into()), Some(1));
    }

    #[test]
    fn an_error_is_one_line_and_names_its_heap_once() {
        let error = of_heap("flights", Error::with_message(ErrorCode::Corrupt, "a\nb\u{1b}[2J"));
        let text = line(&error);
        assert_eq!(text, "weaveheap: flights: Corrupt: a\\nb\\u{1b}[2J");
        let error = of_heap("flights", Error::with_message(ErrorCode::NotFound, "no heap \"flights\""));
        assert_eq!(line(&error), "weaveheap: NotFound: no heap \"flights\"");
    }
}
