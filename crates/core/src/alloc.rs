//! Allocation and free: without a lock from a thread's context, under it when the context needs a block or a chunk, and
//! for buffers that are a chunk of their own (R1, R2, R6, K2).
//!
//! A thread marks its context busy before it looks at the region and until its slot is published: a closer changes the
//! region's control word, then waits for the mark to go.

use crate::attachment::Attachment;
use crate::chunks::{new_chunk, release_chunk, take_block, take_spare, take_spare_exact};
use crate::context::{FRESH, LIST, busy, head_of, push_slot, set_head_in, take_shared};
use crate::error::{Error, ErrorCode, Result};
use crate::handle::Handle;
use crate::heap::Init;
use crate::journal::Locked;
use crate::layout::*;
use crate::pages::{self, Run};
use crate::runtime::CopyReason;
use crate::segment::corrupt;
use crate::snapshot::BorrowKind;
use crate::sync::{self, Patience};
use crate::threads::Tcb;

/// Zeroing more than this is done under a unique borrow, so that a closer sees a holder and need not wait.
const LONG_ZERO: u64 = 64 << 10;
/// Runs up to this many granules have their pages allocated under the lock (1 MiB).
const SHORT_RUN: u64 = 16;
const MAX_CHUNK: u64 = (64 << 20) / GRANULE;

/// Why the fast path of an allocation could not go on.
enum Short {
    Moved,
    Slots,
    Bytes,
}

/// The buffer's request, checked.
#[derive(Clone, Copy)]
struct Request {
    length: u64,
    align: u64,
    zero: bool,
}

impl Attachment {
    /// Allocates a buffer.
    pub(crate) fn alloc(&self, region: Handle, length: u64, align: u64, init: Init) -> Result<Handle> {
        if !align.is_power_of_two() || align > MAX_ALIGN {
            return Err(Error::with_message(
                ErrorCode::InvalidArgument,
                format!("the alignment is a power of two from 1 to {MAX_ALIGN}, not {align}"),
            ));
        }
        if length > self.segment.geometry.size {
            return Err(Error::with_message(
                ErrorCode::OutOfMemory,
                format!("{length} bytes are more than the heap's limit of {}", self.segment.geometry.size),
            ));
        }
        let tcb = self.tcb()?;
        let request = Request { length, align: align.max(class::UNIT), zero: init == Init::Zeroed };
        let mut patience = Patience::short();
        loop {
            let cached = tcb.cache[region.index() as usize % tcb.cache.len()];
            if cached.region != region.to_bits() || region.is_null() {
                self.context_of_region(tcb, region, &mut patience)?;
                continue;
            }
            let context = self.segment.record::<Context>(cached.context)?;
            let Some(class) = class::of(length.max(if align > class::UNIT { align } else { 0 })) else {
                match self.alloc_large(tcb, context, cached.owner, request)? {
                    Some(handle) => return Ok(handle),
                    None => self.context_of_region(tcb, region, &mut patience)?,
                }
                continue;
            };
            match self.try_alloc(tcb, context, cached.owner, class, request)? {
                Ok(handle) => return Ok(handle),
                Err(Short::Moved) => self.context_of_region(tcb, region, &mut patience)?,
                Err(Short::Slots) => self.more_slots(context, cached.owner)?,
                Err(Short::Bytes) => self.more_bytes(context, cached.owner, class, request.align)?,
            }
        }
    }

    /// Finds this thread's context for a region's handle, or says why the region takes no allocation.
    #[cold]
    fn context_of_region(&self, tcb: &mut Tcb, handle: Handle, patience: &mut Patience) -> Result<()> {
        loop {
            let Some((index, record)) = self.region_record(handle) else { return Err(self.stale(tcb, handle)) };
            let word = record.control.acquire();
            if record.born.acquire() as u32 != handle.generation() {
                return Err(self.stale(tcb, handle));
            }
            if control::is_open(word) {
                return match self.context_slow(tcb, control::owner(word, index)) {
                    Err(error) if error.code() == ErrorCode::StaleHandle => continue,
                    result => result.map(|_| ()),
                };
            }
            if control::status(word) != control::CLOSING {
                // This thread's mark may have been what kept the region from being freed.
                crate::arena::finish_draining(self, index, control::epoch(word))?;
                return Err(self.stale(tcb, handle));
            }
            if !patience.wait() {
                crate::recovery::recover_dead(self)?;
                let word = record.control.acquire();
                if control::status(word) == control::CLOSING {
                    let closer = self.describe(control::attachment(word));
                    let message = format!("the region is being closed by {closer}, which does not go on");
                    return Err(Error::with_message(ErrorCode::Borrowed, message).about(handle));
                }
            }
        }
    }

