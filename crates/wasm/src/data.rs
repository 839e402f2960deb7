//! Plain data for JavaScript, which `lib/reading.mjs` makes objects of: numbers of 64 bits, and text as a count of bytes and
//! the bytes. What comes in which order is said here and there.

use weaveheap_core::{
    AttachmentInfo, BufferInfo, CheckReport, CopyCount, Counters, Handle, Holder, NameInfo, RegionInfo,
    RuntimeCounters, Snapshot,
};

/// Data that is being written.
#[derive(Default)]
pub(crate) struct Data(Vec<u8>);

impl Data {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    #[inline(never)]
    pub(crate) fn numbers(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    #[inline(never)]
    pub(crate) fn text(&mut self, text: &str) {
        self.numbers(&[text.len() as u64]);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn list<T>(&mut self, items: &[T], write: fn(&mut Data, &T)) {
        self.numbers(&[items.len() as u64]);
        for item in items {
            write(self, item);
        }
    }

    fn counters(&mut self, counters: &Counters) {
        let copies = &counters.copies;
        self.numbers(&[
            counters.allocations,
            counters.frees,
            counters.bytes_allocated,
            counters.bytes_freed,
            counters.borrows_begun,
            counters.borrows_ended,
            counters.conflicts,
            counters.stale,
            counters.views,
            counters.finalized,
            counters.regions_collected,
        ]);
        for CopyCount { count, bytes } in [copies.ingest, copies.export, copies.no_external_buffers, copies.serialize] {
            self.numbers(&[count, bytes]);
        }
    }

    fn holder(&mut self, holder: &Holder) {
        let (process, alive) = (holder.process.into(), holder.alive.into());
        self.numbers(&[bits(holder.handle), bits(holder.region), process, holder.thread, holder.age_ms, alive]);
        self.text(holder.kind.name());
        self.text(holder.runtime.name());
        self.text(&holder.label);
    }

    /// One region.
    pub(crate) fn region(&mut self, region: &RegionInfo) {
        self.numbers(&[
            bits(region.handle),
            region.limit.is_some().into(),
            region.limit.unwrap_or(0),
            region.reserved,
            region.peak,
            region.buffers,
            region.bytes_live,
            region.borrows,
        ]);
        self.text(&region.name);
        self.text(region.state.name());
        self.counters(&region.counters);
    }

    /// One buffer.
    pub(crate) fn buffer(&mut self, buffer: &BufferInfo) {
        self.numbers(&[
            bits(buffer.handle),
            bits(buffer.region),
            buffer.length,
            buffer.offset,
            buffer.shared.into(),
            buffer.unique.into(),
            buffer.frozen.into(),
            buffer.poisoned.into(),
        ]);
    }

    /// Some buffers.
    pub(crate) fn buffers(&mut self, buffers: &[BufferInfo]) {
        self.list(buffers, Data::buffer);
    }

    fn attachment(&mut self, attachment: &AttachmentInfo) {
        let (index, process) = (attachment.index.into(), attachment.process.into());
        let (alive, threads) = (attachment.alive.into(), attachment.threads.into());
        self.numbers(&[index, process, alive, threads, attachment.borrows]);
        self.text(attachment.runtime.name());
        self.text(&attachment.label);
    }

    fn name(&mut self, entry: &NameInfo) {
        self.numbers(&[bits(entry.handle)]);
        self.text(&entry.name);
    }

    fn runtime(&mut self, entry: &RuntimeCounters) {
        self.text(entry.runtime.name());
        self.counters(&entry.counters);
    }

    /// The whole heap.
    pub(crate) fn snapshot(&mut self, snapshot: &Snapshot) {
        let heap = &snapshot.heap;
        let version = heap.layout_version.into();
        self.numbers(&[heap.verify.into(), version, heap.limit, heap.reserved, heap.peak, heap.bytes_live]);
        self.text(&heap.id);
        self.list(&snapshot.attachments, Data::attachment);
        self.list(&snapshot.regions, Data::region);
        self.holders(&snapshot.borrows);
        self.list(&snapshot.names, Data::name);
        self.counters(&snapshot.counters);
        self.list(&snapshot.runtimes, Data::runtime);
    }

    /// Who holds borrows.
    pub(crate) fn holders(&mut self, holders: &[Holder]) {
        self.list(holders, Data::holder);
    }

    /// What a check has found.
    pub(crate) fn report(&mut self, report: &CheckReport) {
        let CheckReport { regions, chunks, buffers, borrows, attachments, lost } = *report;
        self.numbers(&[regions, chunks, buffers, borrows, attachments, lost]);
    }
}

fn bits(handle: Handle) -> u64 {
    handle.to_bits()
}
