//! What an inspection of a heap gives: plain data, taken without stopping anyone (N2). `stats`, `viz` and every
//! language's statistics are made of it alone. Sizes are bytes, ages are milliseconds.

use crate::handle::{Handle, Token};
use crate::runtime::{CopyReason, Runtime};

/// The kind of a borrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[repr(u8)]
pub enum BorrowKind {
    /// Reading, together with any number of others.
    Shared = 1,
    /// Reading and writing, alone.
    Unique = 2,
}

impl BorrowKind {
    /// The name in reports: `shared` or `unique`.
    pub fn name(self) -> &'static str {
        match self {
            BorrowKind::Shared => "shared",
            BorrowKind::Unique => "unique",
        }
    }
}

/// One live borrow and who holds it (B4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Holder {
    /// The buffer (or the region, for what a holder of several is asked).
    pub handle: Handle,
    /// The region of the buffer.
    pub region: Handle,
    /// Shared or unique.
    pub kind: BorrowKind,
    /// The process id, as its own PID namespace has it.
    pub process: u32,
    /// The thread id, as the system has it.
    pub thread: u64,
    /// The language.
    pub runtime: Runtime,
    /// What the attachment calls itself; empty if it has no label.
    pub label: String,
    /// Age of the borrow in milliseconds, to about 10. For guards of Rust and tokens of C it is that of up to sixteen borrows
    /// of the thread, the first of which read the clock.
    pub age_ms: u64,
    /// False if the holder was seen to be dead (its borrow ends as soon as anyone recovers it).
    pub alive: bool,
    /// The token.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub token: Token,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, handle, runtime) = (self.kind.name(), self.handle, self.runtime.name());
        write!(f, "{kind} borrow of {handle} by {runtime} process {} thread {}", self.process, self.thread)?;
        if !self.label.is_empty() {
            write!(f, " ({})", self.label)?;
        }
        let tenths = self.age_ms.saturating_add(50) / 100;
        write!(f, " for {}.{} s", tenths / 10, tenths % 10)?;
        if !self.alive {
            f.write_str(" (dead)")?;
        }
        Ok(())
    }
}

/// Counters of a heap, a region or a runtime (N1). They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Counters {
    /// Buffers allocated.
    pub allocations: u64,
    /// Buffers freed one by one.
    pub frees: u64,
    /// Bytes asked for in all allocations.
    pub bytes_allocated: u64,
    /// Bytes of the buffers freed one by one.
    pub bytes_freed: u64,
    /// Borrows begun.
    pub borrows_begun: u64,
    /// Borrows ended.
    pub borrows_ended: u64,
    /// Borrows, frees and closes refused because of a borrow.
    pub conflicts: u64,
    /// Handles and tokens refused as stale.
    pub stale: u64,
    /// Native views made.
    pub views: u64,
    /// Views whose borrow was ended by a finalizer instead of by the program.
    pub finalized: u64,
    /// Regions of private heaps that were collected while open.
    pub regions_collected: u64,
    /// Copies made by this library, by reason.
    pub copies: CopyCounters,
}

impl Counters {
    /// All copies, whatever the reason.
    pub fn copies_total(&self) -> u64 {
        CopyReason::ALL.iter().map(|r| self.copies.get(*r).count).sum()
    }

    /// All bytes copied, whatever the reason.
    pub fn bytes_copied_total(&self) -> u64 {
        CopyReason::ALL.iter().map(|r| self.copies.get(*r).bytes).sum()
    }
}

/// Copies by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CopyCounters {
    /// [`CopyReason::Ingest`].
    pub ingest: CopyCount,
    /// [`CopyReason::Export`].
    pub export: CopyCount,
    /// [`CopyReason::NoExternalBuffers`].
    pub no_external_buffers: CopyCount,
    /// [`CopyReason::Serialize`].
    pub serialize: CopyCount,
}

impl CopyCounters {
    /// The counter of one reason.
    pub fn get(&self, reason: CopyReason) -> CopyCount {
        match reason {
            CopyReason::Ingest => self.ingest,
            CopyReason::Export => self.export,
            CopyReason::NoExternalBuffers => self.no_external_buffers,
            CopyReason::Serialize => self.serialize,
        }
    }

    pub(crate) fn get_mut(&mut self, reason: CopyReason) -> &mut CopyCount {
        match reason {
            CopyReason::Ingest => &mut self.ingest,
            CopyReason::Export => &mut self.export,
            CopyReason::NoExternalBuffers => &mut self.no_external_buffers,
            CopyReason::Serialize => &mut self.serialize,
        }
    }
}

