//! What the core says about a heap, as the interface has it.

use weaveheap_core as core;

use crate::bindings::exports::weaveheap::heap::heap::{
    BorrowKind, BufferInfo, CheckReport, CopyCount, Counters, Holder, RegionInfo, RegionState, Statistics,
};

pub(crate) fn holder(holder: core::Holder) -> Holder {
    Holder {
        buffer: holder.handle.to_bits(),
        region: holder.region.to_bits(),
        kind: match holder.kind {
            core::BorrowKind::Shared => BorrowKind::Shared,
            core::BorrowKind::Unique => BorrowKind::Unique,
        },
        label: holder.label,
        age_ms: holder.age_ms,
    }
}

fn copies(copies: core::CopyCount) -> CopyCount {
    CopyCount { count: copies.count, bytes: copies.bytes }
}

fn counters(counters: &core::Counters) -> Counters {
    Counters {
        allocations: counters.allocations,
        frees: counters.frees,
        bytes_allocated: counters.bytes_allocated,
        bytes_freed: counters.bytes_freed,
        borrows_begun: counters.borrows_begun,
        borrows_ended: counters.borrows_ended,
        conflicts: counters.conflicts,
        stale: counters.stale,
        regions_collected: counters.regions_collected,
        ingest: copies(counters.copies.ingest),
        export: copies(counters.copies.export),
    }
}

pub(crate) fn region(region: core::RegionInfo) -> RegionInfo {
    RegionInfo {
        handle: region.handle.to_bits(),
        state: match region.state {
            core::RegionState::Open => RegionState::Open,
            core::RegionState::Closing => RegionState::Closing,
            core::RegionState::Draining => RegionState::Draining,
        },
        limit: region.limit,
        reserved: region.reserved,
        peak: region.peak,
        buffers: region.buffers,
        bytes_live: region.bytes_live,
        borrows: region.borrows,
        counters: counters(&region.counters),
        name: region.name,
    }
}

pub(crate) fn buffer(buffer: core::BufferInfo) -> BufferInfo {
    BufferInfo {
        handle: buffer.handle.to_bits(),
        region: buffer.region.to_bits(),
        length: buffer.length,
        shared: buffer.shared,
        unique: buffer.unique,
        frozen: buffer.frozen,
    }
}

pub(crate) fn statistics(snapshot: core::Snapshot) -> Statistics {
    Statistics {
        id: snapshot.heap.id,
        limit: snapshot.heap.limit,
        reserved: snapshot.heap.reserved,
        peak: snapshot.heap.peak,
        bytes_live: snapshot.heap.bytes_live,
        regions: snapshot.regions.into_iter().map(region).collect(),
        borrows: snapshot.borrows.into_iter().map(holder).collect(),
        names: snapshot.names.into_iter().map(|entry| (entry.name, entry.handle.to_bits())).collect(),
        counters: counters(&snapshot.counters),
    }
}

pub(crate) fn report(report: core::CheckReport) -> CheckReport {
    CheckReport { regions: report.regions, chunks: report.chunks, buffers: report.buffers, borrows: report.borrows }
}
