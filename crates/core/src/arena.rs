//! Regions: create, reset, close, close when idle, wait until idle (R1, R3 to R7).
//!
//! A closer holds the heap's lock, marks the region's control word, fences, waits for the threads that allocate in it,
//! and reads the ledger. One store of the control word then makes every handle stale; giving the parts back is a
//! series of changes that whoever takes the lock next completes.

use std::time::Duration;

use crate::attachment::Attachment;
use crate::chunks::release_chunks;
use crate::context::{FRESH, context_word};
use crate::error::{Error, ErrorCode, Result};
use crate::fault::{Fault, planted};
use crate::handle::{Handle, HandleKind};
use crate::journal::Locked;
use crate::layout::*;
use crate::ledger;
use crate::pages;
use crate::sync::{self, Patience};
use crate::sys::{self, Instant};
use crate::told::{corrupt, told};

/// The longest sleep of a waiter: then it looks whether what it waits for is held by the dead.
const NAP: Duration = Duration::from_millis(250);

/// Whether a region is free of borrows and allocations under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idle {
    Yes,
    Held,
}

impl Attachment {
    /// The record of a region's handle, whatever its state.
    pub(crate) fn region_record(&self, handle: Handle) -> Option<(u32, &RegionRecord)> {
        if handle.kind() != HandleKind::Region || handle.is_null() || handle.generation() & 1 == 0 {
            return None;
        }
        let record = self.segment.get::<RegionRecord>(handle.index())?;
        let ours = record.born.acquire() as u32 == handle.generation();
        let closed = control::status(record.control.acquire()) == control::CLOSED;
        (ours && !closed).then_some((handle.index(), record))
    }

    fn open_region(&self, handle: Handle) -> Result<(u32, &RegionRecord)> {
        let stale = || {
            if let Some(tcb) = &self.tcb_for_end() {
                self.count_on_record(tcb, counter::STALE, 1);
            }
            Error::new(ErrorCode::StaleHandle).about(handle)
        };
        let (index, record) = self.region_record(handle).ok_or_else(stale)?;
        if control::status(record.control.acquire()) == control::DRAINING {
            return Err(stale());
        }
        Ok((index, record))
    }

    pub(crate) fn region_create(&self, name: &str, limit: Option<u64>) -> Result<Handle> {
        if name.len() > 64 {
            return Err(told!(
                ErrorCode::InvalidArgument,
                "a region's name has at most 64 bytes, this one has {}",
                name.len()
            ));
        }
        let limit = match limit {
            Some(0) => {
                return Err(told!(
                    ErrorCode::InvalidArgument,
                    "a region's limit is at least 1 byte; leave it out for none"
                ));
            }
            Some(bytes) => bytes.div_ceil(GRANULE),
            None => 0,
        };
        let locked = self.locked()?;
        pages::trim_if_idle(&locked)?;
        let seed = mix(self.segment.identity.seed ^ 0x7265_6769_6f6e);
        loop {
            let mut change = locked.change();
            let (index, record) = pages::take_record::<RegionRecord>(&locked, &mut change, |r| &r.next)?;
            let old = change.get(&record.control);
            let epoch = match control::epoch(old) {
                0 => (mix(seed ^ u64::from(index)) & (control::LAST_EPOCH >> 4)) + 1,
                epoch => epoch,
            };
            let born = match state::next_generation(change.get(&record.born) << 32, seed, index) {
                Some(born) if epoch < control::LAST_EPOCH - 1 => born,
                // Used up: the record is left out of every list (K2).
                _ => {
                    change.commit()?;
                    continue;
                }
            };
            change.set(&record.born, u64::from(born));
            change.set(&record.limit, limit);
            change.fill(&record.chunks, RegionRecord::PARTS, 0);
            change.set(&record.name_len, name.len() as u64);
            for (word, value) in record.name.iter().zip(ledger::text_words(name)) {
                change.set(word, value);
            }
            change.set(&record.control, control::open(epoch, locked.attachment.is_counting()));
            change.commit()?;
            return Ok(Handle::region(index, born));
        }
    }

