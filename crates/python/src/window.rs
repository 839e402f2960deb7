//! Who uses a borrow: the view object, the parts that were sliced from it, and whatever was made of them (V3). Plain
//! Rust, so that the last user may let go from any thread, with or without the interpreter.
//!
//! A window is a range of a borrow. It ends when it has been released and its last use is over; the window at the root
//! then ends the borrow.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weaveheap_core::{BorrowKind, Error, ErrorCode, Handle, Lease};

use crate::error::{Fault, Res};

/// What keeps the bytes of a window where they are. Dropping it lets go of them.
enum Keep {
    Lease(Lease),
    Part(#[expect(dead_code, reason = "held for its drop: the part is a use of the whole")] Use),
}

struct State {
    keep: Option<Keep>,
    released: bool,
    uses: usize,
}

/// A range of a borrow, with a count of what uses it.
pub struct Window {
    state: Mutex<State>,
    pointer: NonNull<u8>,
    length: usize,
    kind: BorrowKind,
    handle: Handle,
    heap: weaveheap_core::Heap,
}

// SAFETY: the pointer stays valid while `keep` is there, which is reached under the mutex; bytes are touched through
// a `Use`, which keeps it.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    /// The window over all of a borrow.
    pub fn whole(lease: Lease) -> Arc<Window> {
        let (length, kind, handle, heap) = (lease.len(), lease.kind(), lease.handle(), lease.heap());
        let pointer = NonNull::new(lease.as_ptr()).unwrap_or(NonNull::dangling());
        let state = Mutex::new(State { keep: Some(Keep::Lease(lease)), released: false, uses: 0 });
        Arc::new(Window { state, pointer, length, kind, handle, heap })
    }

    /// The window over `start..end` of this one. The caller has checked the range against the length.
    pub fn part(self: &Arc<Window>, start: usize, end: usize) -> Res<Arc<Window>> {
        debug_assert!(start <= end && end <= self.length);
        let whole = self.enter()?;
        // SAFETY: `start` is at most the length, so that the pointer stays inside the borrow or one past its end.
        let pointer = unsafe { self.pointer.add(start) };
        let state = Mutex::new(State { keep: Some(Keep::Part(whole)), released: false, uses: 0 });
        let (kind, handle, heap) = (self.kind, self.handle, self.heap.clone());
        Ok(Arc::new(Window { state, pointer, length: end - start, kind, handle, heap }))
    }

    /// Begins a use. `StaleView` once the window was released.
    pub fn enter(self: &Arc<Window>) -> Res<Use> {
        let mut state = self.state();
        if state.released {
            return Err(Error::new(ErrorCode::StaleView).about(self.handle).into());
        }
        state.uses += 1;
        drop(state);
        Ok(Use { window: Arc::clone(self) })
    }

    /// Lets go of the window: now if nothing uses it, else `Borrowed`, and the last use to end does it.
    pub fn release(self: &Arc<Window>) -> Res<()> {
        let keep = {
            let mut state = self.state();
            state.released = true;
            if state.uses > 0 {
                let message = format!(
                    "{} object(s) made of this view still use its memory, and the borrow lives until the last of them \
                     is gone. Delete them, or leave their scope, before the view is released.",
                    state.uses
                );
                let error = Error::with_message(ErrorCode::Borrowed, message).about(self.handle);
                return Err(Fault::InUse(error, Arc::downgrade(self)));
            }
            state.keep.take()
        };
        drop(keep);
        Ok(())
    }

    /// True once it was released.
    pub fn is_released(&self) -> bool {
        self.state().released
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Shared or unique.
    pub fn kind(&self) -> BorrowKind {
        self.kind
    }

    /// The buffer.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// The heap.
    pub fn heap(&self) -> &weaveheap_core::Heap {
        &self.heap
    }

    /// Who holds borrows of the buffer now.
    pub fn holders(&self) -> Vec<weaveheap_core::Holder> {
        self.heap.holders(self.handle).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic can happen while it is locked, so that a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Keep::Lease(lease)) = state.keep.take() {
            // Nobody released it: the collector did.
            lease.end_by_finalizer();
        }
    }
}

/// One use of a window: a memoryview, an array, a part, or a call that reads. The bytes stay while it lives.
pub struct Use {
    window: Arc<Window>,
}

impl Use {
    /// The first byte.
    pub fn pointer(&self) -> *mut u8 {
        self.window.pointer.as_ptr()
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.window.length
    }

    /// True if the bytes must not be written through it.
    pub fn is_readonly(&self) -> bool {
        self.window.kind == BorrowKind::Shared
    }

    /// The use as a pointer that is not null, for consumers that keep nothing else.
    pub fn into_raw(self) -> *mut c_void {
        let part = ManuallyDrop::new(self);
        // SAFETY: the use is not dropped, so that its share is moved and not doubled.
        Arc::into_raw(unsafe { std::ptr::read(&part.window) }).cast_mut().cast()
    }

    /// The use of a pointer.
    ///
    /// # Safety
    /// `into_raw` gave the pointer, which is turned back once.
    pub unsafe fn from_raw(pointer: *mut c_void) -> Use {
        // SAFETY: the caller's promise.
        Use { window: unsafe { Arc::from_raw(pointer.cast::<Window>()) } }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let keep = {
            let mut state = self.window.state();
            state.uses -= 1;
            if state.released && state.uses == 0 { state.keep.take() } else { None }
        };
        drop(keep);
    }
}
