//! The border with JavaScript: every function of the library is entered here. Arguments come in, results go out, and
//! errors and panics become exceptions (F1). No other file makes a callback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::sys;
use weaveheap_core::{Error, ErrorCode};

use crate::addon::Addon;
use crate::error::Fault;

/// The most arguments that a function of the library takes.
const MAX_ARGUMENTS: usize = 6;

/// What Node calls.
pub type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// The result of a function of the library.
pub type Outcome<T = sys::napi_value> = Result<T, Fault>;

/// One call from JavaScript.
pub struct Call<'a> {
    /// The environment that calls.
    pub env: sys::napi_env,
    /// The library's state in that environment.
    pub addon: &'a Addon,
    arguments: [sys::napi_value; MAX_ARGUMENTS],
}

impl Call<'_> {
    /// The argument at this position: `undefined` if it was not given.
    pub fn argument(&self, position: usize) -> sys::napi_value {
        self.arguments[position]
    }
}

/// A table of callbacks from functions `fn(&Call) -> Outcome`.
macro_rules! callbacks {
    ($($name:literal => $function:path,)*) => {
        &[$(($name, {
            unsafe extern "C" fn callback(
                env: napi::sys::napi_env,
                info: napi::sys::napi_callback_info,
            ) -> napi::sys::napi_value {
                // SAFETY: Node gives both, and the function was made with the addon as its data.
                unsafe { $crate::border::enter(env, info, $function) }
            }
            callback
        }),)*]
    };
}
pub(crate) use callbacks;

/// Runs one function for a callback.
///
/// # Safety
/// `env` and `info` are what Node gave the callback, and its function was made with a pointer to the addon of `env`.
#[inline]
pub unsafe fn enter(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    function: impl FnOnce(&Call) -> Outcome,
) -> sys::napi_value {
    let mut count = MAX_ARGUMENTS;
    let mut arguments = [ptr::null_mut(); MAX_ARGUMENTS];
    let mut data = ptr::null_mut();
    // SAFETY: the caller's promise; the array holds as many values as `count` says.
    let status =
        unsafe { sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), ptr::null_mut(), &mut data) };
    if status != sys::Status::napi_ok || data.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the caller's promise; the addon lives until its environment is deleted, when nothing calls any more.
    let addon = unsafe { &*data.cast::<Addon>() };
    let call = Call { env, addon, arguments };
    let fault = match catch_unwind(AssertUnwindSafe(|| function(&call))) {
        Ok(Ok(value)) => return value,
        Ok(Err(fault)) => fault,
        Err(panic) => Fault::from(panicked(&*panic)),
    };
    let thrown = catch_unwind(AssertUnwindSafe(|| fault.throw(env, addon)));
    drop(thrown);
    ptr::null_mut()
}

/// Runs what Node calls without a value to return (a finalizer, a clean-up hook): a panic in it goes no further.
pub fn guard(work: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(work)));
}

/// The error that stands for a panic.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "a panic",
    };
    Error::with_message(ErrorCode::Internal, format!("{text}. The heap stays usable. Please report it."))
}

/// `panic()`: panics, so that a test can see that no panic crosses (F1).
pub fn panic_now(_call: &Call) -> Outcome {
    panic!("a panic was asked for");
}
