//! The heap's lock and its journal: every structural change of a segment is a transaction that is written down before
//! it is made, so that whoever finds its owner dead does it again from the start (C1).
//!
//! A transaction reads and writes words by reference. Writes are kept aside until `commit`, which records them all,
//! then makes them, then clears the record. Doing it twice changes nothing, since nobody else may write these words.

#[cfg(not(target_family = "wasm"))]
use std::cell::RefCell;
use std::time::Duration;

use crate::attachment::Attachment;
use crate::error::{ErrorCode, Result};
use crate::fault::{Fault, planted};
use crate::layout::{JOURNAL, Table};
use crate::segment::Segment;
use crate::sync::{Patience, Word};
use crate::sys::Instant;
use crate::threads::Op;
use crate::told::{corrupt, told, told_with};

/// A wait for the lock that is worth telling.
const SLOW: Duration = Duration::from_millis(1);

/// The lock of a heap, held. The order of the fields is that of their end: what there is to tell is told once the lock
/// is free, since a subscriber of events may use the heap.
pub(crate) struct Locked<'a> {
    pub(crate) attachment: &'a Attachment,
    pub(crate) segment: &'a Segment,
    _lock: LockGuard<'a>,
    notes: Notes,
    _op: Option<Op<'a>>,
}

struct LockGuard<'a> {
    segment: &'a Segment,
    #[cfg(debug_assertions)]
    word: u64,
}

/// Events that wait for the lock's end.
#[cfg(not(target_family = "wasm"))]
struct Notes(RefCell<Vec<Box<dyn FnOnce()>>>);

#[cfg(not(target_family = "wasm"))]
impl Notes {
    fn new() -> Notes {
        Notes(RefCell::default())
    }

    fn add(&self, event: impl FnOnce() + 'static) {
        self.0.borrow_mut().push(Box::new(event));
    }
}

#[cfg(not(target_family = "wasm"))]
impl Drop for Notes {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|note| note());
    }
}

/// In WebAssembly these events are left out, as spans are.
#[cfg(target_family = "wasm")]
struct Notes;

#[cfg(target_family = "wasm")]
impl Notes {
    fn new() -> Notes {
        Notes
    }

