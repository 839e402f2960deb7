//! The paths that a borrow, its end and a free take when nothing is in the way: the record of the thread's region is at
//! hand, the slot is as the caller believes, nobody closes. Whatever else there is goes the long way (`borrow`, `alloc`),
//! which starts anew and says why.
//!
//! What these paths cost is the two exchanges and the loads between them: after an exchange no load begins before it is
//! over, so chains of loads are kept short, and a guard carries what its end needs.

use std::ptr::NonNull;

use crate::attachment::Attachment;
use crate::borrow::{By, easy_step, exchange};
use crate::context::{Here, busy, is_long, push_slot};
use crate::fault::{Fault, planted};
use crate::handle::{Handle, Token};
use crate::large::Freed;
use crate::layout::*;
use crate::snapshot::BorrowKind;
use crate::sync;
use crate::sys;
use crate::threads::Tcb;

/// A borrow that began the short way, with what its end needs if the same thread ends it. Few words and no padding: what
/// is copied between the two exchanges is waited for.
#[derive(Clone, Copy)]
pub(crate) struct Begun<'a> {
    pub(crate) pointer: NonNull<u8>,
    pub(crate) length: usize,
    pub(crate) token: Token,
    tcb: &'a Tcb,
    entry: &'a Entry,
    slot: &'a Slot,
    /// What the exchange left in the slot's state.
    state: u64,
}

impl Attachment {
    /// The slot of this index, by the thread's last extent.
    #[inline]
    fn slot_at<'a>(&'a self, tcb: &'a Tcb, index: u32) -> Option<&'a Slot> {
        match tcb.near_slot(index) {
            Some(slot) => Some(slot),
            None => self.slot_afar(tcb, index),
        }
    }

    #[cold]
    fn slot_afar<'a>(&'a self, tcb: &'a Tcb, index: u32) -> Option<&'a Slot> {
        let slot = self.segment.get::<Slot>(index)?;
        tcb.come_near(index, slot);
        Some(slot)
    }

