//! A heap as the unit tests of the renderers see it: every state, every kind of holder, an unnamed region, a name that
//! tries to steer the terminal.

use weaveheap_core::{
    AttachmentInfo, BorrowKind, BufferInfo, CopyCount, CopyCounters, Counters, Handle, HeapInfo, Holder, NameInfo,
    RegionInfo, RegionState, Runtime, RuntimeCounters, Snapshot, Token,
};

pub const GIB: u64 = 1 << 30;
const KIB: u64 = 1 << 10;

pub fn handle(text: &str) -> Handle {
    text.parse().unwrap()
}

pub fn counters() -> Counters {
    Counters {
        allocations: 1_234_567,
        frees: 12,
        bytes_allocated: 2 * GIB,
        bytes_freed: 48 * KIB,
        borrows_begun: 99,
        borrows_ended: 96,
        conflicts: 7,
        stale: 5,
        views: 90,
        finalized: 2,
        regions_collected: 1,
        copies: CopyCounters { ingest: CopyCount { count: 3, bytes: 3 * KIB }, ..CopyCounters::default() },
    }
}

fn holder(
    buffer: &str,
    kind: BorrowKind,
    process: u32,
    thread: u64,
    runtime: Runtime,
    label: &str,
    age_ms: u64,
) -> Holder {
    Holder {
        handle: handle(buffer),
        region: handle("r0:77"),
        kind,
        process,
        thread,
        runtime,
        label: label.into(),
        age_ms,
        alive: true,
        token: Token::default(),
    }
}

fn attachment(index: u32, process: u32, runtime: Runtime, label: &str, alive: bool) -> AttachmentInfo {
    AttachmentInfo { index, process, runtime, label: label.into(), alive, threads: 2, borrows: 1 }
}

fn region(handle_text: &str, name: &str, buffers: u64, bytes_live: u64, borrows: u64) -> RegionInfo {
    RegionInfo {
        handle: handle(handle_text),
        name: name.into(),
        state: RegionState::Open,
        limit: None,
        reserved: bytes_live + 64 * KIB,
        peak: bytes_live + 128 * KIB,
        buffers,
        bytes_live,
        borrows,
        counters: counters(),
    }
}

pub fn buffer(text: &str, region: &str, offset: u64, length: u64) -> BufferInfo {
    BufferInfo {
        handle: handle(text),
        region: handle(region),
        length,
        offset,
        shared: 0,
        unique: false,
        frozen: false,
        poisoned: false,
    }
}

/// Two shared borrows of one buffer, a dead process's unique borrow of another.
pub fn snapshot() -> Snapshot {
    let mut dead = holder("b18:2045", BorrowKind::Unique, 4000, 4001, Runtime::Rust, "producer", 240);
    dead.alive = false;
    let mut scratch = region("r1:79", "", 2, 12 * KIB, 0);
    scratch.limit = Some(GIB);
    scratch.state = RegionState::Draining;
    Snapshot {
        heap: HeapInfo {
            id: "0123456789abcdef0123456789abcdef".into(),
            path: Some("/dev/shm/weaveheap-1000/flights".into()),
            shared: true,
            verify: false,
            layout_version: 1,
            limit: 64 * GIB,
            reserved: 2 * GIB,
            peak: 3 * GIB,
            bytes_live: GIB + 12 * KIB,
        },
        attachments: vec![
            attachment(0, 4000, Runtime::Rust, "producer", false),
            attachment(1, 4242, Runtime::Python, "analysis", true),
            attachment(2, 4243, Runtime::Node, "", true),
        ],
        regions: vec![region("r0:77", "flights", 3, GIB, 3), scratch],
        borrows: vec![
            holder("b17:2043", BorrowKind::Shared, 4242, 4250, Runtime::Python, "analysis", 7_500_000),
            holder("b17:2043", BorrowKind::Shared, 4243, 4243, Runtime::Node, "", 3_100),
            dead,
        ],
        names: vec![NameInfo { name: "table".into(), handle: handle("b17:2043") }],
        counters: counters(),
        runtimes: vec![RuntimeCounters { runtime: Runtime::Python, counters: counters() }],
    }
}

/// The buffers of the snapshot's first region: shared, uniquely borrowed by the dead, frozen.
pub fn buffers() -> Vec<BufferInfo> {
    let mut shared = buffer("b17:2043", "r0:77", 64 * KIB, GIB - 64 * KIB);
    shared.shared = 2;
    let mut unique = buffer("b18:2045", "r0:77", GIB, 32 * KIB);
    unique.unique = true;
    let mut frozen = buffer("b19:2047", "r0:77", GIB + 32 * KIB, 32 * KIB);
    frozen.frozen = true;
    vec![shared, unique, frozen]
}
