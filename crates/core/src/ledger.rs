//! Reading the ledger: who holds what, as any attachment or inspector may ask at any time (B4, N2).

use crate::error::Result;
use crate::handle::{Handle, Token};
use crate::layout::*;
use crate::runtime::Runtime;
use crate::segment::Segment;
use crate::snapshot::{BorrowKind, Holder};
use crate::threads::record_owner;

/// A ledger entry read whole: its word was the same before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) index: u32,
    pub(crate) word: u64,
    phase: u64,
    pub(crate) handle: Handle,
    /// Of the slot: for a borrow that is held, its region and epoch.
    pub(crate) owner: u64,
    pub(crate) slot: u32,
    pub(crate) since: u32,
    pub(crate) record: u32,
    pub(crate) attachment: u16,
}

impl Seen {
    /// The word's phase; but a unique borrow that is held and that its slot's state does not name is ending, for its end
    /// begins there.
    pub(crate) fn phase(&self) -> u64 {
        self.phase
    }

    pub(crate) fn is_unique(&self) -> bool {
        phase::kind(self.word) == BorrowKind::Unique as u64
    }
}

/// Reads one entry; `None` if it is free or changes too fast to be read, which only a free one does for long.
pub(crate) fn read(segment: &Segment, entry: &Entry, index: u32, record: u32, attachment: u16) -> Option<Seen> {
    for _ in 0..64 {
        let word = entry.word.acquire();
        if phase::of(word) == phase::FREE {
            return None;
        }
        let (handle, meta) = (entry.handle.acquire(), entry.meta.acquire());
        let (slot, since) = (meta::slot(meta, handle), meta::since(meta));
        let (owner, state) =
            segment.get::<Slot>(slot).map_or((0, 0), |slot| (slot.owner.acquire(), slot.state.acquire()));
        if entry.word.acquire() == word {
            let unique = phase::kind(word) == BorrowKind::Unique as u64;
            let named = state & (state::UNIQUE | state::COUNT) == state::UNIQUE | u64::from(index)
                && state::generation(state) == Handle::from_bits(handle).generation();
            let ends = phase::of(word) == phase::HELD && unique && !named;
            return Some(Seen {
                index,
                word,
                phase: if ends { phase::END } else { phase::of(word) },
                handle: Handle::from_bits(handle),
                owner,
                slot,
                since,
                record,
                attachment,
            });
        }
    }
    None
}

/// Walks all entries in use.
pub(crate) fn each(segment: &Segment, each: &mut dyn FnMut(Seen) -> Result<()>) -> Result<()> {
    each_entry(segment, &mut |at, record, attachment, entry| match read(segment, entry, at, record, attachment) {
        Some(seen) => each(seen),
        None => Ok(()),
    })
}

/// Walks the entries of all pages that threads have, with their index, thread record and attachment. The walk is bounded
/// by the tables' capacities whatever the segment says.
pub(crate) fn each_entry(segment: &Segment, each: &mut dyn FnMut(u32, u32, u16, &Entry) -> Result<()>) -> Result<()> {
    for index in 0..segment.used(Table::Threads) {
        let Some(record) = segment.get::<ThreadRecord>(index) else { continue };
        let Some(attachment) = record_owner::attachment(record.owner.acquire()) else { continue };
        for page in segment.links(&record.pages, |p: &EntryPage| &p.next) {
            let page = page?;
            let Some(first) = page.checked_mul(ENTRIES_PER_PAGE) else { continue };
            for at in first..first.saturating_add(ENTRIES_PER_PAGE) {
                let Some(entry) = segment.get::<Entry>(at) else { continue };
                each(at, index, attachment, entry)?;
            }
        }
    }
    Ok(())
}

/// Sorts holders by age, those of one age by their entries.
pub(crate) fn oldest_first(holders: &mut [Holder]) {
    holders.sort_unstable_by_key(|holder| (std::cmp::Reverse(holder.age_ms), holder.token.index()));
}

/// A seen entry as people read it.
pub(crate) fn holder(segment: &Segment, seen: &Seen, now: u32, alive: bool) -> Holder {
    let thread = segment.get::<ThreadRecord>(seen.record).map(|r| r.thread.relaxed()).unwrap_or(0);
    let attachment = segment.get::<AttachmentRecord>(u32::from(seen.attachment));
    let region = control::region(seen.owner);
    let born = segment.get::<RegionRecord>(region).map(|r| r.born.relaxed() as u32).unwrap_or(0);
    Holder {
        handle: seen.handle,
        region: Handle::region(region, born),
        kind: if seen.is_unique() { BorrowKind::Unique } else { BorrowKind::Shared },
        process: attachment.map(|a| a.pid.relaxed() as u32).unwrap_or(0),
        thread,
        runtime: attachment.map(|a| Runtime::from_number((a.state.relaxed() >> 8) as u8)).unwrap_or(Runtime::Unknown),
        label: attachment.map(|a| text(&a.label, 64)).unwrap_or_default(),
        age_ms: tick::between(seen.since, now),
        alive,
        token: Token::new(seen.index, phase::generation(seen.word)),
    }
}

/// Text kept in words, up to its first zero byte or this length; what is no UTF-8 is shown as replaced.
pub(crate) fn text(words: &[crate::sync::Word; 8], length: usize) -> String {
    let mut bytes = Vec::with_capacity(64);
    for word in words {
        bytes.extend_from_slice(&word.relaxed().to_le_bytes());
    }
    bytes.truncate(length);
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Text as words, cut to 64 bytes at a character.
pub(crate) fn text_words(text: &str) -> [u64; 8] {
    let mut end = text.len().min(64);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = [0u8; 64];
    bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
    std::array::from_fn(|i| u64::from_le_bytes(std::array::from_fn(|j| bytes[i * 8 + j])))
}
