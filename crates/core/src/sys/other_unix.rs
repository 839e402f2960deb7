//! Unix systems other than Linux: private heaps. Shared heaps need locks of open file descriptions and `fallocate`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

pub(crate) use super::unix::{map_private, pid, unmap, user};
use super::{ProcessId, unix};

/// Whether heaps can be shared between processes here.
pub(crate) const SHARED_HEAPS: bool = false;

fn lacking(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what.to_string())
}

/// Where the folder of names is unless `WEAVEHEAP_DIR` says.
pub(crate) fn default_folder() -> PathBuf {
    std::env::temp_dir().join(format!("weaveheap-{}", user()))
}

pub(crate) fn map_shared(_file: &File, _size: usize) -> io::Result<NonNull<u8>> {
    Err(lacking("shared heaps need Linux"))
}

pub(crate) fn map_read_only(_file: &File, _size: usize) -> io::Result<NonNull<u8>> {
    Err(lacking("inspection of another process needs Linux"))
}

pub(crate) fn anonymous_file(_name: &str) -> io::Result<File> {
    Err(lacking("heaps that other processes inspect need Linux"))
}

/// No file without a name is made here.
pub(crate) fn nameless_file(_folder: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

pub(crate) fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(lacking("files without a name need Linux"))
}

pub(crate) fn anonymous_files_of(_process: u32, _name: &str) -> io::Result<Vec<File>> {
    Err(lacking("inspection of another process needs Linux"))
}

pub(crate) fn reopen_mapped(_base: NonNull<u8>) -> io::Result<(File, PathBuf)> {
    Err(lacking("shared heaps need Linux"))
}

pub(crate) fn commit(_file: &File, _offset: u64, _length: u64) -> io::Result<()> {
    Err(lacking("shared heaps need Linux"))
}

/// Gives the pages of a range back to the system.
///
/// # Safety
/// Nobody uses the range.
pub(crate) unsafe fn decommit(_file: Option<&File>, base: NonNull<u8>, offset: u64, length: u64) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: the range is inside the mapping at `base` and unused; mapping it anew makes it read as zero.
    let result = unsafe {
        libc::mmap(
            base.as_ptr().add(offset as usize).cast(),
            length as usize,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        )
    };
    if result == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn take_liveness(_file: &File, _index: u16) -> io::Result<bool> {
    Err(lacking("shared heaps need Linux"))
}

pub(crate) fn release_liveness(_file: &File, _index: u16) {}

pub(crate) fn is_dead(_file: &File, _index: u16, _process: ProcessId, _own: ProcessId) -> bool {
    false
}

/// Who this process is.
pub(crate) fn process_id() -> ProcessId {
    ProcessId { pid: pid(), start: 0, namespace: 0 }
}

/// What differs after each start of the machine; not known here, and asked for by shared heaps only.
pub(crate) fn boot_id() -> u128 {
    0
}

pub(crate) fn thread_id() -> u64 {
    // SAFETY: pthread_self has no precondition.
    (unsafe { libc::pthread_self() }) as u64
}

/// The moment (`packing::tick`) by the system's monotonic clock.
pub(crate) fn ticks() -> u32 {
    unix::ticks_of(libc::CLOCK_MONOTONIC)
}

/// Sleeps a little. Private heaps are used by one process, whose threads look again every few milliseconds.
pub(crate) fn sleep_on(_word: *const u32, _value: u32, timeout: Duration) {
    std::thread::sleep(timeout.min(Duration::from_millis(2)));
}

pub(crate) fn wake(_word: *const u32) {}

/// One page after another that the child's handler of a fork wipes; pages are never given back to this list.
static WIPED: AtomicPtr<Wiped> = AtomicPtr::new(std::ptr::null_mut());

struct Wiped {
    base: *mut u8,
    next: *mut Wiped,
}

extern "C" fn in_child() {
    let mut node = WIPED.load(Ordering::Acquire);
    while !node.is_null() {
        // SAFETY: nodes are leaked, so they live; the pages' first word is what marks them as live.
        unsafe {
            (*node).base.cast::<u64>().write_volatile(0);
            node = (*node).next;
        }
    }
}

/// Memory whose first word reads as zero in a forked child.
pub(crate) fn map_fork_wiped(size: usize) -> io::Result<NonNull<u8>> {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // SAFETY: the handler touches leaked nodes only.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    let base = map_private(size)?;
    let node = Box::into_raw(Box::new(Wiped { base: base.as_ptr(), next: std::ptr::null_mut() }));
    let mut head = WIPED.load(Ordering::Acquire);
    loop {
        // SAFETY: the node is ours until it is published.
        unsafe { (*node).next = head };
        match WIPED.compare_exchange(head, node, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(base),
            Err(now) => head = now,
        }
    }
}

/// No barrier on other threads' behalf is used here.
pub(crate) fn register_barrier() -> bool {
    false
}

pub(crate) fn barrier() {}
