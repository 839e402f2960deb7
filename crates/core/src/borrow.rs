//! Begin and end of borrows: the protocol between a slot's state, a ledger entry and a region's control word (B1 to
//! B7). No lock, one compare-and-swap each way; a borrow that is alone ends with a plain store.
//!
//! Begin marks its entry BEGIN, changes the slot's state by a full-barrier exchange, then looks whether the region
//! still lives; a closer changes the region's control word, fences, then looks at the entries. One of them sees the
//! other. What is refused after the exchange is undone as an end would be.

use crate::attachment::Attachment;
use crate::entries::FreeEntry;
use crate::error::{Error, ErrorCode, Result};
use crate::fast::Miss;
use crate::fault::{Fault, planted};
use crate::handle::{Handle, HandleKind, Token};
use crate::journal::Locked;
use crate::layout::*;
use crate::lease::RawBorrow;
use crate::snapshot::BorrowKind;
use crate::sync::{self, Patience};
use crate::sys;
use crate::threads::Tcb;
use crate::told::{corrupt_with, told};

/// Why a begin was refused; made into an error with its message off the fast path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Stale,
    Poisoned,
    Frozen,
    Conflict,
}

/// On whose behalf a borrow begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A caller that keeps the token, which ends it.
    Token,
    /// A guard of a scope: its token ends nothing.
    Guard,
    /// An object that a program keeps: its token ends nothing.
    Object,
    /// The same for a native view, counted as one in the same step.
    View,
}

impl By {
    /// The mark beside the kind in the entry's word.
    #[inline]
    pub(crate) fn mark(self) -> u64 {
        if self == By::Token { 0 } else { phase::OWNED }
    }

    /// Whether such a borrow is often kept, so that its moment is read from the clock.
    #[inline]
    pub(crate) fn lasts(self) -> bool {
        matches!(self, By::Object | By::View)
    }
}

/// A step of begin on the state word: what it becomes, or why not.
#[inline]
fn step(state: u64, generation: u32, kind: BorrowKind, entry: u32) -> std::result::Result<u64, Option<Refusal>> {
    if state::generation(state) != generation || state & state::FREE != 0 {
        return Err(Some(Refusal::Stale));
    }
    if state & state::POISONED != 0 {
        return Err(Some(Refusal::Poisoned));
    }
    if state & state::RECOVERING != 0 {
        return Err(None);
    }
    match kind {
        BorrowKind::Shared if state & state::UNIQUE != 0 || state & state::COUNT == state::COUNT => {
            Err(Some(Refusal::Conflict))
        }
        BorrowKind::Shared if state & state::SOLE != 0 => Err(None),
        BorrowKind::Shared => Ok(state + 1),
        BorrowKind::Unique if state & state::FROZEN != 0 => Err(Some(Refusal::Frozen)),
        BorrowKind::Unique if state & state::BORROWED != 0 => Err(Some(Refusal::Conflict)),
        BorrowKind::Unique => Ok(state | state::UNIQUE | u64::from(entry)),
    }
}

/// The exchange of a begin: a full barrier between the entry's mark and the look at the region.
#[inline]
pub(crate) fn exchange(slot: &Slot, state: u64, next: u64) -> std::result::Result<u64, u64> {
    match planted(Fault::BeginFence) {
        true => slot.state.cas(state, next),
        false => slot.state.cas_full_or(Fault::BeginByStore, state, next),
    }
}