    /// The lock-free allocation: from the thread's list, or the next slot of its block with the next bytes.
    #[inline]
    fn try_alloc(
        &self,
        tcb: &mut Tcb,
        context: &Context,
        owner: u64,
        class: usize,
        request: Request,
    ) -> Result<std::result::Result<Handle, Short>> {
        let region = self.segment.record::<RegionRecord>(control::region(owner))?;
        let head = context.head(class);
        // No slot yet is a number that no slot has.
        context.busy.set_relaxed(busy::ALLOC | head.wrapping_sub(1) & 0xffff_ffff);
        // Pairs with the closer's fence: it waits for the mark, or we see its change of control.
        sync::light();
        if !control::lives(region.control.acquire(), owner) {
            context.busy.set_release(0);
            return Ok(Err(Short::Moved));
        }
        let listed = match self.segment.linked::<Slot>(head) {
            Ok(listed) => listed,
            Err(error) => {
                context.busy.set_release(0);
                return Err(error);
            }
        };
        let listed = listed.filter(|(_, slot)| place::offset(slot.place.relaxed()).is_multiple_of(request.align));
        let (index, slot, used) = match listed {
            Some((index, slot)) => {
                context.set_head(class, slot.length.relaxed() & 0xffff_ffff);
                (index, slot, true)
            }
            None => match self.next_slot(context, class, request.align) {
                Ok(Some((index, slot))) => (index, slot, context.record.relaxed() & FRESH == 0),
                other => {
                    context.busy.set_release(0);
                    return match other {
                        Err(short) => Ok(Err(short)),
                        _ => Err(corrupt("a context names a slot beyond its table".to_string())),
                    };
                }
            },
        };
        let seed = self.segment.identity.seed;
        let Some(generation) = state::next_generation(slot.state.relaxed(), seed, index) else {
            // Used up; slots in lists and blocks are looked at before, so this is damage.
            context.busy.set_release(0);
            return Err(corrupt(format!("slot {index} has no generation left")));
        };
        let zero = request.zero && used;
        let long = zero && request.length > LONG_ZERO;
        if zero && !long {
            self.zero(slot, request.length)?;
        }
        slot.owner.set_release(owner);
        slot.length.set_relaxed(request.length);
        let handle = Handle::buffer(index, generation);
        let entry = if long { self.publish_unique(tcb, slot, handle, owner)? } else { None };
        if entry.is_none() {
            if long {
                self.zero(slot, request.length)?;
            }
            slot.state.set_release(state::of(generation));
        }
        context.counters[counter::ALLOCATIONS].count(1);
        context.counters[counter::BYTES_ALLOCATED].count(request.length);
        context.busy.set_release(0);
        if let Some(index) = entry {
            self.zero(slot, request.length)?;
            self.end_alloc_entry(tcb, index)?;
        }
        Ok(Ok(handle))
    }

    /// The next slot of the context's block, with bytes from its bump range.
    fn next_slot(
        &self,
        context: &Context,
        class: usize,
        align: u64,
    ) -> std::result::Result<Option<(u32, &Slot)>, Short> {
        let seed = self.segment.identity.seed;
        loop {
            let slots = context.slots.relaxed();
            let (next, end) = (slots >> 32, slots & 0xffff_ffff);
            if next >= end {
                return Err(Short::Slots);
            }
            let Some(start) = context.bump.relaxed().checked_next_multiple_of(align) else { return Ok(None) };
            let stop = start.saturating_add(class::size(class));
            if stop > context.bump_end.relaxed() {
                return Err(Short::Bytes);
            }
            context.slots.set_relaxed((next + 1) << 32 | end);
            let index = next as u32;
            let Some(slot) = self.segment.get::<Slot>(index) else { return Ok(None) };
            let old = slot.state.relaxed();
            // Kills begins that are still in flight from the slot's last region, which did not touch it when it closed.
            slot.state.set_relaxed(old & !0xffff_ffff | state::FREE);
            if state::next_generation(old, seed, index).is_none() {
                continue;
            }
            context.bump.set_relaxed(stop);
            slot.place.set_relaxed(place::new(class, start));
            return Ok(Some((index, slot)));
        }
    }

