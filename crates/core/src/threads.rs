//! What a thread keeps for itself: its record in the segment, its stack of free ledger entries, its contexts by
//! region. None of it is in the segment, and a forked child finds it wiped (H7).

use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError, Weak};

use crate::attachment::Attachment;
use crate::error::{Error, ErrorCode, Result};
use crate::journal::Locked;
use crate::layout::*;
use crate::pages;
use crate::segment::corrupt;
use crate::sync::Word;
use crate::sys;

/// Regions whose context a thread finds without a search.
const CACHE: usize = 64;

/// A region's context, as this thread last found it.
#[derive(Clone, Copy)]
pub(crate) struct Cached {
    pub(crate) region: u64,
    pub(crate) owner: u64,
    pub(crate) context: u32,
}

/// The thread control block. It lies on memory that a fork wipes: `alive` is 0 in a child.
pub(crate) struct Tcb {
    alive: u64,
    pub(crate) record: u32,
    pub(crate) free_entries: Vec<u32>,
    /// What `foreign` of the record was when its pages were last searched for entries that others ended.
    foreign_seen: u64,
    pub(crate) cache: [Cached; CACHE],
}

/// Owner word of a thread record.
pub(crate) mod record_owner {
    pub(crate) const USED: u64 = 1;
    pub(crate) const WAITING: u64 = 2;

    pub(crate) fn new(attachment: u16, state: u64) -> u64 {
        (u64::from(attachment) + 1) << 8 | state
    }

    /// The attachment's index, if the record is taken.
    pub(crate) fn attachment(word: u64) -> Option<u16> {
        ((word >> 8 & 0xffff) as u16).checked_sub(1)
    }
}

thread_local! {
    /// The attachment and block that this thread used last. Never destroyed, so that it works in every destructor.
    static CURRENT: Cell<(u64, *mut Tcb)> = const { Cell::new((0, ptr::null_mut())) };
    /// All blocks of this thread; given back when it ends.
    static MINE: RefCell<Mine> = const { RefCell::new(Mine(Vec::new())) };
}

struct Mine(Vec<(u64, *mut Tcb, Weak<Attachment>)>);

impl Drop for Mine {
    fn drop(&mut self) {
        CURRENT.set((0, ptr::null_mut()));
        for (_, tcb, attachment) in self.0.drain(..) {
            if let Some(attachment) = attachment.upgrade()
                && let Some(tcb) = NonNull::new(tcb)
            {
                attachment.retire(tcb);
            }
        }
    }
}