    /// Begins a borrow (B1 to B8 of the protocol); `None` to go the long way.
    #[inline(always)]
    pub(crate) fn begin_fast(&self, handle: Handle, kind: BorrowKind, by: By) -> Option<Begun<'_>> {
        let op = self.tcb_fast()?;
        let tcb = op.tcb();
        let slot = self.slot_at(tcb, handle.to_bits() as u32)?;
        let state = slot.state.relaxed();
        let mut next = easy_step(state, handle.generation(), kind)?;
        // Before the exchange: pairs with the release of `owner` by an allocation.
        let owner = slot.owner.acquire();
        let here = self.here(tcb, owner)?;
        if !control::lives(here.region.control.acquire(), owner) {
            return None;
        }
        let (index, entry) = tcb.free_entries.pop()?;
        let generation = phase::generation(entry.word.relaxed());
        let word = phase::new(generation, tcb.record, kind as u64 | by.mark(), phase::BEGIN);
        entry.handle.set_release(handle.to_bits());
        entry.owner.set_release(owner);
        let since = if by.lasts() { sys::ticks() } else { tcb.recent_tick() };
        entry.meta.set_release(handle.to_bits() << 32 | u64::from(since));
        entry.word.set_release(word);
        if kind == BorrowKind::Unique {
            next |= u64::from(index);
        }
        if exchange(slot, state, next).is_err() {
            entry.word.set_release(phase::with(word, phase::FREE));
            tcb.free_entries.push(index, entry);
            return None;
        }
        let (owner, region) = match planted(Fault::OwnerLate) {
            true => (slot.owner.acquire(), self.segment.get(control::region(slot.owner.acquire()))?),
            false => (owner, here.region),
        };
        // Pairs with the closer's change of control and its fence: one of us sees the other.
        if !control::lives(region.control.acquire(), owner) {
            self.lost(tcb, here.region, (slot, handle), (index, entry, word));
            return None;
        }
        let word = phase::with(word, phase::HELD);
        entry.word.set_release(word);
        // Written before the release of `state` that the exchange acquired.
        let (place, length) = (slot.place.relaxed(), slot.length.relaxed() & place::LENGTH);
        let Some(pointer) = self.segment.bytes(place::offset(place), length) else {
            self.misplaced(tcb, index, entry, word);
            return None;
        };
        here.context.counters[counter::BEGUN].count(1);
        if by == By::View {
            here.context.counters[counter::VIEWS].count(1);
        }
        let token = Token::new(index, generation);
        Some(Begun { pointer, length: length as usize, token, tcb, entry, slot, state: next })
    }

    /// Ends what `begin_fast` began for a guard, if this is the same thread still; false to go the long way, with nothing
    /// done.
    #[inline(always)]
    pub(crate) fn end_begun(&self, begun: &Begun<'_>, kind: BorrowKind) -> bool {
        let tcb = begun.tcb;
        if !self.is_current(tcb) {
            return false;
        }
        let Some(here) = self.here(tcb, begun.entry.owner.relaxed()) else { return false };
        let word = phase::new(begun.token.generation(), tcb.record, kind as u64 | By::Guard.mark(), phase::HELD);
        self.end_held(&here, begun, word, kind);
        true
    }

    /// Ends a borrow of this thread that only this caller ends; false to go the long way, with nothing done.
    #[inline]
    pub(crate) fn end_fast(&self, token: Token) -> bool {
        let Some(op) = self.tcb_for_end_fast() else { return false };
        let tcb = op.tcb();
        let Some(entry) = self.segment.get::<Entry>(token.index()) else { return false };
        let word = entry.word.relaxed();
        let ours = phase::of(word) == phase::HELD
            && phase::generation(word) == token.generation()
            && phase::record(word) == tcb.record;
        ours && self.end_own(tcb, token, entry, word)
    }

    /// Ends a held borrow of this thread by its token alone.
    #[inline]
    pub(crate) fn end_own(&self, tcb: &Tcb, token: Token, entry: &Entry, word: u64) -> bool {
        let Some(here) = self.here(tcb, entry.owner.relaxed()) else { return false };
        let Some(slot) = self.slot_at(tcb, (entry.meta.relaxed() >> 32) as u32) else { return false };
        let generation = Handle::from_bits(entry.handle.relaxed()).generation();
        let kind = if phase::kind(word) == BorrowKind::Unique as u64 { BorrowKind::Unique } else { BorrowKind::Shared };
        let low = if kind == BorrowKind::Unique { 0 } else { slot.state.relaxed() & 0xffff_ffff };
        let state = state::of(generation) | low;
        let begun = Begun { pointer: NonNull::dangling(), length: 0, token, tcb, entry, slot, state };
        self.end_held(&here, &begun, word, kind);
        true
    }

    /// The end of a held entry of this thread. No mark is raised: until its last store the entry itself keeps `detach`
    /// waiting.
    #[inline(always)]
    fn end_held(&self, here: &Here<'_>, begun: &Begun<'_>, word: u64, kind: BorrowKind) {
        let Begun { entry, slot, state, .. } = *begun;
        let generation = state::generation(state);
        entry.word.set_release(phase::with(word, phase::END));
        if kind == BorrowKind::Unique {
            // Nobody else may change the word of a slot under a unique borrow.
            slot.state.set_release(state::of(generation));
            sync::light(self.segment.cheap);
        } else {
            let low = state as u32 & !(state::LASTING as u32);
            let plain = low != 0 && low <= state::COUNT as u32;
            // The state is what it was after the begin, if nobody else borrows: no load before the exchange.
            if !plain || slot.state.cas_full_or(Fault::EndByStore, state, state - 1).is_err() {
                self.undo(slot, entry, word, generation, BorrowKind::Shared);
            }
        }
        // Pairs with `close_when_idle` and `wait_idle`: they change control, fence, then look at the entries.
        let control = here.region.control.acquire();
        here.context.counters[counter::ENDED].count(1);
        if begun.token.generation() + 1 < phase::LAST_GENERATION {
            begun.tcb.free_entries.push(begun.token.index(), entry);
        }
        if control::has_news(control) {
            return self.end_with_news(here, entry, word, control);
        }
        entry.word.set_release(phase::ended(word));
    }

    /// The last step of an end in whose region somebody waits.
    #[cold]
    fn end_with_news(&self, here: &Here<'_>, entry: &Entry, word: u64, control: u64) {
        let _op = self.tcb_for_end();
        entry.word.set_release(phase::ended(word));
        self.tell_after_end(here.region, here.owner, control);
    }

    /// Frees a buffer up to 1 MiB (R1); `None` to go the long way, with nothing done.
    #[inline]
    pub(crate) fn free_fast(&self, handle: Handle) -> Option<Freed> {
        let op = self.tcb_fast()?;
        let tcb = op.tcb();
        let slot = self.slot_at(tcb, handle.to_bits() as u32)?;
        let state = slot.state.relaxed();
        let free = state::generation(state) == handle.generation() && state & !state::LASTING & 0xffff_ffff == 0;
        let owner = slot.owner.acquire();
        let here = self.here(tcb, owner)?;
        let class = place::class(slot.place.relaxed());
        if !free || class >= CLASS_LARGE {
            return None;
        }
        let context = here.context;
        context.busy.set_relaxed(busy::FREE | u64::from(handle.index()));
        // Pairs with the closer's fence: it waits for the mark, or we see its change of control.
        sync::light(self.segment.cheap);
        let freed = state::freed(handle.generation(), here.index);
        let won = control::lives(here.region.control.acquire(), owner)
            && slot.state.cas_full_or(Fault::FreeByStore, state, freed).is_ok();
        let mut depth = 0;
        if won {
            context.counters[counter::FREES].count(1);
            context.counters[counter::BYTES_FREED].count(slot.length.relaxed() & place::LENGTH);
            depth = push_slot(&self.segment, context, class, handle.index(), slot, self.segment.identity.seed);
        }
        context.busy.set_release(0);
        won.then(|| Freed::Listed(class, is_long(here.region, class, depth)))
    }
}
