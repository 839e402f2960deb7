//! What a region takes from the heap: chunks of bytes and blocks of slots, new ones or those that a reset has left
//! spare, and the way back (R1, R6). All of it as parts of changes, under the lock.

use crate::error::{ErrorCode, Result};
use crate::journal::{Change, Locked};
use crate::layout::*;
use crate::pages::{self, Run};
use crate::segment::{Segment, Source};
use crate::told::{corrupt, told};

/// Gives a context a block of slots: one left by a reset, a free one of the heap, or a new one.
pub(crate) fn take_block(locked: &Locked<'_>, region: &RegionRecord, context: &Context) -> Result<()> {
    let segment = locked.segment;
    let mut change = locked.change();
    let block = match segment.linked::<Block>(change.get(&region.spare_blocks))? {
        Some((block, record)) => {
            change.set(&region.spare_blocks, change.get(&record.next));
            block
        }
        None => {
            let (block, record) = pages::take_record::<Block>(locked, &mut change, |b| &b.next)?;
            for slot in [block * SLOTS_PER_BLOCK, (block + 1) * SLOTS_PER_BLOCK - 1] {
                pages::ensure_extent(locked, Table::Slots, slot)?;
            }
            let used = &segment.header().tables[Table::Slots as usize].used;
            let end = u64::from((block + 1) * SLOTS_PER_BLOCK);
            if change.get(used) < end {
                change.set(used, end);
            }
            let head = change.get(&region.blocks);
            change.set(&record.next, head);
            change.set(&region.blocks, u64::from(block) + 1);
            if head == 0 {
                change.set(&region.last_block, u64::from(block) + 1);
            }
            block
        }
    };
    let first = u64::from(block) * u64::from(SLOTS_PER_BLOCK);
    change.set(&context.slots, first << 32 | (first + u64::from(SLOTS_PER_BLOCK)));
    change.commit()
}

/// A chunk's region word: the region plus one, and the context plus one on whose behalf pages are being allocated.
pub(crate) fn pending(region: u32, context: Option<u32>) -> u64 {
    u64::from(region) + 1 | context.map_or(0, |context| u64::from(context) + 1) << 32
}

fn chunk_run(change: &Change<'_>, chunk: &Chunk) -> Run {
    run_of(change.get(&chunk.run))
}

fn run_of(run: u64) -> Run {
    Run { first: run >> 32, count: run & 0xffff_ffff, fresh: false, needs_commit: false }
}

/// A chunk that a reset has left, at least this large.
pub(crate) fn take_spare(
    change: &mut Change<'_>,
    segment: &Segment,
    region: &RegionRecord,
    need: u64,
) -> Result<Option<Run>> {
    Ok(take_spare_where(change, segment, region, need, u64::MAX)?.map(|(run, _)| run))
}

pub(crate) fn take_spare_exact(
    change: &mut Change<'_>,
    segment: &Segment,
    region: &RegionRecord,
    count: u64,
) -> Result<Option<(Run, u32)>> {
    take_spare_where(change, segment, region, count, count)
}

fn take_spare_where(
    change: &mut Change<'_>,
    segment: &Segment,
    region: &RegionRecord,
    least: u64,
    most: u64,
) -> Result<Option<(Run, u32)>> {
    let mut link = change.get(&region.spare_chunks);
    for _ in 0..segment.capacity(Table::Chunks) {
        let Some((index, chunk)) = segment.linked::<Chunk>(link)? else { return Ok(None) };
        let mut run = chunk_run(change, chunk);
        if run.count < least || run.count > most {
            link = change.get(&chunk.next);
            continue;
        }
        if link == change.get(&region.spare_chunks) {
            change.set(&region.spare_chunks, change.get(&chunk.next));
        } else {
            unlink_chunk(change, segment, region, chunk)?;
            link_chunk(change, segment, region, index, chunk)?;
        }
        if run.count == 0
            || run.first < segment.geometry.fixed_granules
            || run.first + run.count > segment.geometry.granules
        {
            return Err(corrupt!("chunk {} is of granules {} and {} more", index, run.first, run.count));
        }
        change.set(&chunk.region, change.get(&chunk.region) & 0xffff_ffff);
        run.needs_commit = segment.source() == Source::Shared && !pages::all_bits(segment, run.first, run.count);
        return Ok(Some((run, index)));
    }
    Err(corrupt!("a region's chunks have a loop"))
}

