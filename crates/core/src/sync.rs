//! The only module that names an atomic type: the words of a segment, their orderings, and the fences of the protocol.
//!
//! All writes to a segment's records go through `Word` and `Half`. Each ordering here is named by what it pairs with
//! in the protocol (`ARCHITECTURE.md`): `cas_full` and `heavy` are the two sides of begin against close, `light` and
//! `heavy` those of alloc (or the end of a unique borrow) against close.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

/// One 64-bit word of a record.
#[repr(transparent)]
pub(crate) struct Word(AtomicU64);

/// One 32-bit word of a record; those that a thread sleeps on are of this kind.
#[repr(transparent)]
pub(crate) struct Half(AtomicU32);

/// A flag of this process alone.
#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    #[inline]
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A full barrier comes with it, for what is looked at next.
    pub(crate) fn set(&self, value: bool) {
        self.0.store(value, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Clears the flag; true if it was set.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Word {
    pub(crate) const fn new(value: u64) -> Word {
        Word(AtomicU64::new(value))
    }

    pub(crate) fn relaxed(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn acquire(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn set_relaxed(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn set_release(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    /// Adds to a counter that one thread writes and others read.
    pub(crate) fn count(&self, n: u64) {
        self.set_relaxed(self.relaxed().wrapping_add(n));
    }

    /// Adds to a counter that several threads write.
    pub(crate) fn add(&self, n: u64) -> u64 {
        self.0.fetch_add(n, Ordering::AcqRel)
    }

    pub(crate) fn sub(&self, n: u64) -> u64 {
        self.0.fetch_sub(n, Ordering::AcqRel)
    }

    pub(crate) fn cas(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.0.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Compare-and-swap that is a full barrier on both sides, also when it fails. A plain SeqCst exchange is not
    /// enough: it orders only SeqCst accesses, and the ledger's stores are none.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn cas_full(&self, current: u64, new: u64) -> Result<u64, u64> {
        let previous: u64;
        let won: u8;
        // SAFETY: the pointer comes from a reference to a live atomic, is 8-aligned, and the locked instruction is
        // the one that the compiler would use; without `nomem` no memory access moves across it.
        unsafe {
            std::arch::asm!(
                "lock cmpxchg qword ptr [{word}], {new}",
                "sete {won}",
                word = in(reg) self.0.as_ptr(),
                new = in(reg) new,
                won = lateout(reg_byte) won,
                inlateout("rax") current => previous,
                options(nostack),
            );
        }
        if won != 0 { Ok(previous) } else { Err(previous) }
    }

    /// Compare-and-swap that is a full barrier on both sides, also when it fails.
    #[cfg(not(target_arch = "x86_64"))]
    #[inline]
    pub(crate) fn cas_full(&self, current: u64, new: u64) -> Result<u64, u64> {
        fence(Ordering::SeqCst);
        let result = self.cas(current, new);
        fence(Ordering::SeqCst);
        result
    }
}

impl Half {
    pub(crate) fn acquire(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Changes a word that threads sleep on.
    pub(crate) fn bump(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn as_ptr(&self) -> *const u32 {
        self.0.as_ptr()
    }
}

/// The owner's half of an asymmetric fence: between its mark (`busy`, the end of a unique borrow) and its look at the
/// region. Pairs with [`heavy`].
#[inline]
pub(crate) fn light() {
    fence(Ordering::SeqCst);
}

/// The closer's half: between its change of the region's control word and its look at the others' marks.
#[inline]
pub(crate) fn heavy() {
    fence(Ordering::SeqCst);
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
        self.step += 1;
        if self.step < 64 {
            std::hint::spin_loop();
        } else if self.step < 128 {
            std::thread::yield_now();
        } else if self.step < self.limit {
            std::thread::sleep(std::time::Duration::from_micros(if self.step < 256 { 50 } else { 500 }));
        } else {
            return false;
        }
        true
    }

    /// True now and then once the wait has become long: time to ask whether the other is dead.
    pub(crate) fn suspicious(&self) -> bool {
        self.step >= 128 && self.step.is_multiple_of(16)
    }
}