    pub(crate) fn region_close(&self, handle: Handle) -> Result<()> {
        let locked = self.locked()?;
        let (index, record) = self.open_region(handle)?;
        let closed = match self.quiesce(&locked, handle, index, record) {
            Ok(()) => finish_close(&locked, index, record),
            refused => refused,
        };
        drop(locked);
        closed.and(crate::recovery::finish_drained(self))
    }

    pub(crate) fn region_reset(&self, handle: Handle) -> Result<()> {
        let locked = self.locked()?;
        let (index, record) = self.open_region(handle)?;
        let reset = self.quiesce(&locked, handle, index, record).and_then(|()| {
            let emptied = self.empty(&locked, record);
            if emptied.is_err() {
                self.reopen(record);
            }
            emptied
        });
        drop(locked);
        reset.and(crate::recovery::finish_drained(self))
    }

    /// Empties a region that is idle and marked as closing: all its handles are stale by one change.
    fn empty(&self, locked: &Locked<'_>, record: &RegionRecord) -> Result<()> {
        let (mut live, mut bytes) = (0u64, 0u64);
        for index in self.segment.links(&record.contexts, |c: &Context| &c.next) {
            let index = index?;
            let counters = &self.segment.record::<Context>(index)?.counters;
            live = live
                .wrapping_add(counters[counter::ALLOCATIONS].relaxed())
                .wrapping_sub(counters[counter::FREES].relaxed());
            bytes = bytes
                .wrapping_add(counters[counter::BYTES_ALLOCATED].relaxed())
                .wrapping_sub(counters[counter::BYTES_FREED].relaxed());
        }
        let epoch = control::epoch(record.control.relaxed()) + u64::from(!planted(Fault::EpochKept));
        if epoch >= control::LAST_EPOCH {
            return Err(told!(ErrorCode::LimitReached, "the region was reset too often: close it and make another"));
        }
        let mut change = locked.change();
        change.set(&record.spare_chunks, change.get(&record.chunks));
        change.set(&record.spare_blocks, change.get(&record.blocks));
        change.fill(&record.shared[0], HEAD_WORDS as u64, 0);
        change.set(&record.dropped, live);
        change.set(&record.dropped_bytes, bytes);
        change.set(&self.segment.header().closing, 0);
        change.set(&record.control, control::open(epoch, locked.attachment.is_counting()));
        change.commit()?;
        wake_waiters(record);
        Ok(())
    }

