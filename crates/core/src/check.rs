//! `check`: walks a whole heap and verifies its invariants (C3). It holds the lock, so that structure stands still;
//! borrows and allocations go on, and are no contradictions.

use std::time::Duration;

use crate::attachment::Attachment;
use crate::check_borrows::Reading;
use crate::check_lists;
use crate::error::{ErrorCode, Result};
use crate::growth;
use crate::layout::*;
use crate::pages;
use crate::segment::Segment;
use crate::snapshot::CheckReport;
use crate::sys;
use crate::threads::record_owner;
use crate::told::{corrupt, corrupt_with, told, told_with};

/// How often one contradiction must be seen, one look after the other, to be called damage, and how often a heap is
/// looked at in all. Who looks under the lock meets passing ones hardly ever; who looks without it, often.
pub(crate) struct Looks {
    pub(crate) alike: u32,
    pub(crate) in_all: u32,
    pub(crate) pause: Duration,
}

const LOOKS: Looks = Looks { alike: 4, in_all: 64, pause: Duration::from_millis(2) };

impl Attachment {
    pub(crate) fn check(&self) -> Result<CheckReport> {
        crate::span!("check", heap = self.id());
        let _op = self.tcb()?;
        crate::recovery::recover_dead(self)?;
        crate::arena::finish_all_draining(self)?;
        let locked = self.locked()?;
        let found = look(locked.segment, &LOOKS, || locked.beat());
        if let Err(error) = &found
            && error.code() == ErrorCode::Corrupt
        {
            let error = error.clone();
            locked.tell(move || tracing::error!(%error, "check found a fault"));
        }
        found
    }
}

/// Looks until the heap is sound or one contradiction stays, which is `Corrupt`; `Timeout` if it is another one each time.
/// What a message has in parentheses may differ.
pub(crate) fn look(segment: &Segment, looks: &Looks, each: impl Fn()) -> Result<CheckReport> {
    if sys::ALONE {
        return walk(segment);
    }
    let (mut last, mut alike) = (String::new(), 0);
    for _ in 0..looks.in_all {
        let error = match walk(segment) {
            Err(error) if error.code() == ErrorCode::Corrupt => error,
            done => return done,
        };
        let message = error.claim();
        alike = if message == last { alike + 1 } else { 1 };
        last = message;
        if alike >= looks.alike {
            return Err(error);
        }
        each();
        sys::pause(looks.pause);
    }
    Err(told_with!(ErrorCode::Timeout, "the heap changes too fast to be looked at; last: {}", &last))
}

/// Who has a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Nobody,
    Fixed,
    Extent(Table),
    Chunk(u32),
    /// Others than the heap (`growth`).
    Others,
}

impl Use {
    fn name(self) -> &'static str {
        match self {
            Use::Nobody => "nobody",
            Use::Fixed => "the fixed parts",
            Use::Extent(table) => table.noun(),
            Use::Chunk(_) => "a region",
            Use::Others => "others",
        }
    }
}

/// Walks the heap once, and gives the first contradiction in it.
fn walk(segment: &Segment) -> Result<CheckReport> {
    let header = segment.header();
    let mut report = CheckReport::default();
    if header.journal_len.acquire() != 0 || header.reclaiming.acquire() != 0 {
        return Err(corrupt!("a change is under way though the lock was free"));
    }
    let granules = growth::reach(segment) as usize;
    let mut uses = Vec::new();
    if uses.try_reserve_exact(granules).is_err() {
        return Err(told!(ErrorCode::OutOfMemory, "there is no memory to note who has each granule"));
    }
    uses.resize(granules, Use::Nobody);
    uses[..segment.geometry.fixed_granules as usize].fill(Use::Fixed);
    for table in &Table::ALL {
        check_table(segment, *table, &mut uses)?;
    }
    for granule in (0..granules as u64).filter(|granule| growth::is_foreign(segment, *granule)) {
        claim(&mut uses, granule, Use::Others)?;
    }
    let (mut blocks, mut contexts) =
        (Once::new(segment, Table::Blocks, "block"), Once::new(segment, Table::Contexts, "context"));
    for block in segment.links(&header.tables[Table::Blocks as usize].free, |b: &Block| &b.next) {
        blocks.note(block?)?;
    }
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
        report.lost += check_lists::lost(segment, index, record)?;
    }
    check_granules(segment, &uses)?;
    check_pages(segment)?;
    let before = Reading::take(segment)?;
    report.borrows = before.held();
    let seen = see_slots(segment, &uses)?;
    let borrows = before.until(|| Reading::take(segment))?;
    for slot in &seen.live {
        borrows.check_live(slot.index, slot.state)?;
    }
    borrows.check_rest(segment, |index| {
        seen.changing.contains(&index) || seen.live.binary_search_by_key(&index, |slot| slot.index).is_ok()
    })?;
    check_overlaps(&seen.live)?;
    report.buffers = seen.live.len() as u64;
    Ok(report)
}

