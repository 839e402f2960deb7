//! The paths that a borrow, its end and a free take when nothing is in the way: the record of the thread's region is at
//! hand, the slot is as the caller believes, nobody closes. Whatever else there is goes the long way (`borrow`, `alloc`),
//! which starts anew and says why.
//!
//! What these paths cost is their exchanges and each instruction beside them, stores above all, since nothing overlaps
//! with an exchange: so little is looked up (`near`, `entries`), and a guard carries what its end needs.

use std::hint::cold_path;

use crate::attachment::Attachment;
use crate::borrow::{By, exchange};
use crate::context::{busy, is_long, push_slot};
use crate::error::Result;
use crate::fault::{Fault, planted};
use crate::handle::{Handle, Token};
use crate::layout::*;
use crate::lease::RawBorrow;
use crate::snapshot::BorrowKind;
use crate::sync;
use crate::sys;
use crate::threads::Tcb;

/// A borrow that began the short way: where its bytes are, its entry's number, and what its end needs.
pub(crate) struct Begun<'a> {
    pub(crate) pointer: *mut u8,
    pub(crate) length: usize,
    pub(crate) index: u32,
    pub(crate) own: Own<'a>,
}

/// What the thread that began a borrow ends it with. The context and the region are those that it used last, if they are
/// this owner's.
#[derive(Clone, Copy)]
pub(crate) struct Own<'a> {
    tcb: &'a Tcb,
    entry: &'a Entry,
    slot: &'a Slot,
    /// The entry's word.
    word: u64,
    /// What the exchange left in the slot's state; what it found there, if the borrow is alone.
    state: u64,
}

impl Begun<'_> {
    /// The borrow's token.
    pub(crate) fn token(&self) -> Token {
        Token::new(self.index, phase::generation(self.own.word))
    }

    /// The borrow for a caller that ends it by its token.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn raw(&self, kind: BorrowKind) -> RawBorrow {
        RawBorrow { token: self.token(), pointer: self.pointer, length: self.length, kind }
    }
}

impl Own<'_> {
    /// The borrow's token.
    pub(crate) fn token(&self) -> Token {
        token_of(self.tcb, self.entry, self.word)
    }

    /// Ends the borrow, in any thread.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn end(&self, kind: BorrowKind) {
        let done = if Attachment::is_current(self.tcb) { end_held(self, kind) } else { Done::Nothing };
        if done != Done::All {
            end_rest(self.tcb, self.entry, self.word, done);
        }
    }
}

/// The token of a borrow by its entry.
fn token_of(tcb: &Tcb, entry: &Entry, word: u64) -> Token {
    Token::new(tcb.home().segment.index_of(entry).unwrap_or(0), phase::generation(word))
}

/// How far an end came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    /// The entry's mark.
    Marked,
    /// And the slot's state.
    State,
    /// And the count.
    Counted,
    All,
}

/// What the short way of a free came to: the slot is on its thread's list, which is short or long, or it is not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Short,
    Long,
    Not,
}

/// Why a borrow did not begin the short way.
pub enum Miss {
    /// The handle is stale; that is counted.
    Stale,
    /// Something is in the way, or not at hand: nothing was done.
    Slow,
}

