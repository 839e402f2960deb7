//! Linux: shared segments, open-file-description locks for liveness, futexes, memory that a fork wipes.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::Duration;

pub(crate) use super::unix::{map_private, pid, unmap, user};
use super::{ProcessId, unix};
use crate::sync::kill_point;

/// First of the liveness bytes: beyond every heap's data.
const LIVENESS: i64 = 1 << 62;

/// Whether heaps can be shared between processes here.
pub(crate) const SHARED_HEAPS: bool = true;

/// Where the folder of names is unless `WEAVEHEAP_DIR` says.
pub(crate) fn default_folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    parent.join(format!("weaveheap-{}", user()))
}

pub(crate) fn map_shared(file: &File, size: usize) -> io::Result<NonNull<u8>> {
    unix::map(size, libc::MAP_SHARED | libc::MAP_NORESERVE, file.as_raw_fd(), true)
}

pub(crate) fn map_read_only(file: &File, size: usize) -> io::Result<NonNull<u8>> {
    unix::map(size, libc::MAP_SHARED | libc::MAP_NORESERVE, file.as_raw_fd(), false)
}

/// A file in memory, without a name, that `/proc` shows under this one.
pub(crate) fn anonymous_file(name: &str) -> io::Result<File> {
    let name = std::ffi::CString::new(name).map_err(io::Error::other)?;
    // SAFETY: the name is a live C string.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// A file of this user's in a folder that has no name yet; `None` where the file system or the lack of `/proc` forbids.
pub(crate) fn nameless_file(folder: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    let file = options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(folder);
    match file {
        Ok(file) => Ok(own_link(&file).symlink_metadata().is_ok().then_some(file)),
        // Kernels that do not know the flag open the folder, which cannot be written to.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn own_link(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives a file its first name, which nothing else may have.
pub(crate) fn link(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let name = |path: &Path| std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (from, to) = (name(&own_link(file))?, name(path)?);
    // SAFETY: both names are live C strings.
    let result =
        unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The files in memory of a process whose name begins so.
pub(crate) fn anonymous_files_of(process: u32, name: &str) -> io::Result<Vec<File>> {
    let prefix = format!("/memfd:{name}");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        let path = entry?.path();
        let Ok(target) = std::fs::read_link(&path) else { continue };
        if target.to_string_lossy().starts_with(&prefix) {
            files.push(File::open(&path)?);
        }
    }
    Ok(files)
}

/// Opens the file that is mapped at `base` once more, and says where it is. It may have been unlinked.
pub(crate) fn reopen_mapped(base: NonNull<u8>) -> io::Result<(File, PathBuf)> {
    use std::os::unix::fs::MetadataExt;
    let start = format!("{:x}-", base.as_ptr().addr());
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let inode = maps
        .lines()
        .find(|line| line.starts_with(&start))
        .and_then(|line| line.split_whitespace().nth(4)?.parse().ok());
    let inode: u64 = inode.filter(|inode| *inode != 0).ok_or_else(|| io::Error::other("no file is mapped there"))?;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.ino() == inode) {
            let file = File::options().read(true).write(true).open(&path)?;
            return Ok((file, std::fs::read_link(&path)?));
        }
    }
    Err(io::Error::other("the file that is mapped there is not open any more"))
}

/// Allocates the pages of a range, so that a full folder is an error here and no signal later (H5).
pub(crate) fn commit(file: &File, offset: u64, length: u64) -> io::Result<()> {
    loop {
        kill_point();
        // SAFETY: plain system call on a descriptor that `file` keeps open.
        let result =
            unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, offset as i64, length as i64) };
        kill_point();
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Gives the pages of a range back to the system; they read as zero again.
///
/// # Safety
/// Nobody uses the range.
pub(crate) unsafe fn decommit(file: Option<&File>, base: NonNull<u8>, offset: u64, length: u64) -> io::Result<()> {
    kill_point();
    let result = match file {
        Some(file) => {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: plain system call; the caller promises that the range is unused.
            unsafe { libc::fallocate(file.as_raw_fd(), mode, offset as i64, length as i64) }
        }
        // SAFETY: the range is inside the mapping at `base`, and the caller promises that it is unused.
        None => unsafe {
            libc::madvise(base.as_ptr().add(offset as usize).cast(), length as usize, libc::MADV_DONTNEED)
        },
    };
    let result = if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    kill_point();
    result
}

fn byte_lock(index: u16, kind: libc::c_int) -> libc::flock {
    // SAFETY: all zero is a valid flock; `l_pid` must be 0 for locks of open file descriptions.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = LIVENESS + i64::from(index);
    lock.l_len = 1;
    lock
}

/// Takes the liveness byte of an attachment for the life of this descriptor; false if another has it.
pub(crate) fn take_liveness(file: &File, index: u16) -> io::Result<bool> {
    let lock = byte_lock(index, libc::F_WRLCK);
    kill_point();
    // SAFETY: the lock is a live flock, the descriptor is open.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } == 0 {
        kill_point();
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

/// Gives the liveness byte up before the descriptor is closed.
pub(crate) fn release_liveness(file: &File, index: u16) {
    let lock = byte_lock(index, libc::F_UNLCK);
    // SAFETY: as above. It cannot fail on a byte that is held; if it did, closing the descriptor gives it up.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) };
}

/// Whether some other descriptor holds the liveness byte.
fn liveness_held(fd: RawFd, index: u16) -> bool {
    let mut lock = byte_lock(index, libc::F_WRLCK);
    // SAFETY: as above; the call writes to `lock`.
    let result = unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &mut lock) };
    // A holder that cannot be shown to be dead is alive.
    result != 0 || lock.l_type != libc::F_UNLCK as libc::c_short
}

