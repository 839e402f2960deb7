//! What a thread keeps for itself: its record in the segment, its stack of free ledger entries, its contexts by
//! region. None of it is in the segment, and a forked child finds it wiped (H7).

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::{PoisonError, Weak};

use crate::attachment::Attachment;
use crate::context::Cached;
use crate::current;
use crate::entries::{EntryStack, FreeEntry};
use crate::error::{Error, ErrorCode, Result};
use crate::fault::{Fault, planted};
use crate::journal::Locked;
use crate::layout::*;
use crate::near::Near;
use crate::pages;
use crate::process::PerProcess;
use crate::segment::NoRecord;
use crate::sync::{self, Mark, Mutex, Patience, Standing};
use crate::sys;
use crate::told::{corrupt, told};

/// Regions whose context a thread finds without a search.
const CACHE: usize = 32;

/// The thread control block. It lies on memory that a fork wipes: `standing` is gone in a child. All of it but that
/// and the mark is its thread's alone; a subscriber of events that uses the heap finds it as consistent as any call does.
pub(crate) struct Tcb {
    standing: Standing,
    /// Up while an operation of the thread is under way, which `detach` waits for.
    under_way: Mark,
    /// Up while the thread ends a borrow of its own by token without an exchange (`tokens`).
    claiming: Mark,
    pub(crate) record: u32,
    /// The same in the words of its entries.
    pub(crate) mark: u64,
    /// Whether its fences are cheap (`sync::light`).
    pub(crate) cheap: bool,
    /// The address of the thread's record.
    own: *const ThreadRecord,
    pub(crate) free_entries: EntryStack,
    /// What `foreign` of the record was when its pages were last searched for entries that others ended.
    foreign_seen: Cell<u64>,
    pub(crate) cache: [Cell<Cached>; CACHE],
    pub(crate) near: Near,
    /// The attachment.
    home: *const Attachment,
}

impl Tcb {
    /// The thread's record.
    #[inline]
    pub(crate) fn own(&self) -> &ThreadRecord {
        // SAFETY: records are atomic words that stay while the attachment lives, whose block this is.
        unsafe { &*self.own }
    }

    /// In a forked child, which ends nothing (H7).
    pub(crate) fn is_wiped(&self) -> bool {
        self.standing.is_gone()
    }

    /// The attachment whose block this is.
    #[inline]
    pub(crate) fn home(&self) -> &Attachment {
        // SAFETY: an attachment does not move, and drops its blocks when it goes.
        unsafe { &*self.home }
    }
}

/// A token of this thread being claimed: its control block, marked until this is dropped.
pub(crate) struct Claim<'a>(&'a Tcb);

impl<'a> Claim<'a> {
    /// The block, for as long as the attachment lives.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn tcb(&self) -> &'a Tcb {
        self.0
    }
}

impl Drop for Claim<'_> {
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn drop(&mut self) {
        self.0.claiming.lower();
    }
}

/// An operation of this thread under way: its control block, marked until this is dropped.
pub(crate) struct Op<'a>(&'a Tcb);

impl<'a> Op<'a> {
    /// The block, for as long as the attachment lives.
    #[inline]
    pub(crate) fn tcb(&self) -> &'a Tcb {
        self.0
    }

    #[inline]
    fn begin(tcb: &'a Tcb) -> Op<'a> {
        tcb.under_way.raise();
        Op(tcb)
    }
}

impl Deref for Op<'_> {
    type Target = Tcb;

    #[inline]
    fn deref(&self) -> &Tcb {
        self.0
    }
}

impl Drop for Op<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.under_way.lower();
    }
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

#[cfg(not(loom))]
thread_local! {
    /// All blocks of this thread; given back when it ends.
    static MINE: RefCell<Mine> = const { RefCell::new(Mine(Vec::new())) };
}
#[cfg(loom)]
static MINE: crate::model::Local<RefCell<Mine>> = crate::model::Local::new(|| RefCell::new(Mine(Vec::new())));

struct Mine(Vec<(u64, *mut Tcb, Weak<Attachment>)>);

