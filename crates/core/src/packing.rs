//! The packing of the words of a segment's records: slot states, control words of regions, ledger entries, places,
//! classes of sizes. Pure functions.

/// The state word of a slot.
pub(crate) mod state {
    pub(crate) const UNIQUE: u64 = 1 << 31;
    pub(crate) const FREE: u64 = 1 << 30;
    pub(crate) const RECOVERING: u64 = 1 << 29;
    pub(crate) const POISONED: u64 = 1 << 28;
    pub(crate) const FROZEN: u64 = 1 << 27;
    /// A shared borrow that is alone: its entry is in the place of the count.
    pub(crate) const SOLE: u64 = 1 << 26;
    pub(crate) const COUNT: u64 = SOLE - 1;
    /// Something is borrowed.
    pub(crate) const BORROWED: u64 = UNIQUE | SOLE | COUNT;
    /// Flags that stay when a count changes.
    pub(crate) const LASTING: u64 = POISONED | FROZEN;

    #[inline]
    pub(crate) fn generation(word: u64) -> u32 {
        (word >> 32) as u32
    }

    #[inline]
    pub(crate) fn of(generation: u32) -> u64 {
        u64::from(generation) << 32
    }

    /// Whether nobody borrows, and there is no mark but that it is frozen.
    #[inline]
    pub(crate) fn is_idle(word: u64) -> bool {
        word as u32 & !(FROZEN as u32) == 0
    }

    /// The same with the borrow that is alone counted.
    pub(crate) fn counted(word: u64) -> u64 {
        (word & !(SOLE | COUNT)) + 1
    }

    /// How many shared borrows there are.
    pub(crate) fn shared(word: u64) -> u64 {
        match word & (UNIQUE | SOLE) {
            0 => word & COUNT,
            SOLE => 1,
            _ => 0,
        }
    }

    /// Freed by this context, which lists the slot next.
    #[inline]
    pub(crate) fn freed(generation: u32, context: u32) -> u64 {
        of(generation) | FREE | u64::from(context) & COUNT
    }

