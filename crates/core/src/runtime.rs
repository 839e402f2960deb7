//! The runtimes that a borrow, a counter or an attachment can belong to, and the reasons for a copy (B4, N1).

/// The language on whose behalf an attachment works. Part of the layout: numbers are never used for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[repr(u8)]
#[non_exhaustive]
pub enum Runtime {
    /// Not said, or a number that this version does not know.
    Unknown = 0,
    /// Rust.
    Rust = 1,
    /// C.
    C = 2,
    /// C++.
    Cpp = 3,
    /// Python.
    Python = 4,
    /// Node.
    Node = 5,
    /// WebAssembly.
    Wasm = 6,
    /// Go.
    Go = 7,
    /// Java.
    Java = 8,
    /// Swift.
    Swift = 9,
    /// Zig.
    Zig = 10,
    /// The command line.
    Cli = 11,
}

impl Runtime {
    /// Every runtime, in order of number.
    pub const ALL: [Runtime; 12] = [
        Runtime::Unknown,
        Runtime::Rust,
        Runtime::C,
        Runtime::Cpp,
        Runtime::Python,
        Runtime::Node,
        Runtime::Wasm,
        Runtime::Go,
        Runtime::Java,
        Runtime::Swift,
        Runtime::Zig,
        Runtime::Cli,
    ];

    /// The runtime with this number, `Unknown` if there is none.
    pub fn from_number(number: u8) -> Runtime {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Runtime::Unknown)
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Unknown => "unknown",
            Runtime::Rust => "rust",
            Runtime::C => "c",
            Runtime::Cpp => "cpp",
            Runtime::Python => "python",
            Runtime::Node => "node",
            Runtime::Wasm => "wasm",
            Runtime::Go => "go",
            Runtime::Java => "java",
            Runtime::Swift => "swift",
            Runtime::Zig => "zig",
            Runtime::Cli => "cli",
        }
    }
}

/// Why bytes were copied. Each copy that this library makes is counted with one of these (N1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[repr(u8)]
#[non_exhaustive]
pub enum CopyReason {
    /// The caller's bytes or text were copied into a buffer (`string`, `alloc` from bytes).
    Ingest = 0,
    /// A buffer's bytes were copied out at the caller's word (`bytes(...)`, `toString`, a C byte block).
    Export = 1,
    /// The runtime forbids external buffers, so that a view had to be a copy.
    NoExternalBuffers = 2,
    /// A value was made for another protocol (pickling in band, JSON).
    Serialize = 3,
}

impl CopyReason {
    /// Every reason, in order of number.
    pub const ALL: [CopyReason; 4] =
        [CopyReason::Ingest, CopyReason::Export, CopyReason::NoExternalBuffers, CopyReason::Serialize];

    /// The reason with this number.
    pub fn from_number(number: u8) -> Option<CopyReason> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            CopyReason::Ingest => "ingest",
            CopyReason::Export => "export",
            CopyReason::NoExternalBuffers => "no_external_buffers",
            CopyReason::Serialize => "serialize",
        }
    }
}