impl Drop for Mine {
    fn drop(&mut self) {
        current::set((0, ptr::null_mut()));
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
static PAGES: PerProcess<Vec<usize>> = PerProcess::new();

/// Whether a block is one of this process, not what a forked child sees of its parent's.
///
/// # Safety
/// The pointer is to a block that has not been freed.
unsafe fn is_alive(tcb: *const Tcb) -> bool {
    // SAFETY: the caller's promise; the field is a number, valid also on a wiped page.
    !unsafe { &(*tcb).standing }.is_gone()
}

fn lock<T>(mutex: &Mutex<T>) -> impl DerefMut<Target = T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_block(home: &Attachment, record: u32, own: &ThreadRecord) -> Result<NonNull<Tcb>> {
    let size = size_of::<Tcb>().next_multiple_of(4096);
    let page = match PAGES.lock().pop() {
        Some(page) => NonNull::new(page as *mut Tcb),
        None => Some(sys::map_fork_wiped(size).map_err(|error| sys::error("memory for a thread", &error))?.cast()),
    };
    let block = page.ok_or_else(|| Error::new(ErrorCode::Internal))?;
    let tcb = Tcb {
        standing: Standing::new(!sync::asymmetric()),
        under_way: Mark::default(),
        claiming: Mark::default(),
        record,
        cheap: home.segment.cheap,
        mark: phase::of_record(record),
        own,
        free_entries: EntryStack::new(),
        foreign_seen: Cell::new(0),
        cache: [const { Cell::new(Cached::NONE) }; CACHE],
        near: Near::new(),
        home,
    };
    // SAFETY: the memory is ours alone, page-aligned, and large enough.
    unsafe { block.write(tcb) };
    Ok(block)
}

impl Attachment {
    /// This thread's block, made on first use, with its operation marked as under way. `NotAttached` after `detach` and
    /// in a forked child.
    #[inline]
    pub(crate) fn tcb(&self) -> Result<Op<'_>> {
        match self.tcb_fast() {
            Some(op) => Ok(op),
            None => self.tcb_slow(),
        }
    }

    /// The block, if it is the one that this thread used last.
    #[inline]
    pub(crate) fn tcb_fast(&self) -> Option<Op<'_>> {
        let (serial, tcb) = current::get();
        if serial != self.serial {
            return None;
        }
        // SAFETY: blocks of this attachment live as long as it does; `serial` is never used twice. In a forked child the
        // page reads as zero, which these two may be.
        let (mark, standing) = unsafe { (&(*tcb).under_way, &(*tcb).standing) };
        // Pairs with `detach`, which says that it leaves, fences, then looks at the marks.
        mark.raise();
        if !standing.is_here() {
            mark.lower();
            return None;
        }
        // SAFETY: as above, and this is not a forked child.
        Some(Op(unsafe { &*tcb }))
    }

