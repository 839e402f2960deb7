//! Snapshots: regions, buffers, borrows and counters as data, read from the segment without a lock and without
//! stopping anyone, from inside or through a read-only mapping (N1, N2, H10).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::attachment::Attachment;
use crate::check::{self, Looks};
use crate::directory;
use crate::error::{Error, ErrorCode, Result};
use crate::handle::{Handle, HandleKind};
use crate::layout::*;
use crate::ledger::{self, Seen};
use crate::names;
use crate::runtime::{CopyReason, Runtime};
use crate::segment::{Segment, Source};
use crate::snapshot::*;
use crate::sys::{self, ProcessId};
use crate::threads::record_owner;
use crate::told::told;

/// Whether a ledger entry is about a buffer or about a buffer of a region.
pub(crate) fn is_about(segment: &Segment, seen: &Seen, subject: Handle) -> bool {
    match subject.kind() {
        HandleKind::Buffer => seen.handle == subject,
        HandleKind::Region => {
            control::region(seen.owner) == subject.index()
                && segment.get::<RegionRecord>(subject.index()).is_some_and(|record| {
                    record.born.acquire() as u32 == subject.generation()
                        && control::epoch(record.control.acquire()) == control::epoch(seen.owner)
                })
        }
    }
}

/// Adds the words of one thread or runtime. They wrap, since a damaged segment may say anything.
fn add(counters: &mut Counters, words: &[u64; counter::COUNT]) {
    let fields = [
        (&mut counters.allocations, counter::ALLOCATIONS),
        (&mut counters.frees, counter::FREES),
        (&mut counters.bytes_allocated, counter::BYTES_ALLOCATED),
        (&mut counters.bytes_freed, counter::BYTES_FREED),
        (&mut counters.borrows_begun, counter::BEGUN),
        (&mut counters.borrows_ended, counter::ENDED),
        (&mut counters.conflicts, counter::CONFLICTS),
        (&mut counters.stale, counter::STALE),
        (&mut counters.views, counter::VIEWS),
        (&mut counters.finalized, counter::FINALIZED),
        (&mut counters.regions_collected, counter::COLLECTED),
    ];
    for (field, at) in fields {
        *field = field.wrapping_add(words[at]);
    }
    for reason in CopyReason::ALL {
        let count = counters.copies.get_mut(reason);
        count.count = count.count.wrapping_add(words[counter::COPIES + reason as usize]);
        count.bytes = count.bytes.wrapping_add(words[counter::COPY_BYTES + reason as usize]);
    }
}

fn read(words: &CounterWords) -> [u64; counter::COUNT] {
    std::array::from_fn(|i| words[i].acquire())
}

/// A region's counters by runtime, and how many of its buffers and bytes live.
struct RegionCounts {
    by_runtime: Vec<(Runtime, [u64; counter::COUNT])>,
    buffers: u64,
    bytes: u64,
}

fn region_counts(segment: &Segment, record: &RegionRecord) -> Result<RegionCounts> {
    let mut by_runtime = Vec::new();
    for index in segment.links(&record.contexts, |c: &Context| &c.next) {
        let index = index?;
        let context = segment.record::<Context>(index)?;
        by_runtime.push((Runtime::from_number(context.runtime()), read(&context.counters)));
    }
    let sum = |at: usize| by_runtime.iter().fold(0u64, |sum, (_, words)| sum.wrapping_add(words[at]));
    // Read while others count, so a difference may be off by what they do meanwhile; never below nothing.
    let left = |plus: u64, minus: u64| (plus.wrapping_sub(minus) as i64).max(0) as u64;
    let buffers = left(sum(counter::ALLOCATIONS), sum(counter::FREES).wrapping_add(record.dropped.acquire()));
    let bytes =
        left(sum(counter::BYTES_ALLOCATED), sum(counter::BYTES_FREED).wrapping_add(record.dropped_bytes.acquire()));
    Ok(RegionCounts { by_runtime, buffers, bytes })
}

