//! Kill points of the crash tests, in builds with `--cfg weaveheap_kill_points` alone: places before each write to a
//! segment and around each system call that changes one, where a process can be made to end, as a signal from outside
//! would end it, or a thread to stand still (C1, C2).
//!
//! Points are counted, so that a program that does the same meets the same ones again.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::fault::Fault;

thread_local! {
    /// Points that this thread has met, and the one where it stands still; 0 is none.
    static OWN: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Points that the threads of this process have met, but for those that are to stand still, and the one where the
/// process ends; 0 is none.
static ALL: Mutex<(u64, u64)> = Mutex::new((0, 0));
/// Threads that stand still, or have; and whether they may go on.
static HALTED: Mutex<(u64, bool)> = Mutex::new((0, false));
static CHANGED: Condvar = Condvar::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process ends by SIGKILL at the `n`th point that its threads meet from here on; the first is 1, 0 is never.
pub fn die_at(n: u64) {
    *lock(&ALL) = (0, n);
}

/// This thread stands still at the `n`th point that it meets from here on, until [`go_on`]. It counts for itself alone.
pub fn halt_at(n: u64) {
    OWN.set((0, n));
}

/// Threads of this process that have been made to stand still.
pub fn halted() -> u64 {
    lock(&HALTED).0
}

/// Lets all threads that stand still go on, and none stand still after this.
pub fn go_on() {
    lock(&HALTED).1 = true;
    CHANGED.notify_all();
}

/// A place where a process may die.
pub(crate) fn kill_point() {
    let (met, at) = OWN.get();
    if at != 0 {
        OWN.set((met + 1, at));
        if met + 1 == at {
            let mut halted = lock(&HALTED);
            halted.0 += 1;
            drop(CHANGED.wait_while(halted, |(_, go_on)| !*go_on));
        }
        return;
    }
    let mut all = lock(&ALL);
    all.0 += 1;
    if all.0 == all.1 {
        // SAFETY: plain system calls; SIGKILL runs no handler.
        unsafe {
            libc::kill(libc::getpid(), libc::SIGKILL);
            loop {
                libc::pause();
            }
        }
    }
}

/// Whether this fault is planted, as `WEAVEHEAP_FAULT` names it.
pub(crate) fn planted(fault: Fault) -> bool {
    static PLANTED: OnceLock<Option<String>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| std::env::var("WEAVEHEAP_FAULT").ok());
    planted.as_ref().is_some_and(|planted| *planted == format!("{fault:?}"))
}
