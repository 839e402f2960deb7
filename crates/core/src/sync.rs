//! The only module that names an atomic type: the words of a segment, their orderings, and the fences of the protocol.
//!
//! All writes to a segment's records go through `Word` and `Half`, each after a kill point of the crash tests. Each
//! ordering here is named by what it pairs with in the protocol (`ARCHITECTURE.md`): `cas_full` and `heavy` are the two
//! sides of begin against close, `light` and `heavy` those of alloc (or the end of a borrow that is alone) against close.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fault::{Fault, planted};

// The words, fences and waits of builds for models are loom's.
#[cfg(loom)]
pub(crate) use crate::model::Mutex;
#[cfg(loom)]
use crate::model::{AtomicU32, AtomicU64, Own, fence};
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
use crate::plain::{AtomicU32, AtomicU32 as Own, AtomicU64, AtomicUsize, compiler_fence, fence};
#[cfg(not(loom))]
pub(crate) use crate::sys::Mutex;
#[cfg(all(not(loom), not(all(target_family = "wasm", not(target_feature = "atomics")))))]
use std::sync::atomic::{AtomicU32, AtomicU32 as Own, AtomicU64, fence};
#[cfg(not(all(target_family = "wasm", not(target_feature = "atomics"))))]
use std::sync::atomic::{AtomicUsize, compiler_fence};

#[cfg(weaveheap_kill_points)]
pub(crate) use crate::kill_points::kill_point;

/// A place where the crash tests end the process: before each write to a segment, and around system calls that change
/// one.
#[cfg(not(weaveheap_kill_points))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(crate) fn kill_point() {}

/// One 64-bit word of a record.
#[repr(transparent)]
pub(crate) struct Word(AtomicU64);

/// One 32-bit word of a record; those that a thread sleeps on are of this kind.
#[repr(transparent)]
pub(crate) struct Half(AtomicU32);

/// A flag of this process alone.
#[derive(Default)]
pub(crate) struct Flag(Own);

/// Says to the other threads of this process that its owner is at work: raised and lowered by one thread, in pairs
/// that may nest, and looked at after [`heavy`].
#[derive(Default)]
pub(crate) struct Mark(Own);

/// Where a thread's block stands; zeros, which a fork leaves of it, are `GONE`.
pub(crate) struct Standing(Own);

/// As [`Mark`], for threads that have none of their own: any of them raises it.
#[derive(Default)]
pub(crate) struct Strays(Own);

/// An address that threads of this process find out and keep: each that finds it finds the same.
#[derive(Default)]
pub(crate) struct Known(AtomicUsize);

impl Known {
    /// The address, or 0.
    #[inline]
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, address: usize) {
        self.0.store(address, Ordering::Release);
    }
}

impl Mark {
    #[inline]
    pub(crate) fn raise(&self) {
        // One thread has nobody to say it to.
        if !crate::sys::ALONE {
            self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            mark_fence();
        }
    }

    #[inline]
    pub(crate) fn lower(&self) {
        if !crate::sys::ALONE {
            self.0.store(self.0.load(Ordering::Relaxed) - 1, Ordering::Release);
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        !crate::sys::ALONE && self.0.load(Ordering::Acquire) != 0
    }
}

impl Standing {
    const GONE: u32 = 0;
    const HERE: u32 = 1;
    const LEAVING: u32 = 2;
    /// Beside the two: others end borrows of the block's thread by token.
    const CLAIMED: u32 = 4;

    /// Of a block in this process.
    pub(crate) fn new(claimed: bool) -> Standing {
        Standing(Own::new(Standing::HERE | if claimed { Standing::CLAIMED } else { 0 }))
    }

    /// Says to the block's thread whether its attachment is being left; looked at between [`Mark::raise`] and the work.
    /// One thread at a time says that, or `claim`.
    pub(crate) fn leave(&self, leaving: bool) {
        let claimed = self.0.load(Ordering::Relaxed) & Standing::CLAIMED;
        self.0.store(claimed | if leaving { Standing::LEAVING } else { Standing::HERE }, Ordering::Relaxed);
    }

