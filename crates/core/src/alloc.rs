//! Allocation and free: without a lock from a thread's context, under it when the context needs a block or a chunk, and
//! for buffers that are a chunk of their own (R1, R2, R6, K2).
//!
//! A thread marks its context busy before it looks at the region and until its slot is published: a closer changes the
//! region's control word, then waits for the mark to go.

use crate::attachment::Attachment;
use crate::chunks::{new_chunk, take_block, take_spare};
use crate::context::{FRESH, Here, busy, head_of, is_long, list_head, push_slot, set_head_in, take_shared};
use crate::entries::FreeEntry;
use crate::error::{Error, ErrorCode, Result};
use crate::fast::Listed;
use crate::fault::{Fault, planted};
use crate::handle::{Handle, HandleKind};
use crate::heap::Init;
use crate::journal::Locked;
use crate::large::{Freed, NEW_KIND, free_state};
use crate::layout::*;
use crate::pages;
use crate::runtime::CopyReason;
use crate::snapshot::BorrowKind;
use crate::sync::{self, Patience};
use crate::sys;
use crate::threads::Tcb;
use crate::told::{corrupt, told, told_with};

/// Zeroing more than this is done under a unique borrow, so that a closer sees a holder and need not wait.
const LONG_ZERO: u64 = 64 << 10;
const MAX_CHUNK: u64 = (64 << 20) / GRANULE;

/// Why the fast path of an allocation could not go on.
#[derive(Clone, Copy)]
enum Short {
    /// The thread has nothing of the region at hand, or the region has moved on.
    Moved,
    Slots,
    Bytes,
    /// It is a chunk of its own.
    Large,
    /// It is made, and yet to be zeroed under the borrow with the entry at hand.
    Zero,
    /// A slot cannot be what a list or a block says.
    Damaged,
}

/// The buffer's request, checked.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) length: u64,
    align: u64,
    pub(crate) zero: bool,
}

impl Request {
    #[inline]
    fn new(length: u64, align: u64, init: Init) -> Request {
        Request { length, align: align.max(class::UNIT), zero: init == Init::Zeroed }
    }

    /// The class of sizes: one that holds the alignment too, so that a freed buffer of it serves either.
    #[inline]
    fn class(&self) -> Option<usize> {
        class::of(if self.align > class::UNIT { self.length.max(self.align) } else { self.length })
    }
}