    /// The first generation of a slot: odd, and another one in each heap and for each slot, so that a handle made up
    /// or taken from another heap does not fit (K1).
    #[inline]
    pub(crate) fn first_generation(seed: u64, index: u32) -> u32 {
        ((seed ^ u64::from(index)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 | 1
    }

    /// The generation after this one, or `None` when all have been used (K2).
    #[inline]
    pub(crate) fn next_generation(word: u64, seed: u64, index: u32) -> Option<u32> {
        let first = first_generation(seed, index);
        let now = generation(word);
        if now == 0 {
            return Some(first);
        }
        let next = now.wrapping_add(2);
        if next == first { None } else { Some(next) }
    }
}

/// The control word of a region and the owner words made of it.
pub(crate) mod control {
    pub(crate) const OPEN: u64 = 0;
    pub(crate) const CLOSING: u64 = 1;
    pub(crate) const DRAINING: u64 = 2;
    pub(crate) const CLOSED: u64 = 3;
    /// Somebody sleeps until the region is idle.
    pub(crate) const WAITED: u64 = 1 << 19;
    /// Shared borrows of its buffers are counted, also one that is alone: threads share them, or processes may.
    pub(crate) const COUNTED: u64 = 1 << 18;
    /// What stays when a region closes or opens in the same epoch.
    pub(crate) const KEPT: u64 = WAITED | COUNTED;
    pub(crate) const REGION_BITS: u32 = 20;
    pub(crate) const LOW: u64 = (1 << REGION_BITS) - 1;
    pub(crate) const LAST_EPOCH: u64 = (1 << 44) - 1;

    #[inline]
    pub(crate) fn new(epoch: u64, status: u64, attachment: u16) -> u64 {
        epoch << REGION_BITS | status << 16 | u64::from(attachment)
    }

    #[inline]
    pub(crate) fn epoch(word: u64) -> u64 {
        word >> REGION_BITS
    }

    #[inline]
    pub(crate) fn status(word: u64) -> u64 {
        word >> 16 & 3
    }

    #[inline]
    pub(crate) fn attachment(word: u64) -> u16 {
        word as u16
    }

    #[inline]
    pub(crate) fn is_open(word: u64) -> bool {
        word & LOW & !KEPT == 0
    }

    /// The owner word of the slots of this region in this epoch.
    #[inline]
    pub(crate) fn owner(word: u64, region: u32) -> u64 {
        word & !LOW | u64::from(region)
    }

    #[inline]
    pub(crate) fn region(owner: u64) -> u32 {
        (owner & LOW) as u32
    }

    /// Whether an end has something to do for others: wake who waits, or finish what was to close when idle.
    #[inline]
    pub(crate) fn has_news(word: u64) -> bool {
        word & LOW & !(COUNTED | 0xffff) != 0
    }

    /// Whether what belongs to this owner lives: its region is open, in the same epoch.
    #[inline]
    pub(crate) fn lives(word: u64, owner: u64) -> bool {
        word & !KEPT == owner & !LOW
    }

    /// Whether another is closing this owner's region, which may still come to nothing. One thread never sees its own.
    #[inline]
    pub(crate) fn is_closing(word: u64, owner: u64) -> bool {
        !crate::sys::ALONE && status(word) == CLOSING && epoch(word) == epoch(owner)
    }

    /// What the control word of a region of this owner is while it lives and nobody waits for it to be idle.
    #[inline]
    pub(crate) fn quiet(word: u64, owner: u64) -> u64 {
        owner & !LOW | word & COUNTED
    }

    /// The control word of a region that opens.
    pub(crate) fn open(epoch: u64, counted: bool) -> u64 {
        new(epoch, OPEN, 0) | if counted { COUNTED } else { 0 }
    }
}

/// The word of a ledger entry.
pub(crate) mod phase {
    pub(crate) const FREE: u64 = 0;
    pub(crate) const BEGIN: u64 = 1;
    pub(crate) const HELD: u64 = 2;
    pub(crate) const END: u64 = 3;
    /// Mark beside the kind: a buffer is being zeroed and nobody has its handle yet.
    pub(crate) const NEW: u64 = 4;
    /// Mark beside the kind: an object of the program owns the borrow and ends it; a token alone does not.
    pub(crate) const OWNED: u64 = 8;
    const PHASE: u64 = 0xff;
    const LOW: u64 = (1 << 24) - 1;
    /// Not used any more: one that is due, where the short ways look up.
    const LAST_GENERATION: u64 = (1 << 40) - 16;

    #[inline]
    pub(crate) fn new(generation: u64, record: u32, kind: u64, phase: u64) -> u64 {
        generation << 24 | u64::from(record) << 12 | kind << 8 | phase
    }

    /// The first word of an entry: its generation begins at random, as those of handles do (K1).
    #[inline]
    pub(crate) fn first(random: u64) -> u64 {
        new(random & (LAST_GENERATION >> 4) | 1, 0, 0, FREE)
    }

    /// The word of a free entry, without what an unfinished begin has left in it.
    #[inline]
    pub(crate) fn free(word: u64) -> u64 {
        word & !LOW
    }

    /// Whether an entry is free for use: nothing is left in its word.
    #[inline]
    pub(crate) fn is_free(word: u64) -> bool {
        word & LOW == FREE
    }

    /// A free entry's word once a borrow begins in it.
    #[inline]
    pub(crate) fn begun(free: u64, record: u64, kind: u64) -> u64 {
        free | record | kind << 8 | BEGIN
    }

    /// A held entry's word but for the kind, in this generation, of a thread, with a mark.
    #[inline]
    pub(crate) fn held_by(generation: u64, record: u64, mark: u64) -> u64 {
        generation << 24 | record | mark << 8 | HELD
    }

    #[inline]
    pub(crate) fn without_kind(word: u64) -> u64 {
        word & !(3 << 8)
    }

    /// A thread's record in the word of its entries.
    #[inline]
    pub(crate) fn of_record(record: u32) -> u64 {
        u64::from(record) << 12
    }

    /// From that to the same held.
    #[inline]
    pub(crate) fn held(begun: u64) -> u64 {
        begun + (HELD - BEGIN)
    }

    /// From that to the same ending.
    #[inline]
    pub(crate) fn ending(held: u64) -> u64 {
        held + (END - HELD)
    }

    /// Whether it is time to look at the clock, which costs a third of a borrow: at every sixteenth.
    #[inline]
    pub(crate) fn is_due(word: u64) -> bool {
        generation(word).is_multiple_of(16)
    }

    /// Whether the entry has used up its generations (K2).
    #[inline]
    pub(crate) fn is_spent(word: u64) -> bool {
        generation(word) >= LAST_GENERATION
    }

    #[inline]
    pub(crate) fn of(word: u64) -> u64 {
        word & PHASE
    }

    #[inline]
    pub(crate) fn with(word: u64, phase: u64) -> u64 {
        word & !PHASE | phase
    }

    #[inline]
    pub(crate) fn kind(word: u64) -> u64 {
        word >> 8 & 3
    }

    #[inline]
    pub(crate) fn is_owned(word: u64) -> bool {
        word >> 8 & OWNED != 0
    }

    #[inline]
    pub(crate) fn is_new(word: u64) -> bool {
        word >> 8 & NEW != 0
    }

    #[inline]
    pub(crate) fn record(word: u64) -> u32 {
        (word >> 12 & 0xfff) as u32
    }

    #[inline]
    pub(crate) fn generation(word: u64) -> u64 {
        word >> 24
    }

    /// What stays in the word of an entry that is free but spent.
    const SPENT: u64 = 1 << 8;

    /// The word of an entry whose borrow has ended; one that is spent is not free to be used again (K2).
    pub(crate) fn freed(word: u64) -> u64 {
        let ended = ended(word);
        if is_spent(ended) { ended | SPENT } else { ended }
    }

    /// The entry's next life, if it is not spent: free, one generation on.
    #[inline]
    pub(crate) fn ended(word: u64) -> u64 {
        (word | LOW).wrapping_add(1)
    }
}

/// Moments of 8 ms, made without a division: {seconds 25 | 2^23 ns 7}.
pub(crate) mod tick {
    #[inline]
    pub(crate) fn new(seconds: u64, nanoseconds: u32) -> u32 {
        (seconds as u32) << 7 | nanoseconds >> 23
    }

    /// Milliseconds from one to another; 0 if the second is before the first, since the coarse clocks of two processors
    /// may differ.
    #[inline]
    pub(crate) fn between(since: u32, now: u32) -> u64 {
        let milliseconds = |tick: u32| u64::from(tick >> 7) * 1000 + (u64::from(tick & 127) << 23) / 1_000_000;
        let (since, now) = (milliseconds(since), milliseconds(now));
        // The seconds come round after a year and a day.
        const ROUND: u64 = 1000 << 25;
        let age = (now + ROUND - since) % ROUND;
        if age > ROUND / 2 { 0 } else { age }
    }
}

/// Packing of a slot's place and length.
pub(crate) mod place {
    #[inline]
    pub(crate) fn new(class: usize, offset: u64) -> u64 {
        offset << 16 | class as u64
    }

    #[inline]
    pub(crate) fn class(word: u64) -> usize {
        word as u8 as usize
    }

    #[inline]
    pub(crate) fn offset(word: u64) -> u64 {
        word >> 16
    }
}

/// The length word of a slot that is not free.
pub(crate) mod extent {
    #[inline]
    pub(crate) fn new(length: u64) -> u64 {
        length << 24
    }

    /// The same for a buffer that has a chunk of its own.
    pub(crate) fn in_chunk(length: u64, chunk: u32) -> u64 {
        new(length) | u64::from(chunk) + 1
    }

    #[inline]
    pub(crate) fn length(word: u64) -> u64 {
        word >> 24
    }

    /// The chunk of its own that a buffer has.
    pub(crate) fn chunk(word: u64) -> Option<u32> {
        (word as u32 & 0xff_ffff).checked_sub(1)
    }
}

/// The last word of an entry: since when, and the slot, where it is not the one that the handle names.
pub(crate) mod meta {
    /// Of a borrow by a handle that names the slot.
    #[inline]
    pub(crate) fn new(since: u32) -> u64 {
        u64::from(since)
    }

    #[inline]
    pub(crate) fn since(word: u64) -> u32 {
        word as u32
    }

    /// The slot of the entry with this handle.
    #[inline]
    pub(crate) fn slot(word: u64, handle: u64) -> u32 {
        (word >> 32) as u32 ^ handle as u32
    }
}

/// Classes of sizes: every 64 bytes up to 512, then four in each doubling up to 1 MiB.
pub(crate) mod class {
    pub(crate) const UNIT: u64 = 64;
    pub(crate) const LARGEST: u64 = 1 << 20;

    /// The class for so many bytes; `None` above 1 MiB.
    #[inline]
    pub(crate) fn of(bytes: u64) -> Option<usize> {
        let units = bytes.max(1).div_ceil(UNIT);
        if units <= 8 {
            return Some(units as usize - 1);
        }
        if bytes > LARGEST {
            return None;
        }
        let top = 63 - (units - 1).leading_zeros();
        let quarter = (units - 1) >> (top - 2) & 3;
        Some(8 + (top as usize - 3) * 4 + quarter as usize)
    }

    /// Bytes of a buffer of this class.
    #[inline]
    pub(crate) fn size(class: usize) -> u64 {
        if class < 8 {
            return (class as u64 + 1) * UNIT;
        }
        let (doubling, quarter) = ((class as u64 - 8) / 4, (class as u64 - 8) % 4);
        (quarter + 5) << (doubling + 1) << 6
    }
}

/// A good mixer of 64 bits (the finalizer of SplitMix64, Steele et al. 2014).
#[inline]
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::CLASSES;

    #[test]
    fn classes_hold_what_they_are_for_and_waste_at_most_a_fifth() {
        let mut last = 0;
        for class in 0..CLASSES {
            let size = class::size(class);
            assert!(size > last, "class {class}");
            assert_eq!(class::of(last + 1), Some(class), "first size of class {class}");
            assert_eq!(class::of(size), Some(class), "last size of class {class}");
            assert!(last < 512 || (size - last - 1) * 5 <= size + 5 * 64, "class {class} wastes too much");
            last = size;
        }
        assert_eq!(last, class::LARGEST);
        assert_eq!(class::of(class::LARGEST + 1), None);
    }

    #[test]
    fn ticks_tell_ages_to_eight_milliseconds_also_around_the_year() {
        let (half, later) = (tick::new(5, 500_000_000), tick::new(7, 250_000_000));
        assert!(tick::between(half, later).abs_diff(1750) <= 9);
        assert_eq!(tick::between(later, half), 0);
        assert_eq!(tick::between(tick::new((1 << 25) - 1, 0), tick::new((1 << 25) + 1, 0)), 2000);
        assert!(tick::new(9, 999_999_999) < tick::new(10, 0));
    }

    #[test]
    fn generations_are_odd_and_never_come_twice() {
        let (seed, index) = (7, 9);
        let first = state::first_generation(seed, index);
        assert_eq!(first % 2, 1);
        assert_eq!(state::next_generation(0, seed, index), Some(first));
        assert_eq!(state::next_generation(state::of(first), seed, index), Some(first.wrapping_add(2)));
        assert_eq!(state::next_generation(state::of(first.wrapping_sub(2)), seed, index), None);
    }
}
