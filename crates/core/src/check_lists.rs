//! Free slots, for `check`: those of a region's blocks are each on one list, or yet to be taken by one thread, or else
//! lost. Threads change their lists without the lock, so a region is judged only if all stood still meanwhile.

use crate::error::Result;
use crate::layout::*;
use crate::segment::Segment;
use crate::sync;
use crate::sys;
use crate::told::{corrupt, corrupt_with};

/// How often a region in which threads allocate is looked at before it is left out.
const TRIES: u32 = 16;

/// What a slot of a block in use was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Unknown,
    /// A buffer.
    Live,
    /// Without a generation left (K2).
    Retired,
    /// On a list of freed slots.
    Listed,
    /// In the block that a thread takes its next ones from.
    Ahead,
}

impl Is {
    fn name(self) -> &'static str {
        match self {
            Is::Unknown => "unknown",
            Is::Live => "live",
            Is::Retired => "retired",
            Is::Listed => "on a list",
            Is::Ahead => "yet to be taken",
        }
    }
}

/// Slots of an open region that no buffer has and nobody will be given. 0 if threads allocated in it all the time.
pub(crate) fn lost(segment: &Segment, region: u32, record: &RegionRecord) -> Result<u64> {
    if sys::ALONE {
        return count(segment, region, record);
    }
    for _ in 0..TRIES {
        if let Some(before) = at_rest(segment, record)? {
            let found = count(segment, region, record);
            // Pairs with a thread's mark: if it changed what was read, the mark or the counters say so now.
            sync::heavy(segment.cheap);
            if at_rest(segment, record)? == Some(before) {
                return found;
            }
        }
        std::thread::yield_now();
    }
    Ok(0)
}

/// All that says that nothing was allocated or freed in a region since; `None` while a thread does.
fn at_rest(segment: &Segment, record: &RegionRecord) -> Result<Option<Vec<u64>>> {
    let mut words: Vec<u64> =
        [&record.control, &record.blocks, &record.spare_blocks, &record.dropped].map(|word| word.acquire()).into();
    words.extend(record.shared.iter().map(|word| word.acquire()));
    let mut busy = false;
    for index in segment.links(&record.contexts, |c: &Context| &c.next) {
        let index = index?;
        let context = segment.record::<Context>(index)?;
        let counters = [counter::ALLOCATIONS, counter::FREES].map(|counter| &context.counters[counter]);
        busy |= context.busy.acquire() != 0;
        words.push(u64::from(index));
        words.extend([&context.owner, &context.slots].into_iter().chain(counters).map(|word| word.acquire()));
        words.extend(context.heads.iter().map(|word| word.acquire()));
    }
    Ok((!busy).then_some(words))
}

/// The slots of a region's blocks, save those that are spare after a reset.
struct Slots<'s> {
    segment: &'s Segment,
    owner: u64,
    /// Sorted.
    blocks: Vec<u32>,
    /// Of the blocks' slots, in their order.
    found: Vec<Is>,
}

impl Slots<'_> {
    /// Notes what a slot is, which may be one thing only.
    fn note(&mut self, slot: u32, is: Is) -> Result<()> {
        let (block, within) = (slot / SLOTS_PER_BLOCK, (slot % SLOTS_PER_BLOCK) as usize);
        let at = self.blocks.binary_search(&block).ok().map(|at| at * SLOTS_PER_BLOCK as usize + within);
        match at.and_then(|at| self.found.get_mut(at)) {
            Some(found @ (Is::Unknown | Is::Retired)) => {
                *found = is;
                Ok(())
            }
            Some(found) => Err(corrupt_with!("slot {} is {} and {} at once", slot, is.name(), found.name())),
            None => Err(corrupt_with!("slot {} is {} in a region whose blocks have no such slot", slot, is.name())),
        }
    }

    fn note_list(&mut self, class: usize, mut link: u64) -> Result<()> {
        // A loop is a slot that is on the list twice.
        while let Some((index, slot)) = self.segment.linked::<Slot>(link)? {
            self.note(index, Is::Listed)?;
            let free = slot.state.acquire() & state::FREE != 0 && slot.owner.acquire() == self.owner;
            if !free || place::class(slot.place.acquire()) != class {
                return Err(corrupt!("slot {} is on the list of free ones of class {} and is none", index, class));
            }
            link = slot.length.acquire() & 0xffff_ffff;
        }
        Ok(())
    }

    fn note_lists(&mut self, heads: &[crate::sync::Word; HEAD_WORDS]) -> Result<()> {
        for class in 0..=CLASS_LARGE {
            self.note_list(class, heads[class / 2].acquire() >> (32 * (class % 2)) & 0xffff_ffff)?;
        }
        Ok(())
    }
}

