//! Ends of borrows by their tokens (B7): of two that end the same one, one wins.
//!
//! A token is claimed by an exchange of its entry's word. The thread that began the borrow needs none as long as no other
//! has ended a borrow of its by token: it raises a mark, looks whether others do that, and claims by a store. Who ends
//! another thread's for the first time says so to that thread's block, has all threads of the process pass a barrier,
//! then waits for the mark: so one of the two sees the other.

use crate::attachment::Attachment;
use crate::error::{Error, ErrorCode, Result};
use crate::fault::Fault;
use crate::handle::Token;
use crate::layout::*;
use crate::threads::{Tcb, record_owner};

impl Attachment {
    /// Ends the borrow of a token.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn end_token(&self, token: Token) -> Result<()> {
        if self.end_token_fast(token) { Ok(()) } else { self.end_token_slow(token) }
    }

    #[cold]
    #[inline(never)]
    fn end_token_slow(&self, token: Token) -> Result<()> {
        let tcb = &self.tcb()?;
        let Some(entry) = self.segment.get::<Entry>(token.index()) else { return self.ended_before(tcb) };
        let word = entry.word.acquire();
        let fits = phase::of(word) == phase::HELD && phase::generation(word) == token.generation();
        if fits && phase::is_owned(word) {
            let what = "the borrow is owned by an object of the program, which ends it: the token alone does not";
            return Err(Error::with_message(ErrorCode::InvalidArgument, what));
        }
        let Some(record) = self.own_record(phase::record(word)).filter(|_| fits) else { return self.ended_before(tcb) };
        if phase::record(word) != tcb.record && record.claimed.acquire() == 0 {
            self.let_others_claim(phase::record(word));
            record.claimed.set_release(1);
        }
        self.context_of_entry(tcb, entry);
        if entry.word.cas_or(Fault::ClaimByStore, word, phase::with(word, phase::END)).is_err() {
            return self.ended_before(tcb);
        }
        match self.end_own(tcb, entry, word) {
            true => Ok(()),
            false => self.end_entry(Some(tcb), token.index(), entry, word, true),
        }
    }

    #[cold]
    fn ended_before(&self, tcb: &Tcb) -> Result<()> {
        self.count_on_record(tcb, counter::STALE, 1);
        let what = "the token names no borrow that lives: it was ended, or is of another heap or process";
        Err(Error::with_message(ErrorCode::StaleHandle, what))
    }

    /// The thread record of this index, if it is one of this attachment.
    fn own_record(&self, index: u32) -> Option<&ThreadRecord> {
        let record = self.segment.get::<ThreadRecord>(index)?;
        (record_owner::attachment(record.owner.acquire()) == Some(self.index)).then_some(record)
    }
}
