//! The free entries of the ledger that a thread has, in its own memory.

use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;

use crate::layout::*;
use crate::sys;

/// A free entry of the ledger: its index, its address, which stays while the attachment lives, and its word.
#[derive(Clone, Copy)]
pub(crate) struct FreeEntry<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) word: u64,
    pub(crate) index: u32,
}

/// The thread's free ledger entries. One is at hand, free or in use, as its own word says: to begin a borrow in it is to
/// take it, and to end that is to put it back. Those that are spent are left out for good.
pub(crate) struct EntryStack {
    /// Free ones, without the one at hand.
    others: UnsafeCell<Vec<(NonNull<Entry>, u32)>>,
    /// How many entries the thread has, free or in use.
    owned: Cell<usize>,
    entry: Cell<NonNull<Entry>>,
    /// Its index, as the state of a slot under its unique borrow has it.
    unique: Cell<u64>,
}

/// No entry, and never free.
#[repr(C, align(32))]
struct Nothing(UnsafeCell<[u64; 4]>);
// SAFETY: it is looked at as the atomic words of an entry, and never changed.
unsafe impl Sync for Nothing {}
static NOTHING: Nothing = Nothing(UnsafeCell::new([phase::HELD; 4]));
const _: () = assert!(size_of::<Entry>() == size_of::<Nothing>() && align_of::<Entry>() <= align_of::<Nothing>());

impl EntryStack {
    const NOTHING: NonNull<Entry> = NonNull::from_ref(&NOTHING).cast();

    pub(crate) const fn new() -> EntryStack {
        EntryStack {
            others: UnsafeCell::new(Vec::new()),
            owned: Cell::new(0),
            entry: Cell::new(EntryStack::NOTHING),
            unique: Cell::new(0),
        }
    }

