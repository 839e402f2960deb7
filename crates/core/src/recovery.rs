//! Recovery of what a dead process held, exactly, by whoever meets it next (C1, C2). Everything here runs under the
//! heap's lock, and every step may be run again: a recoverer that dies leaves its work to the next.

use crate::arena;
use crate::attachment::Attachment;
use crate::context::{busy, push_slot};
use crate::error::{ErrorCode, Result};
use crate::fault::{Fault, planted};
use crate::handle::Handle;
use crate::journal::Locked;
use crate::large;
use crate::layout::*;
use crate::ledger;
use crate::pages;
use crate::sync::Patience;
use crate::sys;
use crate::threads::record_owner;
use crate::told::told_with;

/// Looks at all attachments and recovers the dead ones.
pub(crate) fn recover_dead(attachment: &Attachment) -> Result<()> {
    if !attachment.others_may_die() {
        return Ok(());
    }
    for index in 0..attachment.segment.used(Table::Attachments) as u16 {
        if attachment.is_dead(index) {
            crate::span!("recovery", heap = attachment.id(), attachment = index);
            let locked = Locked::take(attachment)?;
            if attachment.is_dead(index) {
                recover(&locked, index)?;
            }
        }
    }
    finish_drained(attachment)
}

/// Recovers dead holders of borrows of a buffer or a region; true if there were any, so that it is worth trying again.
#[cold]
pub(crate) fn recover_holders(attachment: &Attachment, subject: Handle) -> Result<bool> {
    if !attachment.others_may_die() {
        return Ok(false);
    }
    let mut holders: Vec<u16> = Vec::new();
    ledger::each(&attachment.segment, &mut |seen| {
        let other = seen.attachment != attachment.index && !holders.contains(&seen.attachment);
        if other && crate::inspect::is_about(&attachment.segment, &seen, subject) {
            holders.push(seen.attachment);
        }
        Ok(())
    })?;
    let dead = holders.into_iter().any(|holder| attachment.is_dead(holder));
    if dead {
        recover_dead(attachment)?;
    }
    Ok(dead)
}

/// Finishes the draining regions whose last holder was recovered. Called without the lock.
pub(crate) fn finish_drained(attachment: &Attachment) -> Result<()> {
    if sys::SHARED_HEAPS && attachment.recovered.take() { arena::finish_all_draining(attachment) } else { Ok(()) }
}

/// Recovers a dead attachment: ends its borrows, poisons what it could write, gives its records back.
pub(crate) fn recover(locked: &Locked<'_>, dead: u16) -> Result<()> {
    if !locked.attachment.others_may_die() {
        return Ok(());
    }
    let segment = locked.segment;
    let who = locked.attachment.describe(dead);
    let mut busy_contexts = Vec::new();
    each_context(locked, dead, |index| {
        busy_contexts.push(index);
        Ok(())
    })?;
    for index in busy_contexts {
        settle_context(locked, index)?;
        large::release_pending(locked, index)?;
    }
    let mut entries = Vec::new();
    ledger::each(segment, &mut |seen| {
        if seen.attachment == dead {
            entries.push(seen);
        }
        Ok(())
    })?;
    let mut ended = 0u64;
    for seen in &entries {
        end_for_the_dead(locked, seen)?;
        locked.beat();
        ended += 1;
    }
    let heap = locked.attachment.id();
    locked.tell(move || tracing::warn!(heap, dead = who, borrows = ended, "recovered what a dead process held"));
    release_records(locked, dead)?;
    let record = segment.record::<AttachmentRecord>(u32::from(dead))?;
    record.state.set_release(record.state.relaxed() & !0xff);
    locked.attachment.recovered.put(true);
    Ok(())
}

fn each_context(locked: &Locked<'_>, attachment: u16, mut each: impl FnMut(u32) -> Result<()>) -> Result<()> {
    let segment = locked.segment;
    for index in 0..segment.used(Table::Threads) {
        let Some(record) = segment.get::<ThreadRecord>(index) else { continue };
        if record_owner::attachment(record.owner.acquire()) == Some(attachment) {
            for index in segment.links(&record.contexts, |c: &Context| &c.next_of_record) {
                each(index?)?;
            }
        }
    }
    Ok(())
}