impl Attachment {
    /// Allocates a buffer.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn alloc(&self, region: Handle, length: u64, align: u64, init: Init) -> Result<Handle> {
        if !align.is_power_of_two() || align > MAX_ALIGN || length > self.segment.geometry.size {
            return Err(self.no_request(length, align));
        }
        // Taken apart and put together again: what a call may need is not kept in memory where there is none.
        match self.alloc_fast(region, Request::new(length, align, init)) {
            Ok(handle) => Ok(handle),
            Err(short) => match self.alloc_slow(region, length, align, init, short) {
                Ok(handle) => Ok(handle),
                Err(error) => Err(error),
            },
        }
    }

    /// The error for what nobody can be given.
    #[cold]
    #[inline(never)]
    fn no_request(&self, length: u64, align: u64) -> Error {
        if !align.is_power_of_two() || align > MAX_ALIGN {
            return told!(
                ErrorCode::InvalidArgument,
                "the alignment is a power of two from 1 to {}, not {}",
                MAX_ALIGN,
                align
            );
        }
        told!(
            ErrorCode::OutOfMemory,
            "{} bytes are more than the heap's limit of {}",
            length,
            self.segment.geometry.size
        )
    }

    /// Allocates from what the thread has at hand.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn alloc_fast(&self, region: Handle, request: Request) -> std::result::Result<Handle, Short> {
        let tcb = &self.tcb_fast().ok_or(Short::Moved)?;
        let here = tcb.here_of(region).ok_or(Short::Moved)?;
        let class = request.class().ok_or(Short::Large)?;
        self.try_alloc(tcb, &here, class, request)
    }

    #[cold]
    #[inline(never)]
    fn alloc_slow(&self, region: Handle, length: u64, align: u64, init: Init, mut short: Short) -> Result<Handle> {
        let request = Request::new(length, align, init);
        let tcb = &self.tcb()?;
        let mut patience = Patience::short();
        loop {
            match (short, tcb.here_of(region)) {
                (Short::Moved, _) | (_, None) => self.context_of_region(tcb, region, &mut patience)?,
                (Short::Slots, Some(here)) => self.more_slots(&here)?,
                (Short::Bytes, Some(here)) => self.more_bytes(&here, request)?,
                (Short::Large, Some(here)) => match self.alloc_large(tcb, &here, request)? {
                    Some(handle) => return Ok(handle),
                    None => self.context_of_region(tcb, region, &mut patience)?,
                },
                (Short::Zero, _) => {
                    let handle = Handle::from_bits(tcb.free_entries.at_hand().0.handle.relaxed());
                    self.zero(self.segment.record(handle.index())?, request.length)?;
                    self.end_new(tcb, tcb.free_entries.index())?;
                    return Ok(handle);
                }
                (Short::Damaged, _) => {
                    return Err(corrupt!("a slot that region {} was to hand out is not there", region.index()));
                }
            }
            short = match self.alloc_fast(region, request) {
                Ok(handle) => return Ok(handle),
                Err(short) => short,
            };
        }
    }

    /// Finds this thread's context for a region's handle, or says why the region takes no allocation.
    #[cold]
    fn context_of_region(&self, tcb: &Tcb, handle: Handle, patience: &mut Patience) -> Result<()> {
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
            if !control::is_closing(word, control::owner(word, index)) {
                // This thread's mark may have been what kept the region from being freed.
                crate::arena::finish_draining(self, index, control::epoch(word))?;
                return Err(self.stale(tcb, handle));
            }
            if !patience.wait() {
                crate::recovery::recover_dead(self)?;
                let word = record.control.acquire();
                if control::is_closing(word, control::owner(word, index)) {
                    let closer = self.describe(control::attachment(word));
                    return Err(told_with!(
                        ErrorCode::Borrowed,
                        "the region is being closed by {}, which does not go on",
                        &closer
                    )
                    .about(handle));
                }
            }
        }
    }

    /// The lock-free allocation: from the thread's list, or the next slot of its block with the next bytes.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn try_alloc(
        &self,
        tcb: &Tcb,
        here: &Here<'_>,
        class: usize,
        request: Request,
    ) -> std::result::Result<Handle, Short> {
        let context = here.context;
        let head = context.head(class);
        // No slot yet is a number that no slot has.
        context.busy.set_relaxed(busy::ALLOC | head.wrapping_sub(1) & 0xffff_ffff);
        // Pairs with the closer's fence: it waits for the mark, or we see its change of control.
        sync::light(self.segment.cheap);
        let made = match control::lives(here.region.control.acquire(), here.owner) {
            true => self.make(tcb, here, (class, head), request),
            false => Err(Short::Moved),
        };
        context.busy.set_release(0);
        made
    }

    /// Makes a buffer under the thread's mark.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn make(
        &self,
        tcb: &Tcb,
        here: &Here<'_>,
        (class, head): (usize, u64),
        request: Request,
    ) -> std::result::Result<Handle, Short> {
        let context = here.context;
        let (index, slot, generation, used) = match self.listed(tcb, head, request.align)? {
            Some((index, slot)) => {
                context.set_head(class, slot.length.relaxed() & 0xffff_ffff);
                slot.owner.set_release(here.owner);
                // One that is used up is on no list (K2).
                let kept = state::generation(slot.state.relaxed());
                let generation = if planted(Fault::GenerationKept) { kept } else { kept.wrapping_add(2) };
                (index, slot, generation, true)
            }
            // Freed slots that no thread has come before memory that was never used.
            None if head == 0 && list_head(&here.region.shared, class) != 0 => {
                return Err(Short::Bytes);
            }
            None => {
                let (index, slot, generation) = self.next_slot(tcb, here, class, request.align)?;
                (index, slot, generation, context.record.relaxed() & FRESH == 0)
            }
        };
        let handle = Handle::buffer(index, generation);
        slot.length.set_relaxed(extent::new(request.length));
        context.counters[counter::ALLOCATIONS].count(1);
        context.counters[counter::BYTES_ALLOCATED].count(request.length);
        if request.zero && used {
            return self.publish_zeroed(tcb, slot, handle, request.length);
        }
        slot.state.set_release(state::of(generation));
        Ok(handle)
    }

    /// Publishes a buffer whose bytes had another owner: zeroed, or to be zeroed under a borrow if that takes long.
    #[inline(never)]
    fn publish_zeroed(
        &self,
        tcb: &Tcb,
        slot: &Slot,
        handle: Handle,
        length: u64,
    ) -> std::result::Result<Handle, Short> {
        let damaged = |_| Short::Damaged;
        let entry = if !sys::ALONE && length > LONG_ZERO { self.begin_new(tcb, handle) } else { None };
        let Some(entry) = entry else {
            self.zero(slot, length).map_err(damaged)?;
            slot.state.set_release(state::of(handle.generation()));
            return Ok(handle);
        };
        slot.state.set_release(state::of(handle.generation()) | state::UNIQUE | u64::from(entry));
        self.hold_new(entry).map_err(damaged)?;
        Err(Short::Zero)
    }

    /// The first slot of a list, if there is one and its bytes are aligned.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn listed<'a>(
        &'a self,
        tcb: &'a Tcb,
        head: u64,
        align: u64,
    ) -> std::result::Result<Option<(u32, &'a Slot)>, Short> {
        if head == 0 {
            return Ok(None);
        }
        let index = (head - 1) as u32;
        let slot = self.slot_near(tcb, index).ok_or(Short::Damaged)?;
        let aligned = align == class::UNIT || place::offset(slot.place.relaxed()).is_multiple_of(align);
        Ok(aligned.then_some((index, slot)))
    }

    /// The next slot of the context's block, with bytes from its bump range. The block goes on last: a slot below its
    /// next one is somebody's, or named by the mark (`recovery`).
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn next_slot<'a>(
        &'a self,
        tcb: &'a Tcb,
        here: &Here<'_>,
        class: usize,
        align: u64,
    ) -> std::result::Result<(u32, &'a Slot, u32), Short> {
        let context = here.context;
        loop {
            let slots = context.slots.relaxed();
            let (next, end) = (slots >> 32, slots & 0xffff_ffff);
            if next >= end {
                return Err(Short::Slots);
            }
            let bump = context.bump.relaxed();
            let start = if align == class::UNIT { bump } else { bump.saturating_add(align - 1) & !(align - 1) };
            let stop = start.saturating_add(class::size(class));
            if stop > context.bump_end.relaxed() {
                return Err(Short::Bytes);
            }
            let index = next as u32;
            let slot = self.slot_near(tcb, index).ok_or(Short::Damaged)?;
            context.busy.set_release(busy::ALLOC | next);
            let old = slot.state.relaxed();
            // Kills begins that are still in flight from the slot's last region, which did not touch it when it closed.
            if !planted(Fault::Invalidate) {
                slot.state.set_release(old & !0xffff_ffff | state::FREE);
            }
            let generation = state::next_generation(old, self.segment.identity.seed, index);
            if generation.is_some() {
                slot.place.set_release(place::new(class, start));
                slot.owner.set_release(here.owner);
                context.bump.set_release(stop);
            }
            context.slots.set_release((next + 1) << 32 | end);
            if let Some(generation) = generation {
                return Ok((index, slot, generation));
            }
        }
    }

    fn zero(&self, slot: &Slot, length: u64) -> Result<()> {
        self.zero_at(place::offset(slot.place.relaxed()), length)
    }

    pub(crate) fn zero_at(&self, offset: u64, length: u64) -> Result<()> {
        let Some(bytes) = self.segment.bytes(offset, length) else {
            return Err(corrupt!("a buffer at {} with {} bytes", offset, length));
        };
        #[cfg(loom)]
        crate::model::write(bytes.as_ptr(), length as usize);
        // SAFETY: the range was checked to be in the segment, and belongs to a slot that this thread alone has yet.
        unsafe { bytes.as_ptr().write_bytes(0, length as usize) };
        Ok(())
    }

    /// Begins the unique borrow under which a new buffer is zeroed; `None` if the ledger has no room.
    pub(crate) fn begin_new(&self, tcb: &Tcb, handle: Handle) -> Option<u32> {
        let FreeEntry { index, entry, word } = tcb.free_entries.pop()?;
        entry.handle.set_release(handle.to_bits());
        entry.meta.set_release(meta::new(sys::ticks()));
        entry.word.set_release(phase::begun(word, tcb.mark, NEW_KIND));
        Some(index)
    }

    pub(crate) fn hold_new(&self, index: u32) -> Result<()> {
        let entry = self.segment.record::<Entry>(index)?;
        entry.word.set_release(phase::with(entry.word.relaxed(), phase::HELD));
        Ok(())
    }

    pub(crate) fn end_new(&self, tcb: &Tcb, index: u32) -> Result<()> {
        let entry = self.segment.record::<Entry>(index)?;
        let word = entry.word.relaxed();
        self.end_entry(Some(tcb), index, entry, word, false)
    }

    /// Another block of slots for a context.
    #[cold]
    fn more_slots(&self, here: &Here<'_>) -> Result<()> {
        let locked = Locked::take(self)?;
        let lives = control::lives(here.region.control.acquire(), here.owner);
        if lives { take_block(&locked, here.region, here.context) } else { Ok(()) }
    }

    /// More bytes for a context: freed ones that no thread has, a chunk left by a reset, or a new chunk.
    #[cold]
    fn more_bytes(&self, here: &Here<'_>, request: Request) -> Result<()> {
        let (Some(class), align) = (request.class(), request.align) else { return Ok(()) };
        let locked = Locked::take(self)?;
        let segment = &self.segment;
        let Here { owner, context, region, .. } = *here;
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
                let wanted = (reserved / 8 + 1).next_power_of_two().clamp(1, MAX_CHUNK).max(need);
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

    /// Allocates and copies, and counts the copy.
    pub(crate) fn alloc_from(&self, region: Handle, bytes: &[u8], align: u64) -> Result<Handle> {
        let handle = self.alloc(region, bytes.len() as u64, align, Init::Uninit)?;
        // Nobody else has the handle: this fails only where the ledger is full or damaged.
        let borrow = match self.borrow_owned(handle, BorrowKind::Unique) {
            Ok(borrow) => borrow,
            Err(error) => return Err(self.free(handle).map_or_else(|_| error.clone(), |()| error.clone())),
        };
        // SAFETY: the unique borrow is of as many bytes, and no caller's slice overlaps a buffer that was just made.
        unsafe { borrow.pointer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.count_copy(handle, CopyReason::Ingest, bytes.len() as u64);
        self.end_owned(borrow.token);
        Ok(handle)
    }

    /// Frees one buffer.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn free(&self, handle: Handle) -> Result<()> {
        match self.free_fast(handle) {
            Listed::Short => Ok(()),
            listed => match self.free_slow(handle, listed) {
                Ok(()) => Ok(()),
                Err(error) => Err(error),
            },
        }
    }

    #[cold]
    #[inline(never)]
    fn free_slow(&self, handle: Handle, mut listed: Listed) -> Result<()> {
        if listed == Listed::Not && self.come_near(handle) {
            listed = self.free_fast(handle);
        }
        let tcb = &self.tcb()?;
        let mut patience = Patience::short();
        let slot = self.segment.get::<Slot>(handle.index());
        let mut large = slot.is_some_and(is_large);
        loop {
            let freed = match (listed, large) {
                (Listed::Short, _) => return Ok(()),
                (Listed::Long, _) => Freed::Listed(slot.map_or(0, |slot| place::class(slot.place.relaxed())), true),
                (Listed::Not, true) if handle.kind() == HandleKind::Buffer => self.free_large(tcb, handle)?,
                _ => self.pinned(tcb, handle, |at, context, slot| self.free_small(at, context, handle, slot))?,
            };
            match freed {
                Freed::Listed(class, true) => {
                    // The buffer is free whatever becomes of the list.
                    if let Err(error) = self.share_list(tcb, handle, class) {
                        tracing::debug!(%error, "a list of freed slots stays with its thread");
                    }
                    return Ok(());
                }
                Freed::Listed(..) => return Ok(()),
                Freed::Large => large = true,
                Freed::Stale => return Err(self.stale(tcb, handle)),
                Freed::Held if crate::recovery::recover_holders(self, handle)? => {}
                Freed::Held => return Err(self.conflict(tcb, ErrorCode::Borrowed, handle)),
                Freed::Recount if patience.wait() => {}
                Freed::Recount => {
                    if !crate::recovery::settle_slot(self, handle.index())? {
                        return Err(self.conflict(tcb, ErrorCode::Borrowed, handle));
                    }
                    patience = Patience::short();
                }
            }
        }
    }

    fn free_small(&self, at: u32, context: &Context, handle: Handle, slot: &Slot) -> Freed {
        let class = place::class(slot.place.relaxed());
        if class >= CLASS_LARGE {
            return Freed::Large;
        }
        context.busy.set_relaxed(busy::FREE | u64::from(handle.index()));
        if let Some(refused) = free_state(slot, handle, at) {
            return refused;
        }
        context.counters[counter::FREES].count(1);
        context.counters[counter::BYTES_FREED].count(extent::length(slot.length.relaxed()));
        let seed = self.segment.identity.seed;
        let depth = push_slot(context, class, (handle.index(), slot), seed, |first| self.segment.get(first));
        let region = self.segment.get::<RegionRecord>(control::region(slot.owner.relaxed()));
        Freed::Listed(class, region.is_some_and(|region| is_long(&self.segment, region, class, depth)))
    }

    /// Gives a thread's long list of freed slots to the region, for any thread to take.
    #[cold]
    fn share_list(&self, tcb: &Tcb, handle: Handle, class: usize) -> Result<()> {
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
        for _ in 0..segment.capacity(Table::Slots) {
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
}

fn is_large(slot: &Slot) -> bool {
    place::class(slot.place.relaxed()) == CLASS_LARGE
}

/// Uses up the generations of a buffer's slot but for the one that it gives, which the slot has from here on.
#[cfg(loom)]
pub(crate) fn wear_out(attachment: &Attachment, buffer: Handle) -> Handle {
    let slot = attachment.segment.get::<Slot>(buffer.index()).expect("the slot of a buffer");
    let last = state::first_generation(attachment.segment.identity.seed, buffer.index()).wrapping_sub(2);
    slot.state.set_relaxed(state::of(last) | slot.state.relaxed() & 0xffff_ffff);
    Handle::buffer(buffer.index(), last)
}

#[cfg(loom)]
pub(crate) fn bytes_of(attachment: &Attachment, buffer: Handle) -> (*const u8, usize) {
    let slot = attachment.segment.get::<Slot>(buffer.index()).expect("the slot of a buffer");
    let (offset, length) = (place::offset(slot.place.relaxed()), extent::length(slot.length.relaxed()));
    (attachment.segment.bytes(offset, length).expect("bytes in the segment").as_ptr(), length as usize)
}