    /// The entry at hand with its word, whether free or not.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn at_hand(&self) -> (&Entry, u64) {
        // SAFETY: what is at hand is an entry of the attachment's segment, whose block this is; or `NOTHING`.
        let entry = unsafe { self.entry.get().as_ref() };
        // Whoever ended its borrow in another thread released it.
        (entry, entry.word.acquire())
    }

    /// The index of the entry at hand.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn index(&self) -> u32 {
        (self.unique.get() & state::COUNT) as u32
    }

    /// What makes the state of an idle slot that of one under a unique borrow in the entry at hand.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn unique(&self) -> u64 {
        self.unique.get()
    }

    /// The same for a shared borrow that is alone.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn sole(&self) -> u64 {
        self.unique.get() ^ (state::UNIQUE | state::SOLE)
    }

    /// Has another free entry at hand, with this moment; false if there is none.
    #[cold]
    #[inline(never)]
    pub(crate) fn next(&self) -> bool {
        while let Some((entry, index)) = self.others(Vec::pop) {
            self.entry.set(entry);
            self.unique.set(state::UNIQUE | u64::from(index));
            let (entry, word) = self.at_hand();
            if phase::is_free(word) {
                entry.meta.set_release(meta::new(sys::ticks()));
                return true;
            }
        }
        false
    }

    fn others<T>(&self, with: impl FnOnce(&mut Vec<(NonNull<Entry>, u32)>) -> T) -> T {
        // SAFETY: the stack is one thread's, and no reference to the vector leaves this function.
        with(unsafe { &mut *self.others.get() })
    }

    /// A free entry, for a borrow that begins before anything else is asked for.
    pub(crate) fn pop(&self) -> Option<FreeEntry<'_>> {
        loop {
            let (entry, word) = self.at_hand();
            if phase::is_free(word) {
                return Some(FreeEntry { entry, word, index: self.index() });
            }
            if !self.next() {
                return None;
            }
        }
    }

    /// Makes room for so many more entries, since to put one back must not need memory. False if there is none.
    pub(crate) fn make_room(&self, more: u32) -> bool {
        let owned = self.owned.get() + more as usize;
        self.others(|others| others.try_reserve_exact(owned - others.len().min(owned)).is_ok())
    }

    /// The thread has so many more entries, for which room was made.
    pub(crate) fn own(&self, more: u32) {
        self.owned.set(self.owned.get() + more as usize);
    }

    /// Whether this entry is at hand, so that it is put back by its word alone.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn is_at_hand(&self, entry: &Entry) -> bool {
        self.entry.get() == NonNull::from(entry)
    }

    /// Puts a free entry of this thread on the stack, clear of what an unfinished begin has left in its word.
    pub(crate) fn push(&self, index: u32, entry: &Entry) {
        let word = entry.word.relaxed();
        if phase::is_spent(word) {
            return;
        }
        if !phase::is_free(word) {
            entry.word.set_release(phase::free(word));
        }
        if !self.is_at_hand(entry) {
            self.others(|others| others.push((NonNull::from(entry), index)));
        }
    }

    pub(crate) fn clear(&self) {
        self.entry.set(EntryStack::NOTHING);
        self.owned.set(0);
        drop(self.others(std::mem::take));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Word;

    const GENERATION: u64 = 1 << 24;
    const SPENT: u64 = !(GENERATION - 1) - 15 * GENERATION;

    fn entries(words: [u64; 3]) -> [Entry; 3] {
        words.map(|word| Entry { word: Word::new(word), handle: Word::new(0), meta: Word::new(0) })
    }

    fn begin(stack: &EntryStack) -> Option<(u32, u64)> {
        let FreeEntry { entry, word, index } = stack.pop()?;
        entry.word.set_release(phase::begun(word, 0, 1));
        Some((index, word))
    }

    fn end(stack: &EntryStack, index: u32, entry: &Entry) {
        entry.word.set_release(phase::freed(entry.word.relaxed()));
        if !stack.is_at_hand(entry) {
            stack.push(index, entry);
        }
    }

    #[test]
    fn every_entry_comes_back_with_its_newest_word_in_whatever_order_it_went() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let entries = entries([GENERATION; 3]);
            let stack = EntryStack::new();
            (0..3).for_each(|at| stack.push(at, &entries[at as usize]));
            for round in 1..4 {
                let mut taken: Vec<_> = (0..3).map(|_| begin(&stack).expect("three of them")).collect();
                taken.sort_unstable();
                assert_eq!(
                    (taken.as_slice(), begin(&stack)),
                    ([0, 1, 2].map(|at| (at, round * GENERATION)).as_slice(), None)
                );
                assert!(stack.pop().is_none());
                order.iter().for_each(|at| end(&stack, *at, &entries[*at as usize]));
            }
        }
    }

    #[test]
    fn the_one_at_hand_is_used_again_once_another_thread_has_ended_it() {
        let entries = entries([GENERATION; 3]);
        let stack = EntryStack::new();
        stack.push(7, &entries[0]);
        assert_eq!((begin(&stack), begin(&stack)), (Some((7, GENERATION)), None));
        entries[0].word.set_release(phase::freed(entries[0].word.relaxed()));
        assert_eq!(begin(&stack), Some((7, 2 * GENERATION)));
        // Found by a search as well, it is there once.
        entries[0].word.set_release(phase::freed(entries[0].word.relaxed()));
        stack.push(7, &entries[0]);
        assert_eq!((begin(&stack), begin(&stack)), (Some((7, 3 * GENERATION)), None));
    }

    #[test]
    fn entries_that_are_put_back_take_no_memory() {
        const PAGE: u32 = 64;
        let entries: Vec<[Entry; 3]> = (0..2 * PAGE).map(|_| entries([GENERATION; 3])).collect();
        let stack = EntryStack::new();
        for page in entries.chunks(PAGE as usize) {
            assert!(stack.make_room(PAGE) && stack.make_room(PAGE));
            stack.own(PAGE);
            let place = stack.others(|others| others.as_ptr());
            page.iter().for_each(|entry| stack.push(0, &entry[0]));
            assert_eq!(stack.others(|others| others.as_ptr()), place);
            while begin(&stack).is_some() {}
        }
        let place = stack.others(|others| others.as_ptr());
        entries.iter().for_each(|entry| end(&stack, 0, &entry[0]));
        assert_eq!(stack.others(|others| (others.as_ptr(), others.len())), (place, 2 * PAGE as usize - 1));
    }

    #[test]
    fn what_an_unfinished_begin_has_left_in_a_word_is_cleared() {
        let entries = entries([GENERATION | 0x5a00; 3]);
        let stack = EntryStack::new();
        stack.push(0, &entries[0]);
        assert_eq!(begin(&stack), Some((0, GENERATION)));
    }

    #[test]
    fn spent_entry_is_given_to_nobody() {
        let entries = entries([GENERATION, SPENT, SPENT - GENERATION]);
        let stack = EntryStack::new();
        (0..3).for_each(|at| stack.push(at, &entries[at as usize]));
        assert_eq!((begin(&stack), begin(&stack)), (Some((2, SPENT - GENERATION)), Some((0, GENERATION))));
        // That was the last borrow in it, whoever ends it.
        entries[2].word.set_release(phase::freed(entries[2].word.relaxed()));
        stack.push(2, &entries[2]);
        assert!(phase::of(entries[2].word.relaxed()) == phase::FREE && stack.pop().is_none());
        end(&stack, 0, &entries[0]);
        assert_eq!((begin(&stack), begin(&stack)), (Some((0, 2 * GENERATION)), None));
    }
}
