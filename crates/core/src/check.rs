//! `check`: walks a whole heap and verifies its invariants (C3). It holds the lock, so that structure stands still;
//! borrows and allocations go on, so what looks wrong is looked at again before it is called damage.

use std::collections::{HashMap, HashSet};

use crate::attachment::Attachment;
use crate::error::{ErrorCode, Result};
use crate::journal::Locked;
use crate::layout::*;
use crate::ledger;
use crate::segment::{Segment, corrupt};
use crate::snapshot::CheckReport;
use crate::threads::{each_link, record_owner};

/// How often a heap is walked before a contradiction in it counts.
const LOOKS: u32 = 4;

impl Attachment {
    pub(crate) fn check(&self) -> Result<CheckReport> {
        crate::recovery::recover_dead(self)?;
        crate::arena::finish_all_draining(self)?;
        let locked = self.locked()?;
        let mut look = 1;
        loop {
            match walk(&locked) {
                Err(error) if error.code() == ErrorCode::Corrupt && look < LOOKS => {
                    std::thread::sleep(std::time::Duration::from_millis(1 << look));
                    look += 1;
                }
                Err(error) => {
                    tracing::error!(%error, "check found a fault");
                    return Err(error);
                }
                Ok(report) => return Ok(report),
            }
        }
    }
}

/// What the ledger holds of a slot: its generation, shared borrows, and the entry of a unique one.
type Held = HashMap<u32, (u32, u64, Option<u32>)>;

/// Who has a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Nobody,
    Fixed,
    Extent(Table),
    Chunk(u32),
}

fn walk(locked: &Locked<'_>) -> Result<CheckReport> {
    let segment = locked.segment;
    let header = segment.header();
    let mut report = CheckReport::default();
    if header.journal_len.acquire() != 0 || header.reclaiming.acquire() != 0 {
        return Err(corrupt("a change is under way though the lock was free".to_string()));
    }
    let mut uses = vec![Use::Nobody; segment.geometry.granules as usize];
    uses[..segment.geometry.fixed_granules as usize].fill(Use::Fixed);
    for table in Table::ALL {
        check_table(segment, table, &mut uses)?;
    }
    let (mut blocks, mut contexts) = (HashSet::new(), HashSet::new());
    each_link(
        segment,
        &header.tables[Table::Blocks as usize].free,
        |b: &Block| &b.next,
        |b| once(&mut blocks, b, "block"),
    )?;
    for index in 0..segment.used(Table::Attachments) {
        if let Some(record) = segment.get::<AttachmentRecord>(index) {
            report.attachments += u64::from(record.state.acquire() & 0xff == 1);
        }
    }
    for index in 0..segment.used(Table::Regions) {
        let Some(record) = segment.get::<RegionRecord>(index) else { continue };
        if control::status(record.control.acquire()) == control::CLOSED || record.born.acquire() == 0 {
            continue;
        }
        report.regions += 1;
        report.chunks += check_region(segment, index, record, &mut uses, &mut blocks, &mut contexts)?;
    }
    check_granules(segment, &uses)?;
    let held = check_ledger(segment, &mut report)?;
    check_slots(segment, &uses, &held, &mut report)?;
    Ok(report)
}

fn once(seen: &mut HashSet<u32>, index: u32, what: &str) -> Result<()> {
    if seen.insert(index) { Ok(()) } else { Err(corrupt(format!("{what} {index} is on two lists"))) }
}

fn claim(uses: &mut [Use], granule: u64, by: Use) -> Result<()> {
    match uses.get_mut(granule as usize) {
        Some(place @ Use::Nobody) => {
            *place = by;
            Ok(())
        }
        Some(other) => Err(corrupt(format!("granule {granule} is used by {other:?} and {by:?}"))),
        None => Err(corrupt(format!("{by:?} uses granule {granule}, beyond the segment"))),
    }
}

fn check_table(segment: &Segment, table: Table, uses: &mut [Use]) -> Result<()> {
    let (extents, capacity) = (segment.geometry.tables[table as usize].extent_count(), segment.capacity(table));
    let used = segment.header().tables[table as usize].used.acquire();
    if used > u64::from(capacity) {
        return Err(corrupt(format!("table {table:?} has {used} records of {capacity}")));
    }
    for extent in 0..extents {
        if let Some(granule) = segment.extent_granule(table, extent) {
            claim(uses, granule, Use::Extent(table))?;
        }
    }
    Ok(())
}

fn check_granules(segment: &Segment, uses: &[Use]) -> Result<()> {
    let mut count = 0;
    for (granule, by) in uses.iter().enumerate() {
        let bit =
            segment.bit_word(segment.geometry.used_bits, granule as u64 / 64).acquire() >> (granule % 64) & 1 != 0;
        if bit != (*by != Use::Nobody) {
            return Err(corrupt(format!(
                "granule {granule} is marked {} and used by {by:?}",
                if bit { "taken" } else { "free" }
            )));
        }
        count += u64::from(bit);
    }
    let counted = segment.header().granules.acquire();
    if counted != count {
        Err(corrupt(format!("{count} granules are taken, the header says {counted}")))
    } else {
        Ok(())
    }
}