/// Settles an allocation or a free that its thread did not finish: the slot it was about is live, or on a list, or still
/// in its block.
fn settle_context(locked: &Locked<'_>, at: u32) -> Result<()> {
    let segment = locked.segment;
    let context = segment.record::<Context>(at)?;
    let mark = context.busy.acquire();
    let (op, index, owner) = (mark & !0xffff_ffff, mark as u32, context.owner.acquire());
    if (op == busy::ALLOC || op == busy::FREE)
        && !planted(Fault::Settle)
        && let Some(slot) = segment.get::<Slot>(index)
        && let word = slot.state.acquire()
        && word & state::FREE != 0
        && slot.owner.acquire() == owner
        // Of two frees of one slot, the other may have won.
        && (op == busy::ALLOC || word == state::freed(state::generation(word), at))
    {
        let class = place::class(slot.place.relaxed());
        let slots = context.slots.acquire();
        let (next, end) = (slots >> 32, slots & 0xffff_ffff);
        if class == CLASS_LARGE {
            let region = segment.record::<RegionRecord>(control::region(owner))?;
            if op == busy::FREE && control::epoch(region.control.acquire()) == control::epoch(owner) {
                large::settle_free(locked, region, at, index, slot)?;
            }
        } else if class < CLASSES {
            let in_block = (next..end).contains(&u64::from(index));
            let listed = segment.linked::<Slot>(context.head(class))?.is_some_and(|(head, _)| head == index);
            if in_block && place::offset(slot.place.relaxed()) + class::size(class) == context.bump.acquire() {
                // It had its bytes, and the block had not gone on.
                context.slots.set_release((u64::from(index) + 1) << 32 | end);
                push_slot(context, class, (index, slot), segment.identity.seed, |first| segment.get(first));
            } else if !in_block && !listed {
                push_slot(context, class, (index, slot), segment.identity.seed, |first| segment.get(first));
            }
        }
    }
    context.busy.set_release(0);
    Ok(())
}

/// Ends one borrow of a dead process.
fn end_for_the_dead(locked: &Locked<'_>, seen: &ledger::Seen) -> Result<()> {
    let segment = locked.segment;
    let entry = segment.record::<Entry>(seen.index)?;
    let slot = segment.record::<Slot>(seen.slot)?;
    let generation = seen.handle.generation();
    if phase::is_new(seen.word) {
        large::free_unfinished(locked, seen.index, seen.slot, slot)?;
    } else if seen.is_unique() {
        let held = state::of(generation) | state::UNIQUE | u64::from(seen.index);
        // Before HELD it had not begun to write, after it it had finished.
        let next = if seen.phase() == phase::HELD && !planted(Fault::Poison) {
            state::of(generation) | state::POISONED
        } else {
            state::of(generation)
        };
        let _ = slot.state.cas_full(held, next);
    } else if (seen.phase() != phase::HELD || !end_held(entry, seen, slot))
        && !recount(locked, seen.slot, generation, Some(seen))?
    {
        let who = locked.attachment.describe(seen.attachment);
        return Err(told_with!(
            ErrorCode::Borrowed,
            "what {} held cannot be counted yet: another process stopped in the middle of a borrow",
            &who
        )
        .about(seen.handle));
    }
    if seen.phase() == phase::HELD && !phase::is_new(seen.word) {
        // It was counted as begun.
        let runtime =
            segment.get::<AttachmentRecord>(u32::from(seen.attachment)).map_or(0, |a| a.state.acquire() >> 8 & 0xff);
        let ended = &segment.header().totals[runtime as usize % RUNTIMES][counter::ENDED];
        ended.set_release(ended.relaxed().wrapping_add(1));
    }
    entry.word.set_release(phase::freed(seen.word));
    let region = segment.record::<RegionRecord>(control::region(seen.owner))?;
    if region.control.acquire() & control::WAITED != 0 {
        arena::wake_waiters(region);
    }
    Ok(())
}

/// Ends a shared borrow on the behalf of a dead process that held it for certain. False if the slot is being recounted:
/// the entry is one that may or may not be counted then, as it is for the next recoverer if this one dies here.
fn end_held(entry: &Entry, seen: &ledger::Seen, slot: &Slot) -> bool {
    entry.word.set_release(phase::with(seen.word, phase::END));
    let mut state = slot.state.acquire();
    loop {
        let gone = state::generation(state) != seen.handle.generation() || state & (state::FREE | state::UNIQUE) != 0;
        if gone || state & state::COUNT == 0 {
            return true;
        }
        if state & state::RECOVERING != 0 {
            return false;
        }
        match slot.state.cas_full(state, state - 1) {
            Ok(_) => return true,
            Err(now) => state = now,
        }
    }
}

/// Sets the count of a slot to the number of its live holders: whether a dead one that was beginning or ending had
/// changed the count cannot be known, so it is counted anew while the RECOVERING bit holds everybody else off. False if a
/// live process is stopped in the middle of a change: then nothing was done.
fn recount(locked: &Locked<'_>, index: u32, generation: u32, dead: Option<&ledger::Seen>) -> Result<bool> {
    let segment = locked.segment;
    let slot = segment.record::<Slot>(index)?;
    let mut state = slot.state.acquire();
    let marked = loop {
        let gone = state::generation(state) != generation || state & (state::FREE | state::UNIQUE) != 0;
        if gone || state & (state::COUNT | state::RECOVERING) == 0 {
            return Ok(true);
        }
        if planted(Fault::RecountMark) {
            break state;
        }
        // Set already: left by a recoverer that died.
        match slot.state.cas_full(state, state | state::RECOVERING) {
            Ok(_) => break state | state::RECOVERING,
            Err(now) => state = now,
        }
    };
    let mut patience = Patience::short();
    let count = loop {
        let (mut count, mut moving) = (0u64, false);
        ledger::each(segment, &mut |seen| {
            let here = seen.slot == index && seen.handle.generation() == generation && !seen.is_unique();
            if !here || dead.is_some_and(|dead| seen.index == dead.index) {
                return Ok(());
            }
            let gone = locked.attachment.is_dead(seen.attachment)
                || dead.is_some_and(|dead| seen.attachment == dead.attachment);
            match seen.phase() {
                phase::HELD => count += 1,
                // A dead one's own recovery recounts.
                _ if gone => {}
                _ => moving = true,
            }
            Ok(())
        })?;
        if !moving {
            break Some(count);
        }
        if !patience.wait() {
            break None;
        }
    };
    // A thread that is stopped in the middle leaves the count as it was: the slot stays borrowed until it goes on.
    let settled = match count {
        Some(count) => state::of(generation) | marked & state::LASTING | count,
        None => marked & !state::RECOVERING,
    };
    // Not a store: an allocation may have swept a slot whose region is closed.
    if planted(Fault::RecountByStore) {
        slot.state.set_release(settled);
    } else {
        let _ = slot.state.cas_full(marked, settled);
    }
    Ok(count.is_some())
}

