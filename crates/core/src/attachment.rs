//! One copy of the library in one process that has mapped a heap: making, opening and leaving one (H1, H4 to H10).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

use crate::error::{Error, ErrorCode, Result};
use crate::fault::{Fault, planted};
use crate::handle::Handle;
use crate::heap::HeapOptions;
use crate::journal::Locked;
use crate::layout::*;
use crate::ledger;
use crate::names;
use crate::pages;
use crate::process::{self, PerProcess};
use crate::runtime::Runtime;
use crate::segment::{Segment, Source};
use crate::snapshot::Holder;
use crate::sync::{self, Flag, Mutex, Strays, Word};
use crate::sys::{self, ProcessId};
use crate::told::{corrupt_with, told, told_with};

/// Attachment records: {sequence 32 | runtime 8 | state 8}.
pub(crate) const ATTACHED: u64 = 1;

/// An attached heap. `Heap` and `Lease` share it; the last of them to go detaches.
pub(crate) struct Attachment {
    pub(crate) segment: Segment,
    pub(crate) index: u16,
    pub(crate) sequence: u32,
    /// This attachment's alone, in this process.
    pub(crate) serial: u64,
    pub(crate) process: ProcessId,
    /// `process::generation` of the process that attached.
    generation: u64,
    runtime: Runtime,
    path: Option<PathBuf>,
    /// Set by `say_leaving` alone, with what the threads look at.
    pub(crate) detached: Flag,
    /// Its records have been given back.
    left: Flag,
    /// Ends under way by threads without a block.
    pub(crate) strays: Strays,
    /// A dead process was recovered under the lock: draining regions may have become idle.
    pub(crate) recovered: Flag,
    /// All thread blocks, and those that no thread has.
    pub(crate) blocks: Mutex<Vec<usize>>,
    pub(crate) idle_blocks: Mutex<Vec<usize>>,
    pub(crate) this: Weak<Attachment>,
}

/// Attachments of this copy of the library, by heap id.
static REGISTRY: PerProcess<Vec<(u128, Weak<Attachment>)>> = PerProcess::new();

fn random() -> Result<[u64; 3]> {
    let mut bytes = [0u8; 24];
    sys::random(&mut bytes).map_err(|error| sys::error("the system gives no random numbers", &error))?;
    let [a, b, seed] = std::array::from_fn(|i| u64::from_le_bytes(std::array::from_fn(|j| bytes[i * 8 + j])));
    // The generations of a model are the same in each execution, since steps depend on them.
    Ok([a, b, if cfg!(loom) { 1 } else { seed }])
}

/// The sizes to try: what was asked for, or 64 GiB and less until the system gives it.
fn sizes(options: &HeapOptions) -> Result<Vec<u64>> {
    match options.limit {
        None => Ok((0..8).map(|halvings| (DEFAULT_SIZE >> halvings).min(ADDRESSABLE)).collect()),
        Some(limit) if limit == 0 || limit > MAX_SIZE => Err(told!(
            ErrorCode::InvalidArgument,
            "a heap's limit is between 1 byte and {} bytes, not {}",
            MAX_SIZE,
            limit
        )),
        Some(limit) => Ok(vec![limit.next_multiple_of(GRANULE).max(MIN_SIZE)]),
    }
}

fn identity(options: &HeapOptions, size: u64, shared: bool) -> Result<Identity> {
    let [a, b, seed] = random()?;
    let kind = match shared {
        true => FLAG_SHARED,
        false if sync::asymmetric() => FLAG_LIGHT,
        false => 0,
    };
    let flags = kind | if options.verify { FLAG_VERIFY } else { 0 };
    Ok(Identity {
        layout_version: crate::LAYOUT_VERSION,
        byte_order: BYTE_ORDER,
        flags,
        size,
        seed,
        id: u128::from(a) | u128::from(b) << 64,
        boot: sys::boot_id(),
    })
}

