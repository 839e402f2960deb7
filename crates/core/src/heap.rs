//! The heap as its users see it: options, opening and removing, and every operation by handle. Bindings use this;
//! Rust programs have the typed layer over it (`Region`, `Buffer`, `Ref`, `RefMut`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::attachment::Attachment;
use crate::borrow::By;
use crate::buffer::Buffer;
use crate::error::Result;
use crate::fast::Miss;
use crate::handle::{Handle, Token};
use crate::layout::counter;
use crate::lease::{Lease, RawBorrow};
use crate::region::Region;
use crate::runtime::{CopyReason, Runtime};
use crate::snapshot::{BorrowKind, BufferInfo, CheckReport, Holder, RegionInfo, Snapshot};

/// What a heap is made or opened with.
#[derive(Clone, Debug)]
pub struct HeapOptions {
    pub(crate) limit: Option<u64>,
    pub(crate) inspect: bool,
    pub(crate) verify: bool,
    pub(crate) runtime: Runtime,
    pub(crate) label: String,
}

impl Default for HeapOptions {
    fn default() -> Self {
        HeapOptions::new()
    }
}

impl HeapOptions {
    /// 64 GiB of address space or what the system gives (2 GiB less 64 KiB on 32 bits), no inspection, no verification,
    /// runtime Rust.
    pub fn new() -> HeapOptions {
        HeapOptions { limit: None, inspect: false, verify: false, runtime: Runtime::Rust, label: String::new() }
    }

    /// The most that the heap may hold, tables included, in bytes; rounded up to 64 KiB. Ignored by `open`.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Lets the command line see a private heap by process id (H10). `WEAVEHEAP_INSPECT=1` does the same for all.
    pub fn inspect(mut self, inspect: bool) -> Self {
        self.inspect = inspect;
        self
    }

    /// Checksums the shared borrows of runtimes that have no read-only views (V4). Ignored by `open`: the heap says.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// The language on whose behalf this attachment works.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// What this attachment calls itself in reports; cut to 64 bytes.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Makes a private heap: memory of this process, gone when its last user is.
    pub fn private(self) -> Result<Heap> {
        Attachment::private(self).map(Heap::from)
    }

    /// Makes a shared heap with this name. `AlreadyExists` if there is one, `InvalidName` for a bad name.
    ///
    /// # Safety
    /// Whoever attaches to the heap must follow its protocol, as threads of one process do (F6): while this process
    /// holds a borrow of bytes, no other process may touch them against the borrow rules.
    pub unsafe fn create(self, name: &str) -> Result<Heap> {
        Attachment::create_named(self, name).map(Heap::from)
    }

    /// Makes a shared heap in this file. `AlreadyExists` if the file exists.
    ///
    /// # Safety
    /// As for [`HeapOptions::create`].
    pub unsafe fn create_path(self, path: &Path) -> Result<Heap> {
        Attachment::create_path(self, path).map(Heap::from)
    }

    /// Opens the shared heap with this name. `NotFound` if there is none.
    ///
    /// # Safety
    /// As for [`HeapOptions::create`].
    pub unsafe fn open(self, name: &str) -> Result<Heap> {
        Attachment::open_named(self, name).map(Heap::from)
    }

    /// Opens the shared heap in this file. `NotFound` if there is none, `Incompatible` or `Corrupt` if it is none.
    ///
    /// # Safety
    /// As for [`HeapOptions::create`].
    pub unsafe fn open_path(self, path: &Path) -> Result<Heap> {
        Attachment::open_path(self, path).map(Heap::from)
    }

    /// Attaches a second copy of the library to a heap that is mapped in this process already (H6). A private heap is
    /// used where it is; a shared one is mapped once more.
    ///
    /// # Safety
    /// `base` is what [`Heap::base`] gave in this process, and that heap is attached until this call has returned.
    pub unsafe fn attach(self, base: *mut u8) -> Result<Heap> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { Attachment::at_base(self, base) }.map(Heap::from)
    }
}

/// A shared heap found in the folder of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapEntry {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

/// How a buffer's memory starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Every byte is 0.
    Zeroed,
    /// Whatever was there: faster, and never foreign to this heap.
    Uninit,
}