fn region_info(segment: &Segment, index: u32, record: &RegionRecord, borrows: u64) -> Result<Option<RegionInfo>> {
    let word = record.control.acquire();
    let state = match control::status(word) {
        control::OPEN => RegionState::Open,
        control::CLOSING => RegionState::Closing,
        control::DRAINING => RegionState::Draining,
        _ => return Ok(None),
    };
    if record.born.acquire() == 0 {
        return Ok(None);
    }
    let counts = region_counts(segment, record)?;
    let mut counters = Counters::default();
    for (_, words) in &counts.by_runtime {
        add(&mut counters, words);
    }
    let limit = record.limit.relaxed();
    Ok(Some(RegionInfo {
        handle: Handle::region(index, record.born.acquire() as u32),
        name: ledger::text(&record.name, record.name_len.relaxed().min(64) as usize),
        state,
        limit: (limit != 0).then_some(limit.saturating_mul(GRANULE)),
        reserved: record.granules.relaxed().saturating_mul(GRANULE),
        peak: record.peak.relaxed().saturating_mul(GRANULE),
        buffers: counts.buffers,
        bytes_live: counts.bytes,
        borrows,
        counters,
    }))
}

fn buffer_info(segment: &Segment, index: u32, slot: &Slot) -> Option<BufferInfo> {
    let state = slot.state.acquire();
    let owner = slot.owner.acquire();
    if state == 0 || state & state::FREE != 0 {
        return None;
    }
    let record = segment.get::<RegionRecord>(control::region(owner))?;
    let word = record.control.acquire();
    let epoch_lives = control::epoch(word) == control::epoch(owner) && control::status(word) != control::CLOSED;
    let unique = state & state::UNIQUE != 0;
    let info = BufferInfo {
        handle: Handle::buffer(index, state::generation(state)),
        region: Handle::region(control::region(owner), record.born.acquire() as u32),
        length: extent::length(slot.length.relaxed()),
        offset: place::offset(slot.place.relaxed()),
        shared: state::shared(state) as u32,
        unique,
        frozen: !unique && state & state::FROZEN != 0,
        poisoned: !unique && state & state::POISONED != 0,
    };
    (epoch_lives && state::generation(slot.state.acquire()) == info.handle.generation()).then_some(info)
}

fn all_buffers(segment: &Segment) -> impl Iterator<Item = BufferInfo> {
    (0..segment.used(Table::Slots)).filter_map(|index| buffer_info(segment, index, segment.get(index)?))
}

fn buffers(segment: &Segment, region: Handle, limit: usize) -> Vec<BufferInfo> {
    all_buffers(segment).filter(|info| info.region == region).take(limit).collect()
}

/// The counters of the whole heap, by runtime: what has been moved to the totals, and what threads and their contexts
/// still have.
fn sums(segment: &Segment) -> Sums {
    let header = segment.header();
    let mut by_runtime = [[0u64; counter::COUNT]; RUNTIMES];
    let mut sum_up = |runtime: usize, words: &[u64; counter::COUNT]| {
        for (sum, n) in by_runtime[runtime % RUNTIMES].iter_mut().zip(words) {
            *sum = sum.wrapping_add(*n);
        }
    };
    for (runtime, words) in header.totals.iter().enumerate() {
        sum_up(runtime, &read(words));
    }
    for index in 0..segment.used(Table::Threads) {
        let Some(record) = segment.get::<ThreadRecord>(index) else { continue };
        let Some(attachment) = record_owner::attachment(record.owner.acquire()) else { continue };
        let Some(attachment) = segment.get::<AttachmentRecord>(u32::from(attachment)) else { continue };
        let mut words = read(&record.counters);
        words[counter::ENDED] = words[counter::ENDED].wrapping_add(record.foreign.acquire() >> 32);
        sum_up((attachment.state.acquire() >> 8 & 0xff) as usize, &words);
    }
    for index in 0..segment.used(Table::Contexts) {
        let Some(context) = segment.get::<Context>(index) else { continue };
        sum_up(usize::from(context.runtime()), &read(&context.counters));
    }
    by_runtime
}

