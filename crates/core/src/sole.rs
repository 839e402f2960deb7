//! A shared borrow that is alone on its buffer. Where shared borrows are not counted, such a one names its entry in the
//! slot's state, as a unique one does, and ends by a store; another that joins it has it counted first, and all that
//! come to the region from then on.
//!
//! Its end marks its entry END, then looks at the region's control word, then stores. Who joins sets COUNTED in the
//! control word, has all threads of the process pass a barrier, then looks at the entry: so one of the two sees the
//! other. Who ends sees COUNTED and ends by exchange; who joins sees END and waits for the store.

use crate::attachment::Attachment;
use crate::fault::{Fault, planted};
use crate::layout::*;
use crate::sync::{self, Patience};
use crate::sys;

impl Attachment {
    /// Whether shared borrows are counted in all regions: there is one thread, for which that costs nothing, or not all that
    /// use the heap are of one process, on whose behalf another may pass barriers.
    pub(crate) fn is_counting(&self) -> bool {
        sys::ALONE || !self.segment.cheap || self.others_may_die()
    }

    /// Has the borrow that is alone on a slot counted, so that others may join it; or waits until it has ended. False if
    /// whoever ends it does not go on for long.
    #[cold]
    pub(crate) fn count_sole(&self, region: &RegionRecord, owner: u64, slot: &Slot, patience: &mut Patience) -> bool {
        if sys::ALONE {
            return false;
        }
        let mut word = region.control.acquire();
        while control::lives(word, owner) && word & control::COUNTED == 0 {
            match region.control.cas(word, word | control::COUNTED) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        // Whoever set it may not have come to this.
        if !planted(Fault::JoinFence) {
            sync::heavy(self.segment.cheap);
        }
        loop {
            let state = slot.state.acquire();
            if state & state::SOLE == 0 || !control::lives(region.control.acquire(), owner) {
                return true;
            }
            let entry = self.segment.get::<Entry>((state & state::COUNT) as u32);
            let ends = entry.is_some_and(|entry| phase::of(entry.word.acquire()) == phase::END);
            if ends && !planted(Fault::JoinEnding) {
                if !patience.wait() {
                    return false;
                }
            } else if slot.state.cas_full(state, state::counted(state)).is_ok() {
                return true;
            }
        }
    }
}
