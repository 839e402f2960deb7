//! Log callbacks: they receive what `tracing` receives (F4: kept until they are unregistered).
//!
//! Registering and calling are here; turning spans and events into records is in `log/subscriber.rs`.

mod subscriber;

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::ThreadId;

use weaveheap_core::{Error, ErrorCode, Result};

use crate::argument::{given, invalid};
use crate::boundary::{self, ErrorOut};

/// Something went wrong.
pub const WEAVEHEAP_LOG_ERROR: u32 = 1;
/// Something looks wrong.
pub const WEAVEHEAP_LOG_WARN: u32 = 2;
/// Something that is worth knowing.
pub const WEAVEHEAP_LOG_INFO: u32 = 3;
/// What helps to find a fault.
pub const WEAVEHEAP_LOG_DEBUG: u32 = 4;
/// Everything.
pub const WEAVEHEAP_LOG_TRACE: u32 = 5;

/// The record tells of something that happened.
pub const WEAVEHEAP_LOG_EVENT: u32 = 0;
/// The record tells that something that takes time has begun.
pub const WEAVEHEAP_LOG_SPAN_BEGIN: u32 = 1;
/// The record tells that it has ended; `seconds` says how long it took.
pub const WEAVEHEAP_LOG_SPAN_END: u32 = 2;

/// What a log callback gets. It is the library's, and good during the call only.
#[repr(C)]
pub struct CLogRecord {
    /// The size of the library's version of this struct; a later one may be larger.
    pub struct_size: usize,
    /// One of `WEAVEHEAP_LOG_ERROR` (1) to `WEAVEHEAP_LOG_TRACE` (5).
    pub level: u32,
    /// `WEAVEHEAP_LOG_EVENT`, `WEAVEHEAP_LOG_SPAN_BEGIN` or `WEAVEHEAP_LOG_SPAN_END`.
    pub kind: u32,
    /// The part of the library that speaks.
    pub target: *const c_char,
    /// One line of UTF-8: the message, then the fields as `name=value`.
    pub message: *const c_char,
    /// The number of the span that begins, that ends, or in which the event happened; 0 for none.
    pub span: u64,
    /// For the end of a span, how long it took; 0 otherwise.
    pub seconds: f64,
}

/// A log callback. It may be called from any thread, also from several at the same time. It must not throw or jump out.
/// It may call the library; what the library logs meanwhile on that thread is dropped.
pub type CLogCallback = Option<extern "C" fn(context: *mut c_void, record: *const CLogRecord)>;

/// A registered log callback. 0 names none.
pub type CLogId = u64;

/// Registers a callback for what the library logs up to this level (`WEAVEHEAP_LOG_ERROR` to `WEAVEHEAP_LOG_TRACE`). Any
/// number may be registered.
///
/// Success: the number of the registration. The library keeps `callback` and `context` until
/// `weaveheap_log_unregister` has returned, and calls nothing with them after that.
/// Failure: 0; nothing is kept.
/// Threads: any.
/// Null: `callback` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `context` (passed on as it is) and `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_log_register(
    callback: CLogCallback,
    context: *mut c_void,
    level: u32,
    err: ErrorOut<'_>,
) -> CLogId {
    boundary::value(err, || {
        let callback = given(callback, "callback")?;
        if !(WEAVEHEAP_LOG_ERROR..=WEAVEHEAP_LOG_TRACE).contains(&level) {
            return Err(invalid(format!(
                "{level} is no level: use WEAVEHEAP_LOG_ERROR (1) to WEAVEHEAP_LOG_TRACE (5)"
            )));
        }
        subscriber::install()?;
        let registry = registry();
        let mut list = registry.list.write().unwrap_or_else(PoisonError::into_inner);
        list.last_id += 1;
        let id = list.last_id;
        list.entries.push(Arc::new(Entry {
            id,
            callback,
            context: Context(context),
            level,
            calls: Mutex::new(Calls { removed: false, running: Vec::new() }),
            ended: Condvar::new(),
        }));
        registry.changed(&list);
        drop(list);
        tracing::callsite::rebuild_interest_cache();
        Ok(id)
    })
}