    /// Says to the block's thread that others end what it began, by token.
    pub(crate) fn claim(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) | Standing::CLAIMED, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.0.load(Ordering::Relaxed) & Standing::HERE != 0
    }

    /// Whether it is here, and nobody else ends by token what its thread began.
    #[inline]
    pub(crate) fn is_here_alone(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Standing::HERE
    }

    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Standing::GONE
    }
}

impl Strays {
    pub(crate) fn raise(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
        mark_fence();
    }

    pub(crate) fn lower(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn are_there(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }
}

/// Between a thread's own mark and its look at what it must not miss: pairs with `heavy`, which `detach` gives.
#[inline]
fn mark_fence() {
    #[cfg(loom)]
    crate::model::mark_fence();
    #[cfg(not(loom))]
    compiler_fence(Ordering::SeqCst);
}

impl Flag {
    #[inline]
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Sets the flag and returns what it was. A full barrier comes with it, for what is looked at next.
    pub(crate) fn put(&self, value: bool) -> bool {
        let old = self.0.swap(u32::from(value), Ordering::SeqCst);
        fence(Ordering::SeqCst);
        old != 0
    }

    /// Clears the flag; true if it was set.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(0, Ordering::AcqRel) != 0
    }
}

impl Word {
    pub(crate) const fn new(value: u64) -> Word {
        Word(AtomicU64::new(value))
    }

    #[inline]
    pub(crate) fn relaxed(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn acquire(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn set_relaxed(&self, value: u64) {
        kill_point();
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn set_release(&self, value: u64) {
        kill_point();
        self.0.store(value, Ordering::Release);
    }

    /// Adds to a counter that one thread writes and others read.
    #[inline]
    pub(crate) fn count(&self, n: u64) {
        // `cargo xtask bench counters` compares with a build that counts nothing.
        if cfg!(not(weaveheap_no_counters)) {
            self.step(n);
        }
    }

    /// Adds to a word that one thread at a time writes.
    #[inline]
    pub(crate) fn step(&self, n: u64) {
        self.set_relaxed(self.relaxed().wrapping_add(n));
    }

    /// Adds to a counter that several threads write.
    #[inline]
    pub(crate) fn add(&self, n: u64) -> u64 {
        kill_point();
        self.0.fetch_add(n, Ordering::AcqRel)
    }

    #[inline]
    pub(crate) fn sub(&self, n: u64) -> u64 {
        kill_point();
        self.0.fetch_sub(n, Ordering::AcqRel)
    }

    #[inline]
    pub(crate) fn cas(&self, current: u64, new: u64) -> Result<u64, u64> {
        kill_point();
        self.0.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Compare-and-swap that is a full barrier on both sides, also when it fails. A SeqCst exchange alone orders only
    /// SeqCst accesses, and the ledger's stores are none. On x86-64 its locked instruction is the barrier, and all that
    /// is left to see to is that the compiler moves nothing across it.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn cas_full(&self, current: u64, new: u64) -> Result<u64, u64> {
        if cfg!(all(target_arch = "x86_64", not(loom))) {
            kill_point();
            compiler_fence(Ordering::SeqCst);
            let result = self.0.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst);
            compiler_fence(Ordering::SeqCst);
            result
        } else {
            fence(Ordering::SeqCst);
            let result = self.cas(current, new);
            fence(Ordering::SeqCst);
            result
        }
    }
}

/// What the exchanges become where a fault is planted.
#[cfg(loom)]
impl Word {
    fn look_and_store(&self, current: u64, new: u64) -> Result<u64, u64> {
        let now = self.acquire();
        if now != current {
            return Err(now);
        }
        self.set_release(new);
        Ok(now)
    }
}

/// The exchanges that a model can take apart.
impl Word {
    /// As [`Word::cas`], unless this fault is planted.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn cas_or(&self, fault: Fault, current: u64, new: u64) -> Result<u64, u64> {
        #[cfg(loom)]
        if planted(fault) {
            return self.look_and_store(current, new);
        }
        let _ = fault;
        self.cas(current, new)
    }

    /// As [`Word::cas_full`], unless this fault is planted.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn cas_full_or(&self, fault: Fault, current: u64, new: u64) -> Result<u64, u64> {
        #[cfg(loom)]
        if planted(fault) {
            return self.look_and_store(current, new);
        }
        let _ = fault;
        self.cas_full(current, new)
    }
}

