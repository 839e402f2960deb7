//! WebAssembly without an operating system: private heaps in the module's own memory. What only the embedder can give
//! (a clock, random numbers, whether a thread may sleep) comes through `Hooks`.
//!
//! Memory is grown as a heap needs it, and never shrinks. What heaps that are gone have left is kept here for others.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{LockResult, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use std::arch::wasm32 as arch;
#[cfg(target_arch = "wasm64")]
use std::arch::wasm64 as arch;

use super::ProcessId;
use crate::error::Result;
use crate::layout::{ADDRESSABLE, GRANULE, Geometry, tick};
use crate::sync::Word;

/// What the embedder of the module gives it. What is `None` is lacking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hooks {
    /// Nanoseconds of a clock that never goes back, the same for all threads. Without it a borrow's age is 0, and time
    /// passes in sleeps alone.
    pub now: Option<fn() -> u64>,
    /// Fills the bytes with random numbers that nobody can foretell; false if it cannot. Without it no heap is made: handles
    /// could be forged (K1).
    pub random: Option<fn(&mut [u8]) -> bool>,
    /// Whether this thread may sleep. The main thread of a browser may not, and says so here; without the hook every
    /// thread of a module with shared memory may.
    pub may_sleep: Option<fn() -> bool>,
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Sets what the embedder gives, before the first heap is made. The first call counts; false if this was a later one,
/// which changes nothing.
pub fn set_hooks(hooks: Hooks) -> bool {
    HOOKS.set(hooks).is_ok()
}

fn hooks() -> Hooks {
    HOOKS.get().copied().unwrap_or_default()
}

/// Whether heaps can be shared between processes here.
pub(crate) const SHARED_HEAPS: bool = false;

/// Whether there is one thread only, so that nothing changes while it waits.
pub(crate) const ALONE: bool = cfg!(not(target_feature = "atomics"));

/// Whether a process may be a copy of another, with what that one had.
pub(crate) const FORKS: bool = false;

/// Whether free memory can go back to the system.
pub(crate) const GIVES_BACK: bool = false;

/// A mutex for threads that must not sleep: who meets another one tries again until it is free. Nothing slow is done under
/// it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        loop {
            match self.0.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(guard)) => return Err(guard),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
    }

    pub(crate) fn get_mut(&mut self) -> LockResult<&mut T> {
        self.0.get_mut()
    }
}

/// What stands in an error of this module. An error's own words would bring those of all systems.
pub(crate) fn reason(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::OutOfMemory => "the module's memory cannot grow so far",
        io::ErrorKind::Unsupported => "a module of WebAssembly has none of its own: set `Hooks::random`",
        _ => "the embedder refused",
    };
    words.to_owned()
}

fn lacking() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

fn no_files() -> io::Error {
    lacking()
}

fn no_memory() -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}

/// A page of memory, and a granule.
const PAGE: usize = GRANULE as usize;
/// Pages of the address space.
const ADDRESSES: usize = (usize::MAX >> PAGE.trailing_zeros()) + 1;

/// The first page that is not there yet.
pub(crate) fn end_of_memory() -> usize {
    arch::memory_size::<0>()
}

/// Adds pages, which read as zero, at the end of memory; the first of them. `None` if memory cannot grow.
pub(crate) fn grow(pages: usize) -> Option<usize> {
    match arch::memory_grow::<0>(pages) {
        usize::MAX => None,
        first => Some(first),
    }
}

/// The page in which an address is.
pub(crate) fn page_of(address: NonNull<u8>) -> usize {
    address.as_ptr().addr() / PAGE
}

fn address_of(page: usize) -> io::Result<NonNull<u8>> {
    NonNull::new(std::ptr::with_exposed_provenance_mut(page * PAGE)).ok_or_else(no_memory)
}

/// Runs of pages that heaps that are gone have left, by address: first page and count.
static LEFT: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Keeps pages that nobody uses any more for the next heap that needs some.
pub(crate) fn leave(first: usize, count: usize) {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let at = left.partition_point(|(other, _)| *other < first);
    let after = left.get(at).is_some_and(|(other, _)| *other == first + count);
    if let Some(before) = at.checked_sub(1).and_then(|before| left.get_mut(before)).filter(|(f, n)| f + n == first) {
        before.1 += count;
        if after {
            let (_, more) = left.remove(at);
            left[at - 1].1 += more;
        }
    } else if after {
        left[at] = (first, count + left[at].1);
    } else if left.try_reserve(1).is_ok() {
        left.insert(at, (first, count));
    } else {
        tracing::warn!(first, count, "pages of a heap that is gone are lost: there is no memory to note them");
    }
}