/// Counts a slot anew whose recount was left unfinished: by a recoverer that died and found no heir, or by damage. True
/// once that is done, false if a process that is stopped in the middle of a borrow of it is in the way.
#[cold]
pub(crate) fn settle_slot(attachment: &Attachment, index: u32) -> Result<bool> {
    if sys::ALONE {
        // Nobody counts here: the mark came by damage, and is taken away.
        let slot = attachment.segment.record::<Slot>(index)?;
        let state = slot.state.acquire();
        slot.state.set_release(state & !state::RECOVERING);
        return Ok(state & state::RECOVERING != 0);
    }
    recover_dead(attachment)?;
    let locked = Locked::take(attachment)?;
    let state = locked.segment.record::<Slot>(index)?.state.acquire();
    Ok(state & state::RECOVERING == 0 || recount(&locked, index, state::generation(state), None)?)
}

/// Gives an attachment's thread records and pages of entries back; its contexts stay with their regions.
pub(crate) fn release_records(locked: &Locked<'_>, attachment: u16) -> Result<()> {
    let segment = locked.segment;
    let header = segment.header();
    let at = segment.record::<AttachmentRecord>(u32::from(attachment))?;
    let runtime = (at.state.acquire() >> 8) as u8;
    for index in 0..segment.used(Table::Threads) {
        let Some(record) = segment.get::<ThreadRecord>(index) else { continue };
        if record_owner::attachment(record.owner.acquire()) != Some(attachment) {
            continue;
        }
        for _ in 0..=segment.capacity(Table::Contexts) {
            let Some((at, context)) = segment.linked::<Context>(record.contexts.acquire())? else { break };
            let mut change = locked.change();
            change.set(&record.contexts, change.get(&context.next_of_record));
            arena::orphan_context(&mut change, segment, at)?;
            change.commit()?;
        }
        for _ in 0..=segment.capacity(Table::EntryPages) {
            let Some((page, place)) = segment.linked::<EntryPage>(record.pages.acquire())? else { break };
            let mut change = locked.change();
            change.set(&record.pages, change.get(&place.next));
            change.set(&place.record, 0);
            pages::free_record::<EntryPage>(&mut change, segment, page, |p| &p.next)?;
            change.commit()?;
        }
        let mut change = locked.change();
        arena::fold(&mut change, header, runtime, |change, totals| {
            arena::fold_counters(change, totals, &record.counters);
            let ended = change.get(&record.foreign) >> 32;
            change.set(&totals[counter::ENDED], change.get(&totals[counter::ENDED]).wrapping_add(ended));
            change.set(&record.foreign, 0);
        });
        change.set(&record.owner, 0);
        pages::free_record::<ThreadRecord>(&mut change, segment, index, |r| &r.next)?;
        change.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::{HeapOptions, Init};
    use crate::snapshot::BorrowKind;

    #[test]
    fn a_mark_of_a_recount_that_nobody_makes_holds_nobody_up() {
        let heap = Attachment::private(HeapOptions::new()).expect("a heap");
        let region = heap.region_create("", None).expect("a region");
        let buffers = [0; 4].map(|_| heap.alloc(region, 8, 64, Init::Zeroed).expect("a buffer"));
        let mark = |buffer: Handle| {
            let slot = heap.segment.record::<Slot>(buffer.index()).expect("a slot");
            slot.state.set_release(slot.state.acquire() | state::RECOVERING);
        };
        for kind in [BorrowKind::Shared, BorrowKind::Unique] {
            mark(buffers[0]);
            let borrow = heap.borrow_raw(buffers[0], kind).expect("nobody has it");
            heap.end_token(borrow.token).expect("it is held");
        }
        let borrow = heap.borrow_raw(buffers[1], BorrowKind::Shared).expect("nobody has it");
        mark(buffers[1]);
        heap.end_token(borrow.token).expect("it is held");
        mark(buffers[2]);
        heap.freeze(buffers[2]).expect("nobody has it");
        mark(buffers[3]);
        heap.free(buffers[3]).expect("nobody has it");
        assert_eq!(heap.check().expect("sound").borrows, 0);
    }
}