impl Half {
    #[inline]
    pub(crate) fn acquire(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Changes a word that threads sleep on.
    pub(crate) fn bump(&self) {
        kill_point();
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Sleeps while the word has this value, at most so long; wakes for no reason at times.
    pub(crate) fn sleep_while(&self, value: u32, timeout: Duration) {
        #[cfg(loom)]
        if self.0.sleep_while(value) {
            return;
        }
        crate::sys::sleep_on(self.0.as_ptr(), value, timeout);
    }

    /// Wakes all that sleep on the word, in every process.
    pub(crate) fn wake_all(&self) {
        #[cfg(loom)]
        self.0.wake_all();
        crate::sys::wake(self.0.as_ptr());
    }
}

/// Whether the system can make all threads of this process pass a full barrier, so that the side that is taken often
/// needs none: membarrier (Linux). Asked once; registration is for the process and what it forks.
pub(crate) fn asymmetric() -> bool {
    if crate::sys::ALONE {
        return true;
    }
    static ASKED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    match ASKED.load(Ordering::Relaxed) {
        0 => {
            let able = crate::sys::register_barrier();
            ASKED.store(if able { 1 } else { 2 }, Ordering::Relaxed);
            able
        }
        answer => answer == 1,
    }
}

/// The owner's half of an asymmetric fence: between its mark (`busy`, the end of a borrow that is alone) and its look
/// at the region. Pairs with [`heavy`]. `cheap` where every thread concerned is of this process and [`asymmetric`]
/// holds.
#[inline]
pub(crate) fn light(cheap: bool) {
    if planted(Fault::LightFence) {
        return;
    }
    // In a model both halves are fences, which is what the pair of them gives.
    if cheap && cfg!(not(loom)) {
        compiler_fence(Ordering::SeqCst)
    } else {
        std::hint::cold_path();
        fence(Ordering::SeqCst)
    }
}

/// The other half: between a change that all are to see (the region's control word, a detach) and the look at the
/// others' marks. `cheap` as for [`light`]: then it passes the barrier on the others' behalf.
pub(crate) fn heavy(cheap: bool) {
    if planted(Fault::CloseFence) {
        return;
    }
    fence(Ordering::SeqCst);
    if cheap && cfg!(not(loom)) {
        crate::sys::barrier();
        fence(Ordering::SeqCst);
    }
}

/// A bounded wait for a change that another thread is about to make: it spins, yields, then sleeps in small steps.
pub(crate) struct Patience {
    step: u32,
    limit: u32,
}

impl Patience {
    /// For what takes the other a few instructions: some 30 ms, enough for a thread that lost its processor.
    pub(crate) fn short() -> Patience {
        Patience { step: 0, limit: 400 }
    }

    /// For a lock under which others do real work: some 5 s.
    pub(crate) fn long() -> Patience {
        Patience { step: 0, limit: 10_000 }
    }

    /// Waits a little; false when the time is over.
    pub(crate) fn wait(&mut self) -> bool {
        if crate::sys::ALONE {
            return false;
        }
        self.step += 1;
        #[cfg(loom)]
        if crate::model::wait(self.step) {
            return true;
        }
        if self.step < 64 {
            std::hint::spin_loop();
        } else if self.step < 128 {
            std::thread::yield_now();
        } else if self.step < self.limit {
            crate::sys::pause(Duration::from_micros(if self.step < 256 { 50 } else { 500 }));
        } else {
            return false;
        }
        true
    }

    /// True now and then once the wait has become long: time to ask whether the other is dead.
    pub(crate) fn suspicious(&self) -> bool {
        cfg!(loom) || self.step >= 128 && self.step.is_multiple_of(16)
    }
}