/// Takes the first run of pages that were left in this range, at least so many and at most so many, as zeros: its first
/// page and count.
pub(crate) fn take_left(range: Range<usize>, least: usize, most: usize) -> Option<(usize, usize)> {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let within = |(first, count): (usize, usize)| first.max(range.start)..(first + count).min(range.end);
    let at = left.iter().position(|run| within(*run).len() >= least)?;
    left.try_reserve(1).ok()?;
    let (first, count) = left.remove(at);
    let taken = within((first, count));
    let taken = taken.start..taken.start + taken.len().min(most);
    for rest in [taken.end..first + count, first..taken.start] {
        if !rest.is_empty() {
            left.insert(at, (rest.start, rest.len()));
        }
    }
    drop(left);
    let base = address_of(taken.start).ok()?;
    // SAFETY: whoever left the pages has promised that nobody uses them, and they are on the list no more.
    unsafe { base.write_bytes(0, taken.len() * PAGE) };
    Some((taken.start, taken.len()))
}

/// A place for a heap of this size: memory for its fixed parts, of zeros, with so much address space from there on. The
/// rest is grown as it is needed.
pub(crate) fn map_private(size: usize) -> io::Result<NonNull<u8>> {
    let (pages, fixed) = (size / PAGE, Geometry::new(size as u64).fixed_granules as usize);
    let last = ADDRESSES.checked_sub(pages).filter(|_| size as u64 <= ADDRESSABLE);
    let last = last.ok_or_else(no_memory)?;
    if let Some((first, _)) = take_left(1..last.saturating_add(fixed), fixed, fixed) {
        return address_of(first);
    }
    if end_of_memory() > last {
        return Err(no_memory());
    }
    let first = grow(fixed).ok_or_else(no_memory)?;
    if first > last {
        // Another thread has grown memory meanwhile.
        leave(first, fixed);
        return Err(no_memory());
    }
    address_of(first)
}

/// Where the folder of names would be. There are no files.
pub(crate) fn default_folder() -> PathBuf {
    PathBuf::from("weaveheap")
}

pub(crate) fn map_shared(_file: &File, _size: usize) -> io::Result<NonNull<u8>> {
    Err(no_files())
}

pub(crate) fn map_read_only(_file: &File, _size: usize) -> io::Result<NonNull<u8>> {
    Err(no_files())
}

pub(crate) fn anonymous_file(_name: &str) -> io::Result<File> {
    Err(lacking())
}

/// No file without a name is made here.
pub(crate) fn nameless_file(_folder: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

pub(crate) fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(no_files())
}

pub(crate) fn anonymous_files_of(_process: u32, _name: &str) -> io::Result<Vec<File>> {
    Err(no_files())
}

pub(crate) fn reopen_mapped(_base: NonNull<u8>) -> io::Result<(File, PathBuf)> {
    Err(no_files())
}

pub(crate) fn commit(_file: &File, _offset: u64, _length: u64) -> io::Result<()> {
    Err(no_files())
}

/// Makes a range read as zero again. Memory does not go back.
///
/// # Safety
/// Nobody uses the range.
pub(crate) unsafe fn decommit(_file: Option<&File>, base: NonNull<u8>, offset: u64, length: u64) -> io::Result<()> {
    // SAFETY: the range is inside the heap at `base`, and the caller promises that it is unused.
    unsafe { base.add(offset as usize).write_bytes(0, length as usize) };
    Ok(())
}

pub(crate) fn take_liveness(_file: &File, _index: u16) -> io::Result<bool> {
    Err(no_files())
}

pub(crate) fn release_liveness(_file: &File, _index: u16) {}

pub(crate) fn is_dead(_file: &File, _index: u16, _process: ProcessId, _own: ProcessId) -> bool {
    false
}

/// There are no processes.
pub(crate) fn pid() -> u32 {
    0
}

/// Who this process is.
pub(crate) fn process_id() -> ProcessId {
    ProcessId::default()
}

/// What differs after each start of the machine; asked for by shared heaps only.
pub(crate) fn boot_id() -> u128 {
    0
}

/// Threads are numbered as they come to use heaps.
pub(crate) fn thread_id() -> u64 {
    static LAST: Word = Word::new(0);
    thread_local! {
        static MINE: u64 = LAST.add(1) + 1;
    }
    MINE.with(|mine| *mine)
}

/// Random bytes of the embedder's.
pub(crate) fn random(bytes: &mut [u8]) -> io::Result<()> {
    let random = hooks().random.ok_or_else(lacking)?;
    if random(bytes) { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
}

/// Nanoseconds that threads have slept: the time where there is no clock.
static SLEPT: Word = Word::new(0);

/// A moment of the embedder's clock, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    pub(crate) fn now() -> Instant {
        Instant(hooks().now.map_or_else(|| SLEPT.relaxed(), |now| now()))
    }

    pub(crate) fn checked_add(self, time: Duration) -> Option<Instant> {
        self.0.checked_add(u64::try_from(time.as_nanos()).ok()?).map(Instant)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Instant::now().saturating_duration_since(self)
    }
}

/// The moment (`packing::tick`) by the embedder's clock.
pub(crate) fn ticks() -> u32 {
    let now = Instant::now().0;
    tick::new(now / 1_000_000_000, (now % 1_000_000_000) as u32)
}

/// Whether this thread may sleep, and another one can wake it.
fn may_sleep() -> bool {
    !ALONE && hooks().may_sleep.is_none_or(|may_sleep| may_sleep())
}

