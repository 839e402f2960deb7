//! Buffers above 1 MiB: each is a chunk of its own, taken and given back under the lock in one change with its slot, so
//! that no death leaves one without the other (R1, R2, C1).

use crate::alloc::Request;
use crate::attachment::Attachment;
use crate::chunks::{new_chunk, pending, release_chunk, take_block, take_spare_exact};
use crate::context::{Here, busy, head_of, is_long, set_head_in, take_shared};
use crate::error::Result;
use crate::fault::Fault;
use crate::handle::Handle;
use crate::journal::{Change, Locked};
use crate::layout::*;
use crate::pages;
use crate::segment::Segment;
use crate::snapshot::BorrowKind;
use crate::sys;
use crate::threads::Tcb;
use crate::told::corrupt;

/// Runs up to this many granules have their pages allocated under the lock (1 MiB).
const SHORT_RUN: u64 = 16;

/// What a try to free a buffer came to.
pub(crate) enum Freed {
    /// Done; whether the thread's list of this class is long now.
    Listed(usize, bool),
    Large,
    Stale,
    Held,
    Recount,
}

/// One try to free a slot by its state: `None` if it may go on and has been marked as freed by this context.
pub(crate) fn free_state(slot: &Slot, handle: Handle, context: u32) -> Option<Freed> {
    let mut state = slot.state.relaxed();
    loop {
        if state::generation(state) != handle.generation() || state & state::FREE != 0 {
            return Some(Freed::Stale);
        }
        if state & state::RECOVERING != 0 {
            return Some(Freed::Recount);
        }
        if state & state::BORROWED != 0 {
            return Some(Freed::Held);
        }
        match slot.state.cas_full_or(Fault::FreeByStore, state, state::freed(handle.generation(), context)) {
            Ok(_) => return None,
            Err(now) => state = now,
        }
    }
}

impl Attachment {
    /// Allocates a buffer that is a chunk. `None` if the region has moved on.
    #[cold]
    pub(crate) fn alloc_large(&self, tcb: &Tcb, here: &Here<'_>, request: Request) -> Result<Option<Handle>> {
        let segment = &self.segment;
        let Here { index: at, owner, context, region, .. } = *here;
        let region_index = control::region(owner);
        let count = request.length.div_ceil(GRANULE);
        if request.zero {
            self.take_entry(tcb)?;
        }
        let moved = || !control::lives(region.control.acquire(), owner) || context.owner.relaxed() != owner;
        let mut locked = Locked::take(self)?;
        if moved() {
            return Ok(None);
        }
        let mut place = large_slot(&locked, region, context)?;
        let mut change = locked.change();
        let (run, chunk_index) = match take_spare_exact(&mut change, segment, region, count)? {
            Some(spare) => spare,
            None => {
                let run = new_chunk(&locked, &mut change, region, region_index, count, count)?;
                (run, (change.get(&region.chunks) - 1) as u32)
            }
        };
        let chunk = segment.record::<Chunk>(chunk_index)?;
        if sys::SHARED_HEAPS && run.needs_commit && run.count > SHORT_RUN {
            // The chunk is the region's from here on, on behalf of this context, and its pages are allocated without
            // the lock.
            change.set(&chunk.region, pending(region_index, Some(at)));
            change.commit()?;
            drop(locked);
            let committed = pages::commit_pages(segment, run);
            locked = Locked::take(self)?;
            if control::epoch(region.control.acquire()) != control::epoch(owner) {
                return Ok(None);
            }
            if committed.is_err() || moved() {
                let mut change = locked.change();
                release_chunk(&mut change, segment, region, region_index, chunk_index)?;
                change.commit()?;
                return committed.map(|()| None);
            }
            place = large_slot(&locked, region, context)?;
            change = locked.change();
        } else {
            pages::commit_pages(segment, run)?;
        }
        pages::mark_committed(&mut change, segment, run);
        change.set(&chunk.region, pending(region_index, None));
        let slot = segment.record::<Slot>(place.index)?;
        let generation = state::next_generation(slot.state.relaxed(), segment.identity.seed, place.index)
            .ok_or_else(|| corrupt!("slot {} has no generation left", place.index))?;
        let handle = Handle::buffer(place.index, generation);
        // Kills begins that are still in flight from the slot's last life.
        slot.state.set_release(slot.state.relaxed() & !0xffff_ffff | state::FREE);
        match place.listed {
            true => set_head_in(&mut change, &context.heads[CLASS_LARGE / 2], CLASS_LARGE, place.next),
            false => change.set(&context.slots, place.next),
        }
        change.set(&slot.place, place::new(CLASS_LARGE, run.first * GRANULE));
        change.set(&slot.owner, owner);
        change.set(&slot.length, extent::in_chunk(request.length, chunk_index));
        for (counter, n) in [(counter::ALLOCATIONS, 1), (counter::BYTES_ALLOCATED, request.length)] {
            let counter = &context.counters[counter];
            change.set(counter, change.get(counter).wrapping_add(n));
        }
        let zero = request.zero && !run.fresh;
        let entry = if zero && !sys::ALONE { self.begin_new(tcb, handle) } else { None };
        match entry {
            Some(entry) => change.set(&slot.state, state::of(generation) | state::UNIQUE | u64::from(entry)),
            None => {
                if zero {
                    self.zero_at(run.first * GRANULE, request.length)?;
                }
                change.set(&slot.state, state::of(generation));
            }
        }
        change.commit()?;
        drop(locked);
        if let Some(entry) = entry {
            self.hold_new(entry)?;
            self.zero_at(run.first * GRANULE, request.length)?;
            self.end_new(tcb, entry)?;
        }
        Ok(Some(handle))
    }