    fn zero(&self, slot: &Slot, length: u64) -> Result<()> {
        let offset = place::offset(slot.place.relaxed());
        let Some(bytes) = self.segment.bytes(offset, length) else {
            return Err(corrupt(format!("a buffer at {offset} with {length} bytes")));
        };
        // SAFETY: the range was checked to be in the segment, and belongs to a slot that this thread alone has yet.
        unsafe { bytes.as_ptr().write_bytes(0, length as usize) };
        Ok(())
    }

    /// Publishes a slot under a unique borrow of this thread. `None` if the ledger has no room.
    fn publish_unique(&self, tcb: &mut Tcb, slot: &Slot, handle: Handle, owner: u64) -> Result<Option<u32>> {
        let Some(index) = tcb.free_entries.pop() else { return Ok(None) };
        let entry = self.segment.record::<Entry>(index)?;
        let generation = phase::generation(entry.word.relaxed());
        let word = phase::new(generation, tcb.record, BorrowKind::Unique as u64 | phase::OWNED, phase::BEGIN);
        entry.handle.set_release(handle.to_bits());
        entry.owner.set_release(owner);
        entry.meta.set_release(u64::from(handle.index()) << 32 | u64::from(crate::sys::ticks()));
        entry.word.set_release(word);
        slot.state.set_release(state::of(handle.generation()) | state::UNIQUE | u64::from(index));
        entry.word.set_release(phase::with(word, phase::HELD));
        Ok(Some(index))
    }

    fn end_alloc_entry(&self, tcb: &mut Tcb, index: u32) -> Result<()> {
        let entry = self.segment.record::<Entry>(index)?;
        let word = entry.word.relaxed();
        self.end_entry(Some(tcb), index, entry, word, false)
    }

    /// Another block of slots for a context.
    #[cold]
    fn more_slots(&self, context: &Context, owner: u64) -> Result<()> {
        let locked = Locked::take(self)?;
        let region = self.segment.record::<RegionRecord>(control::region(owner))?;
        if control::lives(region.control.acquire(), owner) { take_block(&locked, region, context) } else { Ok(()) }
    }

    /// More bytes for a context: freed ones that no thread has, a chunk left by a reset, or a new chunk.
    #[cold]
    fn more_bytes(&self, context: &Context, owner: u64, class: usize, align: u64) -> Result<()> {
        let locked = Locked::take(self)?;
        let segment = &self.segment;
        let region = segment.record::<RegionRecord>(control::region(owner))?;
        if !control::lives(region.control.acquire(), owner) {
            return Ok(());
        }
        if context.head(class) == 0 && take_shared(&locked, region, context, class)? {
            return Ok(());
        }
        let need = (class::size(class) + if align > class::UNIT { align } else { 0 }).div_ceil(GRANULE);
        let mut change = locked.change();
        let (run, fresh) = match take_spare(&mut change, segment, region, need)? {
            Some(run) => {
                // A reset may have come before the pages of a large buffer were allocated.
                pages::commit_pages(segment, run)?;
                pages::mark_committed(&mut change, segment, run);
                (run, false)
            }
            None => {
                let reserved = change.get(&region.granules);
                let wanted = (reserved / 2 + 1).next_power_of_two().clamp(1, MAX_CHUNK).max(need);
                let run = new_chunk(&locked, &mut change, region, control::region(owner), need, wanted)?;
                pages::commit_pages(segment, run)?;
                pages::mark_committed(&mut change, segment, run);
                (run, run.fresh)
            }
        };
        change.set(&context.bump, run.first * GRANULE);
        change.set(&context.bump_end, (run.first + run.count) * GRANULE);
        let word = context.record.relaxed();
        change.set(&context.record, if fresh { word | FRESH } else { word & !FRESH });
        change.commit()
    }

