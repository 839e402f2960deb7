//! Contexts: what one thread has of one region. Finding one, keeping a region from closing while it is marked busy,
//! counting in it, and its lists of freed slots (R2, N1).
//!
//! A context belongs to its thread record for good, until its attachment leaves: one that a thread still remembers can
//! never have become another thread's.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use crate::attachment::Attachment;
use crate::error::{Error, ErrorCode, Result};
use crate::fault::{Fault, planted};
use crate::handle::{Handle, HandleKind};
use crate::journal::{Change, Locked};
use crate::layout::*;
use crate::pages;
use crate::runtime::CopyReason;
use crate::segment::Segment;
use crate::sync::{self, Patience, Word};
use crate::threads::Tcb;
use crate::told::corrupt;

/// Marks in a context's busy word.
pub(crate) mod busy {
    pub(crate) const ALLOC: u64 = 1 << 32;
    pub(crate) const FREE: u64 = 2 << 32;
    pub(crate) const PIN: u64 = 3 << 32;
}

/// Freed slots of a class that a thread keeps to itself in any region, before it gives them to the region.
pub(crate) const LIST: u64 = 64;
/// The most that it keeps in a large region.
const LONGEST_LIST: u64 = 4096;

/// The bytes that it keeps in a region without a limit, or a 256th of the heap if that is less.
const LIST_BYTES: u64 = 4 << 20;

/// Whether a list of so many freed slots is more than one thread should keep: 64, and a 64th of the region or
/// `LIST_BYTES`.
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(crate) fn is_long(segment: &Segment, region: &RegionRecord, class: usize, depth: u64) -> bool {
    depth >= LIST && is_very_long(segment, region, class, depth)
}

fn is_very_long(segment: &Segment, region: &RegionRecord, class: usize, depth: u64) -> bool {
    let kept = if region.limit.relaxed() == 0 { LIST_BYTES.min(segment.geometry.size / 256) } else { 0 };
    let share = region.granules.relaxed().saturating_mul(GRANULE) / 64;
    class >= CLASSES || depth >= LONGEST_LIST || depth * class::size(class) >= kept.max(share)
}

/// Bit of a context's record word: its bump range has never been used and reads as zero.
pub(crate) const FRESH: u64 = 1 << 40;

/// The head of a class's list: two stand in a word.
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(crate) fn list_head(heads: &[Word; HEAD_WORDS], class: usize) -> u64 {
    heads[class / 2].relaxed() >> (32 * (class % 2)) & 0xffff_ffff
}

impl Context {
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn head(&self, class: usize) -> u64 {
        list_head(&self.heads, class)
    }

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn set_head(&self, class: usize, link: u64) {
        let shift = 32 * (class % 2);
        let word = &self.heads[class / 2];
        word.set_relaxed(word.relaxed() & !(0xffff_ffff << shift) | link << shift);
    }

    pub(crate) fn record_index(&self) -> Option<u32> {
        (self.record.acquire() as u32).checked_sub(1)
    }

    pub(crate) fn runtime(&self) -> u8 {
        (self.record.acquire() >> 32) as u8
    }
}

/// What a thread has at hand of one region: the records' addresses, which stay while the attachment lives.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Cached {
    pub(crate) handle: u64,
    pub(crate) owner: u64,
    pub(crate) index: u32,
    pub(crate) context: NonNull<Context>,
    pub(crate) region: NonNull<RegionRecord>,
}

/// A region of no epoch, and a context in it.
#[repr(C, align(64))]
struct Nowhere(UnsafeCell<[u64; 64]>);
// SAFETY: it is looked at as the atomic words of records.
unsafe impl Sync for Nowhere {}
static NOWHERE: Nowhere = Nowhere(UnsafeCell::new([0; 64]));
const _: () =
    assert!(size_of::<Context>() <= size_of::<Nowhere>() && size_of::<RegionRecord>() <= size_of::<Nowhere>());