/// Writes a new heap's fixed parts into memory that reads as zero.
fn format(segment: &Segment) {
    let header = segment.header();
    let fixed = segment.geometry.fixed_granules;
    for granule in 0..fixed {
        for bits in [segment.geometry.used_bits, segment.geometry.committed_bits] {
            let word = segment.bit_word(bits, granule / 64);
            word.set_relaxed(word.relaxed() | 1 << (granule % 64));
        }
    }
    header.granules.set_relaxed(fixed);
    header.peak.set_relaxed(fixed);
    header.hint.set_relaxed(fixed);
    header.users.set_relaxed(1);
    header.grown.set_relaxed(fixed);
    for (word, value) in header.identity.iter().zip(segment.identity.to_words()) {
        word.set_relaxed(value);
    }
    header.ready.set_release(1);
}

impl Attachment {
    pub(crate) fn private(options: HeapOptions) -> Result<Arc<Attachment>> {
        let inspect = options.inspect || std::env::var_os("WEAVEHEAP_INSPECT").is_some_and(|value| value == "1");
        let mut last = None;
        for size in sizes(&options)? {
            let identity = identity(&options, size, false)?;
            let made = if inspect { inspectable(&identity) } else { Segment::private(size) };
            match made {
                Ok((base, file)) => {
                    // SAFETY: the mapping is new, of this size, and ends with its last attachment.
                    let segment = unsafe { Segment::over(base, identity, file, Source::Private) };
                    format(&segment);
                    return Attachment::join(segment, options, None);
                }
                Err(error) if error.code() == ErrorCode::OutOfMemory => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorCode::OutOfMemory)))
    }

    pub(crate) fn create_named(options: HeapOptions, name: &str) -> Result<Arc<Attachment>> {
        names::check_name(name)?;
        shared_heaps()?;
        let folder = names::own_folder(true)?;
        Attachment::create_file(options, &folder, folder.join(name))
    }

    pub(crate) fn create_path(options: HeapOptions, path: &Path) -> Result<Arc<Attachment>> {
        shared_heaps()?;
        let path = names::absolute(path)?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Attachment::create_file(options, &folder, path)
    }

    /// Makes the whole heap before it has its name: nobody can open it half made (H4).
    fn create_file(options: HeapOptions, folder: &Path, path: PathBuf) -> Result<Arc<Attachment>> {
        let sizes = sizes(&options)?;
        let [tag, ..] = random()?;
        let draft = names::Draft::new(folder, tag)?;
        let mut last = None;
        for size in sizes {
            match Attachment::format_file(&options, draft.file(), size) {
                Ok(segment) => {
                    let attachment = Attachment::join(segment, options, Some(path.clone()))?;
                    draft.publish(&path)?;
                    return Ok(attachment);
                }
                Err(error) if error.code() == ErrorCode::OutOfMemory && options.limit.is_none() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorCode::OutOfMemory)))
    }

    fn format_file(options: &HeapOptions, file: &File, size: u64) -> Result<Segment> {
        let identity = identity(options, size, true)?;
        file.set_len(size).map_err(|error| sys::error("sizing the heap's file", &error))?;
        let fixed = Geometry::new(size).fixed_granules * GRANULE;
        sys::commit(file, 0, fixed)
            .map_err(|error| sys::error("the heap's folder has no room for a new heap", &error))?;
        let base = Segment::mapped(file, size, true)?;
        let file = file.try_clone().map_err(|error| sys::error("opening the heap's file", &error))?;
        // SAFETY: the mapping is new and of this size.
        let segment = unsafe { Segment::over(base, identity, Some(file), Source::Shared) };
        format(&segment);
        Ok(segment)
    }

    pub(crate) fn open_named(options: HeapOptions, name: &str) -> Result<Arc<Attachment>> {
        names::check_name(name)?;
        shared_heaps()?;
        let path = names::own_folder(false)?.join(name);
        let file = names::open_own(&path, true)?;
        Attachment::open_file(options, file, path)
    }

    pub(crate) fn open_path(options: HeapOptions, path: &Path) -> Result<Arc<Attachment>> {
        shared_heaps()?;
        let path = names::absolute(path)?;
        let file = names::open_file(&path, true)?;
        Attachment::open_file(options, file, path)
    }

    fn open_file(options: HeapOptions, file: File, path: PathBuf) -> Result<Arc<Attachment>> {
        let identity = names::read_identity(&file, &path)?;
        let base = Segment::mapped(&file, identity.size, true)?;
        // SAFETY: the mapping is new, and the file has this size.
        let segment = unsafe { Segment::over(base, identity, Some(file), Source::Shared) };
        if identity.flags & FLAG_SHARED == 0 || segment.header().ready.acquire() != 1 {
            // SAFETY: nobody has seen the mapping.
            unsafe { segment.unmap() };
            return Err(corrupt_with!("{} was never finished as a shared heap", &path.display().to_string()));
        }
        let attachment = Attachment::join(segment, options, Some(path))?;
        crate::arena::finish_all_draining(&attachment)?;
        Ok(attachment)
    }

    /// # Safety
    /// `base` is the base of a heap that is mapped in this process and stays attached during the call.
    pub(crate) unsafe fn at_base(options: HeapOptions, base: *mut u8) -> Result<Arc<Attachment>> {
        let base = NonNull::new(base)
            .filter(|base| base.as_ptr().addr().is_multiple_of(4096))
            .ok_or_else(|| told!(ErrorCode::InvalidArgument, "the base is null or not that of a heap"))?;
        // SAFETY: the caller promises a mapped heap there.
        let identity = unsafe { Segment::identity_at(base)? };
        if identity.flags & FLAG_SHARED != 0 {
            // A mapping and a liveness byte of its own: nothing depends on when the first copy detaches.
            let (file, path) =
                sys::reopen_mapped(base).map_err(|error| sys::error("finding the heap's file", &error))?;
            return Attachment::open_file(options, file, path);
        }
        if identity.flags & FLAG_LIGHT != 0 && !sync::asymmetric() {
            return Err(told!(
                ErrorCode::Unsupported,
                "the heap was made with membarrier, which the system refuses now"
            ));
        }
        // SAFETY: the heap is private, so its mapping ends with the last attachment, which the count below decides.
        let segment = unsafe { Segment::over(base, identity, None, Source::Private) };
        segment.header().users.add(1);
        Attachment::join(segment, options, None)
    }

    pub(crate) fn by_id(id: &str) -> Result<Arc<Attachment>> {
        let absent = || told_with!(ErrorCode::NotFound, "this process has no heap with the id {:?}", id);
        let found =
            REGISTRY.lock().iter().find(|(key, _)| hexadecimal(*key) == id).and_then(|(_, known)| known.upgrade());
        found.filter(|attachment| !attachment.is_detached()).ok_or_else(absent)
    }

    /// Takes an attachment record of the segment. On failure the mapping is ended.
    fn join(segment: Segment, options: HeapOptions, path: Option<PathBuf>) -> Result<Arc<Attachment>> {
        static SERIALS: Word = Word::new(1);
        crate::span!("attach", heap = %format_args!("{:032x}", segment.identity.id));
        let process = sys::process_id();
        let mut attachment = Attachment {
            segment,
            index: 0,
            sequence: 0,
            serial: SERIALS.add(1),
            process,
            generation: process::generation(),
            runtime: options.runtime,
            path,
            detached: Flag::default(),
            left: Flag::default(),
            strays: Strays::default(),
            recovered: Flag::default(),
            blocks: Mutex::default(),
            idle_blocks: Mutex::default(),
            this: Weak::new(),
        };
        attachment.enter(&options)?;
        let attachment = Arc::new_cyclic(|this| {
            attachment.this = this.clone();
            attachment
        });
        let mut registry = REGISTRY.lock();
        let id = attachment.segment.identity.id;
        // A heap that this process attaches once more is known by its last attachment.
        registry.retain(|(known, attachment)| *known != id && attachment.strong_count() > 0);
        registry.push((id, attachment.weak()));
        drop(registry);
        match crate::recovery::recover_dead(&attachment) {
            // A stopped process is in the way of one recovery; whoever meets the dead next tries again.
            Err(error) if error.code() == ErrorCode::Borrowed => tracing::warn!(%error, "recovery was put off"),
            recovered => recovered?,
        }
        Ok(attachment)
    }

    /// Finds a free index, by the system's word for shared heaps, and writes the record.
    fn enter(&mut self, options: &HeapOptions) -> Result<()> {
        let full = || told!(ErrorCode::LimitReached, "the heap has 1024 attachments, which is the most: detach some");
        let capacity = self.segment.capacity(Table::Attachments) as u16;
        let mut taken = None;
        if self.segment.source() == Source::Shared {
            let file = self.segment.file.as_ref().ok_or_else(|| Error::new(ErrorCode::Internal))?;
            for index in 0..capacity {
                if sys::take_liveness(file, index)
                    .map_err(|error| sys::error("marking the process as alive", &error))?
                {
                    taken = Some(index);
                    break;
                }
            }
            self.index = taken.ok_or_else(full)?;
        } else {
            // The lock of a private heap is taken as nobody in particular, which is fine in one process.
            self.index = capacity - 1;
        }
        let record_index = {
            let locked = Locked::take(self)?;
            let index = match taken {
                Some(index) => index,
                None => (0..capacity)
                    .find(|index| {
                        let record = self.segment.get::<AttachmentRecord>(u32::from(*index));
                        record.is_none_or(|r| r.state.acquire() & 0xff != ATTACHED)
                    })
                    .ok_or_else(full)?,
            };
            pages::ensure_extent(&locked, Table::Attachments, u32::from(index))?;
            let record = self.segment.record::<AttachmentRecord>(u32::from(index))?;
            let old = record.state.acquire();
            if old & 0xff == ATTACHED {
                // The byte was free, so the predecessor is dead; it is recovered before its record is taken.
                crate::recovery::recover(&locked, index)?;
            }
            let sequence = ((old >> 32) as u32).wrapping_add(1).max(1);
            let mut change = locked.change();
            let used = &self.segment.header().tables[Table::Attachments as usize].used;
            if change.get(used) <= u64::from(index) {
                change.set(used, u64::from(index) + 1);
            }
            change.set(&record.pid, u64::from(self.process.pid));
            change.set(&record.start, self.process.start);
            change.set(&record.namespace, self.process.namespace);
            let boot = sys::boot_id();
            change.set(&record.boot[0], boot as u64);
            change.set(&record.boot[1], (boot >> 64) as u64);
            for (word, value) in record.label.iter().zip(ledger::text_words(&options.label)) {
                change.set(word, value);
            }
            change.set(&record.state, u64::from(sequence) << 32 | (self.runtime as u64) << 8 | ATTACHED);
            change.commit()?;
            (index, sequence)
        };
        (self.index, self.sequence) = record_index;
        Ok(())
    }

    pub(crate) fn id(&self) -> String {
        hexadecimal(self.segment.identity.id)
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| sys::SHARED_HEAPS)
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.segment.identity.flags & FLAG_SHARED != 0
    }

    pub(crate) fn verify(&self) -> bool {
        self.segment.identity.flags & FLAG_VERIFY != 0
    }

    pub(crate) fn limit(&self) -> u64 {
        self.segment.geometry.size
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.segment.base().as_ptr()
    }

    pub(crate) fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// True in a process that was forked from the one that attached.
    pub(crate) fn is_child(&self) -> bool {
        process::generation() != self.generation
    }

    #[inline]
    pub(crate) fn detached(&self) -> bool {
        self.detached.get()
    }

    pub(crate) fn is_detached(&self) -> bool {
        self.detached() || self.is_child()
    }

    pub(crate) fn check_attached(&self) -> Result<()> {
        if self.is_child() {
            return Err(told!(
                ErrorCode::NotAttached,
                "this process was forked from the one that attached: open the heap again here"
            ));
        }
        if self.detached() {
            return Err(told!(ErrorCode::NotAttached, "the heap was detached: open it again"));
        }
        Ok(())
    }

    pub(crate) fn detach(&self) -> Result<()> {
        self.check_attached()?;
        if self.say_leaving(true) {
            return Err(told!(ErrorCode::NotAttached, "the heap was detached by another thread"));
        }
        let quiet = self.await_quiet();
        if self.holds_borrows() {
            self.say_leaving(false);
            return Err(self.held(ErrorCode::Borrowed, Handle::NULL));
        }
        // A borrow may have ended between the two looks, and its thread have steps left: its mark was up before its entry
        // was free. No borrow begins after the first look.
        let quiet = quiet && (planted(Fault::QuietOnce) || self.await_marks());
        // A thread that is still in a call keeps the records until the last object of the heap is gone.
        if quiet { self.leave() } else { Ok(()) }
    }

    /// The error for borrows that are in the way.
    pub(crate) fn held(&self, code: ErrorCode, subject: Handle) -> Error {
        Error::held(code, subject, self.weak())
    }

    /// Live borrows of a buffer, or of any buffer of a region; of this attachment for the null handle.
    pub(crate) fn holders(&self, subject: Handle) -> Vec<Holder> {
        let mut holders = Vec::new();
        let now = sys::ticks();
        let walked = ledger::each(&self.segment, &mut |seen| {
            let wanted = if subject.is_null() {
                seen.attachment == self.index
            } else {
                crate::inspect::is_about(&self.segment, &seen, subject)
            };
            if wanted {
                holders.push(ledger::holder(&self.segment, &seen, now, !self.is_dead(seen.attachment)));
            }
            Ok(())
        });
        if let Err(error) = walked {
            tracing::error!(%error, "the ledger could not be read whole");
        }
        ledger::oldest_first(&mut holders);
        holders
    }

    /// Gives all free memory back to the system; bytes.
    pub(crate) fn trim(&self) -> Result<u64> {
        crate::span!("trim", heap = self.id());
        Ok(pages::trim(&self.locked()?, 1)? * GRANULE)
    }

    fn holds_borrows(&self) -> bool {
        let mut held = false;
        let walked = ledger::each(&self.segment, &mut |seen| {
            held |= seen.attachment == self.index;
            Ok(())
        });
        held || walked.is_err()
    }

    /// Whether its records have been given back.
    #[cfg(loom)]
    pub(crate) fn has_left(&self) -> bool {
        self.left.get()
    }

    /// Leaves the segment: contexts and counters stay with their regions, records and pages go back to the heap. Called
    /// when no thread uses the attachment.
    fn leave(&self) -> Result<()> {
        let locked = Locked::take(self)?;
        self.left.put(true);
        crate::recovery::release_records(&locked, self.index)?;
        let record = self.segment.record::<AttachmentRecord>(u32::from(self.index))?;
        record.state.set_release(record.state.relaxed() & !0xff);
        let trimmed = pages::trim_if_idle(&locked);
        drop(locked);
        if let Some(file) = self.segment.file.as_ref().filter(|_| self.segment.source() == Source::Shared) {
            sys::release_liveness(file, self.index);
        }
        trimmed
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let child = self.is_child();
        let left = self.left.get() || self.sequence == 0;
        if !child && !left && self.holds_borrows() {
            // Borrows by token outlive the heap's object in C. Their memory stays mapped, and their process alive.
            tracing::warn!(heap = %self.id(), "a heap was dropped with live borrows; its memory stays mapped");
            let _ = std::mem::ManuallyDrop::new(self.segment.file.take());
            return;
        }
        if !child
            && !left
            && let Err(error) = self.leave()
        {
            tracing::error!(%error, "a heap could not be left in order");
        }
        if !child {
            self.drop_blocks();
        }
        let last = match self.segment.source() {
            Source::Private => !child && self.segment.header().users.sub(1) == 1,
            Source::Shared | Source::ReadOnly => true,
        };
        if last {
            // SAFETY: every borrow holds a share of its attachment, so none of this one's lives; a private heap's
            // count says that no other attachment has the mapping.
            unsafe { self.segment.unmap() };
        }
    }
}

/// 32 digits.
pub(crate) fn hexadecimal(id: u128) -> String {
    const DIGITS: &str = "0123456789abcdef";
    let mut text = String::with_capacity(32);
    for digit in (0..32).rev() {
        let at = (id >> (4 * digit)) as usize & 15;
        text.push_str(&DIGITS[at..=at]);
    }
    text
}

fn shared_heaps() -> Result<()> {
    if sys::SHARED_HEAPS { Ok(()) } else { Err(sys::unsupported("heaps are not shared between processes")) }
}

/// A private heap's memory as a file in memory, which the command line finds under `/proc` (H10).
fn inspectable(identity: &Identity) -> Result<(NonNull<u8>, Option<File>)> {
    let file = sys::anonymous_file(&format!("weaveheap-{:032x}", identity.id))
        .and_then(|file| file.set_len(identity.size).map(|()| file))
        .map_err(|error| sys::error("memory that others can inspect", &error))?;
    let base = Segment::mapped(&file, identity.size, true)?;
    Ok((base, Some(file)))
}