/// Records of a table that may be on one list only.
struct Once {
    what: &'static str,
    /// By index, those that were seen.
    seen: Vec<bool>,
}

impl Once {
    fn new(segment: &Segment, table: Table, what: &'static str) -> Once {
        Once { what, seen: vec![false; segment.used(table) as usize] }
    }

    fn note(&mut self, index: u32) -> Result<()> {
        let what = self.what;
        match self.seen.get_mut(index as usize) {
            Some(seen) if !*seen => {
                *seen = true;
                Ok(())
            }
            Some(_) => Err(corrupt_with!("{} {} is on two lists", what, index)),
            None => Err(corrupt_with!("{} {} is on a list and was never used", what, index)),
        }
    }
}

fn claim(uses: &mut [Use], granule: u64, by: Use) -> Result<()> {
    match uses.get_mut(granule as usize) {
        Some(place @ Use::Nobody) => {
            *place = by;
            Ok(())
        }
        Some(other) => Err(corrupt_with!("granule {} is used by {} and {}", granule, other.name(), by.name())),
        None => Err(corrupt_with!("granule {}, of {}, is beyond the segment", granule, by.name())),
    }
}

fn check_table(segment: &Segment, table: Table, uses: &mut [Use]) -> Result<()> {
    let (extents, capacity) = (segment.geometry.tables[table as usize].extent_count(), segment.capacity(table));
    let used = segment.header().tables[table as usize].used.acquire();
    if used > u64::from(capacity) {
        return Err(corrupt_with!("the table for {} has {} records of {}", table.noun(), used, capacity));
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
            return Err(corrupt_with!(
                "granule {} is marked {} and used by {}",
                granule,
                if bit { "taken" } else { "free" },
                by.name()
            ));
        }
        count += u64::from(bit && *by != Use::Others);
    }
    let (reach, all) = (uses.len() as u64, segment.geometry.granules);
    if pages::any_bit(segment, segment.geometry.used_bits, reach, all - reach) {
        return Err(corrupt!("a granule from {} on is marked taken, and its memory is not there", reach));
    }
    let counted = segment.header().granules.acquire();
    if counted != count { Err(corrupt!("{} granules are taken, the header says {}", count, counted)) } else { Ok(()) }
}

fn check_region(
    segment: &Segment,
    index: u32,
    record: &RegionRecord,
    uses: &mut [Use],
    blocks: &mut Once,
    contexts: &mut Once,
) -> Result<u64> {
    let (mut previous, mut granules, mut chunks) = (0u64, 0u64, 0u64);
    for at in segment.links(&record.chunks, |c: &Chunk| &c.next) {
        let at = at?;
        let chunk = segment.record::<Chunk>(at)?;
        if chunk.region.acquire() as u32 != index + 1 || chunk.previous.acquire() != previous {
            return Err(corrupt!("chunk {} of region {} is linked wrongly", at, index));
        }
        previous = u64::from(at) + 1;
        let run = chunk.run.acquire();
        for granule in run >> 32..(run >> 32) + (run & 0xffff_ffff) {
            claim(uses, granule, Use::Chunk(index))?;
        }
        granules += run & 0xffff_ffff;
        chunks += 1;
    }
    if granules != record.granules.acquire() {
        let said = record.granules.acquire();
        return Err(corrupt!("region {} has chunks of {} granules, its record says {}", index, granules, said));
    }
    let mut last = 0;
    for block in segment.links(&record.blocks, |b: &Block| &b.next) {
        let block = block?;
        last = u64::from(block) + 1;
        blocks.note(block)?;
    }
    if last != record.last_block.acquire() {
        return Err(corrupt!("region {} names another last block than its list has", index));
    }
    for at in segment.links(&record.contexts, |c: &Context| &c.next) {
        let at = at?;
        let context = segment.record::<Context>(at)?;
        if control::region(context.owner.acquire()) != index {
            return Err(corrupt!("context {} is on the list of region {} and not of it", at, index));
        }
        contexts.note(at)?;
    }
    Ok(chunks)
}

