//! The page allocator: runs of granules for chunks and for the tables' extents, and what goes back to the system (H5).
//!
//! Two bits a granule: handed out; and committed, which means that its pages are allocated and their content is
//! unknown. A granule that is not committed reads as zero.

use crate::error::{Error, ErrorCode, Result};
use crate::growth;
use crate::journal::{Change, Locked};
use crate::layout::*;
use crate::segment::{Record, Segment, Source};
use crate::sys;
use crate::told::{corrupt, told, told_with};

/// The longest run that goes back in one call (1 GiB), since others wait for it.
const LONGEST_TRIM: u64 = (1 << 30) / GRANULE;
/// Runs of at least this many granules go back to the system once they are free (1 MiB).
const LARGE_RUN: u64 = 16;

pub(crate) fn out_of_memory(segment: &Segment, granules: u64) -> Error {
    let header = segment.header();
    told!(
        ErrorCode::OutOfMemory,
        "no {} bytes are free in one piece: the heap holds {} of its limit of {} bytes. Close regions, or make the heap with a larger limit",
        granules.saturating_mul(GRANULE),
        header.granules.relaxed().saturating_mul(GRANULE),
        segment.geometry.size
    )
}

/// Sets or clears the bits of a run as part of a change: at most two single words and a fill.
pub(crate) fn set_bits(change: &mut Change<'_>, segment: &Segment, bits: u64, first: u64, count: u64, on: bool) {
    let end = first + count;
    let mut at = first;
    while at < end {
        let word = segment.bit_word(bits, at / 64);
        if at.is_multiple_of(64) && end - at >= 64 {
            let words = (end - at) / 64;
            change.fill(word, words, if on { u64::MAX } else { 0 });
            at += words * 64;
        } else {
            let stop = end.min((at / 64 + 1) * 64);
            let mask = (u64::MAX >> (64 - (stop - at))) << (at % 64);
            change.update(word, |old| if on { old | mask } else { old & !mask });
            at = stop;
        }
    }
}

/// How many bits of a run are set.
fn ones(segment: &Segment, bits: u64, first: u64, count: u64) -> u64 {
    let (end, mut at, mut ones) = (first + count, first, 0);
    while at < end {
        let stop = end.min((at / 64 + 1) * 64);
        let mask = (u64::MAX >> (64 - (stop - at))) << (at % 64);
        ones += u64::from((segment.bit_word(bits, at / 64).acquire() & mask).count_ones());
        at = stop;
    }
    ones
}

pub(crate) fn any_bit(segment: &Segment, bits: u64, first: u64, count: u64) -> bool {
    ones(segment, bits, first, count) != 0
}

/// The next free granules from `at` on, below `end`: where they begin and how many there are in one piece, at most `most`.
fn next_free(segment: &Segment, mut at: u64, end: u64, most: u64) -> Option<(u64, u64)> {
    let word = |at: u64| segment.bit_word(segment.geometry.used_bits, at / 64).acquire() >> (at % 64);
    let left = |at: u64, end: u64| (64 - at % 64).min(end - at);
    while at < end {
        let taken = u64::from(word(at).trailing_ones()).min(left(at, end));
        if taken == 0 {
            break;
        }
        at += taken;
    }
    let (first, end) = (at, end.min(at.saturating_add(most)));
    while at < end {
        let free = u64::from(word(at).trailing_zeros()).min(left(at, end));
        if free == 0 {
            break;
        }
        at += free;
    }
    (at > first).then_some((first, at - first))
}

/// The first run of free granules from `start` on, below `end`.
fn find_run(segment: &Segment, start: u64, end: u64, count: u64) -> Option<u64> {
    let mut at = start;
    while let Some((first, free)) = next_free(segment, at, end, count) {
        if free == count {
            return Some(first);
        }
        at = first + free;
    }
    None
}

/// A run of granules that a change hands out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// None of its pages has ever been used: it reads as zero.
    pub(crate) fresh: bool,
    /// Its pages have to be allocated before anybody touches them.
    pub(crate) needs_commit: bool,
}

/// Hands out a run of granules as part of a change.
pub(crate) fn take(change: &mut Change<'_>, segment: &Segment, count: u64) -> Result<Run> {
    let header = segment.header();
    let fixed = segment.geometry.fixed_granules;
    let find = |hint: u64| {
        let end = growth::reach(segment);
        find_run(segment, hint.clamp(fixed, end), end, count).or_else(|| find_run(segment, fixed, end, count))
    };
    let found = match find(change.get(&header.hint)) {
        None if growth::extend(change, segment, count)? => find(header.hint.relaxed()),
        found => found,
    };
    let found = found.ok_or_else(|| out_of_memory(segment, count))?;
    set_bits(change, segment, segment.geometry.used_bits, found, count, true);
    let fresh = !any_bit(segment, segment.geometry.committed_bits, found, count);
    let now = change.get(&header.granules).wrapping_add(count);
    change.set(&header.granules, now);
    if now > change.get(&header.peak) {
        change.set(&header.peak, now);
    }
    change.set(&header.hint, found + count);
    let needs_commit = segment.source() == Source::Shared && (fresh || !all_bits(segment, found, count));
    Ok(Run { first: found, count, fresh, needs_commit })
}