/// What a region is made with.
#[derive(Clone, Debug, Default)]
pub struct RegionOptions {
    pub(crate) name: String,
    pub(crate) limit: Option<u64>,
}

impl RegionOptions {
    /// No name and no limit.
    pub fn new() -> RegionOptions {
        RegionOptions::default()
    }

    /// A name for people to read: UTF-8, up to 64 bytes, else `InvalidArgument`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The most that the region may hold, in bytes; kept to the size of a chunk (R6).
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }
}

/// An attached heap. Clones are the same attachment; any thread may use any of them (B3).
///
/// Dropping the last clone detaches. Borrows that still live keep the memory mapped until they end (H9).
#[derive(Clone)]
pub struct Heap {
    pub(crate) attachment: Arc<Attachment>,
}

impl From<Arc<Attachment>> for Heap {
    fn from(attachment: Arc<Attachment>) -> Heap {
        Heap { attachment }
    }
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").field("id", &self.id()).field("path", &self.path()).finish()
    }
}

impl Heap {
    /// A private heap with the default options.
    pub fn private() -> Result<Heap> {
        HeapOptions::new().private()
    }

    /// The options, to be completed and then used to make or open a heap.
    pub fn options() -> HeapOptions {
        HeapOptions::new()
    }

    /// The heap with this id (as [`Heap::id`] gives it) if this copy of the library is attached to it: another thread,
    /// or another JavaScript worker of this process, gets the same attachment. `NotFound` if it is not.
    pub fn by_id(id: &str) -> Result<Heap> {
        Attachment::by_id(id).map(Heap::from)
    }

    /// Unlinks the shared heap with this name; processes that are attached keep it. `NotFound` if there is none.
    pub fn remove(name: &str) -> Result<()> {
        crate::names::remove(name)
    }

    /// Unlinks the shared heap in this file. `NotFound` if there is none, `Incompatible` if the file is no heap.
    pub fn remove_path(path: &Path) -> Result<()> {
        crate::names::remove_path(path)
    }

    /// The shared heaps in the folder of names, by name.
    pub fn list() -> Result<Vec<HeapEntry>> {
        crate::names::list()
    }

    /// The folder of names: `WEAVEHEAP_DIR`, or the user's own folder in the system's shared memory.
    pub fn folder() -> PathBuf {
        crate::names::folder()
    }

    /// 32 hexadecimal digits that are this heap's alone.
    pub fn id(&self) -> String {
        self.attachment.id()
    }

    /// The file of a shared heap.
    pub fn path(&self) -> Option<&Path> {
        self.attachment.path()
    }

    /// True if other processes can attach.
    pub fn is_shared(&self) -> bool {
        self.attachment.is_shared()
    }

    /// True if shared borrows of runtimes without read-only views are checksummed (V4).
    pub fn verify(&self) -> bool {
        self.attachment.verify()
    }

    /// Bytes of address space: the heap's limit.
    pub fn limit(&self) -> u64 {
        self.attachment.limit()
    }

    /// Where the segment is mapped in this process: what [`HeapOptions::attach`] takes.
    pub fn base(&self) -> *mut u8 {
        self.attachment.base()
    }

    /// The language of this attachment.
    pub fn runtime(&self) -> Runtime {
        self.attachment.runtime()
    }

    /// True once [`Heap::detach`] has succeeded, and in a forked child.
    pub fn is_detached(&self) -> bool {
        self.attachment.is_detached()
    }

    /// Ends this attachment: every later call is `NotAttached`. `Borrowed` while this process holds borrows through it.
    /// The memory is unmapped when the last clone is dropped.
    pub fn detach(&self) -> Result<()> {
        self.attachment.detach()
    }

    /// Makes a region.
    pub fn create_region(&self, options: &RegionOptions) -> Result<Handle> {
        self.attachment.region_create(&options.name, options.limit)
    }

    /// Empties a region and keeps it: its buffers' handles are stale, its own stays. `Borrowed` while one is borrowed.
    pub fn reset(&self, region: Handle) -> Result<()> {
        self.attachment.region_reset(region)
    }

