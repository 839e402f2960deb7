//! The operation language. Numbers choose among what there is, live or not, so that every program means something.

use arbitrary::Arbitrary;

/// One operation, and who does it.
#[derive(Clone, Debug, Arbitrary)]
pub struct Step {
    /// Bit 0: a thread of its own does it. The other bits choose the attachment.
    pub by: u8,
    /// What is done.
    pub operation: Operation,
}

/// What is done. A number that chooses (`region`, `buffer`, `lease`, `token`, `of`) counts those that were ever made;
/// `xor` is what the bits are changed by.
#[expect(missing_docs, reason = "the fields are said with the operations")]
#[derive(Clone, Debug, Arbitrary)]
pub enum Operation {
    /// Makes a region, with a limit of so many KiB or without one.
    CreateRegion { limit: Option<u16> },
    /// Allocates; `align` is a power of two's exponent, or beyond the largest one.
    Alloc { region: u8, length: Length, align: u8, zeroed: bool },
    /// Allocates a copy of so many of this byte.
    AllocFrom { region: u8, length: u16, byte: u8 },
    /// Frees a buffer.
    Free { buffer: u8 },
    /// Borrows a buffer as a lease, and reads it.
    Borrow { buffer: u8, unique: bool },
    /// Reads the bytes of a lease once more, and ends it.
    Release { lease: u8 },
    /// Writes a byte to all of a lease from an offset on.
    Write { lease: u8, at: u16, byte: u8 },
    /// Borrows a buffer as a token.
    Begin { buffer: u8, unique: bool },
    /// Ends a token, also one that has ended.
    End { token: u8 },
    /// Ends what a token with other bits names.
    EndForged { token: u8, xor: u64 },
    /// Takes the right to write from a buffer.
    Freeze { buffer: u8 },
    /// Clears the poison of a buffer that is not poisoned.
    ClearPoison { buffer: u8 },
    /// Empties a region.
    Reset { region: u8 },
    /// Closes a region.
    Close { region: u8 },
    /// Closes a region once it is idle.
    CloseWhenIdle { region: u8 },
    /// Asks whether a region is idle, without waiting.
    WaitIdle { region: u8 },
    /// Publishes a buffer or a region under one of four names.
    Publish { of: u8, region: bool, name: u8 },
    /// Takes a name out.
    Unpublish { name: u8 },
    /// Looks a name up.
    Lookup { name: u8 },
    /// Uses a handle with other bits, or one of the wrong kind.
    Forge { of: u8, region: bool, xor: u64, using: Using },
    /// Detaches, where borrows of the attachment forbid it.
    Detach,
    /// Gives freed memory back to the system.
    Trim,
}

/// How many bytes are asked for.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Length {
    /// Of the smallest classes.
    Small(u8),
    /// Of all classes.
    Medium(u16),
    /// Up to 8 MiB: a chunk of its own from 1 MiB on.
    Large(u32),
    /// More than the heap can hold.
    Beyond(u64),
}

/// What is done with a forged handle.
#[derive(Clone, Copy, Debug, PartialEq, Arbitrary)]
pub enum Using {
    /// As a buffer.
    Free,
    /// As a buffer.
    BorrowShared,
    /// As a buffer.
    BorrowUnique,
    /// As a buffer.
    Freeze,
    /// As a region.
    Alloc,
    /// As a region.
    Reset,
    /// As a region.
    Close,
    /// As a region.
    CloseWhenIdle,
    /// As either.
    Publish,
}