    /// Frees a buffer that is a chunk: the chunk goes back to the heap, the slot to this thread's list.
    #[cold]
    pub(crate) fn free_large(&self, tcb: &Tcb, handle: Handle) -> Result<Freed> {
        let segment = &self.segment;
        let locked = Locked::take(self)?;
        let slot = segment.record::<Slot>(handle.index())?;
        let owner = slot.owner.acquire();
        let region = segment.record::<RegionRecord>(control::region(owner))?;
        let state = slot.state.acquire();
        let live = state::generation(state) == handle.generation() && state & state::FREE == 0;
        if !live || !control::lives(region.control.acquire(), owner) {
            return Ok(Freed::Stale);
        }
        let at = self.find_context(&locked, tcb, region, owner)?;
        let context = segment.record::<Context>(at)?;
        let mut change = locked.change();
        let depth = give_back(&mut change, segment, region, at, (handle.index(), slot))?;
        context.busy.set_release(busy::FREE | u64::from(handle.index()));
        if let Some(refused) = free_state(slot, handle, at) {
            context.busy.set_release(0);
            return Ok(refused);
        }
        change.commit()?;
        Ok(Freed::Listed(CLASS_LARGE, is_long(segment, region, CLASS_LARGE, depth)))
    }
}

/// Gives the chunk of a freed large slot back and lists the slot, as part of a change that also ends the context's mark.
/// Returns the list's depth.
fn give_back(
    change: &mut Change<'_>,
    segment: &Segment,
    region: &RegionRecord,
    at: u32,
    (index, slot): (u32, &Slot),
) -> Result<u64> {
    let context = segment.record::<Context>(at)?;
    let chunk =
        extent::chunk(slot.length.relaxed()).ok_or_else(|| corrupt!("slot {} is large and has no chunk", index))?;
    release_chunk(change, segment, region, control::region(slot.owner.relaxed()), chunk)?;
    for (counter, n) in [(counter::FREES, 1), (counter::BYTES_FREED, extent::length(slot.length.relaxed()))] {
        let counter = &context.counters[counter];
        change.set(counter, change.get(counter).wrapping_add(n));
    }
    change.set(&context.busy, 0);
    if state::next_generation(slot.state.relaxed(), segment.identity.seed, index).is_none() {
        return Ok(0);
    }
    let head = head_of(change, &context.heads[CLASS_LARGE / 2], CLASS_LARGE);
    let depth = match segment.linked::<Slot>(head)? {
        Some((_, first)) => (first.length.relaxed() >> 32) + 1,
        None => 1,
    };
    change.set(&slot.length, depth << 32 | head);
    set_head_in(change, &context.heads[CLASS_LARGE / 2], CLASS_LARGE, u64::from(index) + 1);
    Ok(depth)
}

