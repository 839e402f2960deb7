//! Waiting off the main thread: a promise that a thread of its own settles (H8). The thread sleeps in the core; it
//! looks up once a second only to see whether its environment has ended, which nothing in a heap would tell it.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use napi::sys;
use weaveheap_core::{Error, ErrorCode, Handle};

use crate::addon::Addon;
use crate::border::{Call, Outcome, guard, panicked};
use crate::error::Fault;
use crate::value::{self, ok};

/// How long the thread sleeps before it looks whether its environment lives.
const SLICE: Duration = Duration::from_secs(1);

/// What is waited for: the handle that was looked up, or nothing.
type Answer = weaveheap_core::Result<Option<Handle>>;

/// One wait that is under way.
pub struct Wait {
    cancelled: AtomicBool,
    /// Node's queue to the environment's thread; gone once the wait is over or the environment has ended.
    queue: Mutex<Option<Queue>>,
}

struct Queue(sys::napi_threadsafe_function);

// SAFETY: N-API's threadsafe functions are made to be called from other threads.
unsafe impl Send for Queue {}

struct Settlement {
    deferred: sys::napi_deferred,
    answer: Answer,
}

/// A deferred on its way through the thread that waits, which only passes it on.
struct Deferred(sys::napi_deferred);

// SAFETY: it is used again on the environment's thread only.
unsafe impl Send for Deferred {}

impl Wait {
    /// True once it is settled or cancelled.
    pub fn is_over(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The environment ends: nobody is there to be told.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        // Node ends the queue itself. The lock sees to it that the thread is not using it at this moment.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn settle(&self, settlement: Settlement) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Queue(function)) = queue.take() else { return };
        let data = Box::into_raw(Box::new(settlement));
        // SAFETY: the function lives: the environment has not ended, for that takes it away under the lock first.
        let status = unsafe {
            sys::napi_call_threadsafe_function(function, data.cast(), sys::ThreadsafeFunctionCallMode::nonblocking)
        };
        if status == sys::Status::napi_closing {
            // SAFETY: Node did not take the data. It has counted this thread out already.
            drop(unsafe { Box::from_raw(data) });
            return;
        }
        if status != sys::Status::napi_ok {
            // SAFETY: Node did not take the data.
            drop(unsafe { Box::from_raw(data) });
        }
        // SAFETY: as for the call; this is the thread's one release.
        unsafe {
            sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::release);
        }
    }
}

/// Starts to wait, and returns the promise. `sleep` waits in the core for the time it is given, for ever with `None`,
/// and says `Timeout` when it is over.
pub fn start(
    call: &Call,
    timeout: Option<Duration>,
    sleep: impl Fn(Option<Duration>) -> Answer + Send + 'static,
) -> Outcome {
    let (mut deferred, mut promise, mut function) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let name = value::string(call.env, "weaveheap wait")?;
    // SAFETY: the environment is the one that calls; `settle_promise` reads its data as a `Settlement`.
    unsafe {
        ok(sys::napi_create_promise(call.env, &mut deferred, &mut promise), "a promise")?;
        let status = sys::napi_create_threadsafe_function(
            call.env,
            ptr::null_mut(),
            ptr::null_mut(),
            name,
            0,
            1,
            ptr::null_mut(),
            None,
            ptr::null_mut(),
            Some(settle_promise),
            &mut function,
        );
        ok(status, "a wait")?;
    }
    let wait = Arc::new(Wait { cancelled: AtomicBool::new(false), queue: Mutex::new(Some(Queue(function))) });
    call.addon.add_wait(Arc::clone(&wait));
    let deferred = Deferred(deferred);
    let waiting = Arc::clone(&wait);
    let thread = std::thread::Builder::new().name("weaveheap-wait".to_owned());
    let spawned = thread.spawn(move || {
        // The whole of it is moved: its field alone could not be.
        let deferred = deferred;
        let answer = catch_unwind(AssertUnwindSafe(|| sleep_for(&waiting, timeout, &sleep)))
            .unwrap_or_else(|panic| Err(panicked(&*panic)));
        // What `sleep` keeps of the heap goes before the promise is settled, so that a detach that follows it is free.
        drop(sleep);
        waiting.settle(Settlement { deferred: deferred.0, answer });
    });
    if let Err(error) = spawned {
        wait.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        // SAFETY: nobody else uses the function: there is no thread.
        unsafe {
            sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::abort);
        }
        let text = format!("cannot start a thread to wait in: {error}");
        return Err(Error::with_message(ErrorCode::LimitReached, text).into());
    }
    Ok(promise)
}

fn sleep_for(wait: &Wait, timeout: Option<Duration>, sleep: &impl Fn(Option<Duration>) -> Answer) -> Answer {
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let slice = left.map_or(SLICE, |left| left.min(SLICE));
        match sleep(Some(slice)) {
            Err(error) if error.code() == ErrorCode::Timeout => {
                if left == Some(slice) || wait.cancelled.load(Ordering::Relaxed) {
                    return Err(error);
                }
            }
            answer => return answer,
        }
    }
}

unsafe extern "C" fn settle_promise(
    env: sys::napi_env,
    _function: sys::napi_value,
    _context: *mut c_void,
    data: *mut c_void,
) {
    guard(|| {
        // SAFETY: `settle` made this box, and Node gives it back once.
        let Settlement { deferred, answer } = *unsafe { Box::from_raw(data.cast::<Settlement>()) };
        if env.is_null() {
            return;
        }
        // SAFETY: Node calls this on the environment's thread.
        let Some(addon) = (unsafe { Addon::of(env) }) else { return };
        let value = match answer {
            Ok(Some(handle)) => value::bigint(env, handle.to_bits()),
            Ok(None) => value::undefined(env),
            Err(error) => {
                if let Some(error) = Fault::from(error).into_value(env, addon) {
                    // SAFETY: the deferred is of this environment and is settled once.
                    unsafe { sys::napi_reject_deferred(env, deferred, error) };
                }
                return;
            }
        };
        if let Ok(value) = value {
            // SAFETY: as above.
            unsafe { sys::napi_resolve_deferred(env, deferred, value) };
        }
    });
}
