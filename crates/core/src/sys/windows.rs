//! Windows: private heaps. Shared heaps need locks of open file descriptions and `fallocate`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::time::Duration;

use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_DECOMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc, VirtualFree,
};
use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use windows_sys::Win32::System::Threading::GetCurrentThreadId;

use super::ProcessId;

/// Whether heaps can be shared between processes here.
pub(crate) const SHARED_HEAPS: bool = false;

fn lacking(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what.to_string())
}

/// Where the folder of names is unless `WEAVEHEAP_DIR` says.
pub(crate) fn default_folder() -> PathBuf {
    std::env::temp_dir().join("weaveheap")
}

/// Reserves and commits private memory; the system gives pages as they are touched, within its commit limit.
pub(crate) fn map_private(size: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a new range at an address of the system's choice.
    let base = unsafe { VirtualAlloc(ptr::null(), size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) };
    NonNull::new(base.cast()).ok_or_else(|| io::Error::new(io::ErrorKind::OutOfMemory, io::Error::last_os_error()))
}

/// Unmaps.
///
/// # Safety
/// The range is a whole mapping that nobody uses any more.
pub(crate) unsafe fn unmap(base: NonNull<u8>, _size: usize) {
    // SAFETY: the caller's promise; a release takes the base and size 0.
    unsafe { VirtualFree(base.as_ptr().cast(), 0, MEM_RELEASE) };
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

/// Gives the pages of a range back to the system; they read as zero again.
///
/// # Safety
/// Nobody uses the range.
pub(crate) unsafe fn decommit(_file: Option<&File>, base: NonNull<u8>, offset: u64, length: u64) -> io::Result<()> {
    // SAFETY: the range is inside the mapping at `base` and unused; it is committed again at once.
    let again = unsafe {
        let at = base.as_ptr().add(offset as usize).cast();
        VirtualFree(at, length as usize, MEM_DECOMMIT);
        VirtualAlloc(at, length as usize, MEM_COMMIT, PAGE_READWRITE)
    };
    if again.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn take_liveness(_file: &File, _index: u16) -> io::Result<bool> {
    Err(lacking("shared heaps need Linux"))
}

pub(crate) fn release_liveness(_file: &File, _index: u16) {}

pub(crate) fn is_dead(_file: &File, _index: u16, _process: ProcessId, _own: ProcessId) -> bool {
    false
}

pub(crate) fn pid() -> u32 {
    std::process::id()
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
    // SAFETY: the call has no precondition.
    u64::from(unsafe { GetCurrentThreadId() })
}

/// The moment (`packing::tick`), counted from the start of the machine.
pub(crate) fn ticks() -> u32 {
    // SAFETY: the call has no precondition.
    let milliseconds = unsafe { GetTickCount64() };
    crate::layout::tick::new(milliseconds / 1000, (milliseconds % 1000) as u32 * 1_000_000)
}

/// Sleeps a little. Private heaps are used by one process, whose threads look again every few milliseconds.
pub(crate) fn sleep_on(_word: *const u32, _value: u32, timeout: Duration) {
    std::thread::sleep(timeout.min(Duration::from_millis(2)));
}

pub(crate) fn wake(_word: *const u32) {}

/// Plain memory: there is no fork here.
pub(crate) fn map_fork_wiped(size: usize) -> io::Result<NonNull<u8>> {
    map_private(size)
}

/// No barrier on other threads' behalf is used here.
pub(crate) fn register_barrier() -> bool {
    false
}

pub(crate) fn barrier() {}