type Sums = [[u64; counter::COUNT]; RUNTIMES];

/// Sums up while nothing moves to the totals, if that can be had in some tries: else a part may be missing or there twice.
fn whole_sums(segment: &Segment) -> Sums {
    const TRIES: usize = 64;
    let header = segment.header();
    for _ in 0..TRIES {
        let done = header.folds_done.acquire();
        let sums = sums(segment);
        if header.folds_begun.acquire() == done {
            return sums;
        }
        std::thread::yield_now();
    }
    sums(segment)
}

/// Takes a snapshot. `is_dead` says which attachments were seen to be dead.
fn snapshot(segment: &Segment, path: Option<&Path>, is_dead: &dyn Fn(u16) -> bool) -> Result<Snapshot> {
    let header = segment.header();
    let now = sys::ticks();
    let mut attachments: Vec<AttachmentInfo> = Vec::new();
    for index in 0..segment.used(Table::Attachments) {
        let Some(record) = segment.get::<AttachmentRecord>(index) else { continue };
        let state = record.state.acquire();
        if state & 0xff == 1 {
            attachments.push(AttachmentInfo {
                index,
                process: record.pid.relaxed() as u32,
                runtime: Runtime::from_number((state >> 8) as u8),
                label: ledger::text(&record.label, 64),
                alive: !is_dead(index as u16),
                threads: 0,
                borrows: 0,
            });
        }
    }
    for index in 0..segment.used(Table::Threads) {
        let Some(record) = segment.get::<ThreadRecord>(index) else { continue };
        let owner = record.owner.acquire();
        let Some(attachment) = record_owner::attachment(owner) else { continue };
        let Some(info) = attachments.iter_mut().find(|a| a.index == u32::from(attachment)) else { continue };
        info.threads += u32::from(owner & 0xff == record_owner::USED);
    }
    let mut borrows = Vec::new();
    let mut owners = Vec::new();
    ledger::each(segment, &mut |seen| {
        if seen.phase() != phase::HELD {
            return Ok(());
        }
        let alive = match attachments.iter_mut().find(|a| a.index == u32::from(seen.attachment)) {
            Some(info) => {
                info.borrows += 1;
                info.alive
            }
            None => false,
        };
        owners.push(seen.owner);
        borrows.push(ledger::holder(segment, &seen, now, alive));
        Ok(())
    })?;
    owners.sort_unstable();
    ledger::oldest_first(&mut borrows);
    let mut regions = Vec::new();
    let mut bytes_live = 0u64;
    for index in 0..segment.used(Table::Regions) {
        let Some(record) = segment.get::<RegionRecord>(index) else { continue };
        let owner = control::owner(record.control.acquire(), index);
        let first = owners.partition_point(|other| *other < owner);
        let held = owners[first..].iter().take_while(|other| **other == owner).count() as u64;
        if let Some(info) = region_info(segment, index, record, held)? {
            bytes_live = bytes_live.saturating_add(info.bytes_live);
            regions.push(info);
        }
    }
    let by_runtime = whole_sums(segment);
    let mut counters = Counters::default();
    let mut runtimes = Vec::new();
    for runtime in Runtime::ALL {
        let words = &by_runtime[runtime as usize];
        if words.iter().any(|n| *n != 0) {
            add(&mut counters, words);
            let mut own = Counters::default();
            add(&mut own, words);
            runtimes.push(RuntimeCounters { runtime, counters: own });
        }
    }
    let identity = &segment.identity;
    let heap = HeapInfo {
        id: crate::attachment::hexadecimal(identity.id),
        path: path.map(|path| path.display().to_string()),
        shared: identity.flags & FLAG_SHARED != 0,
        verify: identity.flags & FLAG_VERIFY != 0,
        layout_version: identity.layout_version,
        limit: identity.size,
        reserved: header.granules.relaxed().saturating_mul(GRANULE),
        peak: header.peak.relaxed().saturating_mul(GRANULE),
        bytes_live,
    };
    Ok(Snapshot { heap, attachments, regions, borrows, names: directory::names(segment), counters, runtimes })
}

