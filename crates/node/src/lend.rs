//! Large views: `ArrayBuffer`s that V8 does not count as memory of its own (`array_buffer.cc`). One that N-API makes
//! counts, and from 64 MiB on each of them sets off a collection, though nothing could be freed.
//!
//! V8 says from any thread, also while it collects, that such memory is seen no more. What was released in order needs no
//! such word; the rest comes back to the environment's thread through Node's queue.

use std::cell::OnceCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use napi::sys;

use crate::addon::Addon;
use crate::border::{Call, Outcome, guard};
use crate::error::invalid;
use crate::value::{self, ok};

/// Views of fewer bytes are made by N-API, whose interface is the same in every Node.
const LARGE: usize = 8 << 20;

/// Memory that an `ArrayBuffer` was lent.
pub struct Lent {
    key: u64,
    /// The borrow has ended, or is about to: there is nothing to tell.
    ended: AtomicBool,
    news: Arc<News>,
}

impl Lent {
    /// Whether the borrow ends by itself, so that V8's word is not needed.
    pub fn set_ended(&self, ended: bool) {
        self.ended.store(ended, Ordering::Release);
    }
}

/// The way to the environment's thread; closed when the environment ends.
#[derive(Default)]
pub struct News(Mutex<Option<Queue>>);

struct Queue(sys::napi_threadsafe_function);

// SAFETY: N-API's threadsafe functions are made to be called from other threads.
unsafe impl Send for Queue {}

impl News {
    /// The environment ends: nobody is there to be told. Node ends the queue itself.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn tell(&self, key: u64) {
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Queue(function)) = &*queue else { return };
        let data = key as usize as *mut c_void;
        // SAFETY: the function lives: the environment has not ended, for that takes it away under the lock first. A
        // refusal means that it is ending, which ends the borrow.
        unsafe { sys::napi_call_threadsafe_function(*function, data, sys::ThreadsafeFunctionCallMode::nonblocking) };
    }
}

/// What an environment needs to lend.
#[derive(Default)]
pub struct Lender {
    /// There once something was asked for; `None` in it if this runtime cannot lend.
    news: OnceCell<Option<Arc<News>>>,
}

impl Lender {
    /// An `ArrayBuffer` over the bytes of the view with this key; `None` if they are few, or this runtime cannot lend:
    /// then N-API makes it.
    ///
    /// # Safety
    /// The bytes stay mapped until `Lent` was told that the view has ended, or the environment has.
    pub unsafe fn lend(
        &self,
        call: &Call,
        key: u64,
        pointer: *mut u8,
        length: usize,
    ) -> Outcome<Option<(sys::napi_value, Arc<Lent>)>> {
        if length < LARGE {
            return Ok(None);
        }
        if self.news.get().is_none() {
            let news = if is_possible(call.env)? { Some(open(call.env)?) } else { None };
            let _ = self.news.set(news);
        }
        let Some(Some(news)) = self.news.get() else { return Ok(None) };
        let lent = Arc::new(Lent { key, ended: AtomicBool::new(false), news: Arc::clone(news) });
        let hint = Arc::into_raw(Arc::clone(&lent)).cast_mut().cast();
        // SAFETY: the caller's promise; the hint is turned back once, by `released`.
        let array = unsafe { array_buffer(pointer.cast(), length, released, hint) };
        if array.is_null() {
            // SAFETY: nothing was made, so that nobody else has the hint.
            drop(unsafe { Arc::from_raw(hint.cast::<Lent>().cast_const()) });
            return Ok(None);
        }
        Ok(Some((array, lent)))
    }

    /// The environment ends.
    pub fn close(&self) {
        if let Some(Some(news)) = self.news.get() {
            news.close();
        }
    }
}

#[cfg(weaveheap_lend)]
unsafe extern "C" {
    fn weaveheap_lend(
        data: *mut c_void,
        length: usize,
        released: unsafe extern "C" fn(*mut c_void),
        hint: *mut c_void,
    ) -> *mut c_void;
    fn weaveheap_unlock(array: *mut c_void, undefined: *mut c_void);
}