/// Checks that each page of the ledger is one thread record's.
fn check_pages(segment: &Segment) -> Result<()> {
    let mut pages = Once::new(segment, Table::EntryPages, "page of the ledger");
    for index in 0..segment.used(Table::Threads) {
        let Some(record) = segment.get::<ThreadRecord>(index) else { continue };
        if record_owner::attachment(record.owner.acquire()).is_none() {
            continue;
        }
        for page in segment.links(&record.pages, |p: &EntryPage| &p.next) {
            let page = page?;
            if segment.record::<EntryPage>(page)?.record.acquire() != u64::from(index) + 1 {
                return Err(corrupt!("page {} of the ledger is not thread record {}'s", page, index));
            }
            pages.note(page)?;
        }
    }
    Ok(())
}

/// A slot that lives, as it was at one time.
struct LiveSlot {
    index: u32,
    state: u64,
    offset: u64,
    length: u64,
}

#[derive(Default)]
struct SeenSlots {
    /// By index.
    live: Vec<LiveSlot>,
    /// Those that were allocated and freed faster than they could be read.
    changing: Vec<u32>,
}

fn see_slots(segment: &Segment, uses: &[Use]) -> Result<SeenSlots> {
    let mut seen = SeenSlots::default();
    for index in 0..segment.used(Table::Slots) {
        let Some(slot) = segment.get::<Slot>(index) else { continue };
        match see_slot(segment, uses, index, slot)? {
            Some(Some(live)) => seen.live.push(live),
            Some(None) => {}
            None => seen.changing.push(index),
        }
    }
    Ok(seen)
}

/// Reads a slot in one life: `Some(None)` if it does not live, `None` if it changed all the time.
fn see_slot(segment: &Segment, uses: &[Use], index: u32, slot: &Slot) -> Result<Option<Option<LiveSlot>>> {
    for _ in 0..64 {
        let (state, owner) = (slot.state.acquire(), slot.owner.acquire());
        let (offset, length) = (place::offset(slot.place.acquire()), extent::length(slot.length.acquire()));
        let region = control::region(owner);
        let lives = state != 0
            && state & state::FREE == 0
            && segment.get::<RegionRecord>(region).is_some_and(|record| {
                let word = record.control.acquire();
                control::epoch(word) == control::epoch(owner) && control::status(word) != control::CLOSED
            });
        let life = |state: u64| (state::generation(state), state & state::FREE);
        if life(slot.state.acquire()) != life(state) {
            continue;
        }
        if !lives {
            return Ok(Some(None));
        }
        if segment.bytes(offset, length).is_none() {
            return Err(corrupt!("slot {} is at {} with {} bytes", index, offset, length));
        }
        let last = offset + length.max(1) - 1;
        if (offset / GRANULE..=last / GRANULE).any(|granule| uses.get(granule as usize) != Some(&Use::Chunk(region))) {
            return Err(corrupt!("slot {} has bytes at {} that are not its region's", index, offset));
        }
        return Ok(Some(Some(LiveSlot { index, state, offset, length })));
    }
    Ok(None)
}

fn check_overlaps(live: &[LiveSlot]) -> Result<()> {
    let mut spans: Vec<(u64, u64, u32)> = live.iter().map(|slot| (slot.offset, slot.length, slot.index)).collect();
    spans.sort_unstable();
    for pair in spans.windows(2) {
        let ((offset, length, a), (next, _, b)) = (pair[0], pair[1]);
        if offset + length.max(1) > next {
            return Err(corrupt!("slots {} and {} overlap at {}", a, b, next));
        }
    }
    Ok(())
}