    /// Frees a region and all in it. `Borrowed`, and nothing is changed, while a buffer of it is borrowed.
    pub fn close(&self, region: Handle) -> Result<()> {
        self.attachment.region_close(region)
    }

    /// Refuses new borrows and allocations from now on; the last borrow to end frees the region (R4).
    pub fn close_when_idle(&self, region: Handle) -> Result<()> {
        self.attachment.region_close_when_idle(region)
    }

    /// For bindings: the region's owner object was collected while the region was open (R7). Closes it when idle,
    /// counts it, and tells whether it was open, so that the language can warn.
    pub fn collect_region(&self, region: Handle) -> bool {
        self.attachment.region_collected(region)
    }

    /// Sleeps until no buffer of the region is borrowed; `Timeout` when the time is over, never with `None`.
    pub fn wait_idle(&self, region: Handle, timeout: Option<Duration>) -> Result<()> {
        self.attachment.wait_idle(region, timeout)
    }

    /// Allocates a buffer. `align` is a power of two up to 4096; 64 is the usual one.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub fn alloc(&self, region: Handle, length: u64, align: u64, init: Init) -> Result<Handle> {
        self.attachment.alloc(region, length, align, init)
    }

    /// Allocates a buffer and copies these bytes into it; the copy is counted as `ingest`.
    pub fn alloc_from(&self, region: Handle, bytes: &[u8], align: u64) -> Result<Handle> {
        self.attachment.alloc_from(region, bytes, align)
    }

    /// Frees one buffer. `Borrowed` while it is borrowed.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub fn free(&self, buffer: Handle) -> Result<()> {
        self.attachment.free(buffer)
    }

    /// Takes the right to write from a buffer, for everyone and for good (K4). `BorrowConflict` under a unique borrow.
    pub fn freeze(&self, buffer: Handle) -> Result<()> {
        self.attachment.freeze(buffer)
    }

    /// Makes a poisoned buffer usable again (C2). Fine on one that is not poisoned.
    pub fn clear_poison(&self, buffer: Handle) -> Result<()> {
        self.attachment.clear_poison(buffer)
    }

    /// Borrows a buffer. The lease owns the borrow and a share of the attachment, and ends it when dropped.
    pub fn borrow(&self, buffer: Handle, kind: BorrowKind) -> Result<Lease> {
        Lease::begin(&self.attachment, buffer, kind)
    }

    /// Borrows a buffer for a caller that keeps a token instead of an object (the C ABI).
    #[inline]
    pub fn borrow_raw(&self, buffer: Handle, kind: BorrowKind) -> Result<RawBorrow> {
        self.attachment.borrow_raw(buffer, kind)
    }

    /// What [`Heap::borrow_raw`] does where nothing is in the way; [`Miss::Slow`] to call that. For borders whose calls cost
    /// as much as a borrow.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub fn borrow_short(&self, buffer: Handle, kind: BorrowKind) -> std::result::Result<RawBorrow, Miss> {
        self.attachment.borrow_short(buffer, kind, By::Token)
    }

    /// The same for [`Heap::begin_view`].
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub fn begin_view_short(&self, buffer: Handle, kind: BorrowKind) -> std::result::Result<RawBorrow, Miss> {
        self.attachment.borrow_short(buffer, kind, By::View)
    }

    /// What [`Heap::end`] does where nothing is in the way; false to call that.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub fn end_short(&self, token: Token) -> bool {
        self.attachment.end_token_fast(token)
    }

    /// Borrows a buffer for a native view, counted as one (N1), for a binding whose view object keeps a heap of its own:
    /// no share of the attachment comes with it. [`Heap::end`] refuses its token; [`Heap::end_view`] ends it.
    #[inline]
    pub fn begin_view(&self, buffer: Handle, kind: BorrowKind) -> Result<RawBorrow> {
        self.attachment.borrow_view(buffer, kind)
    }

    /// Ends what [`Heap::begin_view`] began, from any thread, also one that is ending. In a forked child nothing happens
    /// (H7).
    ///
    /// # Safety
    /// `token` is from `begin_view` of this heap, has not been ended, and nobody uses the bytes of its borrow any more.
    #[inline]
    pub unsafe fn end_view(&self, token: Token) {
        self.attachment.end_owned(token);
    }

    /// Ends the borrow that a token names. `StaleHandle` if it has ended, or is not of this attachment (B7);
    /// `InvalidArgument` for the token of a guard or a lease, which ends its borrow itself.
    #[inline]
    pub fn end(&self, token: Token) -> Result<()> {
        self.attachment.end_token(token)
    }

    /// The state of a buffer.
    pub fn buffer_info(&self, buffer: Handle) -> Result<BufferInfo> {
        self.attachment.buffer_info(buffer)
    }

    /// The state and counters of a region.
    pub fn region_info(&self, region: Handle) -> Result<RegionInfo> {
        self.attachment.region_info(region)
    }

    /// Buffers of a region that live, by index, at most `limit`.
    pub fn buffers(&self, region: Handle, limit: usize) -> Result<Vec<BufferInfo>> {
        self.attachment.buffers(region, limit)
    }

    /// Who holds borrows of a buffer, or of any buffer of a region.
    pub fn holders(&self, handle: Handle) -> Result<Vec<Holder>> {
        self.attachment.check_attached()?;
        Ok(self.attachment.holders(handle))
    }

    /// Puts a handle into the heap's directory. `AlreadyExists` if the name is taken by a live handle.
    pub fn publish(&self, name: &str, handle: Handle) -> Result<()> {
        self.attachment.publish(name, handle)
    }

    /// The handle under this name; `NotFound` at once if there is none.
    pub fn lookup(&self, name: &str) -> Result<Handle> {
        self.attachment.lookup(name)
    }

    /// The handle under this name, waited for; `Timeout` when the time is over, never with `None`.
    pub fn lookup_wait(&self, name: &str, timeout: Option<Duration>) -> Result<Handle> {
        self.attachment.lookup_wait(name, timeout)
    }

    /// Takes a name out of the directory. `NotFound` if it is not there.
    pub fn unpublish(&self, name: &str) -> Result<()> {
        self.attachment.unpublish(name)
    }

    /// The heap as it is now (N2).
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.attachment.snapshot()
    }

    /// Walks the whole heap and verifies its invariants (C3). `Corrupt` says which one does not hold.
    pub fn check(&self) -> Result<CheckReport> {
        self.attachment.check()
    }

    /// Gives freed memory back to the system now, and what dead processes have left allocated. Returns the bytes of freed
    /// memory given back.
    pub fn trim(&self) -> Result<u64> {
        self.attachment.trim()
    }

    /// Counts a copy of a buffer's bytes that a binding made (N1). That of a stale handle is counted for the heap and its
    /// runtime only.
    pub fn count_copy(&self, buffer: Handle, reason: CopyReason, bytes: u64) {
        self.attachment.count_copy(buffer, reason, bytes);
    }

    /// Counts a native view that a binding made over a borrow of this buffer (N1); of a stale handle as for a copy.
    pub fn count_view(&self, buffer: Handle) {
        self.attachment.count_of(buffer, &[(counter::VIEWS, 1)]);
    }

    /// Counts a view over this buffer that a finalizer released (N1); of a stale handle as for a copy.
    pub fn count_finalized(&self, buffer: Handle) {
        self.attachment.count_of(buffer, &[(counter::FINALIZED, 1)]);
    }

    /// Makes a region in the typed layer.
    pub fn region(&self, options: &RegionOptions) -> Result<Region<'_>> {
        let handle = self.create_region(options)?;
        Ok(Region::owned(self, handle))
    }

    /// The region with this handle, in the typed layer. Dropping it closes nothing.
    pub fn region_at(&self, handle: Handle) -> Result<Region<'_>> {
        self.region_info(handle)?;
        Ok(Region::referred(self, handle))
    }

    /// The buffer with this handle, in the typed layer.
    pub fn buffer(&self, handle: Handle) -> Result<Buffer<'_>> {
        let info = self.buffer_info(handle)?;
        Ok(Buffer::new(self, info.handle, info.length))
    }
}