impl Attachment {
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        self.check_attached()?;
        snapshot(&self.segment, self.path(), &|index| self.is_dead(index))
    }

    pub(crate) fn buffer_info(&self, handle: Handle) -> Result<BufferInfo> {
        self.check_attached()?;
        let tcb = &self.tcb()?;
        let found = self.segment.get::<Slot>(handle.index()).filter(|_| handle.kind() == HandleKind::Buffer);
        let found = found.and_then(|slot| buffer_info(&self.segment, handle.index(), slot));
        match found.filter(|info| info.handle == handle && directory::is_live(&self.segment, handle)) {
            Some(info) => Ok(info),
            None => Err(self.stale(tcb, handle)),
        }
    }

    pub(crate) fn region_info(&self, handle: Handle) -> Result<RegionInfo> {
        self.check_attached()?;
        let tcb = &self.tcb()?;
        let Some((index, record)) = self.region_record(handle) else { return Err(self.stale(tcb, handle)) };
        let mut held = 0;
        ledger::each(&self.segment, &mut |seen| {
            held += u64::from(seen.phase() == phase::HELD && is_about(&self.segment, &seen, handle));
            Ok(())
        })?;
        match region_info(&self.segment, index, record, held)? {
            Some(info) => Ok(info),
            None => Err(self.stale(tcb, handle)),
        }
    }

    pub(crate) fn buffers(&self, handle: Handle, limit: usize) -> Result<Vec<BufferInfo>> {
        self.region_info(handle)?;
        Ok(buffers(&self.segment, handle, limit))
    }
}

/// A program that allocates and frees all the time may show one passing contradiction a few times.
const LOOKS: Looks = Looks { alike: 12, in_all: 1000, pause: Duration::from_millis(7) };

fn unrecovered(contradiction: &str) -> Error {
    let message = format!("a dead process's work has to be recovered first, by attaching: {contradiction}");
    Error::with_message(ErrorCode::NotAttached, message)
}

/// A heap seen read-only from another process. Nothing in it is changed, and nobody notices.
pub struct Inspector {
    segment: Segment,
    path: Option<PathBuf>,
    process: ProcessId,
}

impl Inspector {
    /// The shared heap with this name.
    pub fn open(name: &str) -> Result<Inspector> {
        names::check_name(name)?;
        let path = names::own_folder(false)?.join(name);
        Inspector::over(names::open_own(&path, false)?, path)
    }

    /// The shared heap in this file.
    pub fn open_path(path: &Path) -> Result<Inspector> {
        let path = names::absolute(path)?;
        Inspector::over(names::open_file(&path, false)?, path)
    }