/// Whether all pages of a run are allocated.
pub(crate) fn all_bits(segment: &Segment, first: u64, count: u64) -> bool {
    ones(segment, segment.geometry.committed_bits, first, count) == count
}

/// Allocates the pages of a run in the file. Slow for large runs, so it is done without the lock where it can be.
pub(crate) fn commit_pages(segment: &Segment, run: Run) -> Result<()> {
    let Some(file) = segment.file.as_ref().filter(|_| sys::SHARED_HEAPS && run.needs_commit) else { return Ok(()) };
    sys::commit(file, run.first * GRANULE, run.count * GRANULE)
        .map_err(|error| sys::error("the heap's folder has no room for more pages", &error))
}

/// Marks a run's pages as allocated, as part of a change.
pub(crate) fn mark_committed(change: &mut Change<'_>, segment: &Segment, run: Run) {
    set_bits(change, segment, segment.geometry.committed_bits, run.first, run.count, true);
}

/// Takes a run back, as part of a change.
pub(crate) fn give_back(change: &mut Change<'_>, segment: &Segment, first: u64, count: u64) -> Result<()> {
    let mut given = Given::default();
    given.add(change, segment, first, count)?;
    given.record(change, segment.header());
    Ok(())
}

/// Runs that one change gives back, summed up for the header.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) granules: u64,
    idle: u64,
    first: Option<u64>,
}

impl Given {
    /// Clears a run's bits: at most three writes.
    pub(crate) fn add(&mut self, change: &mut Change<'_>, segment: &Segment, first: u64, count: u64) -> Result<()> {
        let geometry = &segment.geometry;
        if count == 0
            || first < geometry.fixed_granules
            || first.checked_add(count).is_none_or(|end| end > geometry.granules)
        {
            return Err(corrupt!("a chunk of granules {} and {} more", first, count));
        }
        set_bits(change, segment, geometry.used_bits, first, count, false);
        self.granules += count;
        self.idle += if count >= LARGE_RUN { count } else { 0 };
        self.first = Some(self.first.map_or(first, |lowest| lowest.min(first)));
        Ok(())
    }

    /// Writes the sums: at most four writes.
    pub(crate) fn record(self, change: &mut Change<'_>, header: &Header) {
        let now = change.get(&header.granules).saturating_sub(self.granules);
        change.set(&header.granules, now);
        if let Some(first) = self.first.filter(|first| *first < change.get(&header.hint)) {
            change.set(&header.hint, first);
        }
        if self.idle > 0 {
            let idle = change.get(&header.idle).wrapping_add(self.idle);
            change.set(&header.idle, idle);
            change.set(&header.idle_since, u64::from(sys::ticks()));
        }
    }
}

/// A fresh record of a table: from its free list, or the next one, for which an extent is made where it is missing.
/// `LimitReached` when the table is full. The caller's change takes it; `link` reads the free list's next.
pub(crate) fn take_record<'s, R: Record>(
    locked: &'s Locked<'_>,
    change: &mut Change<'_>,
    link: impl FnOnce(&R) -> &crate::sync::Word,
) -> Result<(u32, &'s R)> {
    let segment = locked.segment;
    let table = &segment.header().tables[R::TABLE as usize];
    if let Some((index, record)) = segment.linked::<R>(change.get(&table.free))? {
        change.set(&table.free, change.get(link(record)));
        return Ok((index, record));
    }
    let index = next_record(locked, change, R::TABLE)?;
    Ok((index, segment.record(index)?))
}

/// The next record of a table that was never handed out.
fn next_record(locked: &Locked<'_>, change: &mut Change<'_>, kind: Table) -> Result<u32> {
    let segment = locked.segment;
    let table = &segment.header().tables[kind as usize];
    let index = change.get(&table.used);
    let index = u32::try_from(index).ok().filter(|i| *i < segment.capacity(kind)).ok_or_else(|| {
        // Entries and slots are handed out by the page and the block; people count what is in them.
        let counted = match kind {
            Table::EntryPages => Table::Entries,
            Table::Blocks => Table::Slots,
            table => table,
        };
        told_with!(
            ErrorCode::LimitReached,
            "the heap's table for {} is full ({} at most): end, close or detach what is no longer used",
            kind.noun(),
            segment.capacity(counted)
        )
    })?;
    ensure_extent(locked, kind, index)?;
    change.set(&table.used, u64::from(index) + 1);
    Ok(index)
}

