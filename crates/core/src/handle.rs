//! Handles, tokens and the newtypes of the tables' indices: packing, text form, slotmap keys (K1, K5). Pure functions.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::error_code::ErrorCode;
use crate::told::told_with;

/// Bit 31 of a handle's index: the handle names a region.
const REGION_BIT: u32 = 1 << 31;

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandleKind {
    /// A run of bytes in a region.
    Buffer,
    /// An arena of a heap.
    Region,
}

/// 64 bits that name a region or a buffer: index in the low 32, generation in the high 32 (odd while it lives).
///
/// The value is the same in every attachment (H2). It is data: copying or dropping one borrows and frees nothing.
/// The text form is `b17:2043` for a buffer and `r3:77` for a region: kind, index, generation (K5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct Handle(u64);

impl Handle {
    /// The handle that names nothing; its bits are 0.
    pub const NULL: Handle = Handle(0);

    #[inline]
    pub(crate) fn buffer(index: u32, generation: u32) -> Handle {
        Handle(u64::from(generation) << 32 | u64::from(index & !REGION_BIT))
    }

    #[inline]
    pub(crate) fn region(index: u32, generation: u32) -> Handle {
        Handle(u64::from(generation) << 32 | u64::from(index | REGION_BIT))
    }

    /// The handle with these bits. Any value may be given: every use is checked (K1).
    #[inline]
    pub const fn from_bits(bits: u64) -> Handle {
        Handle(bits)
    }

    /// The bits that cross borders.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// True for the null handle.
    #[inline]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// Which table the handle points into.
    #[inline]
    pub fn kind(self) -> HandleKind {
        if self.0 as u32 & REGION_BIT != 0 { HandleKind::Region } else { HandleKind::Buffer }
    }

    /// The index in its table, dense from 0.
    #[inline]
    pub fn index(self) -> u32 {
        self.0 as u32 & !REGION_BIT
    }

    /// The generation; odd in every live handle.
    #[inline]
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() {
            return f.write_str("null");
        }
        let kind = match self.kind() {
            HandleKind::Buffer => 'b',
            HandleKind::Region => 'r',
        };
        write!(f, "{kind}{}:{}", self.index(), self.generation())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

impl FromStr for Handle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Handle> {
        let bad = || {
            told_with!(
                ErrorCode::InvalidArgument,
                "{:?} is no handle: write one as b17:2043 (a buffer) or r3:77 (a region)",
                text
            )
        };
        if text == "null" {
            return Ok(Handle::NULL);
        }
        let decimal = |digits: &str| -> Option<u32> {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            if plain { digits.parse().ok() } else { None }
        };
        let mut chars = text.chars();
        let kind = chars.next().ok_or_else(bad)?;
        let (index, generation) = chars.as_str().split_once(':').ok_or_else(bad)?;
        let index = decimal(index).filter(|i| i & REGION_BIT == 0).ok_or_else(bad)?;
        let generation = decimal(generation).filter(|g| *g != 0).ok_or_else(bad)?;
        match kind {
            'b' => Ok(Handle::buffer(index, generation)),
            'r' => Ok(Handle::region(index, generation)),
            _ => Err(bad()),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Handle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// 64 bits that name one live borrow: entry index in the low 24, the entry's generation in the high 40.
///
/// A token ends once; ending it again is `StaleHandle` (B7). 0 names nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Token(u64);

impl Token {
    /// Bits of an entry's index.
    pub(crate) const INDEX_BITS: u32 = 24;

    #[inline]
    pub(crate) fn new(index: u32, generation: u64) -> Token {
        Token(generation << Self::INDEX_BITS | u64::from(index))
    }

    /// The token with these bits. Any value may be given: every use is checked (K1).
    #[inline]
    pub const fn from_bits(bits: u64) -> Token {
        Token(bits)
    }

    /// The bits that cross borders.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        (self.0 & ((1 << Self::INDEX_BITS) - 1)) as u32
    }

    #[inline]
    pub(crate) fn generation(self) -> u64 {
        self.0 >> Self::INDEX_BITS
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(e{}:{})", self.index(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_kind_index_generation() {
        assert_eq!(Handle::buffer(17, 2043).to_string(), "b17:2043");
        assert_eq!(Handle::region(3, 77).to_string(), "r3:77");
        assert_eq!(Handle::NULL.to_string(), "null");
    }

    #[test]
    fn text_form_is_read_back() {
        for handle in [Handle::buffer(0, 1), Handle::buffer(17, 2043), Handle::region(3, u32::MAX), Handle::NULL] {
            assert_eq!(handle.to_string().parse::<Handle>().unwrap(), handle);
        }
    }

    #[test]
    fn text_that_is_no_handle_is_refused() {
        for text in
            ["", "b", "b1", "x1:1", "b1:", "b:1", "b-1:1", "b+1:1", "b1:0", "b2147483648:1", "b1:4294967296", "é1:1"]
        {
            assert_eq!(text.parse::<Handle>().unwrap_err().code(), ErrorCode::InvalidArgument, "{text:?}");
        }
    }
}