    fn add(&self, _event: impl FnOnce() + 'static) {}
}

fn lock_word(attachment: u16, sequence: u32) -> u64 {
    u64::from(attachment) + 1 | u64::from(sequence) << 16
}

impl<'a> Locked<'a> {
    /// Takes the lock. One that a dead process holds is taken over, and its change is completed; one that a stopped
    /// process holds is waited for some seconds, then refused as `Borrowed`.
    pub(crate) fn take(attachment: &'a Attachment) -> Result<Locked<'a>> {
        #[cfg(loom)]
        assert!(!attachment.has_left(), "an attachment that has left the heap takes its lock");
        let segment = &attachment.segment;
        let header = segment.header();
        let mine = lock_word(attachment.index, attachment.sequence);
        let attachments = u64::from(segment.capacity(Table::Attachments));
        let (mut patience, mut since, mut beat) = (Patience::long(), None, header.beat.relaxed());
        let stolen = loop {
            match header.lock.cas_or(Fault::LockByStore, 0, mine) {
                Ok(_) => break false,
                Err(holder) if crate::sys::ALONE || holder & 0xffff > attachments || holder & 0xffff == 0 => {
                    return Err(corrupt!("the lock's word is {:#x}, which no attachment writes", holder));
                }
                Err(holder) => {
                    since.get_or_insert_with(Instant::now);
                    if patience.suspicious() {
                        if attachment.lock_holder_is_dead(holder)
                            && header.lock.cas_or(Fault::TakeoverByStore, holder, mine).is_ok()
                        {
                            break true;
                        }
                        let now = header.beat.relaxed();
                        if now != beat {
                            (patience, beat) = (Patience::long(), now);
                        }
                    }
                    if !patience.wait() {
                        return Err(told_with!(
                            ErrorCode::Borrowed,
                            "the heap's lock is held by {} and was not released: is that process stopped?",
                            &attachment.describe((holder as u16).wrapping_sub(1))
                        ));
                    }
                }
            }
        };
        #[cfg(loom)]
        crate::model::takes_the_lock(stolen);
        let lock = LockGuard {
            segment,
            #[cfg(debug_assertions)]
            word: mine,
        };
        let locked = Locked { attachment, segment, _lock: lock, notes: Notes::new(), _op: None };
        let id = attachment.segment.identity.id;
        if let Some(waited) = since.map(|since| since.elapsed()).filter(|waited| *waited > SLOW) {
            locked.tell(
                move || tracing::debug!(heap = %format_args!("{id:032x}"), ?waited, "waited for the heap's lock"),
            );
        }
        if stolen {
            locked.tell(move || {
                tracing::warn!(heap = %format_args!("{id:032x}"), "the holder of the heap's lock was dead; its change was completed");
            });
            locked.repair()?;
        }
        Ok(locked)
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_take(attachment: &'a Attachment) -> Option<Locked<'a>> {
        let segment = &attachment.segment;
        let mine = lock_word(attachment.index, attachment.sequence);
        segment.header().lock.cas(0, mine).ok()?;
        #[cfg(loom)]
        crate::model::takes_the_lock(false);
        let lock = LockGuard {
            segment,
            #[cfg(debug_assertions)]
            word: mine,
        };
        Some(Locked { attachment, segment, _lock: lock, notes: Notes::new(), _op: None })
    }

    /// The lock as part of an operation of this thread, which is over when the lock is free.
    pub(crate) fn of_operation(mut self, op: Op<'a>) -> Locked<'a> {
        self._op = Some(op);
        self
    }

    /// Keeps an event until the lock is free.
    pub(crate) fn tell(&self, event: impl FnOnce() + 'static) {
        self.notes.add(event);
    }

    /// Says to those who wait that work under the lock goes on.
    pub(crate) fn beat(&self) {
        self.segment.header().beat.step(1);
    }

    /// Completes what a dead holder of the lock left half done.
    fn repair(&self) -> Result<()> {
        redo(self.segment)?;
        crate::pages::resume_trim(self)?;
        if planted(Fault::Resume) { Ok(()) } else { crate::arena::resume(self) }
    }

    /// Begins a change.
    pub(crate) fn change(&self) -> Change<'_> {
        Change::new(self.segment)
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        let header = self.segment.header();
        if header.journal_len.relaxed() != 0 {
            // A panic came between the record and its end. Errors mean a damaged journal, which `check` reports.
            let _ = redo(self.segment);
        }
        #[cfg(debug_assertions)]
        assert_eq!(header.lock.relaxed(), self.word);
        #[cfg(loom)]
        crate::model::leaves_the_lock();
        match planted(Fault::LockRelease) {
            true => header.lock.set_relaxed(0),
            false => header.lock.set_release(0),
        }
    }
}

/// A structural change under way.
pub(crate) struct Change<'a> {
    segment: &'a Segment,
    /// Offset, count of words, value.
    writes: [(u64, u64, u64); JOURNAL],
    len: usize,
    overflow: bool,
}

impl<'a> Change<'a> {
    fn new(segment: &'a Segment) -> Change<'a> {
        Change { segment, writes: [const { (0, 0, 0) }; JOURNAL], len: 0, overflow: false }
    }

    /// The word's value as this change has it.
    pub(crate) fn get(&self, word: &Word) -> u64 {
        let offset = self.segment.offset_of(word);
        for (at, count, value) in self.writes[..self.len].iter().rev() {
            if (*at..at + count * 8).contains(&offset) {
                return *value;
            }
        }
        word.acquire()
    }

    /// A change that is made whole before this one, of words that this one has not touched.
    #[cfg(target_family = "wasm")]
    pub(crate) fn before(&self) -> Change<'a> {
        Change::new(self.segment)
    }

    /// How many writes there is room for.
    pub(crate) fn room(&self) -> usize {
        JOURNAL - self.len
    }

    /// Writes one word.
    pub(crate) fn set(&mut self, word: &Word, value: u64) {
        self.fill(word, 1, value);
    }

    /// Writes one word that this change has not written before.
    pub(crate) fn put(&mut self, word: &Word, value: u64) {
        self.add(self.segment.offset_of(word), 1, value);
    }

    /// Writes one word that depends on what it is.
    pub(crate) fn update(&mut self, word: &Word, update: impl FnOnce(u64) -> u64) {
        let offset = self.segment.offset_of(word);
        match self.written(offset) {
            Some(write) if write.1 == 1 => write.2 = update(write.2),
            Some(write) => {
                let now = write.2;
                self.add(offset, 1, update(now));
            }
            None => self.add(offset, 1, update(word.acquire())),
        }
    }

    /// Writes a run of words with one value.
    pub(crate) fn fill(&mut self, first: &Word, count: u64, value: u64) {
        let offset = self.segment.offset_of(first);
        match self.written(offset) {
            _ if count == 0 => {}
            Some(write) if count == 1 && write.1 == 1 => write.2 = value,
            _ => self.add(offset, count, value),
        }
    }

    /// The last write so far of the word at this offset.
    fn written(&mut self, offset: u64) -> Option<&mut (u64, u64, u64)> {
        self.writes[..self.len].iter_mut().rev().find(|write| (write.0..write.0 + write.1 * 8).contains(&offset))
    }

    fn add(&mut self, offset: u64, count: u64, value: u64) {
        match self.writes.get_mut(self.len) {
            Some(write) => {
                *write = (offset, count, value);
                self.len += 1;
            }
            None => self.overflow = true,
        }
    }

    /// Writes the record, makes the change, clears the record.
    #[inline]
    pub(crate) fn commit(self) -> Result<()> {
        if self.overflow {
            return Err(told!(ErrorCode::Internal, "a change of the heap has too many words for its journal"));
        }
        let header = self.segment.header();
        for (cell, (offset, count, value)) in header.journal.iter().zip(&self.writes[..self.len]) {
            cell[0].set_relaxed(offset / 8 << 24 | count);
            cell[1].set_relaxed(*value);
        }
        header.journal_len.set_release(self.len as u64);
        redo(self.segment)
    }
}

/// Makes the recorded change, from the start.
fn redo(segment: &Segment) -> Result<()> {
    let header = segment.header();
    let len = header.journal_len.acquire();
    let cells = header.journal.get(..len as usize).ok_or_else(|| corrupt!("journal of {} writes", len))?;
    if planted(Fault::Journal) {
        header.journal_len.set_release(0);
    }
    for cell in cells {
        let (place, value) = (cell[0].relaxed(), cell[1].relaxed());
        let (first, count) = (place >> 24, place & 0xff_ffff);
        if count == 0 || (first + count) * 8 > segment.geometry.size {
            return Err(corrupt!("journal names words {} to {}", first, first + count));
        }
        for word in first..first + count {
            if let Some(word) = segment.word(word * 8) {
                word.set_release(value);
            }
        }
    }
    header.journal_len.set_release(0);
    Ok(())
}