/// Pages for blocks, never given back: a handler of fork may still look at them.
static PAGES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Whether a block is one of this process, not what a forked child sees of its parent's.
///
/// # Safety
/// The pointer is to a block that has not been freed.
unsafe fn is_alive(tcb: *const Tcb) -> bool {
    // SAFETY: the caller's promise; the field is a plain number, valid also on a wiped page.
    unsafe { (&raw const (*tcb).alive).read_volatile() == 1 }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_block(record: u32) -> Result<NonNull<Tcb>> {
    let size = size_of::<Tcb>().next_multiple_of(4096);
    let page = match lock(&PAGES).pop() {
        Some(page) => NonNull::new(page as *mut Tcb),
        None => Some(sys::map_fork_wiped(size).map_err(|error| sys::error("memory for a thread", &error))?.cast()),
    };
    let block = page.ok_or_else(|| Error::new(ErrorCode::Internal))?;
    let none = Cached { region: 0, owner: 0, context: 0 };
    let tcb = Tcb { alive: 1, record, free_entries: Vec::new(), foreign_seen: 0, cache: [none; CACHE] };
    // SAFETY: the memory is ours alone, page-aligned, and large enough.
    unsafe { block.write(tcb) };
    Ok(block)
}

impl Attachment {
    /// This thread's block, made on first use. `NotAttached` after `detach` and in a forked child.
    ///
    /// The reference is exclusive by construction: only this thread has it, and no caller keeps it across another
    /// call of this function.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the block belongs to the thread, not to the attachment")]
    pub(crate) fn tcb(&self) -> Result<&mut Tcb> {
        let (serial, tcb) = CURRENT.get();
        if serial == self.serial && !self.detached() {
            // SAFETY: blocks of this attachment live as long as it does; `serial` is never used twice. In a forked
            // child the page reads as zero, and only `alive` is looked at.
            if unsafe { is_alive(tcb) } {
                // SAFETY: as above; the block is this thread's alone.
                return Ok(unsafe { &mut *tcb });
            }
        }
        self.tcb_slow()
    }

    /// This thread's block if the library may still make one: `None` in a forked child and when the thread is ending.
    /// For ends, which are done also after `detach`.
    #[expect(clippy::mut_from_ref, reason = "as for `tcb`")]
    pub(crate) fn tcb_for_end(&self) -> Option<&mut Tcb> {
        let (serial, tcb) = CURRENT.get();
        if serial == self.serial {
            // SAFETY: as in `tcb`.
            if unsafe { is_alive(tcb) } {
                // SAFETY: as in `tcb`.
                return Some(unsafe { &mut *tcb });
            }
        }
        if self.is_child() {
            return None;
        }
        self.tcb_find().ok()
    }

    #[cold]
    fn tcb_slow(&self) -> Result<&mut Tcb> {
        self.check_attached()?;
        self.tcb_find()
    }

    #[cold]
    #[expect(clippy::mut_from_ref, reason = "as for `tcb`")]
    fn tcb_find(&self) -> Result<&mut Tcb> {
        let ending = || Error::with_message(ErrorCode::NotAttached, "the thread is ending");
        let found = MINE.try_with(|mine| {
            let mut mine = mine.try_borrow_mut().map_err(|_| ending())?;
            mine.0.retain(|(_, _, attachment)| attachment.strong_count() > 0);
            if let Some((_, tcb, _)) = mine.0.iter().find(|(serial, ..)| *serial == self.serial) {
                // SAFETY: blocks of this attachment live as long as it does.
                return if unsafe { is_alive(*tcb) } { Ok(*tcb) } else { Err(ending()) };
            }
            let tcb = self.adopt()?.as_ptr();
            mine.0.push((self.serial, tcb, self.weak()));
            Ok(tcb)
        });
        let tcb = found.map_err(|_| ending())??;
        CURRENT.set((self.serial, tcb));
        // SAFETY: as in `tcb`.
        Ok(unsafe { &mut *tcb })
    }

    /// A block for a new thread: one that an ended thread has left, or a new one with a new record.
    fn adopt(&self) -> Result<NonNull<Tcb>> {
        let thread = sys::thread_id();
        if let Some(address) = lock(&self.idle_blocks).pop()
            && let Some(block) = NonNull::new(address as *mut Tcb)
        {
            // SAFETY: blocks on this list live and are nobody's.
            let record = self.segment.record::<ThreadRecord>(unsafe { block.as_ref() }.record)?;
            record.thread.set_relaxed(thread);
            record.owner.set_release(record_owner::new(self.index, record_owner::USED));
            return Ok(block);
        }
        let locked = Locked::take(self)?;
        let mut change = locked.change();
        let (index, record) = pages::take_record::<ThreadRecord>(&locked, &mut change, |r| &r.next)?;
        change.set(&record.owner, record_owner::new(self.index, record_owner::USED));
        change.set(&record.thread, thread);
        change.set(&record.pages, 0);
        change.set(&record.contexts, 0);
        change.commit()?;
        drop(locked);
        let mut block = new_block(index)?;
        lock(&self.blocks).push(block.as_ptr() as usize);
        // A first page of entries while there is room, so that a heap that is full later can still be read.
        // SAFETY: the block is new and nobody else's.
        let tcb = unsafe { block.as_mut() };
        if let Ok(entry) = self.more_entries(tcb) {
            tcb.free_entries.push(entry);
        }
        Ok(block)
    }

    /// Takes back the block of a thread that has ended. Its live borrows stay in the ledger.
    fn retire(&self, block: NonNull<Tcb>) {
        // SAFETY: blocks of a living attachment live.
        if !unsafe { is_alive(block.as_ptr()) } || self.is_child() {
            return;
        }
        // SAFETY: the ending thread gives its block up here and looked at it last before.
        let tcb = unsafe { block.as_ref() };
        if let Ok(record) = self.segment.record::<ThreadRecord>(tcb.record) {
            record.owner.set_release(record_owner::new(self.index, record_owner::WAITING));
        }
        lock(&self.idle_blocks).push(block.as_ptr() as usize);
    }

    /// Drops all blocks, when nobody uses the attachment any more.
    pub(crate) fn drop_blocks(&mut self) {
        let blocks = std::mem::take(self.blocks.get_mut().unwrap_or_else(PoisonError::into_inner));
        for address in blocks {
            if let Some(block) = NonNull::new(address as *mut Tcb) {
                // SAFETY: every block was made by `new_block`; the attachment is being dropped, so no thread uses one.
                let tcb = unsafe { block.read() };
                drop(tcb.free_entries);
                lock(&PAGES).push(address);
            }
        }
    }

    pub(crate) fn record_of(&self, tcb: &Tcb) -> Result<&ThreadRecord> {
        self.segment.record(tcb.record)
    }

    /// Counts something that is of no region, on this thread's own line.
    pub(crate) fn count_on_record(&self, tcb: &Tcb, counter: usize, n: u64) {
        if let Some(record) = self.segment.get::<ThreadRecord>(tcb.record) {
            record.counters[counter].count(n);
        }
    }

    /// A free entry of the ledger for this thread.
    #[inline]
    pub(crate) fn take_entry(&self, tcb: &mut Tcb) -> Result<(u32, &Entry)> {
        let index = match tcb.free_entries.pop() {
            Some(index) => index,
            None => self.more_entries(tcb)?,
        };
        Ok((index, self.segment.record(index)?))
    }

    /// Finds entries that others have ended, or takes another page.
    #[cold]
    fn more_entries(&self, tcb: &mut Tcb) -> Result<u32> {
        let record = self.record_of(tcb)?;
        let foreign = record.foreign.acquire();
        if foreign != tcb.foreign_seen {
            tcb.foreign_seen = foreign;
            self.each_page(record, |page| {
                for index in page * ENTRIES_PER_PAGE..(page + 1) * ENTRIES_PER_PAGE {
                    let entry = self.segment.record::<Entry>(index)?;
                    let word = entry.word.acquire();
                    if phase::of(word) == phase::FREE && phase::generation(word) < phase::LAST_GENERATION {
                        tcb.free_entries.push(index);
                    }
                }
                Ok(())
            })?;
            if let Some(index) = tcb.free_entries.pop() {
                return Ok(index);
            }
        }
        let locked = Locked::take(self)?;
        let mut change = locked.change();
        let (page, place) = pages::take_record::<EntryPage>(&locked, &mut change, |p| &p.next)?;
        for extent_of in [page * ENTRIES_PER_PAGE, (page + 1) * ENTRIES_PER_PAGE - 1] {
            pages::ensure_extent(&locked, Table::Entries, extent_of)?;
        }
        change.set(&place.next, change.get(&record.pages));
        change.set(&place.record, u64::from(tcb.record) + 1);
        change.set(&record.pages, u64::from(page) + 1);
        let used = &self.segment.header().tables[Table::Entries as usize].used;
        let end = u64::from((page + 1) * ENTRIES_PER_PAGE);
        if change.get(used) < end {
            change.set(used, end);
        }
        change.commit()?;
        drop(locked);
        for index in page * ENTRIES_PER_PAGE..(page + 1) * ENTRIES_PER_PAGE {
            let entry = self.segment.record::<Entry>(index)?;
            let mut word = entry.word.acquire();
            if phase::generation(word) == 0 {
                // Tokens, like handles, begin at random in each heap (K1).
                let first =
                    mix(self.segment.identity.seed ^ u64::from(index) << 32 | 1) & (phase::LAST_GENERATION >> 4) | 1;
                word = phase::new(first, 0, 0, phase::FREE);
                entry.word.set_release(word);
            }
            if phase::generation(word) < phase::LAST_GENERATION {
                tcb.free_entries.push(index);
            }
        }
        tcb.free_entries.pop().ok_or_else(|| corrupt("a page of used-up entries".to_string()))
    }

    /// Walks the pages of a record.
    pub(crate) fn each_page(&self, record: &ThreadRecord, page: impl FnMut(u32) -> Result<()>) -> Result<()> {
        each_link(&self.segment, &record.pages, |p: &EntryPage| &p.next, page)
    }

    pub(crate) fn weak(&self) -> Weak<Attachment> {
        self.this.clone()
    }
}

/// Walks a list of records from a head, at most as many as the table has (else `Corrupt`).
pub(crate) fn each_link<R: crate::segment::Record>(
    segment: &crate::segment::Segment,
    head: &Word,
    next: impl Fn(&R) -> &Word,
    mut each: impl FnMut(u32) -> Result<()>,
) -> Result<()> {
    let mut link = head.acquire();
    for _ in 0..=segment.capacity(R::TABLE) {
        let Some((index, record)) = segment.linked::<R>(link)? else { return Ok(()) };
        link = next(record).acquire();
        each(index)?;
    }
    Err(corrupt(format!("a list in table {:?} has a loop", R::TABLE)))
}
