//! Views: `ArrayBuffer`s over a borrow's bytes (V4). Ending a view detaches its `ArrayBuffer`, so that what the user
//! kept reads as length 0. If that memory has gone elsewhere (transferred), or the view is merely dropped, the borrow
//! lives until Node's finalizer. Where external buffers are forbidden, a view is a counted copy.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_void;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use napi::sys;
use slotmap::{DefaultKey, Key, KeyData};
use weaveheap_core::{BorrowKind, CopyReason, Error, ErrorCode, Lease};

use crate::addon::{Addon, HeapEntry};
use crate::border::{Call, Outcome, guard};
use crate::error::{Fault, Refusal, invalid};
use crate::lend::Lent;
use crate::value::{self, clear_exception, ok};

/// N-API's answer where the memory of JavaScript must be its own (Electron, for one).
const NO_EXTERNAL_BUFFERS: sys::napi_status = sys::Status::napi_no_external_buffers_allowed;

/// One borrow that JavaScript sees.
pub struct View {
    addon: Weak<Addon>,
    /// Gone when the borrow has ended: Node keeps this object until its next turn, and a heap must not wait for that.
    entry: RefCell<Option<Rc<HeapEntry>>>,
    key: Cell<DefaultKey>,
    lease: RefCell<Option<Lease>>,
    /// The checksum of the bytes when a shared borrow of a heap with `verify` began.
    checksum: Option<u32>,
    /// For a copy: the reference that keeps its `ArrayBuffer` until it is written back.
    copy: Cell<sys::napi_ref>,
    /// For a large view: the memory that V8 was lent.
    lent: OnceCell<Arc<Lent>>,
}

/// How a view's `ArrayBuffer` has its bytes, as JavaScript reads it.
#[derive(Clone, Copy)]
enum Made {
    External = 0,
    Copy = 1,
    /// JavaScript has to mark it, as Node does with those that it makes itself: no other thread may get it.
    Lent = 2,
}

impl View {
    /// The change that verification found: the bytes are not those that the shared borrow began with.
    fn change(&self) -> Option<Refusal> {
        let lease = self.lease.borrow();
        let lease = lease.as_ref()?;
        if self.checksum? == crc32fast::hash(lease.as_slice()) {
            return None;
        }
        let error = Error::with_message(
            ErrorCode::BorrowConflict,
            "The bytes changed during a shared borrow: someone wrote through a view that is for reading. Borrow \
             unique to write.",
        );
        let holders = lease.heap().holders(lease.handle()).unwrap_or_default();
        Some(Refusal::with_holders(error.about(lease.handle()), holders))
    }

    /// Takes the view out of its environment's table and gives its lease to be ended, before the share of its heap is
    /// dropped: that may be the heap's last, and a heap with a borrow is not detached.
    fn take(&self) -> Option<(Lease, Option<Rc<HeapEntry>>)> {
        let lease = self.lease.borrow_mut().take()?;
        self.set_ended(true);
        let entry = self.entry.borrow_mut().take();
        if let (Some(addon), Some(entry)) = (self.addon.upgrade(), &entry) {
            addon.views.borrow_mut().remove(self.key.get());
            addon.view_ended(entry);
        }
        Some((lease, entry))
    }

    fn set_ended(&self, ended: bool) {
        if let Some(lent) = self.lent.get() {
            lent.set_ended(ended);
        }
    }

    /// The environment ends: so does the borrow.
    pub fn end_at_exit(&self) {
        if let Some((lease, _heap)) = self.take() {
            lease.end_by_finalizer();
        }
    }

    /// The memory was collected while the borrow lived.
    fn end_by_finalizer(&self, env: sys::napi_env) {
        if self.lease.borrow().is_none() {
            return;
        }
        let change = self.change();
        if let Some((lease, _heap)) = self.take() {
            lease.end_by_finalizer();
        }
        if let (Some(change), Some(addon)) = (change, self.addon.upgrade()) {
            addon.warn(env, &change.to_string());
        }
    }
}

/// `borrow(heap, buffer, unique)`: an `ArrayBuffer` over the bytes. Beside it: the view's key; its length; the
/// alignment of the first byte, at most 4096; how it was made.
pub fn borrow(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let handle = call.handle(1)?;
    let kind = if call.flag(2) { BorrowKind::Unique } else { BorrowKind::Shared };
    let lease = entry.heap.borrow(handle, kind)?;
    let (pointer, length) = (lease.as_ptr(), lease.len());
    if length as u64 > call.addon.max_view.get() {
        return Err(Error::with_message(
            ErrorCode::Unsupported,
            format!(
                "{length} bytes are more than a view of this Node can show ({}): use a newer Node, or smaller buffers",
                call.addon.max_view.get()
            ),
        )
        .about(handle)
        .into());
    }
    let checksum = (entry.verify && kind == BorrowKind::Shared).then(|| crc32fast::hash(lease.as_slice()));
    lease.count_view();
    entry.viewed.set(true);
    entry.views.set(entry.views.get() + 1);
    let view = Rc::new(View {
        addon: call.addon.downgrade(),
        entry: RefCell::new(Some(entry)),
        key: Cell::new(DefaultKey::null()),
        lease: RefCell::new(Some(lease)),
        checksum,
        copy: Cell::new(ptr::null_mut()),
        lent: OnceCell::new(),
    });
    let key = call.addon.views.borrow_mut().insert(Rc::clone(&view));
    view.key.set(key);
    let (array, made) = array_of(call, &view, pointer, length).inspect_err(|_| drop(view.take()))?;
    let alignment = 1u64 << (pointer as usize).trailing_zeros().min(12);
    call.addon.give(key.data().as_ffi(), [length as f64, alignment as f64, f64::from(made as u8)]);
    Ok(array)
}