    /// The private heaps of a process that were made with `inspect` (H10). Empty if it has none; `NotFound` if there
    /// is no such process.
    pub fn of_process(process: u32) -> Result<Vec<Inspector>> {
        let files = sys::anonymous_files_of(process, "weaveheap-").map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                told!(ErrorCode::NotFound, "there is no process {}", process)
            }
            _ => sys::error(&format!("looking into process {process}"), &error),
        })?;
        let mut found: Vec<Inspector> = Vec::new();
        for file in files {
            let inspector = Inspector::over(file, PathBuf::new())?;
            if found.iter().all(|known| known.segment.identity.id != inspector.segment.identity.id) {
                found.push(inspector);
            }
        }
        Ok(found)
    }

    fn over(file: File, path: PathBuf) -> Result<Inspector> {
        let identity = names::read_identity(&file, &path)?;
        let base = Segment::mapped(&file, identity.size, false)?;
        // SAFETY: the mapping is new, of this size, and read-only, which `Source::ReadOnly` says.
        let segment = unsafe { Segment::over(base, identity, Some(file), Source::ReadOnly) };
        let path = (!path.as_os_str().is_empty()).then_some(path);
        Ok(Inspector { segment, path, process: sys::process_id() })
    }

    fn is_dead(&self, index: u16) -> bool {
        let record = self.segment.get::<AttachmentRecord>(u32::from(index));
        let (Some(record), Some(file)) = (record, self.segment.file.as_ref()) else { return false };
        if self.segment.identity.flags & FLAG_SHARED == 0 {
            return false;
        }
        let (pid, start) = (record.pid.relaxed() as u32, record.start.relaxed());
        sys::is_dead(file, index, ProcessId { pid, start, namespace: record.namespace.relaxed() }, self.process)
    }

    /// The heap as it is now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        snapshot(&self.segment, self.path.as_deref(), &|index| self.is_dead(index))
    }

    /// Buffers of a region that live, by index, at most `limit`.
    pub fn buffers(&self, region: Handle, limit: usize) -> Result<Vec<BufferInfo>> {
        self.check_live(region)?;
        Ok(buffers(&self.segment, region, limit))
    }

    /// Buffers of all regions that live, by index, at most `limit`: one walk, however many regions there are.
    pub fn all_buffers(&self, limit: usize) -> Vec<BufferInfo> {
        all_buffers(&self.segment).take(limit).collect()
    }

    /// Verifies every invariant of the heap (C3) as [`Heap::check`](crate::Heap::check) does, without attaching, and so
    /// without recovering what dead processes left. Programs go on meanwhile, so that a contradiction counts only if it
    /// stays. `Corrupt` names it; `NotAttached` says that it may be what a dead process left, which an attachment
    /// recovers; `Timeout` that the heap changes too fast to be looked at.
    pub fn check(&self) -> Result<CheckReport> {
        check::look(&self.segment, &LOOKS, || {}).map_err(|error| match error.code() {
            ErrorCode::Corrupt if self.left_by_the_dead() => unrecovered(&error.message()),
            _ => error,
        })
    }

    /// True if a process died while it was attached and has not been recovered, or may have died in a change.
    fn left_by_the_dead(&self) -> bool {
        self.segment.header().journal_len.acquire() != 0
            || (0..self.segment.used(Table::Attachments)).any(|index| {
                let record = self.segment.get::<AttachmentRecord>(index);
                record.is_some_and(|record| record.state.acquire() & 0xff != 0) && self.is_dead(index as u16)
            })
    }

    /// Who holds borrows of a buffer, or of any buffer of a region. `StaleHandle` if the handle is.
    pub fn holders(&self, handle: Handle) -> Result<Vec<Holder>> {
        self.check_live(handle)?;
        let now = sys::ticks();
        let mut holders = Vec::new();
        ledger::each(&self.segment, &mut |seen| {
            if seen.phase() == phase::HELD && is_about(&self.segment, &seen, handle) {
                holders.push(ledger::holder(&self.segment, &seen, now, !self.is_dead(seen.attachment)));
            }
            Ok(())
        })?;
        ledger::oldest_first(&mut holders);
        Ok(holders)
    }

    fn check_live(&self, handle: Handle) -> Result<()> {
        let draining = handle.kind() == HandleKind::Region
            && self.segment.get::<RegionRecord>(handle.index()).is_some_and(|record| {
                record.born.acquire() as u32 == handle.generation()
                    && control::status(record.control.acquire()) == control::DRAINING
            });
        if draining || directory::is_live(&self.segment, handle) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::StaleHandle).about(handle))
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        // SAFETY: the mapping is this inspector's own, and nothing that it gives out points into it.
        unsafe { self.segment.unmap() };
    }
}