impl Attachment {
    /// Begins a borrow (B1 to B8 of the protocol).
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn begin_fast(&self, handle: Handle, kind: BorrowKind, by: By) -> std::result::Result<Begun<'_>, Miss> {
        let op = self.tcb_fast().ok_or(Miss::Slow)?;
        let tcb = op.tcb();
        let slot = tcb.slot_still(handle.to_bits() as u32).ok_or(Miss::Slow)?;
        let state = slot.state.relaxed();
        let fits = match kind {
            BorrowKind::Shared => (state ^ state::of(handle.generation())) & !state::FROZEN < state::COUNT,
            BorrowKind::Unique => state == handle.to_bits() ^ u64::from(handle.to_bits() as u32),
        };
        if !fits {
            if state::generation(state) == handle.generation() && state & state::FREE == 0 {
                return Err(Miss::Slow);
            }
            tcb.own().counters[counter::STALE].count(1);
            return Err(Miss::Stale);
        }
        let (entry, free) = tcb.free_entries.at_hand();
        if !phase::is_free(free) {
            return Err(Miss::Slow);
        }
        if by.lasts() {
            entry.meta.set_release(meta::new(sys::ticks()));
        }
        // Early: what is stored last before an exchange delays it most.
        let word = phase::begun(free, tcb.mark, kind as u64 | by.mark());
        entry.handle.set_release(handle.to_bits());
        entry.word.set_release(word);
        // Before the exchange: pairs with the release of `owner` by an allocation.
        let owner = slot.owner.acquire();
        let Some(here) = tcb.here_still(owner).filter(|here| here.region.control.acquire() == here.quiet) else {
            entry.word.set_release(free);
            return Err(Miss::Slow);
        };
        let alone = kind == BorrowKind::Unique || !sys::ALONE && here.quiet & control::COUNTED == 0;
        let next = match kind {
            BorrowKind::Unique => state | tcb.free_entries.unique(),
            BorrowKind::Shared if !alone => state + 1,
            BorrowKind::Shared if state::is_idle(state) => state | tcb.free_entries.sole(),
            BorrowKind::Shared => {
                entry.word.set_release(free);
                return Err(Miss::Slow);
            }
        };
        if exchange(slot, state, next).is_err() {
            entry.word.set_release(phase::free(word));
            return Err(Miss::Slow);
        }
        // What follows is read again from the thread's block: kept over the exchange it would be written to the stack.
        let (here, home) = (tcb.here_last(), tcb.home());
        // Pairs with the closer's change of control and its fence: one of us sees the other.
        let lives = match planted(Fault::OwnerLate) {
            true => home.lives(slot.owner.acquire()),
            false => sys::ALONE || here.region.control.acquire() == here.quiet,
        };
        if !lives {
            home.began_in_vain(tcb, false);
            return Err(Miss::Slow);
        }
        // Written before the release of `state` that the exchange acquired.
        let word = phase::held(word);
        entry.word.set_release(word);
        let (place, length) = (slot.place.relaxed(), extent::length(slot.length.relaxed()));
        let Some(pointer) = home.segment.bytes(place::offset(place), length) else {
            home.began_in_vain(tcb, true);
            return Err(Miss::Slow);
        };
        let context = here.context;
        context.counters[counter::BEGUN].count(1);
        if by == By::View {
            context.counters[counter::VIEWS].count(1);
        }
        let own = Own { tcb, entry, slot, word, state: if alone { state } else { next } };
        Ok(Begun { pointer: pointer.as_ptr(), length: length as usize, index: tcb.free_entries.index(), own })
    }

    /// Begins a borrow after a miss, if all that was not at hand is so now.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin_again(&self, handle: Handle, kind: BorrowKind, by: By) -> Option<Begun<'_>> {
        if self.come_near(handle) { self.begin_fast(handle, kind, by).ok() } else { None }
    }

    /// The same, or the long way.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin_long(&self, handle: Handle, kind: BorrowKind, by: By) -> Result<Begun<'_>> {
        if let Some(begun) = self.begin_again(handle, kind, by) {
            return Ok(begun);
        }
        let RawBorrow { token, pointer, length, .. } = self.borrow_slow(handle, kind, by)?;
        let tcb = self.tcb()?.tcb();
        let entry = self.segment.record::<Entry>(token.index())?;
        let slot = self.segment.record::<Slot>(handle.index())?;
        let word = entry.word.relaxed();
        // Where a mark is in the way, a state that no slot has.
        let state = state_of(slot.state.relaxed(), kind).unwrap_or(u64::MAX);
        let own = Own { tcb, entry, slot, word, state };
        Ok(Begun { pointer, length, index: token.index(), own })
    }

    /// Takes a begin back: its region does not live any more, or its bytes are not in the segment.
    #[cold]
    #[inline(never)]
    fn began_in_vain(&self, tcb: &Tcb, lives: bool) {
        let index = tcb.free_entries.index();
        let Some(entry) = self.segment.get::<Entry>(index) else { return };
        let (word, handle) = (entry.word.relaxed(), Handle::from_bits(entry.handle.relaxed()));
        match self.segment.get::<Slot>(handle.index()) {
            Some(slot) if !lives => self.lost(tcb, slot.owner.acquire(), (slot, handle), (index, entry, word)),
            _ => self.misplaced(tcb, index, entry, word),
        }
    }

    /// Ends the borrow of a token that only the thread that began it ends, if that is this one; false to go the long way,
    /// with nothing done.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn end_token_fast(&self, token: Token) -> bool {
        let Some(claim) = self.claim() else { return false };
        let tcb = claim.tcb();
        let Some((entry, word, done)) = end_at_hand(tcb, token, 0) else { return false };
        if !matches!(done, Done::Nothing | Done::All) {
            // Claimed, also where the end marks no entry.
            entry.word.set_release(phase::ending(word));
        }
        drop(claim);
        end_on(tcb, entry, word, done)
    }

    /// Ends an owned borrow of this thread in the entry at hand; false to go the long way, with nothing done.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn end_owned_fast(&self, token: Token) -> bool {
        let Some(op) = self.tcb_for_end_fast() else { return false };
        let tcb = op.tcb();
        let Some((entry, word, done)) = end_at_hand(tcb, token, phase::OWNED) else { return false };
        end_on(tcb, entry, word, done)
    }

    /// Ends a held borrow of this thread that only this caller ends, by its entry alone; false to go the long way, with
    /// nothing done.
    #[inline]
    pub(crate) fn end_own(&self, tcb: &Tcb, entry: &Entry, word: u64) -> bool {
        let Some(slot) = self.slot_near(tcb, meta::slot(entry.meta.relaxed(), entry.handle.relaxed())) else {
            return false;
        };
        if tcb.here(slot.owner.acquire()).is_none() {
            return false;
        }
        let done = end_from(tcb, entry, slot, word);
        end_on(tcb, entry, word, done)
    }

    /// Frees a buffer up to 1 MiB (R1); `Not` to go the long way, with nothing done.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn free_fast(&self, handle: Handle) -> Listed {
        match self.list_fast(handle) {
            Some(false) => Listed::Short,
            Some(true) => Listed::Long,
            None => Listed::Not,
        }
    }

    /// Whether the thread's list is long now, if the slot came to it.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn list_fast(&self, handle: Handle) -> Option<bool> {
        let op = self.tcb_fast()?;
        let tcb = op.tcb();
        let slot = tcb.slot_still(handle.to_bits() as u32)?;
        let state = slot.state.relaxed();
        let free = state::generation(state) == handle.generation() && state & !state::LASTING & 0xffff_ffff == 0;
        let owner = slot.owner.acquire();
        let here = tcb.here_still(owner)?;
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
            context.counters[counter::BYTES_FREED].count(extent::length(slot.length.relaxed()));
            let seed = self.segment.identity.seed;
            depth = push_slot(context, class, (handle.index(), slot), seed, |first| self.slot_near(tcb, first));
        }
        context.busy.set_release(0);
        won.then(|| is_long(&self.segment, here.region, class, depth))
    }
}

