//! What a heap shows of itself beside the reference: `check`, its statistics, and every handle that was ever given out.

use std::fmt::Debug;

use weaveheap_core::{Counters, ErrorCode, Heap, RegionState};

use crate::machine::{Agreed, Machine};
use crate::reference::{Counts, Life};

/// What regions are kept to (R6).
const CHUNK: u64 = 64 << 10;

fn same<T: PartialEq + Debug>(what: impl FnOnce() -> String, found: T, expected: T) -> Agreed {
    if found == expected { Ok(()) } else { Err(format!("{}: {found:?}, expected {expected:?}", what())) }
}

fn counted(counters: &Counters) -> Counts {
    Counts {
        allocations: counters.allocations,
        frees: counters.frees,
        bytes_allocated: counters.bytes_allocated,
        bytes_freed: counters.bytes_freed,
        begun: counters.borrows_begun,
        ended: counters.borrows_ended,
        conflicts: counters.conflicts,
        ingested: counters.copies.ingest.count,
        bytes_ingested: counters.copies.ingest.bytes,
    }
}

impl Machine<'_> {
    /// Compares all that is seen through one attachment.
    pub(crate) fn compare(&self, heap: &Heap) -> Agreed {
        self.compare_whole(heap)?;
        self.compare_regions(heap)?;
        self.compare_buffers(heap)
    }

    fn compare_whole(&self, heap: &Heap) -> Agreed {
        let reference = &self.reference;
        let report = heap.check().map_err(|error| format!("check: {error}"))?;
        let snapshot = heap.snapshot().map_err(|error| format!("snapshot: {error}"))?;
        let regions = reference.regions.iter().filter(|region| region.life != Life::Gone).count() as u64;
        let present = || reference.buffers.iter().filter(|buffer| reference.present(buffer));
        let (buffers, bytes) = (present().count() as u64, present().map(|buffer| buffer.length).sum());
        let held = reference.holders(|_| true).len() as u64;
        let walked = (report.regions, report.buffers, report.borrows);
        same(|| "regions, buffers and borrows of check".to_owned(), walked, (regions, buffers, held))?;
        same(|| "bytes_live".to_owned(), snapshot.heap.bytes_live, bytes)?;
        same(|| "the heap's counters".to_owned(), counted(&snapshot.counters), reference.counts)?;
        let ours: Vec<u64> = snapshot.attachments.iter().map(|attachment| attachment.borrows).collect();
        let theirs = (0..self.heaps.len()).map(|index| reference.holders(|b| b.attachment == index).len() as u64);
        same(|| "borrows of the attachments".to_owned(), ours, theirs.collect())?;
        let mut found: Vec<_> = snapshot.borrows.iter().map(|holder| (holder.handle, holder.kind.name())).collect();
        let live = reference.borrows.iter().filter(|borrow| borrow.live);
        let mut wanted: Vec<_> = live.map(|borrow| (self.buffers[borrow.buffer], borrow.kind.name())).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        same(|| "the ledger".to_owned(), found, wanted)?;
        let found: Vec<_> = snapshot.names.iter().map(|info| (info.name.clone(), info.handle)).collect();
        let wanted = (0..4).filter_map(|name| Some((format!("n{name}"), self.handle(reference.named(name)?))));
        same(|| "the directory".to_owned(), found, wanted.collect())
    }

    fn compare_regions(&self, heap: &Heap) -> Agreed {
        for (index, handle) in self.regions.iter().enumerate() {
            let region = &self.reference.regions[index];
            let info = match heap.region_info(*handle) {
                Ok(info) => info,
                Err(error) if error.code() == ErrorCode::StaleHandle && region.life == Life::Gone => continue,
                Err(error) => return Err(format!("region_info of {handle}: {error}, expected {:?}", region.life)),
            };
            let state = if region.life == Life::Draining { RegionState::Draining } else { RegionState::Open };
            same(|| format!("the state of {handle}"), info.state, state)?;
            let buffers = || self.reference.buffers.iter().filter(|buffer| buffer.region == index && buffer.live);
            let wanted = (buffers().count() as u64, buffers().map(|buffer| buffer.length).sum());
            same(|| format!("buffers and bytes of {handle}"), (info.buffers, info.bytes_live), wanted)?;
            same(|| format!("borrows of {handle}"), info.borrows, self.reference.of_region(index).len() as u64)?;
            same(|| format!("the counters of {handle}"), counted(&info.counters), region.counts)?;
            let limit = region.limit.map_or(u64::MAX, |limit| limit.next_multiple_of(CHUNK));
            if info.reserved > limit || info.reserved > info.peak || info.bytes_live > info.reserved {
                let (reserved, peak) = (info.reserved, info.peak);
                return Err(format!("{handle} takes {reserved} bytes, {peak} at its peak, with a limit of {limit}"));
            }
        }
        Ok(())
    }

    fn compare_buffers(&self, heap: &Heap) -> Agreed {
        let mut places = Vec::new();
        for (index, handle) in self.buffers.iter().enumerate() {
            let buffer = &self.reference.buffers[index];
            let info = match heap.buffer_info(*handle) {
                Ok(info) => info,
                Err(error) if error.code() == ErrorCode::StaleHandle && !self.reference.usable(index) => continue,
                Err(error) => return Err(format!("buffer_info of {handle}, which lives: {error}")),
            };
            if !self.reference.present(buffer) {
                return Err(format!("buffer_info of {handle}, which is gone, gives {info:?}"));
            }
            let holders = self.reference.of_buffer(index);
            let unique = holders.iter().any(|kind| kind.name() == "unique");
            let shared = if unique { 0 } else { holders.len() as u32 };
            let found = (info.length, info.shared, info.unique, info.frozen, info.poisoned);
            same(|| handle.to_string(), found, (buffer.length, shared, unique, buffer.frozen, false))?;
            same(|| format!("the region of {handle}"), info.region, self.regions[buffer.region])?;
            if !info.offset.is_multiple_of(buffer.align) {
                return Err(format!("{handle} is at {:#x}, not aligned to {}", info.offset, buffer.align));
            }
            places.push((info.offset, info.offset + info.length, *handle));
        }
        places.retain(|(start, end, _)| start < end);
        places.sort_unstable();
        match places.windows(2).find(|pair| pair[0].1 > pair[1].0) {
            Some(pair) => Err(format!("{} and {} overlap", pair[0].2, pair[1].2)),
            None => Ok(()),
        }
    }
}