/// How many copies, and of how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CopyCount {
    /// Copies.
    pub count: u64,
    /// Bytes copied.
    pub bytes: u64,
}

/// What a heap is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct HeapInfo {
    /// 32 hexadecimal digits, one heap's alone.
    pub id: String,
    /// The file of a shared heap.
    pub path: Option<String>,
    /// True if other processes can attach.
    pub shared: bool,
    /// True if shared borrows of runtimes without read-only views are checksummed (V4).
    pub verify: bool,
    /// The layout version of the segment.
    pub layout_version: u32,
    /// Bytes of address space, the heap's limit.
    pub limit: u64,
    /// Bytes handed out: tables and regions.
    pub reserved: u64,
    /// The most that `reserved` has been.
    pub peak: u64,
    /// Bytes of buffers that live.
    pub bytes_live: u64,
}

/// One copy of the library in one process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AttachmentInfo {
    /// Its index in the heap.
    pub index: u32,
    /// The process id.
    pub process: u32,
    /// The language.
    pub runtime: Runtime,
    /// What it calls itself.
    pub label: String,
    /// False if it was seen to be dead.
    pub alive: bool,
    /// Threads with a record.
    pub threads: u32,
    /// Borrows it holds.
    pub borrows: u64,
}

/// The life of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum RegionState {
    /// In use.
    Open,
    /// Being closed at this moment.
    Closing,
    /// Closes when the last borrow ends (R4).
    Draining,
}

impl RegionState {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            RegionState::Open => "open",
            RegionState::Closing => "closing",
            RegionState::Draining => "draining",
        }
    }
}

/// One region.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RegionInfo {
    /// Its handle.
    pub handle: Handle,
    /// Its name for people; may be empty.
    pub name: String,
    /// Its state.
    pub state: RegionState,
    /// Its limit in bytes, `None` without one.
    pub limit: Option<u64>,
    /// Bytes of its chunks.
    pub reserved: u64,
    /// The most that `reserved` has been.
    pub peak: u64,
    /// Buffers that live.
    pub buffers: u64,
    /// Bytes of buffers that live.
    pub bytes_live: u64,
    /// Borrows of its buffers that live, shared and unique.
    pub borrows: u64,
    /// Its counters since it was created.
    pub counters: Counters,
}

/// One buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BufferInfo {
    /// Its handle.
    pub handle: Handle,
    /// Its region.
    pub region: Handle,
    /// Its length.
    pub length: u64,
    /// Its offset from the segment's base.
    pub offset: u64,
    /// Shared borrows that live.
    pub shared: u32,
    /// True under a unique borrow.
    pub unique: bool,
    /// True once `freeze` took the right to write (K4).
    pub frozen: bool,
    /// True if a unique holder died (C2).
    pub poisoned: bool,
}

/// One published name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct NameInfo {
    /// The name.
    pub name: String,
    /// What it names.
    pub handle: Handle,
}

/// Counters of one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RuntimeCounters {
    /// The runtime.
    pub runtime: Runtime,
    /// What its attachments have done, those that have detached too.
    pub counters: Counters,
}

/// A heap as it was seen at one time. Every record in it is whole; two of them may be some microseconds apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Snapshot {
    /// The heap.
    pub heap: HeapInfo,
    /// Who is attached.
    pub attachments: Vec<AttachmentInfo>,
    /// Regions that are not closed, by index.
    pub regions: Vec<RegionInfo>,
    /// Live borrows, oldest first.
    pub borrows: Vec<Holder>,
    /// The directory, by name.
    pub names: Vec<NameInfo>,
    /// The heap's counters since it was created, closed regions and detached processes included.
    pub counters: Counters,
    /// The same by runtime; those that have done nothing are left out.
    pub runtimes: Vec<RuntimeCounters>,
}

#[cfg(feature = "serde")]
impl Snapshot {
    /// The snapshot as JSON: the same keys in every language. Handles are strings (K5), sizes are numbers of bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data with string keys always serializes")
    }
}

/// What `check` found in a heap without a fault (C3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CheckReport {
    /// Regions walked.
    pub regions: u64,
    /// Chunks walked.
    pub chunks: u64,
    /// Buffers that live.
    pub buffers: u64,
    /// Borrows that live.
    pub borrows: u64,
    /// Attachments.
    pub attachments: u64,
    /// Places for buffers in open regions that nobody will be given any more: a process died in the middle of an
    /// allocation or a free. Their memory comes back when the region is reset or closed. A region in which threads
    /// allocate and free all the time while it is looked at is left out of this count.
    pub lost: u64,
}
