//! The free entries of the ledger that a thread has, in its own memory.

use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;

use crate::layout::*;

/// A free entry of the ledger: its index, its address, which stays while the attachment lives, and its word.
#[derive(Clone, Copy)]
pub(crate) struct FreeEntry<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) word: u64,
    pub(crate) index: u32,
}

/// The thread's free ledger entries. The last one is kept at hand, and stays so while it is taken: it is the first to
/// come back.
pub(crate) struct EntryStack {
    items: UnsafeCell<Vec<FreeEntry<'static>>>,
    live: Cell<usize>,
    /// What is at hand is a copy of the item before this number, with its newer word.
    at_hand: Cell<usize>,
    entry: Cell<NonNull<Entry>>,
    word: Cell<u64>,
    index: Cell<u32>,
}

/// No number of an item.
const NOTHING: usize = usize::MAX;

impl EntryStack {
    pub(crate) fn new() -> EntryStack {
        EntryStack {
            items: UnsafeCell::default(),
            live: Cell::default(),
            at_hand: Cell::new(NOTHING),
            entry: Cell::new(NonNull::dangling()),
            word: Cell::default(),
            index: Cell::default(),
        }
    }

    /// The entry that `take` takes.
    #[inline(always)]
    pub(crate) fn top(&self) -> Option<FreeEntry<'_>> {
        if self.live.get() != self.at_hand.get() && !self.look() {
            return None;
        }
        // SAFETY: what is at hand is an entry of the attachment's segment, whose block this is.
        let entry = unsafe { self.entry.get().as_ref() };
        Some(FreeEntry { entry, word: self.word.get(), index: self.index.get() })
    }

    /// Has the last item at hand; false if there is none.
    #[cold]
    #[inline(never)]
    fn look(&self) -> bool {
        let live = self.live.get();
        match self.whole(|items| live.checked_sub(1).and_then(|top| items.get(top).copied())) {
            Some(item) => self.have(live, item),
            None => return false,
        }
        true
    }

    fn have(&self, at: usize, item: FreeEntry<'static>) {
        self.at_hand.set(at);
        self.entry.set(item.entry.into());
        self.word.set(item.word);
        self.index.set(item.index);
    }

    /// The vector, with what is at hand written back.
    fn whole<T>(&self, with: impl FnOnce(&mut Vec<FreeEntry<'static>>) -> T) -> T {
        // SAFETY: the stack is one thread's, and no reference to the vector leaves this function.
        let items = unsafe { &mut *self.items.get() };
        if let Some(item) = self.at_hand.get().checked_sub(1).and_then(|at| items.get_mut(at)) {
            item.word = self.word.get();
        }
        with(items)
    }

    /// Takes what `top` gave.
    #[inline(always)]
    pub(crate) fn take(&self) {
        self.live.set(self.live.get() - 1);
    }

    /// Takes an entry; those that are spent are left out for good.
    pub(crate) fn pop(&self) -> Option<FreeEntry<'_>> {
        loop {
            let top = self.top()?;
            self.take();
            if !phase::is_spent(top.word) {
                return Some(top);
            }
        }
    }

    /// Puts back what was taken last and is at hand still, with the word that it is about to have; false if it is not.
    #[inline(always)]
    pub(crate) fn put_back(&self, entry: &Entry, word: u64) -> bool {
        let at_hand = self.entry.get() == NonNull::from(entry);
        if at_hand {
            self.word.set(word);
            self.live.set(self.live.get() + 1);
        }
        at_hand
    }

    /// Puts a free entry on the stack, with the word that it has or is about to have.
    pub(crate) fn push(&self, index: u32, entry: &Entry, word: u64) {
        let live = self.live.get();
        // SAFETY: entries stay while the attachment lives, whose block this is.
        let item = FreeEntry { entry: unsafe { &*std::ptr::from_ref(entry) }, word: phase::free(word), index };
        self.whole(|items| {
            items.truncate(live);
            items.push(item);
        });
        self.live.set(live + 1);
        self.have(live + 1, item);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.live.get() == 0
    }

    pub(crate) fn clear(&self) {
        self.live.set(0);
        self.at_hand.set(NOTHING);
        self.entry.set(NonNull::dangling());
        drop(self.whole(std::mem::take));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Word;

    const GENERATION: u64 = 1 << 24;

    fn entries() -> [Entry; 3] {
        std::array::from_fn(|_| Entry {
            word: Word::new(0),
            handle: Word::new(0),
            owner: Word::new(0),
            meta: Word::new(0),
        })
    }

    fn pop(stack: &EntryStack) -> Option<(u32, u64)> {
        stack.pop().map(|free| (free.index, free.word))
    }

    #[test]
    fn every_entry_comes_back_with_its_newest_word_in_whatever_order_it_went() {
        let entries = entries();
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let stack = EntryStack::new();
            (0..3).for_each(|at| stack.push(at, &entries[at as usize], GENERATION));
            let taken: Vec<u32> = (0..3).map(|_| pop(&stack).expect("three of them").0).collect();
            assert_eq!((taken.as_slice(), pop(&stack)), ([2, 1, 0].as_slice(), None));
            for at in order {
                let word = (u64::from(at) + 2) * GENERATION;
                if !stack.put_back(&entries[at as usize], word) {
                    stack.push(at, &entries[at as usize], word);
                }
            }
            let mut back: Vec<(u32, u64)> = (0..3).map(|_| pop(&stack).expect("three of them")).collect();
            assert_eq!((back[0].0, pop(&stack)), (order[2], None));
            back.sort_unstable();
            assert_eq!(back, [(0, 2 * GENERATION), (1, 3 * GENERATION), (2, 4 * GENERATION)], "{order:?}");
        }
    }

    #[test]
    fn what_was_taken_last_is_put_back_and_nothing_else() {
        let entries = entries();
        let stack = EntryStack::new();
        stack.push(0, &entries[0], GENERATION);
        stack.push(1, &entries[1], GENERATION);
        assert_eq!(stack.top().map(|free| free.index), Some(1));
        stack.take();
        assert!(!stack.put_back(&entries[0], 9 * GENERATION));
        assert!(stack.put_back(&entries[1], 5 * GENERATION));
        assert_eq!(
            (pop(&stack), pop(&stack), stack.is_empty()),
            (Some((1, 5 * GENERATION)), Some((0, GENERATION)), true)
        );
    }

    #[test]
    fn spent_entry_is_given_to_nobody() {
        let entries = entries();
        let stack = EntryStack::new();
        let spent = !(GENERATION - 1);
        stack.push(0, &entries[0], GENERATION);
        stack.push(1, &entries[1], spent);
        assert_eq!((pop(&stack), pop(&stack)), (Some((0, GENERATION)), None));
    }
}