    /// Marks a region as closing and waits for what is under way. On success it is idle and marked; otherwise it is
    /// open again, and the error is `Borrowed`.
    fn quiesce(&self, locked: &Locked<'_>, handle: Handle, index: u32, record: &RegionRecord) -> Result<()> {
        let header = self.segment.header();
        header.closing.set_release(u64::from(index) + 1);
        let mut word = record.control.acquire();
        loop {
            if !control::is_open(word) {
                header.closing.set_release(0);
                return Err(Error::new(ErrorCode::StaleHandle).about(handle));
            }
            let closing = control::new(control::epoch(word), control::CLOSING, self.index) | word & control::KEPT;
            match record.control.cas(word, closing) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        sync::heavy(self.segment.cheap);
        let idle = self.await_idle(locked, record, control::owner(word, index));
        if matches!(idle, Ok(Idle::Yes)) {
            return Ok(());
        }
        self.reopen(record);
        idle?;
        let error = self.held(ErrorCode::Borrowed, handle);
        if let Some(tcb) = &self.tcb_for_end() {
            match self.find_context(locked, tcb, record, control::owner(word, index)) {
                Ok(at) => self.segment.record::<Context>(at)?.counters[counter::CONFLICTS].count(1),
                Err(_) => self.count_on_record(tcb, counter::CONFLICTS, 1),
            }
        }
        locked.tell(
            move || tracing::debug!(region = %handle, "closing or resetting a region was refused: it is borrowed"),
        );
        Err(error)
    }

    fn reopen(&self, record: &RegionRecord) {
        reopen(record);
        self.segment.header().closing.set_release(0);
    }

    /// Waits, for a bounded time, until no thread allocates in the region and no borrow begins or ends in it; then says
    /// whether any is held. What the dead hold is recovered on the way.
    fn await_idle(&self, locked: &Locked<'_>, record: &RegionRecord, owner: u64) -> Result<Idle> {
        let mut contexts = Vec::new();
        if !sys::ALONE && !planted(Fault::BusyIgnored) {
            for index in self.segment.links(&record.contexts, |c: &Context| &c.next) {
                contexts.push(index?);
            }
        }
        for index in contexts {
            let context = self.segment.record::<Context>(index)?;
            let mut patience = Patience::short();
            while context.busy.acquire() != 0 {
                if patience.wait() {
                    continue;
                }
                let Some(attachment) = self.attachment_of(context.record_index()) else { break };
                if !self.is_dead(attachment) {
                    return Ok(Idle::Held);
                }
                crate::recovery::recover(locked, attachment)?;
            }
        }
        let mut patience = Patience::short();
        loop {
            match self.look(owner)? {
                Look::Idle => return Ok(Idle::Yes),
                Look::Held(Some(dead)) => crate::recovery::recover(locked, dead)?,
                Look::Held(None) => return Ok(Idle::Held),
                Look::Moving if patience.wait() => {}
                Look::Moving => return Ok(Idle::Held),
            }
        }
    }

    fn attachment_of(&self, record: Option<u32>) -> Option<u16> {
        let record = self.segment.get::<ThreadRecord>(record?)?;
        crate::threads::record_owner::attachment(record.owner.acquire())
    }

    /// One look at the ledger for borrows of an owner.
    fn look(&self, owner: u64) -> Result<Look> {
        let (mut held, mut moving, mut dead) = (false, false, None);
        let mut asked: Vec<(u16, bool)> = Vec::new();
        ledger::each(&self.segment, &mut |seen| {
            if seen.owner != owner {
                return Ok(());
            }
            let is_dead = match asked.iter().find(|(index, _)| *index == seen.attachment) {
                Some((_, is_dead)) => *is_dead,
                None => {
                    let is_dead = self.is_dead(seen.attachment);
                    asked.push((seen.attachment, is_dead));
                    is_dead
                }
            };
            if is_dead {
                dead = Some(seen.attachment);
            } else if seen.phase() == phase::HELD {
                held = true;
            } else {
                moving = true;
            }
            Ok(())
        })?;
        Ok(match (dead, held, moving) {
            (Some(_), ..) => Look::Held(dead),
            (None, true, _) => Look::Held(None),
            (None, false, true) => Look::Moving,
            (None, false, false) => Look::Idle,
        })
    }

    pub(crate) fn region_close_when_idle(&self, handle: Handle) -> Result<()> {
        let locked = self.locked()?;
        let (index, record) = self.open_region(handle)?;
        let mut word = record.control.acquire();
        loop {
            if !control::is_open(word) {
                return Err(Error::new(ErrorCode::StaleHandle).about(handle));
            }
            let draining = control::new(control::epoch(word), control::DRAINING, self.index) | word & control::KEPT;
            match record.control.cas(word, draining) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        sync::heavy(self.segment.cheap);
        let closed = match self.await_idle(&locked, record, control::owner(word, index)) {
            Ok(Idle::Yes) => finish_close(&locked, index, record),
            Ok(Idle::Held) => Ok(()),
            Err(error) => Err(error),
        };
        drop(locked);
        closed.and(crate::recovery::finish_drained(self))
    }

    pub(crate) fn region_collected(&self, handle: Handle) -> bool {
        if self.is_detached() {
            return false;
        }
        let open = self.region_record(handle).is_some_and(|(_, r)| control::is_open(r.control.acquire()));
        if !open || self.region_close_when_idle(handle).is_err() {
            return false;
        }
        if let Some(tcb) = &self.tcb_for_end() {
            self.count_on_record(tcb, counter::COLLECTED, 1);
        }
        tracing::info!(region = %handle, "a region was collected while it was open; it closes when idle");
        true
    }

    /// Sleeps until a region is free of borrows. Whoever ends a borrow while the mark is set wakes all that wait.
    pub(crate) fn wait_idle(&self, handle: Handle, timeout: Option<Duration>) -> Result<()> {
        self.check_attached()?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let (index, record) = self.open_region(handle)?;
        let mut moving = Patience::short();
        loop {
            // Not over the sleep: a `detach` waits for it.
            let op = self.tcb()?;
            self.open_region(handle)?;
            let tick = record.idle.acquire();
            let word = record.control.acquire();
            if control::is_open(word) && word & control::WAITED == 0 {
                // Lost to a change of control: then there is something new to look at.
                if record.control.cas(word, word | control::WAITED).is_err() {
                    continue;
                }
            }
            sync::heavy(self.segment.cheap);
            match self.look(control::owner(word, index))? {
                Look::Idle => return Ok(()),
                Look::Held(Some(_)) => {
                    crate::recovery::recover_dead(self)?;
                    continue;
                }
                // An end may have looked at control before the mark was set: it is over in an instant, unless its
                // process is stopped.
                Look::Moving if deadline.is_none_or(|deadline| Instant::now() < deadline) && moving.wait() => continue,
                Look::Moving => {}
                Look::Held(None) => {}
            }
            let left = sys::time_left(deadline)?;
            if left.is_zero() {
                return Err(self.held(ErrorCode::Timeout, handle));
            }
            drop(op);
            let tick = if planted(Fault::TickLate) { record.idle.acquire() } else { tick };
            record.idle.sleep_while(tick, left.min(NAP));
            self.check_attached()?;
            moving = Patience::short();
        }
    }
}

/// What a look at the ledger shows of one owner's borrows.
enum Look {
    Idle,
    /// Some are held; by this dead attachment, if any.
    Held(Option<u16>),
    /// None is held, some are beginning or ending.
    Moving,
}

/// Takes the mark of a closer back. Who looked while it was there sleeps without a mark of its own: all look again.
fn reopen(record: &RegionRecord) {
    let word = record.control.acquire();
    record.control.set_release(control::new(control::epoch(word), control::OPEN, 0) | word & control::KEPT);
    if word & control::WAITED != 0 || !planted(Fault::ReopenWake) {
        wake_waiters(record);
    }
}

/// Wakes all that wait for a region to be idle.
pub(crate) fn wake_waiters(region: &RegionRecord) {
    let mut word = region.control.acquire();
    while word & control::WAITED != 0 {
        match region.control.cas(word, word & !control::WAITED) {
            Ok(_) => break,
            Err(now) => word = now,
        }
    }
    region.idle.bump();
    region.idle.wake_all();
}

/// Makes every handle of an idle region stale by one store, then gives its parts back.
fn finish_close(locked: &Locked<'_>, index: u32, record: &RegionRecord) -> Result<()> {
    let header = locked.segment.header();
    let epoch = control::epoch(record.control.acquire()) + 1;
    let mut change = locked.change();
    change.set(&record.control, control::new(epoch, control::CLOSED, locked.attachment.index));
    change.set(&header.closing, 0);
    change.set(&header.reclaiming, u64::from(index) + 1);
    change.commit()?;
    reclaim(locked, index)
}

/// Gives the parts of a closed region back, one change after another; begun again by whoever finds it unfinished.
fn reclaim(locked: &Locked<'_>, index: u32) -> Result<()> {
    let segment = locked.segment;
    let header = segment.header();
    let record = segment.record::<RegionRecord>(index)?;
    for _ in 0..=segment.capacity(Table::Contexts) {
        let Some((at, context)) = segment.linked::<Context>(record.contexts.acquire())? else { break };
        let mut change = locked.change();
        fold(&mut change, header, context.runtime(), |change, totals| {
            fold_counters(change, totals, &context.counters);
        });
        change.set(&record.contexts, change.get(&context.next));
        change.set(&context.owner, 0);
        if context.record_index().is_none() {
            pages::free_record::<Context>(&mut change, segment, at, |c| &c.next)?;
        }
        change.commit()?;
    }
    for _ in 0..=segment.capacity(Table::Chunks) {
        if !release_chunks(locked, record, index)? {
            break;
        }
    }
    let mut change = locked.change();
    if let Some((_, last)) = segment.linked::<Block>(record.last_block.acquire())? {
        let free = &header.tables[Table::Blocks as usize].free;
        change.set(&last.next, change.get(free));
        change.set(free, change.get(&record.blocks));
        change.set(&record.blocks, 0);
        change.set(&record.last_block, 0);
        change.set(&record.spare_blocks, 0);
    }
    pages::free_record::<RegionRecord>(&mut change, segment, index, |r| &r.next)?;
    change.set(&header.reclaiming, 0);
    change.commit()?;
    wake_waiters(record);
    Ok(())
}

/// Moves counters to the totals of a runtime, as part of a change: marked at its start and end, since nobody who sums up
/// is to miss them or to count them twice.
pub(crate) fn fold<'a>(
    change: &mut crate::journal::Change<'a>,
    header: &Header,
    runtime: u8,
    counters: impl FnOnce(&mut crate::journal::Change<'a>, &CounterWords),
) {
    let number = change.get(&header.folds_begun).wrapping_add(1);
    change.set(&header.folds_begun, number);
    counters(change, &header.totals[usize::from(runtime) % RUNTIMES]);
    change.set(&header.folds_done, number);
}

/// Adds counters to others and clears them.
pub(crate) fn fold_counters(change: &mut crate::journal::Change<'_>, totals: &CounterWords, counters: &CounterWords) {
    for (total, counter) in totals.iter().zip(counters) {
        let n = change.get(counter);
        if n != 0 {
            change.set(total, change.get(total).wrapping_add(n));
            change.set(counter, 0);
        }
    }
}

/// Completes what a dead holder of the lock was doing to a region. The journal was done again before.
pub(crate) fn resume(locked: &Locked<'_>) -> Result<()> {
    let header = locked.segment.header();
    if let Some((_, record)) = locked.segment.linked::<RegionRecord>(header.closing.acquire())? {
        if control::status(record.control.acquire()) == control::CLOSING {
            reopen(record);
        }
        header.closing.set_release(0);
    }
    match header.reclaiming.acquire() {
        0 => Ok(()),
        link => reclaim(locked, u32::try_from(link - 1).map_err(|_| corrupt!("region {:#x} being closed", link))?),
    }
}

/// Frees a draining region if nothing of it is borrowed any more: whoever finds it so first does it.
pub(crate) fn finish_draining(attachment: &Attachment, index: u32, epoch: u64) -> Result<()> {
    let record = attachment.segment.record::<RegionRecord>(index)?;
    let drains = |word| control::status(word) == control::DRAINING && control::epoch(word) == epoch;
    let word = record.control.acquire();
    if !drains(word) || !matches!(attachment.look(control::owner(word, index))?, Look::Idle | Look::Moving) {
        return Ok(());
    }
    let locked = Locked::take(attachment)?;
    let finished = finish_draining_locked(&locked, index, epoch);
    drop(locked);
    finished.and(crate::recovery::finish_drained(attachment))
}

fn finish_draining_locked(locked: &Locked<'_>, index: u32, epoch: u64) -> Result<()> {
    let (attachment, segment) = (locked.attachment, locked.segment);
    let record = segment.record::<RegionRecord>(index)?;
    let word = record.control.acquire();
    if control::status(word) != control::DRAINING || control::epoch(word) != epoch {
        return Ok(());
    }
    match attachment.await_idle(locked, record, control::owner(word, index))? {
        Idle::Yes => finish_close(locked, index, record),
        Idle::Held => Ok(()),
    }
}

/// The second line of `close_when_idle`: finishes every draining region that is idle.
pub(crate) fn finish_all_draining(attachment: &Attachment) -> Result<()> {
    let segment = &attachment.segment;
    for index in 0..segment.used(Table::Regions) {
        let Some(record) = segment.get::<RegionRecord>(index) else { continue };
        let word = record.control.acquire();
        if control::status(word) == control::DRAINING {
            finish_draining(attachment, index, control::epoch(word))?;
        }
    }
    Ok(())
}

/// Leaves a context to its region without a thread, or to the heap if no region uses it, as part of a change.
pub(crate) fn orphan_context(
    change: &mut crate::journal::Change<'_>,
    segment: &crate::segment::Segment,
    index: u32,
) -> Result<()> {
    let context = segment.record::<Context>(index)?;
    let fresh = context.record.relaxed() & FRESH;
    change.set(&context.record, context_word(None, context.runtime()) | fresh);
    change.set(&context.next_of_record, 0);
    if change.get(&context.owner) == 0 {
        pages::free_record::<Context>(change, segment, index, |c| &c.next)?;
    }
    Ok(())
}
