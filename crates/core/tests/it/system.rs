//! What the tests ask of the system: limits, a small folder, a forked child. Only here are system calls made.

use std::collections::BTreeMap;

use weaveheap_core::{BorrowKind, Handle, Heap, Init, Lease, RegionOptions};

/// Lets this process map no more than this.
pub fn limit_address_space(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes as libc::rlim_t, rlim_max: bytes as libc::rlim_t };
    // SAFETY: the struct lives until the call returns.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// The processor time that this thread has used.
pub fn thread_time() -> std::time::Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct lives until the call returns.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Allocates pages of a file, as a process does that takes memory of a heap.
pub fn allocate(path: &std::path::Path, offset: u64, length: u64) {
    use std::os::fd::AsRawFd;

    let file = std::fs::File::options().write(true).open(path).expect("a file");
    // SAFETY: plain system call on a descriptor that `file` keeps open.
    let result = unsafe {
        libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, offset as libc::off_t, length as libc::off_t)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Puts a file system of 2 MiB over this folder, for this thread and its children alone.
pub fn mount_small_folder(folder: &std::path::Path) {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    // SAFETY: geteuid and getegid have no precondition.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    let spaces = if user == 0 { libc::CLONE_NEWNS } else { libc::CLONE_NEWUSER | libc::CLONE_NEWNS };
    // SAFETY: no pointers.
    let result = unsafe { libc::unshare(spaces) };
    assert_eq!(result, 0, "a mount namespace: {}", std::io::Error::last_os_error());
    if user != 0 {
        std::fs::write("/proc/thread-self/setgroups", "deny").expect("a map of groups");
        std::fs::write("/proc/thread-self/uid_map", format!("{user} {user} 1")).expect("a map of users");
        std::fs::write("/proc/thread-self/gid_map", format!("{group} {group} 1")).expect("a map of groups");
    }
    let folder = CString::new(folder.as_os_str().as_bytes()).expect("no zero byte");
    let none = std::ptr::null();
    // SAFETY: all strings end with a zero byte and live until the calls return; null is allowed for the rest.
    let result = unsafe {
        libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast());
        libc::mount(c"tmpfs".as_ptr(), folder.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=2m,mode=0700".as_ptr().cast())
    };
    assert_eq!(result, 0, "a small file system: {}", std::io::Error::last_os_error());
}

/// Makes a named pipe.
pub fn make_pipe(path: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt;

    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("no zero byte");
    // SAFETY: the string ends with a zero byte and lives until the call returns.
    let result = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Forks, uses the heap in the child in every way, and says what came: the codes, in order. What the child inherited
/// ends nothing.
pub fn use_in_forked_child(heap: &Heap, buffer: Handle, leases: &mut BTreeMap<u64, Lease>) -> String {
    let region = heap.region(&RegionOptions::new()).expect("a region");
    let (read, mut written) = (region.alloc(8).expect("room"), region.alloc(8).expect("room"));
    let handles = [read.handle(), written.handle()];
    let guards = (read.borrow_shared().expect("new"), written.borrow_unique().expect("new"));
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors.
    let result = unsafe { libc::pipe(ends.as_mut_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the child only uses the heap, memory from the allocator (which the C library keeps usable in the child)
    // and a pipe, and ends without running anything that the parent has set up.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        let mut codes = Vec::new();
        let mut note =
            |result: weaveheap_core::Result<()>| codes.push(result.map_or_else(|e| e.code().name(), |()| "ok"));
        note(heap.borrow(buffer, BorrowKind::Shared).map(drop));
        note(heap.create_region(&RegionOptions::new()).map(drop));
        note(
            heap.alloc(heap.buffer_info(buffer).map_or(Handle::NULL, |info| info.region), 8, 64, Init::Zeroed)
                .map(drop),
        );
        note(heap.free(buffer));
        note(heap.publish("child", buffer));
        note(heap.check().map(drop));
        note(heap.detach());
        let detached = heap.is_detached();
        leases.clear();
        drop(guards);
        let text = format!("{} {detached}", codes.join(","));
        // SAFETY: the bytes live until the call returns; `_exit` ends the child at once.
        unsafe {
            libc::write(ends[1], text.as_ptr().cast(), text.len());
            libc::_exit(0);
        }
    }
    let mut text = [0_u8; 512];
    let mut status = 0;
    // SAFETY: the buffer has room for what is read; the descriptors are this function's own; the child is ours.
    let length = unsafe {
        libc::close(ends[1]);
        let length = libc::read(ends[0], text.as_mut_ptr().cast(), text.len());
        libc::close(ends[0]);
        libc::waitpid(child, &mut status, 0);
        length
    };
    assert_eq!(status, 0, "the forked child ended badly");
    assert_eq!(handles.map(|handle| heap.holders(handle).expect("live").len()), [1, 1], "the child ended a guard");
    drop(guards);
    assert_eq!(handles.map(|handle| heap.holders(handle).expect("live").len()), [0, 0]);
    region.close().expect("nobody borrows");
    String::from_utf8_lossy(&text[..length.max(0) as usize]).into_owned()
}