/// Makes the extent of a table that holds this index, as a change of its own. Extents are never given back.
pub(crate) fn ensure_extent(locked: &Locked<'_>, table: Table, index: u32) -> Result<()> {
    let segment = locked.segment;
    let extent = index >> segment.geometry.tables[table as usize].shift;
    if segment.extent_granule(table, extent).is_some() {
        return Ok(());
    }
    let mut change = locked.change();
    let run = take_zeroed(&mut change, segment)?;
    let (word, shift) = segment.extent_word(table, extent)?;
    let cell = change.get(word) & !(u64::from(u32::MAX) << shift) | run.first << shift;
    change.set(word, cell);
    change.commit()
}

/// One granule of zeros. Records must start as zeros, since generations and sequences live in them.
fn take_zeroed(change: &mut Change<'_>, segment: &Segment) -> Result<Run> {
    let run = take(change, segment, 1)?;
    commit_pages(segment, run)?;
    mark_committed(change, segment, run);
    if !run.fresh {
        for word in 0..GRANULE / 8 {
            if let Some(word) = segment.word(run.first * GRANULE + word * 8) {
                word.set_relaxed(0);
            }
        }
    }
    Ok(run)
}

/// Puts a record on its table's free list, as part of a change.
pub(crate) fn free_record<R: Record>(
    change: &mut Change<'_>,
    segment: &Segment,
    index: u32,
    link: impl FnOnce(&R) -> &crate::sync::Word,
) -> Result<()> {
    let table = &segment.header().tables[R::TABLE as usize];
    let record = segment.record::<R>(index)?;
    change.set(link(record), change.get(&table.free));
    change.set(&table.free, u64::from(index) + 1);
    Ok(())
}

/// Gives the run that `trimming` names back to the system: what `trim` does, and who finds its process dead does again.
pub(crate) fn resume_trim(locked: &Locked<'_>) -> Result<()> {
    let segment = locked.segment;
    let (geometry, trimming) = (&segment.geometry, &segment.header().trimming);
    let run = trimming.acquire();
    let (first, count) = (run >> 32, run & 0xffff_ffff);
    if count == 0 {
        return Ok(());
    }
    let inside = first >= geometry.fixed_granules && first + count <= geometry.granules;
    if !inside || any_bit(segment, geometry.used_bits, first, count) {
        return Err(corrupt!("granules {} and {} more are going back to the system and are in use", first, count));
    }
    // SAFETY: the granules are free, and the lock under which they could be handed out is held.
    let result = unsafe { sys::decommit(segment.file.as_ref(), segment.base(), first * GRANULE, count * GRANULE) };
    let mut change = locked.change();
    change.set(trimming, 0);
    if result.is_ok() {
        set_bits(&mut change, segment, geometry.committed_bits, first, count, false);
    }
    change.commit()?;
    result.map_err(|error| sys::error("giving memory back to the system", &error))
}

/// Gives free runs of at least `least` granules back to the system, in bounded pieces. In a file these are all free runs:
/// who died between allocating pages and writing that down has left pages that nobody knows of, and a hole costs next
/// to nothing to punch once more. Returns the granules that were known to be committed.
pub(crate) fn trim(locked: &Locked<'_>, least: u64) -> Result<u64> {
    let segment = locked.segment;
    let geometry = &segment.geometry;
    let (mut at, mut given) = (geometry.fixed_granules, 0);
    if !sys::GIVES_BACK {
        return Ok(0);
    }
    while let Some((first, count)) = next_free(segment, at, geometry.granules, LONGEST_TRIM) {
        at = first + count;
        let committed = ones(segment, geometry.committed_bits, first, count);
        if count < least || committed == 0 && segment.source() != Source::Shared {
            continue;
        }
        // Written down first: a death between the two would leave pages that are gone and count as allocated.
        segment.header().trimming.set_release(first << 32 | count);
        resume_trim(locked)?;
        locked.beat();
        given += committed;
    }
    segment.header().idle.set_relaxed(0);
    Ok(given)
}

/// Gives large free runs back if there are enough of them and nobody took them again for a second: called beside slow
/// work that somebody waits for anyway.
pub(crate) fn trim_if_idle(locked: &Locked<'_>) -> Result<()> {
    const ENOUGH: u64 = (64 << 20) / GRANULE;
    let header = locked.segment.header();
    let rested = tick::between(header.idle_since.relaxed() as u32, sys::ticks()) >= 1000;
    if rested && header.idle.relaxed() >= ENOUGH {
        trim(locked, LARGE_RUN)?;
    }
    Ok(())
}