/// The `ArrayBuffer` of a new view, and how it was made.
fn array_of(call: &Call, view: &Rc<View>, pointer: *mut u8, length: usize) -> Outcome<(sys::napi_value, Made)> {
    if !call.addon.copies_only.get() {
        if call.addon.may_lend.get() {
            let key = view.key.get().data().as_ffi();
            // SAFETY: the bytes are borrowed, and stay mapped, until the environment's thread has ended the view.
            if let Some((array, lent)) = unsafe { call.addon.lender.lend(call, key, pointer, length) }? {
                let _ = view.lent.set(lent);
                return Ok((array, Made::Lent));
            }
        }
        if let Some(array) = external(call.env, view, pointer, length)? {
            return Ok((array, Made::External));
        }
    }
    copy(call.env, view).map(|array| (array, Made::Copy))
}

/// The last array over the memory of a large view was collected.
pub fn collected(env: sys::napi_env, addon: &Addon, key: u64) {
    let view = addon.views.borrow().get(DefaultKey::from(KeyData::from_ffi(key))).cloned();
    if let Some(view) = view {
        view.end_by_finalizer(env);
    }
}

/// An `ArrayBuffer` over the bytes themselves; `None` where that is forbidden.
fn external(env: sys::napi_env, view: &Rc<View>, pointer: *mut u8, length: usize) -> Outcome<Option<sys::napi_value>> {
    let hint = Rc::into_raw(Rc::clone(view)).cast_mut().cast();
    let mut array = ptr::null_mut();
    // SAFETY: the bytes are borrowed, and stay mapped, until the finalizer has run or the environment has ended; the
    // finalizer turns the hint back into the `Rc` once.
    let status =
        unsafe { sys::napi_create_external_arraybuffer(env, pointer.cast(), length, Some(finalize), hint, &mut array) };
    match status {
        sys::Status::napi_ok => Ok(Some(array)),
        NO_EXTERNAL_BUFFERS => {
            // SAFETY: Node took nothing, so the hint is still this function's.
            drop(unsafe { Rc::from_raw(hint.cast::<View>()) });
            Ok(None)
        }
        // Whether the finalizer still runs is not said: the hint is left to it.
        status => Err(Fault::Status(status, "a view")),
    }
}

/// An `ArrayBuffer` with a copy of the bytes, which is written back at the end of a unique borrow.
fn copy(env: sys::napi_env, view: &View) -> Outcome {
    let lease = view.lease.borrow();
    let Some(lease) = lease.as_ref() else { return Err(invalid("the view has ended")) };
    let array = array_with(env, lease.as_slice())?;
    lease.count_copy(CopyReason::NoExternalBuffers, lease.len() as u64);
    let mut reference = ptr::null_mut();
    // SAFETY: the array was made above.
    ok(unsafe { sys::napi_create_reference(env, array, 1, &mut reference) }, "a view")?;
    view.copy.set(reference);
    Ok(array)
}

/// A new `ArrayBuffer` that holds these bytes. `OutOfMemory` if Node cannot make one so long.
pub fn array_with(env: sys::napi_env, bytes: &[u8]) -> Outcome {
    let (mut data, mut array) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the environment is the one that calls.
    let status = unsafe { sys::napi_create_arraybuffer(env, bytes.len(), &mut data, &mut array) };
    if status != sys::Status::napi_ok {
        clear_exception(env);
        return Err(Error::with_message(
            ErrorCode::OutOfMemory,
            format!("Node cannot make an ArrayBuffer of {} bytes: copy less at once", bytes.len()),
        )
        .into());
    }
    if !bytes.is_empty() {
        // SAFETY: Node made an array of that length, which nothing else knows of yet.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), bytes.len()) };
    }
    Ok(array)
}

unsafe extern "C" fn finalize(env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    guard(|| {
        // SAFETY: the hint is the `Rc` that `external` gave away, and Node gives it back once, on this thread.
        let view = unsafe { Rc::from_raw(hint.cast::<View>().cast_const()) };
        view.end_by_finalizer(env);
    });
}