/// Unregisters a log callback. It waits for calls of it that are under way on other threads, and for none on its own: a
/// callback may unregister itself. Two callbacks that unregister each other wait for ever.
///
/// Success: 0; the callback is not called any more, and its context may be freed (by a callback that unregisters itself:
/// once it has returned).
/// Failure: the code. `WEAVEHEAP_ERROR_NOT_FOUND` if there is no such registration.
/// Threads: any.
/// Null: `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_log_unregister(id: CLogId, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        let registry = registry();
        let mut list = registry.list.write().unwrap_or_else(PoisonError::into_inner);
        let Some(position) = list.entries.iter().position(|entry| entry.id == id) else {
            return Err(Error::with_message(
                ErrorCode::NotFound,
                format!("no log callback {id} is registered: give what weaveheap_log_register returned, once"),
            ));
        };
        let entry = list.entries.remove(position);
        registry.changed(&list);
        drop(list);
        tracing::callsite::rebuild_interest_cache();
        entry.retire();
        Ok(())
    })
}

/// The caller's word to have back. It is never looked into.
struct Context(*mut c_void);

// SAFETY: the pointer is only passed on, and the header says that callbacks are called from any thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

struct Entry {
    id: CLogId,
    callback: extern "C" fn(*mut c_void, *const CLogRecord),
    context: Context,
    level: u32,
    calls: Mutex<Calls>,
    ended: Condvar,
}

struct Calls {
    removed: bool,
    running: Vec<ThreadId>,
}

impl Entry {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, record: &CLogRecord) {
        let me = std::thread::current().id();
        {
            let mut calls = self.calls();
            if calls.removed {
                return;
            }
            calls.running.push(me);
        }
        // No lock is held here: the callback may register and unregister.
        (self.callback)(self.context.0, record);
        let mut calls = self.calls();
        if let Some(position) = calls.running.iter().position(|thread| *thread == me) {
            calls.running.swap_remove(position);
        }
        drop(calls);
        self.ended.notify_all();
    }

    fn retire(&self) {
        let me = std::thread::current().id();
        let mut calls = self.calls();
        calls.removed = true;
        while calls.running.iter().any(|thread| *thread != me) {
            calls = self.ended.wait(calls).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Registry {
    list: RwLock<List>,
    /// The most detailed level that anybody wants, 0 for none: what `enabled` reads.
    level: AtomicU32,
}

struct List {
    entries: Vec<Arc<Entry>>,
    last_id: CLogId,
}

impl Registry {
    fn changed(&self, list: &List) {
        let level = list.entries.iter().map(|entry| entry.level).max().unwrap_or(0);
        // Relaxed: a record that is dropped or made in vain at the moment of the change harms nobody.
        self.level.store(level, Ordering::Relaxed);
    }

    fn level(&self) -> u32 {
        self.level.load(Ordering::Relaxed)
    }
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry {
        list: RwLock::new(List { entries: Vec::new(), last_id: 0 }),
        level: AtomicU32::new(0),
    })
}

thread_local! {
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Hands a record to every callback that wants its level. What is logged inside a callback is dropped, or a callback that
/// calls the library would call itself without end.
fn dispatch(level: u32, kind: u32, target: &CStr, message: &CStr, span: u64, seconds: f64) {
    // A thread that is ending has no flag any more; its records still arrive.
    let nested = CALLING.try_with(|calling| calling.replace(true)).unwrap_or(false);
    if nested {
        return;
    }
    let wanted: Vec<Arc<Entry>> = {
        let list = registry().list.read().unwrap_or_else(PoisonError::into_inner);
        list.entries.iter().filter(|entry| level <= entry.level).map(Arc::clone).collect()
    };
    let record = CLogRecord {
        struct_size: size_of::<CLogRecord>(),
        level,
        kind,
        target: target.as_ptr(),
        message: message.as_ptr(),
        span,
        seconds,
    };
    for entry in wanted {
        entry.call(&record);
    }
    let _ = CALLING.try_with(|calling| calling.set(false));
}

fn unavailable() -> Error {
    Error::with_message(
        ErrorCode::Unsupported,
        "this program has a tracing subscriber of its own: read the log there, or link the C library",
    )
}

/// What `subscriber::install` gives.
type Installed = Result<()>;