impl Cached {
    /// Nothing: no owner is all ones, and what a damaged one leads to never lives.
    pub(crate) const NONE: Cached = Cached {
        handle: u64::MAX,
        owner: u64::MAX,
        index: 0,
        context: NonNull::from_ref(&NOWHERE).cast(),
        region: NonNull::from_ref(&NOWHERE).cast(),
    };
}

/// A thread's context of a region, and the region.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) index: u32,
    pub(crate) owner: u64,
    /// The region's control word while it lives and nobody waits for it to be idle.
    pub(crate) quiet: u64,
    pub(crate) context: &'a Context,
    pub(crate) region: &'a RegionRecord,
}

/// What a context's record word says beside the record.
pub(crate) fn context_word(record: Option<u32>, runtime: u8) -> u64 {
    record.map_or(0, |r| u64::from(r) + 1) | u64::from(runtime) << 32
}

impl Attachment {
    /// The thread's context for this owner, if it was used lately.
    #[inline]
    pub(crate) fn context<'a>(&self, tcb: &'a Tcb, owner: u64) -> Option<&'a Context> {
        tcb.here(owner).map(|here| here.context)
    }

    /// The thread's context for this owner: searched for, left by another thread, or new. `StaleHandle` if the region
    /// does not live.
    #[cold]
    pub(crate) fn context_slow(&self, tcb: &Tcb, owner: u64) -> Result<(u32, &Context)> {
        self.context_under(&Locked::take(self)?, tcb, owner)
    }

    /// The same for counting alone, which waits for nobody: `None` while another has the lock.
    #[cold]
    pub(crate) fn context_to_count(&self, tcb: &Tcb, owner: u64) -> Option<&Context> {
        let locked = Locked::try_take(self)?;
        self.context_under(&locked, tcb, owner).ok().map(|(_, context)| context)
    }

    fn context_under(&self, locked: &Locked<'_>, tcb: &Tcb, owner: u64) -> Result<(u32, &Context)> {
        let region = control::region(owner);
        let record = self.segment.record::<RegionRecord>(region)?;
        if control::epoch(record.control.acquire()) != control::epoch(owner)
            || control::status(record.control.acquire()) == control::CLOSED
        {
            return Err(Error::new(ErrorCode::StaleHandle));
        }
        let index = self.find_context(locked, tcb, record, owner)?;
        let context = self.segment.record::<Context>(index)?;
        let born = record.born.relaxed() as u32;
        let slot = region as usize % tcb.cache.len();
        // What the thread used last may be of the region's last epoch.
        tcb.near.forget_region();
        tcb.cache[slot].set(Cached {
            handle: Handle::region(region, born).to_bits(),
            owner,
            index,
            context: context.into(),
            region: record.into(),
        });
        Ok((index, context))
    }

    /// The index of this thread's context in a region that lives, which the lock keeps so.
    pub(crate) fn find_context(
        &self,
        locked: &Locked<'_>,
        tcb: &Tcb,
        region: &RegionRecord,
        owner: u64,
    ) -> Result<u32> {
        let (segment, runtime) = (&self.segment, self.runtime() as u8);
        let (mut own, mut orphan) = (None, None);
        for index in segment.links(&region.contexts, |c: &Context| &c.next) {
            let index = index?;
            let context = segment.record::<Context>(index)?;
            match context.record_index() {
                Some(record) if record == tcb.record => own = Some(index),
                None if context.runtime() == runtime => orphan = Some(index),
                _ => {}
            }
        }
        let record = self.record_of(tcb)?;
        let mine = context_word(Some(tcb.record), runtime);
        if own.is_none() && orphan.is_none() {
            // One of this record's that no region uses, before a new one.
            let mut unused = None;
            for index in segment.links(&record.contexts, |c: &Context| &c.next_of_record) {
                let index = index?;
                if segment.record::<Context>(index)?.owner.acquire() == 0 {
                    unused = Some(index);
                }
            }
            let mut change = locked.change();
            let index = match unused {
                Some(index) => index,
                None => {
                    let (index, context) = pages::take_record::<Context>(locked, &mut change, |c| &c.next)?;
                    change.set(&context.next_of_record, change.get(&record.contexts));
                    change.set(&record.contexts, u64::from(index) + 1);
                    index
                }
            };
            let context = segment.record::<Context>(index)?;
            set_up(&mut change, context, owner, mine);
            change.set(&context.next, change.get(&region.contexts));
            change.set(&region.contexts, u64::from(index) + 1);
            change.commit()?;
            return Ok(index);
        }
        let index = own.or(orphan).ok_or_else(|| Error::new(ErrorCode::Internal))?;
        let context = segment.record::<Context>(index)?;
        let mut change = locked.change();
        if own.is_none() {
            change.set(&context.record, mine | context.record.relaxed() & FRESH);
            change.set(&context.next_of_record, change.get(&record.contexts));
            change.set(&record.contexts, u64::from(index) + 1);
        }
        if context.owner.relaxed() != owner {
            // The region was reset: what the context had is spare now.
            set_up(&mut change, context, owner, mine);
        }
        change.commit()?;
        Ok(index)
    }

    /// Runs `f` on a live buffer with the thread's mark up, so that its region cannot close meanwhile. `f` takes no
    /// lock and does not wait.
    pub(crate) fn pinned<T>(&self, tcb: &Tcb, handle: Handle, f: impl FnOnce(u32, &Context, &Slot) -> T) -> Result<T> {
        let (mut f, mut result) = (Some(f), None);
        self.do_pinned(tcb, handle, &mut |at, context, slot| result = f.take().map(|f| f(at, context, slot)))?;
        result.ok_or_else(|| Error::new(ErrorCode::Internal))
    }

    /// The same for all that `f` may give.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn do_pinned(&self, tcb: &Tcb, handle: Handle, f: &mut dyn FnMut(u32, &Context, &Slot)) -> Result<()> {
        let mut patience = Patience::short();
        loop {
            let slot = self.segment.get::<Slot>(handle.index()).filter(|_| handle.kind() == HandleKind::Buffer);
            let Some(slot) = slot else { return Err(self.stale(tcb, handle)) };
            let state = slot.state.acquire();
            if state::generation(state) != handle.generation() || state & state::FREE != 0 {
                return Err(self.stale(tcb, handle));
            }
            let owner = slot.owner.acquire();
            let region = self.segment.record::<RegionRecord>(control::region(owner))?;
            let (at, context) = match tcb.here(owner) {
                Some(here) => (here.index, here.context),
                None => match self.context_slow(tcb, owner) {
                    Ok(found) => found,
                    Err(error) if error.code() == ErrorCode::StaleHandle => return Err(self.stale(tcb, handle)),
                    Err(error) => return Err(error),
                },
            };
            context.busy.set_relaxed(busy::PIN);
            sync::light(self.segment.cheap);
            let word = region.control.acquire();
            if control::lives(word, owner) {
                f(at, context, slot);
                context.busy.set_release(0);
                return Ok(());
            }
            context.busy.set_release(0);
            let closing = control::is_closing(word, owner);
            if !closing {
                // This thread's mark may have been what kept the region from being freed.
                crate::arena::finish_draining(self, control::region(owner), control::epoch(owner))?;
                return Err(self.stale(tcb, handle));
            }
            if !patience.wait() {
                return Err(self.held(ErrorCode::BorrowConflict, handle));
            }
        }
    }

    /// Counts in the region of a buffer or of a region handle; on the thread's record if it does not live.
    pub(crate) fn count_in_region(&self, tcb: &Tcb, handle: Handle, counts: &[(usize, u64)]) {
        let counted = handle.kind() == HandleKind::Buffer
            && self
                .pinned(tcb, handle, |_, context, _| counts.iter().for_each(|(c, n)| context.counters[*c].count(*n)))
                .is_ok();
        if !counted {
            counts.iter().for_each(|(c, n)| self.count_on_record(tcb, *c, *n));
        }
    }

    /// Counts in the region of a buffer that the caller holds a borrow of, which keeps the region open.
    pub(crate) fn count_held(&self, buffer: Handle, counts: &[(usize, u64)]) {
        let Some(tcb) = &self.tcb_for_end() else { return };
        let owner = self.segment.get::<Slot>(buffer.index()).map_or(0, |slot| slot.owner.acquire());
        let context = match self.context(tcb, owner) {
            Some(context) => Some(context),
            None => self.context_to_count(tcb, owner),
        };
        match context {
            Some(context) => counts.iter().for_each(|(c, n)| context.counters[*c].count(*n)),
            None => counts.iter().for_each(|(c, n)| self.count_on_record(tcb, *c, *n)),
        }
    }

    pub(crate) fn count_copy(&self, buffer: Handle, reason: CopyReason, bytes: u64) {
        let at = reason as usize;
        self.count_of(buffer, &[(counter::COPIES + at, 1), (counter::COPY_BYTES + at, bytes)]);
    }

    /// Counts what a binding did with a buffer.
    pub(crate) fn count_of(&self, buffer: Handle, counts: &[(usize, u64)]) {
        if let Ok(tcb) = &self.tcb() {
            self.count_in_region(tcb, buffer, counts);
        }
    }
}

