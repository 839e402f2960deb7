//! The marks of a buffer that stay when its borrows change: frozen, for good, and poisoned, until it is cleared (K4, C2).

use crate::attachment::Attachment;
use crate::borrow::Refusal;
use crate::error::Result;
use crate::handle::Handle;
use crate::layout::*;
use crate::sync::Patience;

impl Attachment {
    /// Takes the right to write from a buffer.
    pub(crate) fn freeze(&self, handle: Handle) -> Result<()> {
        self.change_state(handle, |state| {
            if state & state::POISONED != 0 {
                return Err(Refusal::Poisoned);
            }
            if state & state::UNIQUE != 0 { Err(Refusal::Conflict) } else { Ok(state | state::FROZEN) }
        })
    }

    pub(crate) fn clear_poison(&self, handle: Handle) -> Result<()> {
        self.change_state(handle, |state| Ok(state & !state::POISONED))
    }

    /// Changes a live buffer's state word by exchange, with the thread's mark up so that its region cannot close.
    fn change_state(&self, handle: Handle, change: fn(u64) -> std::result::Result<u64, Refusal>) -> Result<()> {
        let tcb = &self.tcb()?;
        let mut patience = Patience::short();
        loop {
            let done = self.pinned(tcb, handle, |_, _, slot| {
                let mut state = slot.state.relaxed();
                loop {
                    if state::generation(state) != handle.generation() || state & state::FREE != 0 {
                        return Some(Err(Refusal::Stale));
                    }
                    if state & state::RECOVERING != 0 {
                        return None;
                    }
                    if state & state::SOLE != 0 {
                        let owner = slot.owner.acquire();
                        let region = self.segment.get::<RegionRecord>(control::region(owner))?;
                        if !self.count_sole(region, owner, slot, &mut Patience::short()) {
                            return None;
                        }
                        state = slot.state.relaxed();
                        continue;
                    }
                    match change(state) {
                        Err(refusal) => return Some(Err(refusal)),
                        Ok(next) => match slot.state.cas_full(state, next) {
                            Ok(_) => return Some(Ok(())),
                            Err(now) => state = now,
                        },
                    }
                }
            })?;
            match done {
                Some(Ok(())) => return Ok(()),
                Some(Err(Refusal::Conflict)) if crate::recovery::recover_holders(self, handle)? => {}
                Some(Err(refusal)) => return Err(self.refused(tcb, handle, refusal)),
                None if patience.wait() => {}
                None if crate::recovery::settle_slot(self, handle.index())? => patience = Patience::short(),
                None => return Err(self.refused(tcb, handle, Refusal::Conflict)),
            }
        }
    }
}