/// Ends the borrow in the entry at hand, as far as nothing is in the way, if this thread holds that of the token in it,
/// marked like this. With the entry and what its word was.
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn end_at_hand(tcb: &Tcb, token: Token, mark: u64) -> Option<(&Entry, u64, Done)> {
    let (entry, word) = tcb.free_entries.at_hand();
    let held = phase::held_by(token.generation(), tcb.mark, mark);
    if tcb.free_entries.index() != token.index() || phase::without_kind(word) != held {
        return None;
    }
    let slot = tcb.slot_still(meta::slot(entry.meta.relaxed(), entry.handle.relaxed()))?;
    Some((entry, word, end_from(tcb, entry, slot, word)))
}

#[inline]
fn kind_of(word: u64) -> BorrowKind {
    if phase::kind(word) == BorrowKind::Unique as u64 { BorrowKind::Unique } else { BorrowKind::Shared }
}

/// What `Own` has of a slot's state; `None` if there is a mark that an end must look at.
#[inline]
fn state_of(state: u64, kind: BorrowKind) -> Option<u64> {
    let borrowed = state & 0xffff_ffff & !state::FROZEN;
    match kind {
        BorrowKind::Unique => Some(state::of(state::generation(state))),
        BorrowKind::Shared if borrowed == 0 || borrowed & !(state::SOLE | state::COUNT) != 0 => None,
        BorrowKind::Shared if borrowed & state::SOLE != 0 => Some(state & !(state::SOLE | state::COUNT)),
        BorrowKind::Shared => Some(state),
    }
}

