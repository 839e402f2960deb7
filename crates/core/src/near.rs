//! What a thread used last of a heap, a step from its block: the extent of slots, the region. The short ways (`fast`)
//! find all they need here, and walk no table.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::attachment::Attachment;
use crate::context::{Cached, Here};
use crate::handle::Handle;
use crate::layout::*;
use crate::threads::Tcb;

const EXTENT: u32 = 1 << Table::Slots.shift();

/// No index is near it.
const NO_EXTENT: u64 = 1 << 63;

/// Of one thread and one attachment, whose records the addresses are of.
pub(crate) struct Near {
    /// The first index and the address of an extent of slots.
    first: Cell<u64>,
    slots: Cell<NonNull<Slot>>,
    /// The region: what `Cached` has of it.
    handle: Cell<u64>,
    owner: Cell<u64>,
    quiet: Cell<u64>,
    index: Cell<u32>,
    context: Cell<NonNull<Context>>,
    region: Cell<NonNull<RegionRecord>>,
}

impl Near {
    pub(crate) const fn new() -> Near {
        Near {
            first: Cell::new(NO_EXTENT),
            slots: Cell::new(NonNull::dangling()),
            handle: Cell::new(Cached::NONE.handle),
            owner: Cell::new(Cached::NONE.owner),
            quiet: Cell::new(u64::MAX),
            index: Cell::new(0),
            context: Cell::new(Cached::NONE.context),
            region: Cell::new(Cached::NONE.region),
        }
    }

    fn have(&self, region: Cached) {
        let Cached { handle, owner, index, context, region } = region;
        // SAFETY: a record of the attachment's segment, which stays while it lives; or `NOWHERE`.
        let word = unsafe { region.as_ref() }.control.acquire();
        self.handle.set(handle);
        // Never 0, which it is in a block that a fork has wiped.
        self.owner.set(if owner == 0 { Cached::NONE.owner } else { owner });
        self.quiet.set(control::quiet(word, owner));
        self.index.set(index);
        self.context.set(context);
        self.region.set(region);
    }

    /// Looks again for the region that is used next.
    pub(crate) fn forget_region(&self) {
        self.have(Cached::NONE);
    }

    fn here(&self, owner: u64) -> Here<'_> {
        // SAFETY: records of the attachment's segment, which are atomic words and stay while it lives; or `NOWHERE`.
        let (context, region) = unsafe { (self.context.get().as_ref(), self.region.get().as_ref()) };
        Here { index: self.index.get(), owner, quiet: self.quiet.get(), context, region }
    }
}

impl Attachment {
    /// The slot of this index.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn slot_near<'a>(&'a self, tcb: &'a Tcb, index: u32) -> Option<&'a Slot> {
        match tcb.slot_still(index) {
            Some(slot) => Some(slot),
            None => self.slot_again(tcb, index),
        }
    }

    #[cold]
    #[inline(never)]
    fn slot_again<'a>(&'a self, tcb: &Tcb, index: u32) -> Option<&'a Slot> {
        let slot = self.segment.get::<Slot>(index)?;
        tcb.near.first.set(u64::from(index / EXTENT * EXTENT));
        // SAFETY: the slot is the one of this index, so as many slots of its extent lie before it.
        tcb.near.slots.set(unsafe { NonNull::from(slot).sub((index % EXTENT) as usize) });
        Some(slot)
    }

    /// After a miss: has the slot of this handle, its region and a free entry at hand, if they are what was not.
    pub(crate) fn come_near(&self, handle: Handle) -> bool {
        let Some(op) = self.tcb_fast() else { return false };
        let tcb = op.tcb();
        let had_slot = tcb.slot_still(handle.index()).is_some();
        let Some(slot) = self.slot_near(tcb, handle.index()) else { return false };
        let owner = slot.owner.acquire();
        let is_quiet = |here: Here<'_>| control::quiet(here.region.control.acquire(), owner) == here.quiet;
        let had_region = tcb.here_still(owner).is_some_and(is_quiet);
        let had_entry = phase::is_free(tcb.free_entries.at_hand().1);
        let missed = !(had_slot && had_region && had_entry);
        missed && (had_region || tcb.here_again(owner)) && tcb.free_entries.pop().is_some()
    }
}

impl Tcb {
    /// The slot of this index, if it is near the one that it used last.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn slot_still(&self, index: u32) -> Option<&Slot> {
        let place = u64::from(index).wrapping_sub(self.near.first.get());
        if place >= u64::from(EXTENT) {
            return None;
        }
        // SAFETY: `slot_again` found the address of this extent of this attachment; it has so many slots, which are
        // atomic words, and extents never move.
        Some(unsafe { self.near.slots.get().add(place as usize).as_ref() })
    }

    /// The thread's context of the region of this owner, if it used that lately.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn here(&self, owner: u64) -> Option<Here<'_>> {
        if self.near.owner.get() != owner && !self.here_again(owner) {
            return None;
        }
        Some(self.near.here(owner))
    }

    /// The same, if it is the one that it used last.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn here_still(&self, owner: u64) -> Option<Here<'_>> {
        (self.near.owner.get() == owner).then(|| self.near.here(owner))
    }

    /// The same, where `here` has just found it.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn here_last(&self) -> Here<'_> {
        self.near.here(self.near.owner.get())
    }

    /// The same for the region of this handle.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn here_of(&self, region: Handle) -> Option<Here<'_>> {
        if self.near.handle.get() != region.to_bits() && !self.here_again_of(region) {
            return None;
        }
        Some(self.near.here(self.near.owner.get()))
    }

    #[cold]
    #[inline(never)]
    fn here_again(&self, owner: u64) -> bool {
        let cached = self.cache[control::region(owner) as usize % self.cache.len()].get();
        self.near.have(cached);
        cached.owner == owner
    }

    #[cold]
    #[inline(never)]
    fn here_again_of(&self, region: Handle) -> bool {
        let cached = self.cache[region.index() as usize % self.cache.len()].get();
        self.near.have(cached);
        cached.handle == region.to_bits()
    }
}