/// Puts a freed slot on a context's list and returns the list's depth. A slot without a generation left is retired.
/// `find` finds the list's first slot.
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(crate) fn push_slot<'a>(
    context: &Context,
    class: usize,
    (index, slot): (u32, &Slot),
    seed: u64,
    find: impl FnOnce(u32) -> Option<&'a Slot>,
) -> u64 {
    if state::next_generation(slot.state.relaxed(), seed, index).is_none() && !planted(Fault::Retirement) {
        return 0;
    }
    let head = context.head(class);
    let first = if head == 0 { None } else { find((head - 1) as u32) };
    let depth = first.map_or(1, |first| (first.length.relaxed() >> 32) + 1);
    slot.length.set_relaxed(depth << 32 | head);
    context.set_head(class, u64::from(index) + 1);
    depth
}

fn set_up(change: &mut Change<'_>, context: &Context, owner: u64, record: u64) {
    change.set(&context.owner, owner);
    change.set(&context.record, record);
    change.fill(&context.busy, 1, 0);
    change.set(&context.bump, 0);
    change.set(&context.bump_end, 0);
    change.set(&context.slots, 0);
    change.fill(&context.heads[0], HEAD_WORDS as u64, 0);
}

pub(crate) fn head_of(change: &Change<'_>, word: &Word, class: usize) -> u64 {
    change.get(word) >> (32 * (class % 2)) & 0xffff_ffff
}

pub(crate) fn set_head_in(change: &mut Change<'_>, word: &Word, class: usize, link: u64) {
    let shift = 32 * (class % 2);
    let value = change.get(word) & !(0xffff_ffff << shift) | link << shift;
    change.set(word, value);
}

/// Moves up to a list's length of slots from the region to a context. False if the region has none of this class.
pub(crate) fn take_shared(locked: &Locked<'_>, region: &RegionRecord, context: &Context, class: usize) -> Result<bool> {
    let segment = locked.segment;
    let mut change = locked.change();
    let head = head_of(&change, &region.shared[class / 2], class);
    if head == 0 {
        return Ok(false);
    }
    let (mut last, mut taken) = (head, 1);
    let rest = loop {
        let Some((_, slot)) = segment.linked::<Slot>(last)? else {
            return Err(corrupt!("a list of freed slots"));
        };
        let next = slot.length.relaxed() & 0xffff_ffff;
        if next == 0 || taken == LIST {
            change.set(&slot.length, 1 << 32);
            break next;
        }
        (last, taken) = (next, taken + 1);
    };
    set_head_in(&mut change, &region.shared[class / 2], class, rest);
    set_head_in(&mut change, &context.heads[class / 2], class, head);
    change.commit()?;
    Ok(true)
}
