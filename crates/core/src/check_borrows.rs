//! Borrows, for `check`: whether the states of slots say what the ledger says, while others begin and end borrows.
//!
//! The ledger is read twice, and the states in between. An entry that was held at both readings, in one life, was held all
//! the time, and its slot's state had to say so. One that was beginning or ending, or that changed from one reading to the
//! other, may have been in the state or not. So a state is sound if it counts at least the former and at most both,
//! however busy the heap is and wherever a process was stopped; in a heap at rest this is exact.

use crate::error::Result;
use crate::layout::*;
use crate::ledger::{self, Seen};
use crate::segment::Segment;
use crate::sys;
use crate::told::{corrupt, corrupt_with};

/// One reading of the ledger: each entry and its word in the phase that it is in, and what it is about unless it is free.
/// By index.
pub(crate) struct Reading(Vec<(u32, u64, Option<Seen>)>);

impl Reading {
    pub(crate) fn take(segment: &Segment) -> Result<Reading> {
        let mut entries = Vec::new();
        ledger::each_entry(segment, &mut |at, record, attachment, entry| {
            let word = entry.word.acquire();
            let seen = ledger::read(segment, entry, at, record, attachment);
            // One that changed meanwhile has no word: it is as no other reading has it.
            if seen.map_or(phase::of(word) == phase::FREE, |seen| seen.word == word) {
                entries.push((at, seen.map_or(word, |seen| phase::with(word, seen.phase())), seen));
            }
            Ok(())
        })?;
        entries.sort_unstable_by_key(|entry| entry.0);
        Ok(Reading(entries))
    }

    /// How many borrows are held.
    pub(crate) fn held(&self) -> u64 {
        self.0.iter().filter(|(.., seen)| seen.is_some_and(|seen| seen.phase() == phase::HELD)).count() as u64
    }

    /// The word of an entry, if it had one.
    fn word(&self, at: u32) -> Option<u64> {
        let place = self.0.binary_search_by_key(&at, |entry| entry.0).ok()?;
        Some(self.0.get(place)?.1)
    }

    /// What stayed as it was from this reading to a later one. With one thread it is all.
    pub(crate) fn until(&self, later: impl FnOnce() -> Result<Reading>) -> Result<Borrows> {
        let mut borrows = Borrows::default();
        if sys::ALONE {
            borrows.seen.extend(self.0.iter().filter_map(|(.., seen)| *seen));
        } else {
            borrows.compare(self, &later()?);
        }
        borrows.seen.sort_unstable_by_key(|seen| seen.slot);
        Ok(borrows)
    }
}

/// What two readings of the ledger say of the time between them.
#[derive(Default)]
pub(crate) struct Borrows {
    /// Entries that stayed in one phase of one life, by the slot that they are about.
    seen: Vec<Seen>,
    /// Entries that changed, by index: each may have been about any slot.
    changed: Vec<u32>,
}

impl Borrows {
    fn compare(&mut self, before: &Reading, later: &Reading) {
        for (at, word, seen) in &before.0 {
            if later.word(*at) != Some(*word) {
                self.changed.push(*at);
            } else if let Some(seen) = seen {
                self.seen.push(*seen);
            }
        }
        self.changed.extend(later.0.iter().map(|entry| entry.0).filter(|at| before.word(*at).is_none()));
        self.changed.sort_unstable();
    }

    /// Checks a slot that lived between the readings and had this state.
    pub(crate) fn check_live(&self, slot: u32, state: u64) -> Result<()> {
        let (mut shared, mut unique, mut moving, mut owner) = (0_u64, None, self.changed.len() as u64, false);
        let entry = (state & state::COUNT) as u32;
        let first = self.seen.partition_point(|seen| seen.slot < slot);
        for seen in self.seen[first..].iter().take_while(|seen| seen.slot == slot) {
            let of_this_life = seen.handle.generation() == state::generation(state);
            if seen.phase() != phase::HELD {
                moving += u64::from(of_this_life && !seen.is_unique());
            } else if !of_this_life {
                let generation = seen.handle.generation();
                return Err(corrupt!("slot {} is borrowed in generation {}, which it has not", slot, generation));
            } else if seen.is_unique() {
                unique = Some(seen.index);
            } else {
                shared += 1;
            }
            owner |= of_this_life && seen.is_unique() == (state & state::UNIQUE != 0) && seen.index == entry;
        }
        let named = owner || self.changed.binary_search(&entry).is_ok();
        let agree = match state & (state::UNIQUE | state::SOLE) {
            state::UNIQUE => shared == 0 && unique.is_none_or(|unique| unique == entry) && named,
            state::SOLE => unique.is_none() && shared <= 1 && named,
            0 => unique.is_none() && (shared..=shared + moving).contains(&(state & state::COUNT)),
            _ => false,
        };
        if agree {
            return Ok(());
        }
        Err(corrupt_with!(
            "the borrows of slot {} are not those of its state (state {:#x}, {} shared, unique {})",
            slot,
            state,
            shared,
            unique.map_or(0, |entry| entry + 1)
        ))
    }