impl Attachment {
    /// Borrows a buffer for a caller that keeps the token.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn borrow_raw(&self, handle: Handle, kind: BorrowKind) -> Result<RawBorrow> {
        self.borrow(handle, kind, By::Token)
    }

    /// Borrows a buffer on behalf of somebody, where nothing is in the way.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn borrow_short(
        &self,
        handle: Handle,
        kind: BorrowKind,
        by: By,
    ) -> std::result::Result<RawBorrow, Miss> {
        self.begin_fast(handle, kind, by).map(|begun| begun.raw(kind))
    }

    /// Borrows a buffer for an object that ends it by `end_owned`: its token ends nothing.
    pub(crate) fn borrow_owned(&self, handle: Handle, kind: BorrowKind) -> Result<RawBorrow> {
        self.borrow(handle, kind, By::Object)
    }

    /// The same for a native view, counted as one in the same step.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn borrow_view(&self, handle: Handle, kind: BorrowKind) -> Result<RawBorrow> {
        self.borrow(handle, kind, By::View)
    }

    /// Borrows a buffer on behalf of somebody.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn borrow(&self, handle: Handle, kind: BorrowKind, by: By) -> Result<RawBorrow> {
        match self.borrow_short(handle, kind, by) {
            Ok(borrow) => Ok(borrow),
            Err(Miss::Stale) => Err(Error::new(ErrorCode::StaleHandle).about(handle)),
            Err(Miss::Slow) => self.borrow_long(handle, kind, by),
        }
    }

    #[cold]
    #[inline(never)]
    fn borrow_long(&self, handle: Handle, kind: BorrowKind, by: By) -> Result<RawBorrow> {
        match self.begin_again(handle, kind, by) {
            Some(begun) => Ok(begun.raw(kind)),
            None => self.borrow_slow(handle, kind, by),
        }
    }

    #[cold]
    pub(crate) fn borrow_slow(&self, handle: Handle, kind: BorrowKind, by: By) -> Result<RawBorrow> {
        let tcb = &self.tcb()?;
        match self.begin(tcb, handle, kind, by)? {
            Ok(borrow) => Ok(borrow),
            Err(Refusal::Conflict) if crate::recovery::recover_holders(self, handle)? => {
                let again = self.begin(tcb, handle, kind, by)?;
                again.map_err(|refusal| self.refused(tcb, handle, refusal))
            }
            Err(refusal) => Err(self.refused(tcb, handle, refusal)),
        }
    }

    /// The error for a refusal, counted.
    #[cold]
    pub(crate) fn refused(&self, tcb: &Tcb, handle: Handle, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Stale => self.stale(tcb, handle),
            Refusal::Poisoned => Error::new(ErrorCode::Poisoned).about(handle),
            Refusal::Frozen => {
                told!(ErrorCode::Denied, "the buffer is frozen: nobody may write to it any more").about(handle)
            }
            Refusal::Conflict => self.conflict(tcb, ErrorCode::BorrowConflict, handle),
        }
    }

    /// The error for a handle that names nothing, counted on the thread's record.
    #[cold]
    pub(crate) fn stale(&self, tcb: &Tcb, handle: Handle) -> Error {
        self.count_on_record(tcb, counter::STALE, 1);
        Error::new(ErrorCode::StaleHandle).about(handle)
    }

    /// The error for a borrow that is in the way, counted in the buffer's region.
    #[cold]
    pub(crate) fn conflict(&self, tcb: &Tcb, code: ErrorCode, handle: Handle) -> Error {
        self.count_in_region(tcb, handle, &[(counter::CONFLICTS, 1)]);
        self.held(code, handle)
    }

    fn begin(
        &self,
        tcb: &Tcb,
        handle: Handle,
        kind: BorrowKind,
        by: By,
    ) -> Result<std::result::Result<RawBorrow, Refusal>> {
        let mut patience = Patience::short();
        loop {
            let Some(slot) = self.segment.get::<Slot>(handle.index()) else { return Ok(Err(Refusal::Stale)) };
            let state = slot.state.relaxed();
            if handle.kind() != HandleKind::Buffer || handle.is_null() {
                return Ok(Err(Refusal::Stale));
            }
            if let Err(Some(refusal)) = step(state, handle.generation(), kind, 0)
                && refusal != Refusal::Conflict
            {
                // A frozen or poisoned buffer of a closed region is stale before it is anything else.
                let owner = slot.owner.acquire();
                let lives = self.lives(owner) && state::generation(slot.state.acquire()) == handle.generation();
                return Ok(Err(if lives { refusal } else { Refusal::Stale }));
            }
            // Before the exchange below: pairs with the release of `owner` by an allocation.
            let owner = slot.owner.acquire();
            // Regions begin with an epoch of 1. That none is 0 lets an end see that a fork has wiped its thread's block.
            if control::epoch(owner) == 0 {
                return Ok(Err(Refusal::Stale));
            }
            let Some(region) = self.segment.get::<RegionRecord>(control::region(owner)) else {
                return Ok(Err(Refusal::Stale));
            };
            if !control::lives(region.control.acquire(), owner) {
                match self.closing(region, owner, &mut patience) {
                    Some(refusal) => return Ok(Err(refusal)),
                    None => continue,
                }
            }
            // A recount of what a dead process held; soon over, unless the recoverer is stopped or dead too. It waits for
            // entries that begin, so that none is marked while it is waited for.
            if state & state::RECOVERING != 0 {
                if !patience.wait() && !crate::recovery::settle_slot(self, handle.index())? {
                    return Ok(Err(Refusal::Conflict));
                }
                continue;
            }
            if state & state::SOLE != 0 && kind == BorrowKind::Shared {
                if !self.count_sole(region, owner, slot, &mut patience) {
                    return Ok(Err(Refusal::Conflict));
                }
                continue;
            }
            let FreeEntry { index, entry, word: free } = self.take_entry(tcb)?;
            let word = phase::begun(free, tcb.mark, kind as u64 | by.mark());
            entry.handle.set_release(handle.to_bits());
            entry.meta.set_release(meta::new(sys::ticks()));
            entry.word.set_release(word);

            let mut state = slot.state.relaxed();
            let refusal = loop {
                match step(state, handle.generation(), kind, index) {
                    Ok(next) => match exchange(slot, state, next) {
                        Ok(_) => break None,
                        Err(now) => state = now,
                    },
                    Err(refusal) => break Some(refusal),
                }
            };
            if let Some(refusal) = refusal {
                if refusal.is_none() && planted(Fault::WaitInBegin) {
                    self.await_recount(slot, entry);
                }
                entry.word.set_release(free);
                match refusal {
                    None => continue,
                    Some(refusal) => return Ok(Err(refusal)),
                }
            }
            let (owner, region) = match planted(Fault::OwnerLate) {
                true => (slot.owner.acquire(), self.segment.record(control::region(slot.owner.acquire()))?),
                false => (owner, region),
            };
            // Pairs with the closer's change of control and its fence: one of us sees the other.
            if !sys::ALONE && !control::lives(region.control.acquire(), owner) {
                self.lost(tcb, owner, (slot, handle), (index, entry, word));
                match self.closing(region, owner, &mut patience) {
                    Some(refusal) => return Ok(Err(refusal)),
                    None => continue,
                }
            }
            entry.word.set_release(phase::with(word, phase::HELD));
            // Written before the release of `state` that the exchange acquired.
            let (place, length) = (slot.place.relaxed(), extent::length(slot.length.relaxed()));
            let token = Token::new(index, phase::generation(word));
            let Some(pointer) = self.segment.bytes(place::offset(place), length) else {
                self.misplaced(tcb, index, entry, word);
                return Err(corrupt_with!("{} is at {} with {} bytes", handle, place::offset(place), length));
            };
            let context = match self.context(tcb, owner) {
                Some(context) => Some(context),
                None => self.context_to_count(tcb, owner),
            };
            for counter in [counter::BEGUN, counter::VIEWS].into_iter().take(1 + usize::from(by == By::View)) {
                match context {
                    Some(context) => context.counters[counter].count(1),
                    None => self.count_on_record(tcb, counter, 1),
                }
            }
            return Ok(Ok(RawBorrow { token, pointer: pointer.as_ptr(), length: length as usize, kind }));
        }
    }

    /// Takes a begin back that a change of its region has overtaken.
    #[cold]
    pub(crate) fn lost(
        &self,
        tcb: &Tcb,
        owner: u64,
        (slot, handle): (&Slot, Handle),
        (index, entry, word): (u32, &Entry, u64),
    ) {
        let kind = if phase::kind(word) == BorrowKind::Unique as u64 { BorrowKind::Unique } else { BorrowKind::Shared };
        self.undo(slot, entry, word, handle.generation(), kind);
        self.free_entry(tcb, index, entry, word);
        // This begin may have been what kept the region from being freed.
        let Some(region) = self.segment.get::<RegionRecord>(control::region(owner)) else { return };
        let control = region.control.acquire();
        if control::epoch(control) == control::epoch(owner) {
            self.tell_after_end(region, owner, control);
        }
    }

    /// Ends a borrow of a buffer whose place is no place in the segment.
    #[cold]
    pub(crate) fn misplaced(&self, tcb: &Tcb, index: u32, entry: &Entry, word: u64) {
        if let Err(error) = self.end_entry(Some(tcb), index, entry, phase::with(word, phase::HELD), false) {
            tracing::error!(%error, "a borrow of a misplaced buffer could not be ended in order");
        }
    }

    /// What a begin or alloc does about a region that is not open: `None` is to try again.
    #[cold]
    fn closing(&self, region: &RegionRecord, owner: u64, patience: &mut Patience) -> Option<Refusal> {
        let word = region.control.acquire();
        if control::lives(word, owner) {
            return None;
        }
        let closing = control::is_closing(word, owner);
        if !closing {
            return Some(Refusal::Stale);
        }
        if patience.wait() {
            return None;
        }
        if self.is_dead(control::attachment(word)) && crate::recovery::recover_dead(self).is_ok() {
            return None;
        }
        Some(Refusal::Conflict)
    }

    pub(crate) fn lives(&self, owner: u64) -> bool {
        let region = self.segment.get::<RegionRecord>(control::region(owner));
        region.is_some_and(|region| {
            let word = region.control.acquire();
            control::lives(word, owner) || control::is_closing(word, owner)
        })
    }

    /// Takes a begin back, as an end: by exchange only, and content with a state that an allocation has swept.
    #[cold]
    pub(crate) fn undo(&self, slot: &Slot, entry: &Entry, word: u64, generation: u32, kind: BorrowKind) {
        entry.word.set_release(phase::with(word, phase::END));
        let mut state = slot.state.relaxed();
        loop {
            if state::generation(state) != generation || state & state::FREE != 0 {
                return;
            }
            if state & state::RECOVERING != 0 {
                if !planted(Fault::UndoInBegin) {
                    entry.word.set_release(phase::with(word, phase::HELD));
                }
                self.await_recount(slot, entry);
                entry.word.set_release(phase::with(word, phase::END));
                state = slot.state.relaxed();
                continue;
            }
            let next = match kind {
                BorrowKind::Unique if state & state::UNIQUE != 0 => state::of(generation),
                BorrowKind::Shared if state & state::SOLE != 0 => state & !(state::SOLE | state::COUNT),
                BorrowKind::Shared if state & state::COUNT != 0 => state - 1,
                _ => return,
            };
            match slot.state.cas_full_or(Fault::EndByStore, state, next) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }

    /// Waits until a recount of this slot is over, and does it if the recoverer is dead.
    #[cold]
    fn await_recount(&self, slot: &Slot, entry: &Entry) {
        let index = meta::slot(entry.meta.relaxed(), entry.handle.relaxed());
        let mut patience = Patience::short();
        while slot.state.acquire() & state::RECOVERING != 0 {
            if !patience.wait() {
                if let Err(error) = crate::recovery::settle_slot(self, index) {
                    tracing::warn!(%error, "waiting for a recount");
                }
                patience = Patience::short();
            }
        }
    }

    /// Ends a borrow that its language ends exactly once. In a forked child nothing is ended (H7).
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn end_owned(&self, token: Token) {
        if !self.end_owned_fast(token) {
            self.end_owned_slow(token);
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn end_owned_slow(&self, token: Token) {
        let tcb = self.tcb_for_end();
        if tcb.is_none() {
            if self.is_child() {
                return;
            }
            // Without a block the end is marked on the attachment itself, for `detach` to wait for.
            self.strays.raise();
        }
        self.end_owned_by(tcb.as_deref(), token);
        if tcb.is_none() {
            self.strays.lower();
        }
    }

    fn end_owned_by(&self, tcb: Option<&Tcb>, token: Token) {
        let Some(entry) = self.segment.get::<Entry>(token.index()) else { return };
        let word = entry.word.relaxed();
        if phase::of(word) != phase::HELD || phase::generation(word) != token.generation() {
            tracing::error!(?token, "a borrow had ended before its owner ended it");
            return;
        }
        if let Some(tcb) = tcb {
            if phase::record(word) == tcb.record && self.end_own(tcb, entry, word) {
                return;
            }
            self.context_of_entry(tcb, entry);
        }
        if let Err(error) = self.end_entry(tcb, token.index(), entry, word, true) {
            tracing::error!(%error, ?token, "a borrow could not be ended in order");
        }
    }

    /// A thread that has never used the region of a borrow finds its context before it ends it: no lock is taken meanwhile.
    pub(crate) fn context_of_entry(&self, tcb: &Tcb, entry: &Entry) {
        let slot = self.segment.get::<Slot>(meta::slot(entry.meta.relaxed(), entry.handle.relaxed()));
        if let Some(owner) = slot.map(|slot| slot.owner.acquire())
            && self.context(tcb, owner).is_none()
        {
            let _ = self.context_to_count(tcb, owner);
        }
    }

    /// The end of a borrow whose only ender this is. `word` is the entry's word while it was held.
    pub(crate) fn end_entry(&self, tcb: Option<&Tcb>, index: u32, entry: &Entry, word: u64, count: bool) -> Result<()> {
        entry.word.set_release(phase::with(word, phase::END));
        let handle = Handle::from_bits(entry.handle.relaxed());
        let slot = self.segment.record::<Slot>(meta::slot(entry.meta.relaxed(), entry.handle.relaxed()))?;
        // Before the slot's state is released: it may have another from then on.
        let owner = slot.owner.acquire();
        if phase::kind(word) == BorrowKind::Unique as u64 {
            // Nobody else may change the word of a slot under a unique borrow.
            slot.state.set_release(state::of(handle.generation()));
            sync::light(self.segment.cheap);
        } else {
            self.undo(slot, entry, word, handle.generation(), BorrowKind::Shared);
        }
        // Pairs with `close_when_idle` and `wait_idle`: they change control, fence, then look at the entries.
        let region = self.segment.record::<RegionRecord>(control::region(owner))?;
        let control = region.control.acquire();
        match tcb {
            Some(tcb) => {
                if count {
                    match self.context(tcb, owner) {
                        Some(context) => context.counters[counter::ENDED].count(1),
                        None => self.count_on_record(tcb, counter::ENDED, 1),
                    }
                }
                self.free_entry(tcb, index, entry, word);
            }
            None => {
                let record = self.segment.record::<ThreadRecord>(phase::record(word))?;
                let_go(entry, word);
                record.foreign.add(if count { FOREIGN_COUNTED } else { 1 });
            }
        }
        if control::has_news(control) {
            self.after_end(region, owner, control)?;
        }
        Ok(())
    }

    /// Frees an entry in its next generation: to this thread's stack, or left for its owner to find.
    pub(crate) fn free_entry(&self, tcb: &Tcb, index: u32, entry: &Entry, word: u64) {
        let_go(entry, word);
        if phase::record(word) != tcb.record {
            if let Some(record) = self.segment.get::<ThreadRecord>(phase::record(word)) {
                record.foreign.add(1);
            }
        } else {
            tcb.free_entries.push(index, entry);
        }
    }

    /// What `after_end` does, for ends that have no way to say that it failed; the next `attach` or `check` does it again.
    #[cold]
    pub(crate) fn tell_after_end(&self, region: &RegionRecord, owner: u64, control: u64) {
        if let Err(error) = self.after_end(region, owner, control) {
            tracing::error!(%error, "what follows the end of a borrow could not be done");
        }
    }

    /// Wakes who waits for an idle region, and closes one that was to be closed when idle.
    #[cold]
    fn after_end(&self, region: &RegionRecord, owner: u64, control: u64) -> Result<()> {
        if control & control::WAITED != 0 && !planted(Fault::IdleWake) {
            crate::arena::wake_waiters(region);
        }
        if control::status(control) == control::DRAINING && !self.is_child() && !planted(Fault::DrainEnd) {
            sync::heavy(self.segment.cheap);
            crate::arena::finish_draining(self, control::region(owner), control::epoch(owner))?;
        }
        Ok(())
    }

    /// The heap's lock, if this process is attached. The thread has its record before: taking one needs the lock too.
    pub(crate) fn locked(&self) -> Result<Locked<'_>> {
        let op = self.tcb()?;
        Ok(Locked::take(self)?.of_operation(op))
    }
}

/// The last store of an end: its entry is free in its next generation. At every sixteenth the moment is noted, for the
/// next borrows in the entry.
fn let_go(entry: &Entry, word: u64) {
    let freed = phase::freed(word);
    if phase::is_due(freed) {
        entry.meta.set_release(meta::new(sys::ticks()));
    }
    entry.word.set_release(freed);
}

/// Ends by threads without a record are counted above the bits that tell of entries to be found.
pub(crate) const FOREIGN_COUNTED: u64 = 1 << 32 | 1;