/// A new chunk for a region, of `wanted` granules if there is room and at least `need`. Pages are not yet allocated.
pub(crate) fn new_chunk(
    locked: &Locked<'_>,
    change: &mut Change<'_>,
    region: &RegionRecord,
    region_index: u32,
    need: u64,
    wanted: u64,
) -> Result<Run> {
    let segment = locked.segment;
    let (limit, reserved) = (region.limit.relaxed(), change.get(&region.granules));
    let room = if limit == 0 { u64::MAX } else { limit.saturating_sub(reserved) };
    if need > room {
        return Err(told!(
            ErrorCode::LimitReached,
            "the region holds {} of its limit of {} bytes, and {} more are needed: free buffers, or make it with a larger limit",
            reserved.saturating_mul(GRANULE),
            limit.saturating_mul(GRANULE),
            need.saturating_mul(GRANULE)
        ));
    }
    // The record before the run: its extent may be a change of its own, which takes a granule.
    let (index, chunk) = pages::take_record::<Chunk>(locked, change, |c| &c.next)?;
    let run = match pages::take(change, segment, wanted.min(room)) {
        Err(error) if error.code() == ErrorCode::OutOfMemory && wanted > need => pages::take(change, segment, need)?,
        run => run?,
    };
    change.set(&chunk.run, run.first << 32 | run.count);
    change.set(&chunk.region, pending(region_index, None));
    link_chunk(change, segment, region, index, chunk)?;
    let now = reserved.saturating_add(run.count);
    change.set(&region.granules, now);
    if now > change.get(&region.peak) {
        change.set(&region.peak, now);
    }
    if segment.source() == Source::Private {
        pages::mark_committed(change, segment, run);
    }
    Ok(run)
}

fn link_chunk(
    change: &mut Change<'_>,
    segment: &Segment,
    region: &RegionRecord,
    index: u32,
    chunk: &Chunk,
) -> Result<()> {
    let head = change.get(&region.chunks);
    if let Some((_, first)) = segment.linked::<Chunk>(head)? {
        change.set(&first.previous, u64::from(index) + 1);
    }
    change.set(&chunk.next, head);
    change.set(&chunk.previous, 0);
    change.set(&region.chunks, u64::from(index) + 1);
    Ok(())
}

fn unlink_chunk(change: &mut Change<'_>, segment: &Segment, region: &RegionRecord, chunk: &Chunk) -> Result<()> {
    let (previous, next) = (change.get(&chunk.previous), change.get(&chunk.next));
    match segment.linked::<Chunk>(previous)? {
        Some((_, before)) => change.set(&before.next, next),
        None => change.set(&region.chunks, next),
    }
    if let Some((_, after)) = segment.linked::<Chunk>(next)? {
        change.set(&after.previous, previous);
    }
    Ok(())
}

/// Gives a chunk of a region back to the heap, as part of a change.
pub(crate) fn release_chunk(
    change: &mut Change<'_>,
    segment: &Segment,
    region: &RegionRecord,
    region_index: u32,
    index: u32,
) -> Result<()> {
    let chunk = segment.record::<Chunk>(index)?;
    if change.get(&chunk.region) as u32 != region_index + 1 {
        return Err(corrupt!("chunk {} is not of region {}, which gives it back", index, region_index));
    }
    let run = chunk_run(change, chunk);
    if change.get(&region.spare_chunks) == u64::from(index) + 1 {
        change.set(&region.spare_chunks, change.get(&chunk.next));
    }
    unlink_chunk(change, segment, region, chunk)?;
    pages::give_back(change, segment, run.first, run.count)?;
    let granules = change.get(&region.granules).saturating_sub(run.count);
    change.set(&region.granules, granules);
    change.set(&chunk.region, 0);
    pages::free_record::<Chunk>(change, segment, index, |c| &c.next)
}

/// Gives chunks of a closed region back, the first ones of its list, as many as fit into one change. False if it has
/// none.
pub(crate) fn release_chunks(locked: &Locked<'_>, region: &RegionRecord, region_index: u32) -> Result<bool> {
    /// Writes for one chunk, and for all of them together.
    const EACH: usize = 4;
    const ALL: usize = 9;
    let segment = locked.segment;
    let mut change = locked.change();
    let first = region.chunks.acquire();
    let (mut link, mut last, mut given) = (first, None, pages::Given::default());
    while change.room() >= EACH + ALL
        && let Some((index, chunk)) = segment.linked::<Chunk>(link)?
    {
        if chunk.region.acquire() as u32 != region_index + 1 || link == first && last.is_some() {
            return Err(corrupt!("chunk {} is not of region {}, which gives it back", index, region_index));
        }
        change.put(&chunk.region, 0);
        let run = run_of(chunk.run.acquire());
        given.add(&mut change, segment, run.first, run.count)?;
        (link, last) = (chunk.next.acquire(), Some(chunk));
    }
    let Some(last) = last else { return Ok(false) };
    let free = &segment.header().tables[Table::Chunks as usize].free;
    change.set(&last.next, change.get(free));
    change.set(free, first);
    change.set(&region.chunks, link);
    change.set(&region.spare_chunks, 0);
    change.set(&region.granules, change.get(&region.granules).saturating_sub(given.granules));
    given.record(&mut change, segment.header());
    change.commit()?;
    Ok(true)
}