    /// Whether this block of an attachment that lives is the one that this thread used last. In a forked child it is
    /// wiped.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn is_current(tcb: &Tcb) -> bool {
        ptr::eq(current::block(), tcb)
    }

    /// The block of this thread, marked as claiming a token, if no other thread ends its borrows by token.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn claim(&self) -> Option<Claim<'_>> {
        let (serial, tcb) = current::get();
        if serial != self.serial {
            return None;
        }
        // SAFETY: as in `tcb_fast`.
        let (mark, standing) = unsafe { (&(*tcb).claiming, &(*tcb).standing) };
        // Pairs with `let_others_claim`.
        mark.raise();
        if !standing.is_here_alone() {
            mark.lower();
            return None;
        }
        // SAFETY: as above, and this is not a forked child.
        Some(Claim(unsafe { &*tcb }))
    }

    /// From when this returns on, the thread of this record claims the tokens of its borrows by exchange, as others do.
    #[cold]
    pub(crate) fn let_others_claim(&self, record: u32) {
        let blocks = lock(&self.blocks);
        let of_record = |address: &usize| {
            let block = *address as *const Tcb;
            // SAFETY: blocks of a living attachment live, and that is never changed.
            unsafe { (*block).record == record }
        };
        let Some(address) = blocks.iter().find(|address| of_record(address)) else { return };
        let block = *address as *const Tcb;
        // SAFETY: as above; both are atomic.
        let (standing, claiming) = unsafe { (&(*block).standing, &(*block).claiming) };
        standing.claim();
        if !planted(Fault::ClaimFence) {
            sync::heavy(sync::asymmetric());
        }
        // It is a few instructions away from lowering it, and nothing that it does there waits.
        let mut patience = Patience::long();
        while !planted(Fault::ClaimIgnored) && claiming.is_up() {
            patience.wait();
        }
    }

    #[inline]
    pub(crate) fn tcb_for_end_fast(&self) -> Option<Op<'_>> {
        let (serial, tcb) = current::get();
        // SAFETY: blocks of this attachment live as long as it does; `serial` is never used twice. In a forked child the
        // page reads as zero, and only `standing` is looked at.
        if serial == self.serial && unsafe { is_alive(tcb) } {
            // SAFETY: as above.
            return Some(Op::begin(unsafe { &*tcb }));
        }
        None
    }

    /// Says to all blocks whether the attachment is being left, and to those that are made from now on.
    pub(crate) fn say_leaving(&self, leaving: bool) -> bool {
        let blocks = lock(&self.blocks);
        let before = self.detached.put(leaving);
        for address in blocks.iter() {
            let block = *address as *const Tcb;
            // SAFETY: blocks of a living attachment live; it is atomic.
            unsafe { &(*block).standing }.leave(leaving);
        }
        before
    }

    /// This thread's block if the library may still make one: `None` in a forked child and when the thread is ending.
    /// For ends, which are done also while a `detach` looks for borrows.
    pub(crate) fn tcb_for_end(&self) -> Option<Op<'_>> {
        if let Some(op) = self.tcb_for_end_fast() {
            return Some(op);
        }
        if self.is_child() {
            return None;
        }
        self.tcb_find().ok()
    }

    #[cold]
    fn tcb_slow(&self) -> Result<Op<'_>> {
        self.check_attached()?;
        let op = self.tcb_find()?;
        self.check_attached()?;
        Ok(op)
    }

    #[cold]
    fn tcb_find(&self) -> Result<Op<'_>> {
        let ending = || told!(ErrorCode::NotAttached, "the thread is ending");
        let known = MINE
            .try_with(|mine| {
                let mut mine = mine.borrow_mut();
                mine.0.retain(|(_, _, attachment)| attachment.strong_count() > 0);
                mine.0.iter().find(|(serial, ..)| *serial == self.serial).map(|(_, tcb, _)| *tcb)
            })
            .map_err(|_| ending())?;
        let tcb = match known {
            // SAFETY: blocks of this attachment live as long as it does.
            Some(tcb) if unsafe { is_alive(tcb) } => tcb,
            Some(_) => return Err(ending()),
            None => {
                // Not while the list is borrowed: making a record may tell a subscriber, which may use the heap.
                let tcb = self.adopt()?;
                if MINE.try_with(|mine| mine.borrow_mut().0.push((self.serial, tcb.as_ptr(), self.weak()))).is_err() {
                    self.retire(tcb);
                    return Err(ending());
                }
                tcb.as_ptr()
            }
        };
        current::set((self.serial, tcb));
        // SAFETY: as in `tcb_for_end_fast`.
        Ok(Op::begin(unsafe { &*tcb }))
    }

    /// Waits, for a bounded time, until no other thread has an operation under way. True if none has.
    pub(crate) fn await_quiet(&self) -> bool {
        if !sync::asymmetric() {
            return false;
        }
        sync::heavy(true);
        self.await_marks()
    }

    /// The same for operations whose marks this thread sees without a barrier.
    pub(crate) fn await_marks(&self) -> bool {
        let blocks: Vec<usize> = lock(&self.blocks).clone();
        let mut patience = Patience::short();
        let is_up = |address: &usize| {
            let block = *address as *const Tcb;
            // SAFETY: blocks of a living attachment live; the mark is atomic.
            unsafe { &(*block).under_way }.is_up()
        };
        while !planted(Fault::QuietIgnored) && (blocks.iter().any(is_up) || self.strays.are_there()) {
            if !patience.wait() {
                return false;
            }
        }
        true
    }

    /// A block for a new thread: one that an ended thread has left, or a new one with a new record.
    fn adopt(&self) -> Result<NonNull<Tcb>> {
        let thread = sys::thread_id();
        let idle = lock(&self.idle_blocks).pop();
        if let Some(address) = idle
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
        change.set(&record.claimed, 0);
        change.commit()?;
        drop(locked);
        let block = new_block(self, index, self.segment.record(index)?)?;
        let mut blocks = lock(&self.blocks);
        // SAFETY: the block is new and nobody else's.
        unsafe { block.as_ref() }.standing.leave(self.detached());
        blocks.push(block.as_ptr() as usize);
        drop(blocks);
        // A first page of entries while there is room, so that a heap that is full later can still be read.
        // SAFETY: the block is new and nobody else's.
        let tcb = unsafe { block.as_ref() };
        self.more_entries(tcb).ok();
        Ok(block)
    }

    /// Takes back the block of a thread that has ended. Its live borrows stay in the ledger.
    fn retire(&self, block: NonNull<Tcb>) {
        // SAFETY: blocks of a living attachment live.
        if !unsafe { is_alive(block.as_ptr()) } || self.is_child() {
            return;
        }
        // SAFETY: the ending thread gives its block up here.
        let tcb = Op::begin(unsafe { block.as_ref() });
        if !self.detached()
            && let Ok(record) = self.segment.record::<ThreadRecord>(tcb.record)
        {
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
                unsafe { block.as_ref() }.free_entries.clear();
                PAGES.lock().push(address);
            }
        }
    }

    pub(crate) fn record_of(&self, tcb: &Tcb) -> std::result::Result<&ThreadRecord, NoRecord> {
        self.segment.record(tcb.record)
    }

    /// Counts something that is of no region, on this thread's own line.
    pub(crate) fn count_on_record(&self, tcb: &Tcb, counter: usize, n: u64) {
        tcb.own().counters[counter].count(n);
    }

    /// A free entry of the ledger for this thread.
    #[inline]
    pub(crate) fn take_entry<'a>(&'a self, tcb: &'a Tcb) -> Result<FreeEntry<'a>> {
        match tcb.free_entries.pop() {
            Some(entry) => Ok(entry),
            None => self.more_entries(tcb),
        }
    }

    /// Finds entries that others have ended, or takes another page.
    #[cold]
    fn more_entries<'a>(&'a self, tcb: &'a Tcb) -> Result<FreeEntry<'a>> {
        let record = self.record_of(tcb)?;
        let foreign = record.foreign.acquire();
        if foreign != tcb.foreign_seen.get() {
            tcb.foreign_seen.set(foreign);
            for page in self.segment.links(&record.pages, |p: &EntryPage| &p.next) {
                let page = page?;
                for index in page * ENTRIES_PER_PAGE..(page + 1) * ENTRIES_PER_PAGE {
                    let entry = self.segment.record::<Entry>(index)?;
                    let word = entry.word.acquire();
                    if phase::of(word) == phase::FREE && !phase::is_spent(word) {
                        tcb.free_entries.push(index, entry);
                    }
                }
            }
            if let Some(entry) = tcb.free_entries.pop() {
                return Ok(entry);
            }
        }
        if !tcb.free_entries.make_room(ENTRIES_PER_PAGE) {
            return Err(told!(
                ErrorCode::OutOfMemory,
                "the program has no memory left for another page of the ledger's entries: end some borrows"
            ));
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
        tcb.free_entries.own(ENTRIES_PER_PAGE);
        for index in page * ENTRIES_PER_PAGE..(page + 1) * ENTRIES_PER_PAGE {
            let entry = self.segment.record::<Entry>(index)?;
            let mut word = entry.word.acquire();
            if phase::generation(word) == 0 {
                // Tokens, like handles, begin at random in each heap (K1).
                word = phase::first(mix(self.segment.identity.seed ^ u64::from(index) << 32 | 1));
                entry.word.set_release(word);
            }
            if !phase::is_spent(word) {
                tcb.free_entries.push(index, entry);
            }
        }
        tcb.free_entries.pop().ok_or_else(|| corrupt!("a page of used-up entries"))
    }

    pub(crate) fn weak(&self) -> Weak<Attachment> {
        self.this.clone()
    }
}