/// Whether the attachment with this liveness byte is dead, seen from another descriptor (C1). Dead if its byte is
/// free; or, in our own PID namespace, if its process is gone or is another one by now. The second rule is for a
/// forked child that keeps the descriptor.
pub(crate) fn is_dead(file: &File, index: u16, process: ProcessId, own: ProcessId) -> bool {
    if !liveness_held(file.as_raw_fd(), index) {
        return true;
    }
    // Another attachment of this very process lives as its byte says.
    if process.namespace == 0 || process.namespace != own.namespace || process.pid == 0 || process == own {
        return false;
    }
    match start_time(process.pid) {
        Ok(start) if start != process.start => true,
        Ok(_) => has_exited(process.pid),
        // Gone, or hidden from this user: the system's own word decides.
        Err(error) => error.kind() == io::ErrorKind::NotFound && has_exited(process.pid),
    }
}

/// Whether every thread of a process has ended, though its parent has not fetched it yet.
fn has_exited(pid: u32) -> bool {
    // SAFETY: plain system calls; the descriptor is ours and closed by `OwnedFd`.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if fd < 0 {
        let error = io::Error::last_os_error().raw_os_error();
        // An old kernel, or a tool that runs the program, has no such call: then gone is gone.
        // SAFETY: the signal 0 asks only.
        return error == Some(libc::ESRCH)
            || error == Some(libc::ENOSYS)
                && unsafe { libc::kill(pid as libc::pid_t, 0) } != 0
                && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
    }
    // SAFETY: the descriptor is new and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents & libc::POLLIN != 0 }
}

/// Field 22 of `/proc/PID/stat`, after the command's name in parentheses.
fn start_time(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or("");
    fields
        .split_whitespace()
        .nth(19)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("no start time"))
}

/// Who this process is.
pub(crate) fn process_id() -> ProcessId {
    use std::os::unix::fs::MetadataExt;
    let namespace = std::fs::metadata("/proc/self/ns/pid").map(|m| m.ino()).unwrap_or(0);
    let pid = pid();
    // A folder of processes that knows this one by another number is of another namespace, and tells of namesakes.
    let own_proc = std::fs::read_link("/proc/self").is_ok_and(|link| link.as_os_str() == pid.to_string().as_str());
    match start_time(pid) {
        _ if !own_proc => ProcessId { pid, start: 0, namespace: 0 },
        Ok(start) => ProcessId { pid, start, namespace },
        Err(_) => ProcessId { pid, start: 0, namespace: 0 },
    }
}

/// What differs after each start of the machine.
pub(crate) fn boot_id() -> u128 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0)
}

pub(crate) fn thread_id() -> u64 {
    // SAFETY: gettid has no precondition and cannot fail.
    (unsafe { libc::gettid() }) as u64
}

/// The moment (`packing::tick`), counted from the start of the machine.
#[inline]
pub(crate) fn ticks() -> u32 {
    unix::ticks_of(libc::CLOCK_MONOTONIC_COARSE)
}

/// Sleeps while the word has this value, at most so long; wakes for no reason at times.
pub(crate) fn sleep_on(word: *const u32, value: u32, timeout: Duration) {
    let time =
        libc::timespec { tv_sec: timeout.as_secs().min(1 << 30) as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    // SAFETY: the word is a live aligned u32; the kernel only compares it. FUTEX_WAIT without PRIVATE works across processes.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, value, &time, 0, 0) };
}

/// Wakes all that sleep on the word, in every process.
pub(crate) fn wake(word: *const u32) {
    // Who dies here has changed the word and wakes nobody.
    kill_point();
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX, 0, 0, 0) };
}

/// Memory that reads as zero in a forked child.
pub(crate) fn map_fork_wiped(size: usize) -> io::Result<NonNull<u8>> {
    let base = map_private(size)?;
    // SAFETY: the range is the mapping that was just made.
    if unsafe { libc::madvise(base.as_ptr().cast(), size, libc::MADV_WIPEONFORK) } != 0 {
        let error = io::Error::last_os_error();
        // SAFETY: nobody has seen the mapping.
        unsafe { unmap(base, size) };
        return Err(error);
    }
    #[cfg(weaveheap_leak_checks)]
    {
        unsafe extern "C" {
            fn __lsan_register_root_region(start: *const libc::c_void, size: usize);
        }
        // Such memory holds pointers, and the leak detector looks at no mapping that it is not told of.
        // SAFETY: the range is mapped, and never unmapped.
        unsafe { __lsan_register_root_region(base.as_ptr().cast(), size) };
    }
    Ok(base)
}

const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: plain system call; it touches no memory of the program.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Prepares [`barrier`]; false where the system has none (an old kernel, a filter of system calls).
pub(crate) fn register_barrier() -> bool {
    membarrier(REGISTER_PRIVATE_EXPEDITED) && membarrier(PRIVATE_EXPEDITED)
}

/// Makes every running thread of this process pass a full barrier.
pub(crate) fn barrier() {
    if !membarrier(PRIVATE_EXPEDITED) {
        // A registration that a fork lost.
        membarrier(REGISTER_PRIVATE_EXPEDITED);
        assert!(membarrier(PRIVATE_EXPEDITED), "membarrier worked before");
    }
}
