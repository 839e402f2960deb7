//! The error codes, written from `spec/errors.toml` by `cargo xtask gen`. Do not edit.

/// What went wrong. The numbers are part of the ABI and are never used for something else (F3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum ErrorCode {
    /// An argument is null, out of range, or not of the kind that is asked for.
    InvalidArgument = 1,
    /// The handle or token is null, freed, ended, of a closed region, or of another heap.
    StaleHandle = 2,
    /// The view was released, or no longer points at its bytes.
    StaleView = 3,
    /// A shared borrow meets a unique one, or a unique borrow meets any other.
    BorrowConflict = 4,
    /// What would be freed, emptied or unmapped is borrowed.
    Borrowed = 5,
    /// The handle or the folder lacks the right that the operation needs.
    Denied = 6,
    /// The holder of a unique borrow died while it could write: the bytes may be half changed.
    Poisoned = 7,
    /// The heap's limit, the system's memory or the shared-memory folder is used up.
    OutOfMemory = 8,
    /// A region's own limit, or a table of the heap, is full.
    LimitReached = 9,
    /// There is no heap or no entry of that name.
    NotFound = 10,
    /// A heap or an entry of that name exists.
    AlreadyExists = 11,
    /// The name is not of the form [a-z0-9][a-z0-9._-]{0,63}.
    InvalidName = 12,
    /// This process is not attached to the heap: it has detached, or it is a forked child.
    NotAttached = 13,
    /// The time given for waiting is over.
    Timeout = 14,
    /// The file is no heap, or one of another layout version, word size, byte order or ABI version.
    Incompatible = 15,
    /// The heap's own records contradict each other.
    Corrupt = 16,
    /// The system refused an operation on a file or a mapping.
    Io = 17,
    /// The bytes are not UTF-8.
    InvalidUtf8 = 18,
    /// This system or runtime lacks what the operation needs.
    Unsupported = 19,
    /// A defect in WeaveHeap itself. The heap stays usable.
    Internal = 20,
}