fn count(segment: &Segment, region: u32, record: &RegionRecord) -> Result<u64> {
    let owner = control::owner(record.control.acquire(), region);
    let mut slots = Slots { segment, owner, blocks: Vec::new(), found: Vec::new() };
    let (spare_from, mut spare) = (record.spare_blocks.acquire(), false);
    for block in segment.links(&record.blocks, |b: &Block| &b.next) {
        let block = block?;
        spare |= u64::from(block) + 1 == spare_from;
        if !spare {
            slots.blocks.push(block);
        }
    }
    slots.blocks.sort_unstable();
    slots.found.resize(slots.blocks.len() * SLOTS_PER_BLOCK as usize, Is::Unknown);
    let seed = segment.identity.seed;
    for (block, found) in slots.blocks.iter().zip(slots.found.chunks_mut(SLOTS_PER_BLOCK as usize)) {
        for (within, is) in (0..).zip(found) {
            let index = block.saturating_mul(SLOTS_PER_BLOCK).saturating_add(within);
            let slot = segment.record::<Slot>(index)?;
            let state = slot.state.acquire();
            if state != 0 && state & state::FREE == 0 && slot.owner.acquire() == owner {
                *is = Is::Live;
            } else if state::next_generation(state, seed, index).is_none() {
                *is = Is::Retired;
            }
        }
    }
    slots.note_lists(&record.shared)?;
    for at in segment.links(&record.contexts, |c: &Context| &c.next) {
        let at = at?;
        let context = segment.record::<Context>(at)?;
        // What a context had before the region was reset is spare.
        if context.owner.acquire() != owner {
            continue;
        }
        slots.note_lists(&context.heads)?;
        let range = context.slots.acquire();
        ((range >> 32) as u32..range as u32).try_for_each(|slot| slots.note(slot, Is::Ahead))?;
    }
    Ok(slots.found.iter().filter(|is| **is == Is::Unknown).count() as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::attachment::Attachment;
    use crate::error::ErrorCode;
    use crate::handle::Handle;
    use crate::heap::{HeapOptions, Init};

    fn heap() -> (Arc<Attachment>, Handle) {
        let heap = Attachment::private(HeapOptions::new()).expect("a heap");
        let region = heap.region_create("", None).expect("a region");
        (heap, region)
    }

    fn alloc(heap: &Attachment, region: Handle, length: u64) -> Handle {
        heap.alloc(region, length, 64, Init::Uninit).expect("a buffer")
    }

    fn lost_of(heap: &Attachment) -> u64 {
        heap.check().expect("sound").lost
    }

    /// The region and the only context of it.
    fn parts(heap: &Attachment, region: Handle) -> (&RegionRecord, &Context) {
        let record = heap.segment.record::<RegionRecord>(region.index()).expect("a region");
        let (_, context) =
            heap.segment.linked::<Context>(record.contexts.acquire()).expect("a link").expect("a context");
        (record, context)
    }

    fn slot(heap: &Attachment, buffer: Handle) -> &Slot {
        heap.segment.record(buffer.index()).expect("a slot")
    }

    #[test]
    fn nothing_is_lost_by_what_programs_do() {
        let (heap, region) = heap();
        for round in 0..3 {
            let buffers: Vec<Handle> =
                (0..700).map(|n| alloc(&heap, region, if n % 50 == 0 { 3 << 20 } else { n * 13 })).collect();
            assert_eq!(lost_of(&heap), 0, "round {round}");
            std::thread::scope(|scope| {
                for part in buffers[..600].chunks(300) {
                    let heap = &heap;
                    scope
                        .spawn(move || part.iter().for_each(|buffer| heap.free(*buffer).expect("nothing is borrowed")));
                }
            });
            assert_eq!(lost_of(&heap), 0, "round {round}, freed");
            for _ in 0..100 {
                alloc(&heap, region, 100);
            }
            assert_eq!(lost_of(&heap), 0, "round {round}, allocated again");
            heap.region_reset(region).expect("nothing is borrowed");
            assert_eq!(lost_of(&heap), 0, "round {round}, reset");
        }
    }

    #[test]
    fn a_slot_that_nobody_will_have_is_lost_until_the_region_is_reset() {
        let (heap, region) = heap();
        let buffer = alloc(&heap, region, 100);
        heap.free(buffer).expect("nothing is borrowed");
        assert_eq!(lost_of(&heap), 0);
        let (_, context) = parts(&heap, region);
        context.set_head(place::class(slot(&heap, buffer).place.acquire()), 0);
        assert_eq!(lost_of(&heap), 1);
        let slots = context.slots.acquire();
        context.slots.set_release(slots + (2 << 32));
        assert_eq!(lost_of(&heap), 3);
        heap.region_reset(region).expect("nothing is borrowed");
        assert_eq!(lost_of(&heap), 0);
    }

    #[test]
    fn a_slot_that_could_be_given_twice_is_damage() {
        let (heap, region) = heap();
        let [live, first, second] = [1, 2, 3].map(|_| alloc(&heap, region, 100));
        heap.free(first).expect("nothing is borrowed");
        heap.free(second).expect("nothing is borrowed");
        let class = place::class(slot(&heap, first).place.acquire());
        let (record, context) = parts(&heap, region);
        let damaged = |what: &str| {
            assert_eq!(heap.check().expect_err(what).code(), ErrorCode::Corrupt, "{what}");
        };
        let (head, slots, shared) = (context.head(class), context.slots.acquire(), record.shared[class / 2].acquire());
        context.set_head(class, u64::from(live.index()) + 1);
        damaged("a live slot is on a list");
        context.set_head(class, (slots >> 32) + 1);
        damaged("a slot that was never taken is on a list");
        context.set_head(class, head);
        record.shared[class / 2].set_release(head << (32 * (class % 2)));
        damaged("slots are on two lists");
        record.shared[class / 2].set_release(shared);
        let length = slot(&heap, first).length.acquire();
        slot(&heap, first).length.set_release(head);
        damaged("a list is a loop");
        slot(&heap, first).length.set_release(length);
        context.set_head(class + 1, head);
        context.set_head(class, 0);
        damaged("slots are on the list of another class");
        context.set_head(class + 1, 0);
        context.set_head(class, head);
        context.slots.set_release(u64::from(live.index()) << 32 | slots & 0xffff_ffff);
        damaged("a thread's next slots are taken");
        context.slots.set_release(slots);
        assert_eq!(lost_of(&heap), 0);
    }
}