fn check_region(
    segment: &Segment,
    index: u32,
    record: &RegionRecord,
    uses: &mut [Use],
    blocks: &mut HashSet<u32>,
    contexts: &mut HashSet<u32>,
) -> Result<u64> {
    let (mut previous, mut granules, mut chunks) = (0u64, 0u64, 0u64);
    each_link(
        segment,
        &record.chunks,
        |c: &Chunk| &c.next,
        |at| {
            let chunk = segment.record::<Chunk>(at)?;
            if chunk.region.acquire() != u64::from(index) + 1 || chunk.previous.acquire() != previous {
                return Err(corrupt(format!("chunk {at} of region {index} is linked wrongly")));
            }
            previous = u64::from(at) + 1;
            let run = chunk.run.acquire();
            for granule in run >> 32..(run >> 32) + (run & 0xffff_ffff) {
                claim(uses, granule, Use::Chunk(index))?;
            }
            granules += run & 0xffff_ffff;
            chunks += 1;
            Ok(())
        },
    )?;
    if granules != record.granules.acquire() {
        let said = record.granules.acquire();
        return Err(corrupt(format!("region {index} has chunks of {granules} granules, its record says {said}")));
    }
    let mut last = 0;
    each_link(
        segment,
        &record.blocks,
        |b: &Block| &b.next,
        |block| {
            last = u64::from(block) + 1;
            once(blocks, block, "block")
        },
    )?;
    if last != record.last_block.acquire() {
        return Err(corrupt(format!("region {index} names another last block than its list has")));
    }
    each_link(
        segment,
        &record.contexts,
        |c: &Context| &c.next,
        |at| {
            let context = segment.record::<Context>(at)?;
            if control::region(context.owner.acquire()) != index {
                return Err(corrupt(format!("context {at} is on the list of region {index} and not of it")));
            }
            once(contexts, at, "context")
        },
    )?;
    Ok(chunks)
}

/// Walks the ledger. Returns what is held of each slot: how many shared, and the unique entry.
fn check_ledger(segment: &Segment, report: &mut CheckReport) -> Result<Held> {
    let mut pages = HashSet::new();
    for index in 0..segment.used(Table::Threads) {
        let Some(record) = segment.get::<ThreadRecord>(index) else { continue };
        if record_owner::attachment(record.owner.acquire()).is_none() {
            continue;
        }
        each_link(
            segment,
            &record.pages,
            |p: &EntryPage| &p.next,
            |page| {
                if segment.record::<EntryPage>(page)?.record.acquire() != u64::from(index) + 1 {
                    return Err(corrupt(format!("page {page} of the ledger is not thread record {index}'s")));
                }
                once(&mut pages, page, "page of the ledger")
            },
        )?;
    }
    let mut held = Held::new();
    ledger::each(segment, |seen| {
        if seen.phase() != phase::HELD {
            return Ok(());
        }
        report.borrows += 1;
        if seen.slot != seen.handle.index() || segment.get::<Slot>(seen.slot).is_none() {
            return Err(corrupt(format!(
                "ledger entry {} is about slot {} and {}",
                seen.index, seen.slot, seen.handle
            )));
        }
        let (generation, shared, unique) = held.entry(seen.slot).or_insert((seen.handle.generation(), 0, None));
        if *generation != seen.handle.generation() {
            return Err(corrupt(format!("slot {} is borrowed in two generations", seen.slot)));
        }
        if seen.is_unique() {
            *unique = Some(seen.index);
        } else {
            *shared += 1;
        }
        Ok(())
    })?;
    Ok(held)
}

fn check_slots(segment: &Segment, uses: &[Use], held: &Held, report: &mut CheckReport) -> Result<()> {
    let mut spans: Vec<(u64, u64, u32)> = Vec::new();
    let mut live = 0u64;
    for index in 0..segment.used(Table::Slots) {
        let Some(slot) = segment.get::<Slot>(index) else { continue };
        let (state, owner) = (slot.state.acquire(), slot.owner.acquire());
        let lives = state != 0
            && state & state::FREE == 0
            && segment.get::<RegionRecord>(control::region(owner)).is_some_and(|record| {
                let word = record.control.acquire();
                control::epoch(word) == control::epoch(owner) && control::status(word) != control::CLOSED
            });
        if !lives {
            if held.contains_key(&index) {
                return Err(corrupt(format!("slot {index} is free and borrowed")));
            }
            continue;
        }
        live += 1;
        check_borrows(index, state, held.get(&index))?;
        let (offset, length) = (place::offset(slot.place.acquire()), slot.length.acquire() & place::LENGTH);
        if segment.bytes(offset, length).is_none() {
            return Err(corrupt(format!("slot {index} is at {offset} with {length} bytes")));
        }
        let region = control::region(owner);
        let last = offset + length.max(1) - 1;
        if (offset / GRANULE..=last / GRANULE).any(|granule| uses.get(granule as usize) != Some(&Use::Chunk(region))) {
            return Err(corrupt(format!("slot {index} has bytes at {offset} that are not its region's")));
        }
        spans.push((offset, length, index));
    }
    report.buffers = live;
    spans.sort_unstable();
    for pair in spans.windows(2) {
        let ((offset, length, a), (next, _, b)) = (pair[0], pair[1]);
        if offset + length.max(1) > next {
            return Err(corrupt(format!("slots {a} and {b} overlap at {next}")));
        }
    }
    Ok(())
}

fn check_borrows(index: u32, state: u64, held: Option<&(u32, u64, Option<u32>)>) -> Result<()> {
    let (shared, unique) = match held {
        Some((generation, _, _)) if *generation != state::generation(state) => {
            return Err(corrupt(format!("slot {index} is borrowed in generation {generation}")));
        }
        Some((_, shared, unique)) => (*shared, *unique),
        None => (0, None),
    };
    let agree = match (state & state::UNIQUE != 0, unique) {
        (true, Some(entry)) => shared == 0 && state & state::COUNT == u64::from(entry),
        (false, None) => state & state::COUNT == shared,
        _ => false,
    };
    if agree {
        return Ok(());
    }
    Err(corrupt(format!("slot {index} has state {state:#x}, the ledger has {shared} shared and unique {unique:?}")))
}