impl ErrorCode {
    /// Every code, in order of number.
    pub const ALL: &'static [ErrorCode] = &[
        ErrorCode::InvalidArgument,
        ErrorCode::StaleHandle,
        ErrorCode::StaleView,
        ErrorCode::BorrowConflict,
        ErrorCode::Borrowed,
        ErrorCode::Denied,
        ErrorCode::Poisoned,
        ErrorCode::OutOfMemory,
        ErrorCode::LimitReached,
        ErrorCode::NotFound,
        ErrorCode::AlreadyExists,
        ErrorCode::InvalidName,
        ErrorCode::NotAttached,
        ErrorCode::Timeout,
        ErrorCode::Incompatible,
        ErrorCode::Corrupt,
        ErrorCode::Io,
        ErrorCode::InvalidUtf8,
        ErrorCode::Unsupported,
        ErrorCode::Internal,
    ];

    /// The code with this number; `None` for 0 (success) and for numbers not in use.
    pub fn from_number(number: i32) -> Option<ErrorCode> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// The number that crosses the C ABI.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The name, the same in all languages.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::InvalidArgument => "InvalidArgument",
            ErrorCode::StaleHandle => "StaleHandle",
            ErrorCode::StaleView => "StaleView",
            ErrorCode::BorrowConflict => "BorrowConflict",
            ErrorCode::Borrowed => "Borrowed",
            ErrorCode::Denied => "Denied",
            ErrorCode::Poisoned => "Poisoned",
            ErrorCode::OutOfMemory => "OutOfMemory",
            ErrorCode::LimitReached => "LimitReached",
            ErrorCode::NotFound => "NotFound",
            ErrorCode::AlreadyExists => "AlreadyExists",
            ErrorCode::InvalidName => "InvalidName",
            ErrorCode::NotAttached => "NotAttached",
            ErrorCode::Timeout => "Timeout",
            ErrorCode::Incompatible => "Incompatible",
            ErrorCode::Corrupt => "Corrupt",
            ErrorCode::Io => "Io",
            ErrorCode::InvalidUtf8 => "InvalidUtf8",
            ErrorCode::Unsupported => "Unsupported",
            ErrorCode::Internal => "Internal",
        }
    }

    /// What the code says, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            ErrorCode::InvalidArgument => "An argument is null, out of range, or not of the kind that is asked for.",
            ErrorCode::StaleHandle => {
                "The handle or token is null, freed, ended, of a closed region, or of another heap."
            }
            ErrorCode::StaleView => "The view was released, or no longer points at its bytes.",
            ErrorCode::BorrowConflict => "A shared borrow meets a unique one, or a unique borrow meets any other.",
            ErrorCode::Borrowed => "What would be freed, emptied or unmapped is borrowed.",
            ErrorCode::Denied => "The handle or the folder lacks the right that the operation needs.",
            ErrorCode::Poisoned => {
                "The holder of a unique borrow died while it could write: the bytes may be half changed."
            }
            ErrorCode::OutOfMemory => "The heap's limit, the system's memory or the shared-memory folder is used up.",
            ErrorCode::LimitReached => "A region's own limit, or a table of the heap, is full.",
            ErrorCode::NotFound => "There is no heap or no entry of that name.",
            ErrorCode::AlreadyExists => "A heap or an entry of that name exists.",
            ErrorCode::InvalidName => "The name is not of the form [a-z0-9][a-z0-9._-]{0,63}.",
            ErrorCode::NotAttached => {
                "This process is not attached to the heap: it has detached, or it is a forked child."
            }
            ErrorCode::Timeout => "The time given for waiting is over.",
            ErrorCode::Incompatible => {
                "The file is no heap, or one of another layout version, word size, byte order or ABI version."
            }
            ErrorCode::Corrupt => "The heap's own records contradict each other.",
            ErrorCode::Io => "The system refused an operation on a file or a mapping.",
            ErrorCode::InvalidUtf8 => "The bytes are not UTF-8.",
            ErrorCode::Unsupported => "This system or runtime lacks what the operation needs.",
            ErrorCode::Internal => "A defect in WeaveHeap itself. The heap stays usable.",
        }
    }

    /// What to do about it, in one sentence.
    pub fn remedy(self) -> &'static str {
        match self {
            ErrorCode::InvalidArgument => "Check the argument that the message names.",
            ErrorCode::StaleHandle => "Use the handle only while its buffer and its region live; a token only once.",
            ErrorCode::StaleView => "Borrow the buffer again and use the new view.",
            ErrorCode::BorrowConflict => "End the borrows that the message lists, or try again after they have ended.",
            ErrorCode::Borrowed => "End the borrows that the message lists, or close when idle.",
            ErrorCode::Denied => "Use a handle with that right; a frozen buffer is never written again.",
            ErrorCode::Poisoned => "Look at the bytes after `clear_poison`, or free the buffer.",
            ErrorCode::OutOfMemory => "Close regions, make the heap with a larger limit, or give the folder more room.",
            ErrorCode::LimitReached => {
                "Free buffers, raise the region's limit, or close regions and attachments no longer used."
            }
            ErrorCode::NotFound => "Check the name; `weaveheap list` shows the heaps.",
            ErrorCode::AlreadyExists => "Open it, choose another name, or remove it first.",
            ErrorCode::InvalidName => "Use lower-case letters, digits, dot, underscore and hyphen.",
            ErrorCode::NotAttached => "Open the heap in this process.",
            ErrorCode::Timeout => "Wait longer, or look with `weaveheap who` for what is waited for.",
            ErrorCode::Incompatible => "Use one version of WeaveHeap on both sides; the message names both.",
            ErrorCode::Corrupt => "Close it everywhere, keep the file for a report, and make a new heap.",
            ErrorCode::Io => "See the system's own words in the message.",
            ErrorCode::InvalidUtf8 => "Give UTF-8, or allocate bytes instead of a string.",
            ErrorCode::Unsupported => "The message names what is missing; docs/platforms.md lists it for each system.",
            ErrorCode::Internal => "Please report it with the message.",
        }
    }
}