/// How long a wait may go on, without end if it has no deadline; zero once it is over. Who cannot sleep has waited as long
/// as it can, and must not wait without end.
pub(crate) fn time_left(deadline: Option<Instant>) -> Result<Duration> {
    match deadline {
        Some(deadline) if may_sleep() => Ok(deadline.saturating_duration_since(Instant::now())),
        Some(_) => Ok(Duration::ZERO),
        None if may_sleep() => Ok(Duration::MAX),
        None => Err(super::unsupported(
            "this thread cannot sleep, so that its wait would never end: give a time, and ask again",
        )),
    }
}

/// Sleeps while the word has this value, at most so long; wakes for no reason at times. Only where `time_left` lets it.
#[cfg(target_feature = "atomics")]
pub(crate) fn sleep_on(word: *const u32, value: u32, timeout: Duration) {
    const TIMED_OUT: i32 = 2;
    let time = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
    // SAFETY: the word is a live aligned u32, which the instruction only compares.
    let end = unsafe { arch::memory_atomic_wait32(word.cast_mut().cast(), value.cast_signed(), time) };
    if end == TIMED_OUT {
        SLEPT.add(time as u64);
    }
}

/// There is no other thread that could change the word.
#[cfg(not(target_feature = "atomics"))]
pub(crate) fn sleep_on(_word: *const u32, _value: u32, _timeout: Duration) {}

/// Wakes all that sleep on the word.
#[cfg(target_feature = "atomics")]
pub(crate) fn wake(word: *const u32) {
    // SAFETY: the word is a live aligned u32, which the instruction does not touch.
    unsafe { arch::memory_atomic_notify(word.cast_mut().cast(), u32::MAX) };
}

#[cfg(not(target_feature = "atomics"))]
pub(crate) fn wake(_word: *const u32) {}

/// Does nothing for so long: asleep, or by the clock where sleeping is forbidden. Where there is one thread, nothing that
/// it could wait for.
pub(crate) fn pause(time: Duration) {
    if ALONE {
        return;
    }
    if may_sleep() {
        // Nobody changes it.
        let word = 0;
        return sleep_on(&word, word, time);
    }
    let start = Instant::now();
    for _ in 0..1 << 16 {
        if start.elapsed() >= time {
            break;
        }
        std::hint::spin_loop();
    }
}

/// Plain memory of zeros: there is no fork here.
pub(crate) fn map_fork_wiped(size: usize) -> io::Result<NonNull<u8>> {
    let layout = std::alloc::Layout::from_size_align(size.max(1), 4096).map_err(|_| no_memory())?;
    // SAFETY: the size is not 0.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    NonNull::new(memory).ok_or_else(no_memory)
}

/// One thread passes every barrier that it gives. No barrier on other threads' behalf is there.
pub(crate) fn register_barrier() -> bool {
    ALONE
}

pub(crate) fn barrier() {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(page: usize, count: usize) -> &'static mut [u8] {
        let base = address_of(page).expect("not the first page");
        // SAFETY: the tests pass pages that they have grown, to one slice at a time.
        unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), count * PAGE) }
    }

    #[test]
    fn pages_that_are_left_are_joined_and_taken_from_the_lowest() {
        let first = grow(12).expect("memory can grow");
        for order in [[0, 4, 8], [8, 4, 0], [0, 8, 4], [4, 8, 0]] {
            bytes(first, 12).fill(0xee);
            order.into_iter().for_each(|at| leave(first + at, 4));
            assert_eq!(*LEFT.lock().expect("no panic"), [(first, 12)], "{order:?}");
            assert_eq!(take_left(0..usize::MAX, 13, 13), None);
            // From the middle, as far as the range goes.
            assert_eq!(take_left(first + 3..first + 9, 2, usize::MAX), Some((first + 3, 6)));
            assert!(bytes(first + 3, 6).iter().all(|byte| *byte == 0));
            assert_eq!(bytes(first + 2, 1)[0], 0xee, "what is left is as it was");
            assert_eq!(*LEFT.lock().expect("no panic"), [(first, 3), (first + 9, 3)]);
            assert_eq!(take_left(0..first + 2, 3, 3), None, "the range ends before");
            assert_eq!(take_left(0..usize::MAX, 1, 2), Some((first, 2)));
            assert_eq!(take_left(0..usize::MAX, 2, 3), Some((first + 9, 3)), "the first that is large enough");
            assert_eq!(take_left(0..usize::MAX, 1, 9), Some((first + 2, 1)));
            assert!(LEFT.lock().expect("no panic").is_empty());
        }
    }

    #[test]
    fn time_without_a_deadline_is_never_over_and_moments_are_in_order() {
        let now = Instant::now();
        let later = now.checked_add(Duration::from_millis(7)).expect("in this age");
        assert!(later > now);
        assert_eq!(later.saturating_duration_since(now), Duration::from_millis(7));
        assert_eq!(now.saturating_duration_since(later), Duration::ZERO);
        assert_eq!(now.checked_add(Duration::MAX), None, "for ever");
    }
}
