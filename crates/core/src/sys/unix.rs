//! What all Unix systems share: reserving address space and knowing oneself.

use std::io;
use std::ptr::{self, NonNull};

/// Reserves and maps private memory: zero, readable and writable, committed by the system as it is touched.
pub(crate) fn map_private(size: usize) -> io::Result<NonNull<u8>> {
    map(size, libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE, -1, true)
}

pub(crate) fn map(size: usize, flags: libc::c_int, fd: libc::c_int, writable: bool) -> io::Result<NonNull<u8>> {
    let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
    // SAFETY: a new mapping at an address of the system's choice touches no memory that exists.
    let base = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, fd, 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))
}

/// Unmaps.
///
/// # Safety
/// The range is a whole mapping that nobody uses any more.
pub(crate) unsafe fn unmap(base: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::munmap(base.as_ptr().cast(), size) };
    debug_assert_eq!(result, 0, "munmap of a whole mapping succeeds");
}

pub(crate) fn pid() -> u32 {
    std::process::id()
}

pub(crate) fn user() -> u32 {
    // SAFETY: geteuid has no precondition and cannot fail.
    unsafe { libc::geteuid() }
}

#[inline]
fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec; the clock ids used here exist on every system that this is built for.
    unsafe { libc::clock_gettime(id, &mut time) };
    time
}

/// The moment (`packing::tick`) by a clock that all processes of the machine share.
#[inline]
pub(crate) fn ticks_of(id: libc::clockid_t) -> u32 {
    let time = clock(id);
    crate::layout::tick::new(time.tv_sec as u64, time.tv_nsec as u32)
}