/// Completes a free of a large buffer that a dead thread had marked in the slot and not yet done.
pub(crate) fn settle_free(locked: &Locked<'_>, region: &RegionRecord, at: u32, index: u32, slot: &Slot) -> Result<()> {
    let mut change = locked.change();
    give_back(&mut change, locked.segment, region, at, (index, slot))?;
    change.commit()
}

/// Frees a buffer whose allocation a dead process had not finished, so that nobody has its handle. `entry` is its
/// borrow's index.
pub(crate) fn free_unfinished(locked: &Locked<'_>, entry: u32, index: u32, slot: &Slot) -> Result<()> {
    let segment = locked.segment;
    let (state, owner) = (slot.state.acquire(), slot.owner.acquire());
    let held = state & state::UNIQUE != 0 && state & state::COUNT == u64::from(entry);
    let region = segment.record::<RegionRecord>(control::region(owner))?;
    if !held || control::epoch(region.control.acquire()) != control::epoch(owner) {
        return Ok(());
    }
    let class = place::class(slot.place.relaxed()).min(CLASS_LARGE);
    let mut change = locked.change();
    let bytes = extent::length(slot.length.relaxed());
    change.set(&region.dropped, change.get(&region.dropped).wrapping_add(1));
    change.set(&region.dropped_bytes, change.get(&region.dropped_bytes).wrapping_add(bytes));
    if class == CLASS_LARGE {
        let chunk = extent::chunk(slot.length.relaxed()).unwrap_or(0);
        release_chunk(&mut change, segment, region, control::region(owner), chunk)?;
    }
    if state::next_generation(state, segment.identity.seed, index).is_some() {
        let head = head_of(&change, &region.shared[class / 2], class);
        change.set(&slot.length, head);
        set_head_in(&mut change, &region.shared[class / 2], class, u64::from(index) + 1);
    }
    change.set(&slot.state, state::of(state::generation(state)) | state::FREE);
    change.commit()
}

/// Gives chunks back that a dead thread had taken for a buffer which it did not come to make.
pub(crate) fn release_pending(locked: &Locked<'_>, at: u32) -> Result<()> {
    let segment = locked.segment;
    let owner = segment.record::<Context>(at)?.owner.acquire();
    let region_index = control::region(owner);
    let region = segment.record::<RegionRecord>(region_index)?;
    if owner == 0 || control::epoch(region.control.acquire()) != control::epoch(owner) {
        return Ok(());
    }
    let mut left = Vec::new();
    for index in segment.links(&region.chunks, |c: &Chunk| &c.next) {
        let index = index?;
        if segment.record::<Chunk>(index)?.region.acquire() == pending(region_index, Some(at)) {
            left.push(index);
        }
    }
    for index in left {
        let mut change = locked.change();
        release_chunk(&mut change, segment, region, region_index, index)?;
        change.commit()?;
    }
    Ok(())
}

/// The slot that a large buffer is to have: the first of a context's list, or the next of its block.
struct Place {
    index: u32,
    listed: bool,
    /// The list's head, or the context's `slots`, once it is taken.
    next: u64,
}

fn large_slot(locked: &Locked<'_>, region: &RegionRecord, context: &Context) -> Result<Place> {
    let segment = locked.segment;
    if context.head(CLASS_LARGE) == 0 {
        take_shared(locked, region, context, CLASS_LARGE)?;
    }
    if let Some((index, slot)) = segment.linked::<Slot>(context.head(CLASS_LARGE))? {
        return Ok(Place { index, listed: true, next: slot.length.relaxed() & 0xffff_ffff });
    }
    loop {
        let slots = context.slots.relaxed();
        let (next, end) = (slots >> 32, slots & 0xffff_ffff);
        if next >= end {
            take_block(locked, region, context)?;
            continue;
        }
        let after = (next + 1) << 32 | end;
        let old = segment.record::<Slot>(next as u32)?.state.relaxed();
        if state::next_generation(old, segment.identity.seed, next as u32).is_some() {
            return Ok(Place { index: next as u32, listed: false, next: after });
        }
        // Used up: left out for good (K2).
        context.slots.set_release(after);
    }
}

/// What an entry's word says beside the phase, for the borrow under which a new buffer is zeroed.
pub(crate) const NEW_KIND: u64 = BorrowKind::Unique as u64 | phase::OWNED | phase::NEW;