/// The end of a held entry of this thread, as far as nothing is in the way, by what its slot's state says.
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn end_from(tcb: &Tcb, entry: &Entry, slot: &Slot, word: u64) -> Done {
    let kind = kind_of(word);
    match state_of(slot.state.relaxed(), kind) {
        Some(state) => end_held(&Own { tcb, entry, slot, word, state }, kind),
        None => Done::Nothing,
    }
}

/// Goes on from there; false if nothing was done.
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn end_on(tcb: &Tcb, entry: &Entry, word: u64, done: Done) -> bool {
    match done {
        Done::Nothing => return false,
        Done::All => {}
        done => end_rest(tcb, entry, word, done),
    }
    true
}

/// The end of a held entry of this thread, as far as nothing is in the way. No mark of an operation is raised: until its
/// last store the entry itself keeps `detach` waiting.
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn end_held(own: &Own<'_>, kind: BorrowKind) -> Done {
    let Own { tcb, entry, slot, word, state } = *own;
    let Some(here) = tcb.here_still(slot.owner.acquire()) else { return Done::Nothing };
    // The looks at the region pair with `close_when_idle`, `wait_idle` and `count_sole`: they change control, fence, then
    // look at the entries.
    if kind == BorrowKind::Unique {
        // Nobody else may change the word of a slot under a borrow that is alone. The entry needs no mark: from here on
        // no state names it (`ledger`).
        slot.state.set_release(state);
        sync::light(tcb.cheap);
        if control::has_news(here.region.control.acquire()) {
            cold_path();
            return Done::State;
        }
    } else if state::is_idle(state) {
        entry.word.set_release(phase::ending(word));
        sync::light(tcb.cheap);
        let control = here.region.control.acquire();
        let joined = control & control::COUNTED != 0 && !planted(Fault::SoleBlind);
        if joined || control::has_news(control) {
            cold_path();
            return Done::Marked;
        }
        // As above.
        slot.state.set_release(state);
    } else {
        entry.word.set_release(phase::ending(word));
        // It is what it was after the begin, if nobody else borrows: no load before the exchange.
        if slot.state.cas_full_or(Fault::EndByStore, state, state - 1).is_err() {
            return Done::Marked;
        }
        if control::has_news(here.region.control.acquire()) {
            return Done::State;
        }
    }
    here.context.counters[counter::ENDED].count(1);
    let ended = phase::ended(word);
    // One that is due may be the last that the entry has.
    if phase::is_due(ended) || !tcb.free_entries.is_at_hand(entry) {
        return Done::Counted;
    }
    entry.word.set_release(ended);
    Done::All
}

/// Goes on with an end from where something was in the way.
#[cold]
#[inline(never)]
fn end_rest(tcb: &Tcb, entry: &Entry, word: u64, done: Done) {
    if tcb.is_wiped() {
        return;
    }
    let home = tcb.home();
    let token = token_of(tcb, entry, word);
    if done == Done::Nothing {
        return home.end_owned_slow(token);
    }
    let _op = home.tcb_for_end();
    let (owner, handle) = (tcb.here_last().owner, Handle::from_bits(entry.handle.relaxed()));
    if done == Done::Marked
        && let Some(slot) = home.segment.get::<Slot>(meta::slot(entry.meta.relaxed(), entry.handle.relaxed()))
    {
        home.undo(slot, entry, word, handle.generation(), kind_of(word));
    }
    let region = home.segment.get::<RegionRecord>(control::region(owner));
    let control = region.map_or(0, |region| region.control.acquire());
    if done != Done::Counted {
        match home.context(tcb, owner) {
            Some(context) => context.counters[counter::ENDED].count(1),
            None => home.count_on_record(tcb, counter::ENDED, 1),
        }
    }
    home.free_entry(tcb, token.index(), entry, word);
    if let Some(region) = region
        && control::has_news(control)
    {
        home.tell_after_end(region, owner, control);
    }
}
