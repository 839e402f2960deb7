//! Messages of errors: `told!`, `corrupt!` and the two with `_with` make an error from a text and the values in it. The feature `texts` says who
//! makes the message of them: this library, or whoever reads the error. The latter is for modules of WebAssembly, where the
//! texts, and the code that puts values into them, would be a tenth of all. Such an error has the text's number and the
//! values, and `cargo xtask gen` writes the texts by their numbers for JavaScript, from these macros in the source.

/// What stands before and after the text of `corrupt!`.
#[cfg(feature = "texts")]
pub(crate) const DAMAGED: [&str; 2] =
    ["the heap's records are damaged: ", ". Close it everywhere, keep the file for a report, make a new heap"];

/// An error with a code, a text, and up to three numbers for its `{}` and `{:#x}`.
#[cfg(feature = "texts")]
macro_rules! told {
    ($code:expr, $text:literal $(, $number:expr)* $(,)?) => {
        $crate::error::Error::told($code, format_args!($text $(, $number)*))
    };
}

/// As `told!`, with any values: for `{}`, `{:#x}` (a number) and `{:?}` (a text).
#[cfg(feature = "texts")]
macro_rules! told_with {
    ($code:expr, $text:literal $(, $value:expr)* $(,)?) => {
        $crate::error::Error::told($code, format_args!($text $(, $value)*))
    };
}

/// As `told!`, for records that contradict each other.
#[cfg(feature = "texts")]
macro_rules! corrupt {
    ($text:literal $(, $number:expr)* $(,)?) => {
        $crate::error::Error::damaged(format_args!($text $(, $number)*))
    };
}

/// As `corrupt!`, with any values.
#[cfg(feature = "texts")]
macro_rules! corrupt_with {
    ($text:literal $(, $value:expr)* $(,)?) => {
        $crate::error::Error::damaged(format_args!($text $(, $value)*))
    };
}

#[cfg(not(feature = "texts"))]
macro_rules! told {
    ($code:expr, $text:literal $(,)?) => {
        $crate::told::told!($code, $text, 0, 0, 0)
    };
    ($code:expr, $text:literal, $a:expr $(,)?) => {
        $crate::told::told!($code, $text, $a, 0, 0)
    };
    ($code:expr, $text:literal, $a:expr, $b:expr $(,)?) => {
        $crate::told::told!($code, $text, $a, $b, 0)
    };
    ($code:expr, $text:literal, $a:expr, $b:expr, $c:expr $(,)?) => {{
        const NUMBER: u32 = $crate::told::number($text);
        $crate::error::Error::with_numbers($code, NUMBER, $a as u64, $b as u64, $c as u64)
    }};
}

#[cfg(not(feature = "texts"))]
macro_rules! told_with {
    ($code:expr, $text:literal $(, $value:expr)* $(,)?) => {{
        const NUMBER: u32 = $crate::told::number($text);
        $crate::error::Error::numbered($code, NUMBER, &[$($crate::told::Value::from($value)),*])
    }};
}

#[cfg(not(feature = "texts"))]
macro_rules! corrupt {
    ($text:literal $(, $number:expr)* $(,)?) => {
        $crate::told::told!($crate::error::ErrorCode::Corrupt, $text $(, $number)*)
    };
}

#[cfg(not(feature = "texts"))]
macro_rules! corrupt_with {
    ($text:literal $(, $value:expr)* $(,)?) => {
        $crate::told::told_with!($crate::error::ErrorCode::Corrupt, $text $(, $value)*)
    };
}

#[cfg(any(target_family = "wasm", not(feature = "texts")))]
pub(crate) use numbered::{Value, encoded, number};
pub(crate) use {corrupt, corrupt_with, told, told_with};

#[cfg(any(target_family = "wasm", not(feature = "texts")))]
mod numbered {
    use crate::handle::Handle;

    /// A text's number (FNV-1a): `cargo xtask gen` sees to it that no two have the same.
    pub(crate) const fn number(text: &str) -> u32 {
        let (bytes, mut at, mut number) = (text.as_bytes(), 0, 0x811c_9dc5_u32);
        while at < bytes.len() {
            number = (number ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
            at += 1;
        }
        number
    }

    /// A value in a message.
    #[derive(Clone, Copy)]
    pub(crate) enum Value<'a> {
        Number(u64),
        Handle(Handle),
        Text(&'a str),
    }

    /// A text's number and its values: each a byte that says what it is, then 64 bits, which are a text's length.
    pub(crate) fn encoded(number: u32, values: &[Value<'_>]) -> Vec<u8> {
        let mut bytes = number.to_le_bytes().to_vec();
        for value in values {
            let (kind, bits, text) = match *value {
                Value::Number(number) => (0, number, ""),
                Value::Handle(handle) => (1, handle.to_bits(), ""),
                Value::Text(text) => (2, text.len() as u64, text),
            };
            bytes.push(kind);
            bytes.extend_from_slice(&bits.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    macro_rules! numbers {
        ($($number:ty),*) => { $(
            impl From<$number> for Value<'_> {
                fn from(number: $number) -> Self {
                    Value::Number(number as u64)
                }
            }
        )* };
    }

    numbers!(u16, u32, u64, usize);

    impl From<Handle> for Value<'_> {
        fn from(handle: Handle) -> Self {
            Value::Handle(handle)
        }
    }

    impl<'a> From<&'a str> for Value<'a> {
        fn from(text: &'a str) -> Self {
            Value::Text(text)
        }
    }

    impl<'a> From<&'a String> for Value<'a> {
        fn from(text: &'a String) -> Self {
            Value::Text(text)
        }
    }
}