    /// Checks the entries that are about slots which did not live between the readings.
    pub(crate) fn check_rest(&self, segment: &Segment, lived: impl Fn(u32) -> bool) -> Result<()> {
        for seen in self.seen.iter().filter(|seen| seen.phase() == phase::HELD) {
            let Seen { index, slot, handle, .. } = *seen;
            if slot != handle.index() || segment.get::<Slot>(slot).is_none() {
                return Err(corrupt_with!("ledger entry {} is about slot {} and {}", index, slot, handle));
            }
            if !lived(slot) {
                return Err(corrupt!("slot {} is free and borrowed", slot));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::attachment::Attachment;
    use crate::error::ErrorCode;
    use crate::handle::Handle;
    use crate::heap::{HeapOptions, Init};
    use crate::snapshot::BorrowKind;

    fn heap() -> (Arc<Attachment>, Handle) {
        let heap = Attachment::private(HeapOptions::new()).expect("a heap");
        let region = heap.region_create("", None).expect("a region");
        let buffer = heap.alloc(region, 8, 64, Init::Zeroed).expect("a buffer");
        (heap, buffer)
    }

    fn code(heap: &Attachment) -> ErrorCode {
        heap.check().expect_err("damaged").code()
    }

    #[test]
    fn a_borrow_that_stands_still_while_it_begins_or_ends_is_sound() {
        let (heap, buffer) = heap();
        let slot = heap.segment.record::<Slot>(buffer.index()).expect("a slot");
        let free = slot.state.acquire();
        for kind in [BorrowKind::Shared, BorrowKind::Unique] {
            let borrow = heap.borrow_raw(buffer, kind).expect("it is free");
            let entry = heap.segment.record::<Entry>(borrow.token.index()).expect("an entry");
            let (held, state) = (entry.word.acquire(), slot.state.acquire());
            for phase in [phase::BEGIN, phase::END] {
                entry.word.set_release(phase::with(held, phase));
                for state in [state, free] {
                    slot.state.set_release(state);
                    heap.check().unwrap_or_else(|error| panic!("{kind:?} in phase {phase}, state {state:#x}: {error}"));
                }
            }
            entry.word.set_release(held);
            match kind {
                BorrowKind::Shared => assert_eq!(code(&heap), ErrorCode::Corrupt, "held, and not in the state"),
                BorrowKind::Unique => assert_eq!(heap.check().expect("it has begun to end").borrows, 0),
            }
            slot.state.set_release(state);
            assert_eq!(heap.check().expect("as it was").borrows, 1);
            heap.end_token(borrow.token).expect("it is held");
        }
    }

    #[test]
    fn a_state_that_no_entry_explains_is_damage() {
        let (heap, buffer) = heap();
        let slot = heap.segment.record::<Slot>(buffer.index()).expect("a slot");
        let borrow = heap.borrow_raw(buffer, BorrowKind::Shared).expect("it is free");
        let held = slot.state.acquire();
        let next = state::of(state::generation(held).wrapping_add(2)) | 1;
        let unique = held & !state::BORROWED | state::UNIQUE | u64::from(borrow.token.index());
        let counted = state::counted(held);
        for state in
            [held + 1, held ^ 1, unique, held | state::UNIQUE, held | state::FREE, next, counted + 1, counted - 1]
        {
            slot.state.set_release(state);
            assert_eq!(code(&heap), ErrorCode::Corrupt, "state {state:#x}, which was {held:#x}");
        }
        for state in [counted, held] {
            slot.state.set_release(state);
            heap.check().expect("one borrow, counted or alone");
        }
        heap.end_token(borrow.token).expect("it is held");
        for state in [unique, held] {
            slot.state.set_release(state);
            assert_eq!(code(&heap), ErrorCode::Corrupt, "alone by an entry that is free");
        }
        slot.state.set_release(held & !state::BORROWED);
        heap.check().expect("as it was");
    }
}