fn found(call: &Call) -> Outcome<Rc<View>> {
    let key = call.bits(0).map(|bits| DefaultKey::from(KeyData::from_ffi(bits)));
    let view = key.and_then(|key| call.addon.views.borrow().get(key).cloned());
    view.ok_or_else(|| Error::new(ErrorCode::StaleView).into())
}

/// What N-API says about an `ArrayBuffer`: where its bytes are; `None` if it was detached.
fn bytes_of(env: sys::napi_env, array: sys::napi_value) -> Outcome<Option<(*mut u8, usize)>> {
    let mut detached = false;
    // SAFETY: the value is of this environment.
    ok(unsafe { sys::napi_is_detached_arraybuffer(env, array, &mut detached) }, "a view")?;
    if detached {
        return Ok(None);
    }
    let (mut data, mut length) = (ptr::null_mut(), 0);
    // SAFETY: as above; Node checks its kind.
    let status = unsafe { sys::napi_get_arraybuffer_info(env, array, &mut data, &mut length) };
    if status != sys::Status::napi_ok {
        return Err(invalid("this is no ArrayBuffer of a view"));
    }
    Ok(Some((data.cast(), length)))
}

/// `end(view, array)`: detaches the array and ends the borrow. True if that was done; false if the memory has gone
/// elsewhere, so that the borrow lives until its finalizer.
pub fn end(call: &Call) -> Outcome {
    let view = found(call)?;
    let array = call.argument(1);
    let bytes = bytes_of(call.env, array)?;
    if !view.copy.get().is_null() {
        return end_of_copy(call, &view, bytes, Some(array));
    }
    let Some((data, length)) = bytes else { return value::boolean(call.env, false) };
    let same = view.lease.borrow().as_ref().is_some_and(|l| l.len() == length && (length == 0 || l.as_ptr() == data));
    if !same {
        return Err(invalid("this is no ArrayBuffer of this view"));
    }
    let change = view.change();
    view.set_ended(true);
    // SAFETY: the array is an `ArrayBuffer` of this environment.
    let detached = unsafe { sys::napi_detach_arraybuffer(call.env, array) } == sys::Status::napi_ok;
    if detached {
        drop(view.take());
    } else {
        view.set_ended(false);
    }
    match change {
        Some(change) => Err(change.into()),
        None => value::boolean(call.env, detached),
    }
}

/// `endCopy(view)`: the object of a view that is a copy was collected. Writes it back and ends the borrow.
pub fn end_copy(call: &Call) -> Outcome {
    let Ok(view) = found(call) else { return value::boolean(call.env, false) };
    if view.copy.get().is_null() {
        return value::boolean(call.env, false);
    }
    end_of_copy(call, &view, None, None)
}

/// Ends a view that is a copy. Without an array the copy's own is used, and the end counts as a finalizer's.
fn end_of_copy(call: &Call, view: &View, bytes: Option<(*mut u8, usize)>, array: Option<sys::napi_value>) -> Outcome {
    let (mut array, mut bytes, finalizer) = (array.unwrap_or(ptr::null_mut()), bytes, array.is_none());
    let reference = view.copy.replace(ptr::null_mut());
    if finalizer {
        // SAFETY: `copy` made the reference in this environment, and it is deleted only below.
        ok(unsafe { sys::napi_get_reference_value(call.env, reference, &mut array) }, "a view")?;
        bytes = bytes_of(call.env, array)?;
    }
    // SAFETY: as above; it is not used again.
    unsafe { sys::napi_delete_reference(call.env, reference) };
    let change = view.change();
    let Some((mut lease, _heap)) = view.take() else { return value::boolean(call.env, false) };
    let mut lost = false;
    if lease.kind() == BorrowKind::Unique {
        match (bytes, lease.as_mut_slice()) {
            (Some((data, length)), Some(target)) if length == target.len() => {
                if length > 0 {
                    // SAFETY: Node says where the copy's bytes are; the target is another allocation, borrowed alone.
                    unsafe { ptr::copy_nonoverlapping(data.cast_const(), target.as_mut_ptr(), length) };
                }
                lease.count_copy(CopyReason::NoExternalBuffers, length as u64);
            }
            _ => lost = true,
        }
    }
    // SAFETY: the array is an `ArrayBuffer` of this environment. One that is detached already is left as it is.
    unsafe { sys::napi_detach_arraybuffer(call.env, array) };
    let handle = lease.handle();
    if finalizer {
        lease.end_by_finalizer()
    } else {
        lease.end()
    }
    if let Some(change) = change {
        return Err(change.into());
    }
    if lost {
        let text = "The view is a copy, and its ArrayBuffer was transferred: what was written to it is lost. Release \
                    the view before its memory goes elsewhere.";
        return Err(Error::with_message(ErrorCode::StaleView, text).about(handle).into());
    }
    value::boolean(call.env, true)
}