    /// A buffer above 1 MiB: a chunk of its own. `None` if the region has moved on.
    #[cold]
    fn alloc_large(&self, tcb: &mut Tcb, context: &Context, owner: u64, request: Request) -> Result<Option<Handle>> {
        let segment = &self.segment;
        let region = segment.record::<RegionRecord>(control::region(owner))?;
        let count = request.length.div_ceil(GRANULE);
        if request.zero && tcb.free_entries.is_empty() {
            let (index, _) = self.take_entry(tcb)?;
            tcb.free_entries.push(index);
        }
        let mut locked = Locked::take(self)?;
        if !control::lives(region.control.acquire(), owner) {
            return Ok(None);
        }
        let mut change = locked.change();
        let (run, chunk) = match take_spare_exact(&mut change, segment, region, count)? {
            Some((run, chunk)) => (run, chunk),
            None => {
                let run = new_chunk(&locked, &mut change, region, control::region(owner), count, count)?;
                (run, change.get(&region.chunks) - 1)
            }
        };
        if run.needs_commit && run.count > SHORT_RUN {
            // The chunk is the region's from here on, and its pages are allocated without the lock.
            change.commit()?;
            drop(locked);
            let committed = pages::commit_pages(segment, run);
            locked = Locked::take(self)?;
            if control::epoch(region.control.acquire()) != control::epoch(owner) {
                return Ok(None);
            }
            change = locked.change();
            if let Err(error) = committed {
                release_chunk(&mut change, segment, region, chunk as u32)?;
                change.commit()?;
                return Err(error);
            }
            if !control::lives(region.control.acquire(), owner) {
                release_chunk(&mut change, segment, region, chunk as u32)?;
                change.commit()?;
                return Ok(None);
            }
        } else {
            pages::commit_pages(segment, run)?;
        }
        pages::mark_committed(&mut change, segment, run);
        change.commit()?;
        let published = self.publish_large(&locked, tcb, context, owner, (run, chunk), request);
        if published.is_err() {
            let mut change = locked.change();
            release_chunk(&mut change, segment, region, chunk as u32)?;
            change.commit()?;
        }
        let (index, slot, entry) = published?;
        drop(locked);
        if let Some(entry) = entry {
            self.zero(slot, request.length)?;
            self.end_alloc_entry(tcb, entry)?;
        }
        Ok(Some(index))
    }

    /// Publishes a slot over a chunk, under the lock, which keeps the region open.
    fn publish_large(
        &self,
        locked: &Locked<'_>,
        tcb: &mut Tcb,
        context: &Context,
        owner: u64,
        (run, chunk): (Run, u64),
        request: Request,
    ) -> Result<(Handle, &Slot, Option<u32>)> {
        let segment = &self.segment;
        let region = segment.record::<RegionRecord>(control::region(owner))?;
        let (index, slot) = loop {
            if let Some((index, slot)) = segment.linked::<Slot>(context.head(CLASS_LARGE))? {
                context.set_head(CLASS_LARGE, slot.length.relaxed() & 0xffff_ffff);
                break (index, slot);
            }
            let slots = context.slots.relaxed();
            let (next, end) = (slots >> 32, slots & 0xffff_ffff);
            if next >= end {
                take_block(locked, region, context)?;
                continue;
            }
            context.slots.set_relaxed((next + 1) << 32 | end);
            let slot = segment.record::<Slot>(next as u32)?;
            let old = slot.state.relaxed();
            slot.state.set_relaxed(old & !0xffff_ffff | state::FREE);
            if state::next_generation(old, segment.identity.seed, next as u32).is_some() {
                break (next as u32, slot);
            }
        };
        let Some(generation) = state::next_generation(slot.state.relaxed(), segment.identity.seed, index) else {
            return Err(corrupt(format!("slot {index} has no generation left")));
        };
        slot.place.set_relaxed(place::new(CLASS_LARGE, run.first * GRANULE));
        slot.owner.set_release(owner);
        slot.length.set_relaxed((chunk + 1) << 40 | request.length);
        let handle = Handle::buffer(index, generation);
        let zero = request.zero && !run.fresh;
        let entry = if zero { self.publish_unique(tcb, slot, handle, owner)? } else { None };
        if entry.is_none() {
            if zero {
                self.zero(slot, request.length)?;
            }
            slot.state.set_release(state::of(generation));
        }
        context.counters[counter::ALLOCATIONS].count(1);
        context.counters[counter::BYTES_ALLOCATED].count(request.length);
        Ok((handle, slot, entry))
    }

