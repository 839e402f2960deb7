//! The one panic boundary (F1) and how results and errors cross it (F2). Every exported function runs inside it.

use std::any::Any;
use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use weaveheap_core::{Error, ErrorCode, Result};

use crate::error::CError;

/// Where a function reports its outcome. It is written and never read: the caller need not initialise it.
pub(crate) type ErrorOut<'a> = Option<&'a mut MaybeUninit<CError>>;

/// Runs a function that has a result: the default of its type (0, null) on failure.
pub(crate) fn value<T: Default>(err: ErrorOut<'_>, work: impl FnOnce() -> Result<T>) -> T {
    let (value, _) = run(err, work);
    value
}

/// Runs a function without a result: the code.
pub(crate) fn code(err: ErrorOut<'_>, work: impl FnOnce() -> Result<()>) -> i32 {
    let ((), code) = run(err, work);
    code
}

/// Runs a function that cannot fail and reports to nobody; a panic gives the default of its type.
pub(crate) fn quiet<T: Default>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        discard(payload);
        T::default()
    })
}

#[inline]
fn run<T: Default>(err: ErrorOut<'_>, work: impl FnOnce() -> Result<T>) -> (T, i32) {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => (value, done(err)),
        Ok(Err(error)) => (T::default(), refuse(err, error)),
        Err(payload) => (T::default(), refuse(err, internal(payload))),
    }
}

/// Reports success; its code.
#[inline(always)]
pub(crate) fn done(err: ErrorOut<'_>) -> i32 {
    if let Some(err) = err {
        err.write(CError { code: 0, message: ptr::null() });
    }
    0
}

/// Holders are gathered for the message (B6), hence only when somebody takes it.
#[cold]
fn refuse(err: ErrorOut<'_>, error: Error) -> i32 {
    let code = error.code().number();
    if let Some(err) = err {
        let message = quiet(|| Message(owned_text(error.to_string()))).0;
        err.write(CError { code, message });
    }
    crate::error::remember(error);
    code
}

struct Message(*const c_char);

impl Default for Message {
    fn default() -> Message {
        Message(ptr::null())
    }
}

#[cold]
fn internal(payload: Box<dyn Any + Send>) -> Error {
    let words = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(words), _) => (*words).to_string(),
        (_, Some(words)) => words.clone(),
        _ => "a panic without words".to_string(),
    };
    discard(payload);
    let message = format!("a defect in WeaveHeap: {words}. The heap stays usable; please report it.");
    let _ = catch_unwind(|| tracing::error!(target: "weaveheap", "{message}"));
    Error::with_message(ErrorCode::Internal, message)
}

/// Dropping a payload can itself panic, and so can dropping what that panic carries; none of it may leave the boundary.
fn discard(payload: Box<dyn Any + Send>) {
    let mut left = Some(payload);
    for _ in 0..8 {
        let Some(payload) = left.take() else { return };
        left = catch_unwind(AssertUnwindSafe(|| drop(payload))).err();
    }
    std::mem::forget(left);
}

/// A string for the caller, who releases it with `weaveheap_free_string`. A NUL inside becomes U+FFFD.
pub(crate) fn owned_text(text: String) -> *const c_char {
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    CString::new(text).map_or(ptr::null(), |text| text.into_raw().cast_const())
}

/// An answer as JSON, for the caller.
pub(crate) fn owned_json(value: &impl serde::Serialize) -> Result<*const c_char> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::with_message(ErrorCode::Internal, format!("the answer cannot be written: {error}")))?;
    Ok(owned_text(text))
}
