//! Entering the component: after a call that ended in a trap, nothing is known about what it left, and every later call
//! is refused with `Internal` (F1).

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use weaveheap_core::{Error, ErrorCode, Result};

use crate::error::Answer;
use crate::room;

/// True during a call. A component is never entered while it is in a call, so that a call that finds this true comes after
/// a trap.
static INSIDE: AtomicBool = AtomicBool::new(false);

/// A call that is under way.
pub(crate) struct Entry(());

impl Drop for Entry {
    fn drop(&mut self) {
        INSIDE.store(false, Ordering::Relaxed);
    }
}

/// Begins a call; `Internal` if an earlier one never ended.
pub(crate) fn enter() -> Result<Entry> {
    if INSIDE.swap(true, Ordering::Relaxed) {
        let message = "an earlier call trapped, and this instance is used no more: make a new one";
        return Err(Error::with_message(ErrorCode::Internal, message));
    }
    Ok(Entry(()))
}

/// Makes a call of the interface: entered, done, and its error as the interface has it. `OutOfMemory` where there is no
/// memory for a resource and a message.
pub(crate) fn call<T>(work: impl FnOnce() -> Result<T>) -> Answer<T> {
    entered(|| room::for_call().and_then(|()| work()))
}

/// The same for a call that makes a report.
pub(crate) fn report<T>(work: impl FnOnce() -> Result<T>) -> Answer<T> {
    entered(|| room::report(work))
}

/// The same for a call that gives memory back: it is not refused for want of it.
pub(crate) fn freeing_call<T>(work: impl FnOnce() -> Result<T>) -> Answer<T> {
    entered(|| room::freeing(work))
}

fn entered<T>(work: impl FnOnce() -> Result<T>) -> Answer<T> {
    enter().and_then(|_entry| work()).map_err(|error| crate::error::refusal(&error))
}

/// What a resource holds. After a trap it is left as it is when the resource is dropped.
pub(crate) struct Held<T>(ManuallyDrop<T>);

impl<T> Held<T> {
    pub(crate) fn new(value: T) -> Held<T> {
        Held(ManuallyDrop::new(value))
    }
}

impl<T> std::ops::Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // Refused after a trap.
        let entry = enter();
        if entry.is_ok() {
            // SAFETY: the value is dropped here and nowhere else, and `self` is not used afterwards.
            room::freeing(|| unsafe { ManuallyDrop::drop(&mut self.0) });
        }
    }
}