    /// Allocates and copies, and counts the copy.
    pub(crate) fn alloc_from(&self, region: Handle, bytes: &[u8], align: u64) -> Result<Handle> {
        let handle = self.alloc(region, bytes.len() as u64, align, Init::Uninit)?;
        let borrow = self.borrow_owned(handle, BorrowKind::Unique)?;
        // SAFETY: the unique borrow is of as many bytes, and no caller's slice overlaps a buffer that was just made.
        unsafe { borrow.pointer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.count_copy(handle, CopyReason::Ingest, bytes.len() as u64);
        self.end_owned(borrow.token);
        Ok(handle)
    }

    /// Frees one buffer.
    pub(crate) fn free(&self, handle: Handle) -> Result<()> {
        enum Freed {
            Listed(u64),
            Large { chunk: u64, owner: u64 },
            Stale,
            Held,
            Recount,
        }
        let tcb = self.tcb()?;
        let seed = self.segment.identity.seed;
        let mut patience = Patience::short();
        loop {
            let freed = self.pinned(tcb, handle, |context, slot| {
                let mut state = slot.state.relaxed();
                context.busy.set_relaxed(busy::FREE | u64::from(handle.index()));
                loop {
                    if state::generation(state) != handle.generation() || state & state::FREE != 0 {
                        return Freed::Stale;
                    }
                    if state & state::RECOVERING != 0 {
                        return Freed::Recount;
                    }
                    if state & (state::UNIQUE | state::COUNT) != 0 {
                        return Freed::Held;
                    }
                    match slot.state.cas_full(state, state::of(handle.generation()) | state::FREE) {
                        Ok(_) => break,
                        Err(now) => state = now,
                    }
                }
                let length = slot.length.relaxed();
                context.counters[counter::FREES].count(1);
                context.counters[counter::BYTES_FREED].count(length & place::LENGTH);
                let class = place::class(slot.place.relaxed());
                if class == CLASS_LARGE {
                    return Freed::Large { chunk: length >> 40, owner: slot.owner.relaxed() };
                }
                let class = class.min(CLASSES - 1);
                let depth = push_slot(&self.segment, context, class, handle.index(), slot, seed);
                Freed::Listed(if depth >= LIST { class as u64 + 1 } else { 0 })
            })?;
            match freed {
                Freed::Listed(0) => return Ok(()),
                Freed::Listed(class) => return self.share_list(tcb, handle, class as usize - 1),
                Freed::Large { chunk, owner } => return self.free_large(tcb, handle, chunk, owner),
                Freed::Stale => return Err(self.stale(tcb, handle)),
                Freed::Held if crate::recovery::recover_holders(self, handle)? => {}
                Freed::Held => return Err(self.conflict(tcb, ErrorCode::Borrowed, handle)),
                Freed::Recount if patience.wait() => {}
                Freed::Recount => {
                    crate::recovery::recover_dead(self)?;
                    patience = Patience::short();
                }
            }
        }
    }

    /// Gives a thread's long list of freed slots to the region, for any thread to take.
    #[cold]
    fn share_list(&self, tcb: &mut Tcb, handle: Handle, class: usize) -> Result<()> {
        let segment = &self.segment;
        let owner = segment.record::<Slot>(handle.index())?.owner.acquire();
        let locked = Locked::take(self)?;
        let Some(context) = self.context(tcb, owner) else { return Ok(()) };
        let region = segment.record::<RegionRecord>(control::region(owner))?;
        if !control::lives(region.control.acquire(), owner) || context.owner.relaxed() != owner {
            return Ok(());
        }
        let head = context.head(class);
        let mut tail = head;
        for _ in 0..LIST * 2 {
            let Some((_, slot)) = segment.linked::<Slot>(tail)? else { return Ok(()) };
            let next = slot.length.relaxed() & 0xffff_ffff;
            if next == 0 {
                break;
            }
            tail = next;
        }
        let Some((_, last)) = segment.linked::<Slot>(tail)? else { return Ok(()) };
        let mut change = locked.change();
        let shared = head_of(&change, &region.shared[class / 2], class);
        change.set(&last.length, shared);
        set_head_in(&mut change, &region.shared[class / 2], class, head);
        set_head_in(&mut change, &context.heads[class / 2], class, 0);
        change.commit()
    }

    /// Gives the chunk of a large buffer back to the heap, and keeps its slot.
    #[cold]
    fn free_large(&self, tcb: &mut Tcb, handle: Handle, chunk: u64, owner: u64) -> Result<()> {
        let segment = &self.segment;
        let locked = Locked::take(self)?;
        let region = segment.record::<RegionRecord>(control::region(owner))?;
        let Some(context) = self.context(tcb, owner) else { return Ok(()) };
        if !control::lives(region.control.acquire(), owner) || context.owner.relaxed() != owner {
            return Ok(());
        }
        let Some(chunk) = chunk.checked_sub(1) else { return Err(corrupt(format!("{handle} has no chunk"))) };
        let mut change = locked.change();
        release_chunk(&mut change, segment, region, chunk as u32)?;
        change.commit()?;
        let slot = segment.record::<Slot>(handle.index())?;
        push_slot(segment, context, CLASS_LARGE, handle.index(), slot, segment.identity.seed);
        Ok(())
    }
}