#[cfg(weaveheap_lend)]
unsafe fn array_buffer(
    data: *mut c_void,
    length: usize,
    released: unsafe extern "C" fn(*mut c_void),
    hint: *mut c_void,
) -> sys::napi_value {
    // SAFETY: the caller's promise; this is a call from JavaScript, so that an isolate and a scope are entered.
    unsafe { weaveheap_lend(data, length, released, hint) }.cast()
}

#[cfg(not(weaveheap_lend))]
unsafe fn array_buffer(
    _data: *mut c_void,
    _length: usize,
    _released: unsafe extern "C" fn(*mut c_void),
    _hint: *mut c_void,
) -> sys::napi_value {
    ptr::null_mut()
}

/// `unlock(array)`: makes a lent array that was marked as untransferable detachable again, which a newer Node locks.
pub fn unlock(call: &Call) -> Outcome {
    let undefined = value::undefined(call.env)?;
    let mut is_array_buffer = false;
    // SAFETY: the value is an argument of this call.
    ok(unsafe { sys::napi_is_arraybuffer(call.env, call.argument(0), &mut is_array_buffer) }, "a view")?;
    if !is_array_buffer || !matches!(call.addon.lender.news.get(), Some(Some(_))) {
        return Err(invalid("nothing was lent"));
    }
    // SAFETY: it is an `ArrayBuffer`, and V8's interface is there: something was lent by it.
    #[cfg(weaveheap_lend)]
    unsafe {
        weaveheap_unlock(call.argument(0).cast(), undefined.cast());
    }
    Ok(undefined)
}

/// Whether buffers may be external at all, which N-API alone says: in a V8 with a sandbox the attempt ends the process.
fn is_possible(env: sys::napi_env) -> Outcome<bool> {
    static BYTE: u8 = 0;
    unsafe extern "C" fn nothing(_env: sys::napi_env, _data: *mut c_void, _hint: *mut c_void) {}
    let mut array = ptr::null_mut();
    let byte = (&raw const BYTE).cast_mut().cast();
    // SAFETY: the byte lives for ever, and nobody gets the array.
    let status =
        unsafe { sys::napi_create_external_arraybuffer(env, byte, 1, Some(nothing), ptr::null_mut(), &mut array) };
    if status != sys::Status::napi_ok {
        return Ok(false);
    }
    // SAFETY: the array was made above.
    ok(unsafe { sys::napi_detach_arraybuffer(env, array) }, "a view")?;
    Ok(true)
}

/// Opens the way to this thread. It keeps no process alive.
fn open(env: sys::napi_env) -> Outcome<Arc<News>> {
    let mut function = ptr::null_mut();
    let name = value::string(env, "weaveheap view")?;
    // SAFETY: the environment is the one that calls; `ended` reads its data as a key.
    unsafe {
        let status = sys::napi_create_threadsafe_function(
            env,
            ptr::null_mut(),
            ptr::null_mut(),
            name,
            0,
            1,
            ptr::null_mut(),
            None,
            ptr::null_mut(),
            Some(seen_no_more),
            &mut function,
        );
        ok(status, "a view")?;
        ok(sys::napi_unref_threadsafe_function(env, function), "a view")?;
    }
    Ok(Arc::new(News(Mutex::new(Some(Queue(function))))))
}

/// The last `ArrayBuffer` over lent memory is gone. On any thread, also in the middle of a collection.
unsafe extern "C" fn released(hint: *mut c_void) {
    guard(|| {
        // SAFETY: the hint is the `Arc` that `lend` gave away, and V8 gives it back once.
        let lent = unsafe { Arc::from_raw(hint.cast::<Lent>().cast_const()) };
        if !lent.ended.load(Ordering::Acquire) {
            lent.news.tell(lent.key);
        }
    });
}

/// On the environment's thread: the memory of a view was collected while its borrow lived.
unsafe extern "C" fn seen_no_more(
    env: sys::napi_env,
    _function: sys::napi_value,
    _context: *mut c_void,
    data: *mut c_void,
) {
    guard(|| {
        if env.is_null() {
            return;
        }
        // SAFETY: Node calls this on the environment's thread.
        let Some(addon) = (unsafe { Addon::of(env) }) else { return };
        crate::view::collected(env, addon, data as usize as u64);
    });
}
