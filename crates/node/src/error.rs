//! Errors on their way to JavaScript: the core's error becomes an instance of the class of its code. Messages with
//! holders, and the holders, are made when they are asked for and not when the refusal happens (B6).

use std::ffi::c_void;
use std::ptr;

use napi::sys;
use weaveheap_core::{Error, ErrorCode, Holder};

use crate::addon::Addon;
use crate::border::{Call, Outcome, guard};
use crate::value;

/// Marks the externals that hold a [`Refusal`], so that no other external is read as one.
const REFUSAL_TAG: sys::napi_type_tag =
    sys::napi_type_tag { lower: 0x7765_6176_6568_6561, upper: 0x7072_6566_7573_616c };

/// An error whose holders are known or can be asked for.
pub struct Refusal {
    error: Error,
    holders: Option<Vec<Holder>>,
}

impl Refusal {
    /// An error with the holders that were in the way when it happened.
    pub fn with_holders(error: Error, holders: Vec<Holder>) -> Refusal {
        Refusal { error, holders: Some(holders) }
    }

    fn is_about_borrows(&self) -> bool {
        self.holders.is_some() || matches!(self.error.code(), ErrorCode::BorrowConflict | ErrorCode::Borrowed)
    }

    fn holders(&self) -> Vec<Holder> {
        self.holders.clone().unwrap_or_else(|| self.error.holders())
    }

    fn message(&self) -> String {
        let mut text = self.error.message();
        if let Some(holders) = self.holders.as_ref().filter(|holders| !holders.is_empty()) {
            let shown: Vec<String> = holders.iter().take(8).map(Holder::to_string).collect();
            text.push_str(&format!(" Held: {}.", shown.join("; ")));
        }
        text
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.error.code().name(), self.message())
    }
}

/// Why a function of the library failed.
pub enum Fault {
    /// An error of the heap.
    Refused(Box<Refusal>),
    /// N-API said no. If an exception is pending, that is what JavaScript gets.
    Status(sys::napi_status, &'static str),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Refused(Box::new(Refusal { error, holders: None }))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Refused(Box::new(refusal))
    }
}

/// `InvalidArgument` with this message.
pub fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::from(Error::with_message(ErrorCode::InvalidArgument, message))
}

impl Fault {
    /// Makes the exception pending.
    pub fn throw(self, env: sys::napi_env, addon: &Addon) {
        if let Fault::Status(sys::Status::napi_pending_exception, _) = self {
            return;
        }
        if let Some(error) = self.into_value(env, addon) {
            // SAFETY: the environment is the one that calls, and the value is one of it.
            unsafe { sys::napi_throw(env, error) };
        }
    }

    /// The error object; `None` if it could not be made, and then an exception is pending.
    pub fn into_value(self, env: sys::napi_env, addon: &Addon) -> Option<sys::napi_value> {
        let refusal = match self {
            Fault::Refused(refusal) => refusal,
            Fault::Status(status, what) => {
                let text = format!("{what}: Node refused with N-API status {status}. Please report it.");
                Box::new(Refusal { error: Error::with_message(ErrorCode::Internal, text), holders: None })
            }
        };
        let number = value::number(env, f64::from(refusal.error.code().number())).ok()?;
        let (message, lazy) = if refusal.is_about_borrows() {
            (value::undefined(env).ok()?, external(env, refusal)?)
        } else {
            (value::string(env, &refusal.message()).ok()?, value::undefined(env).ok()?)
        };
        let arguments = [number, message, lazy];
        let make = addon.make_error(env)?;
        let mut error = ptr::null_mut();
        // SAFETY: all values are of this environment, and the array holds as many as are named.
        let status = unsafe {
            let this = value::undefined(env).ok()?;
            sys::napi_call_function(env, this, make, arguments.len(), arguments.as_ptr(), &mut error)
        };
        (status == sys::Status::napi_ok).then_some(error)
    }
}

fn external(env: sys::napi_env, refusal: Box<Refusal>) -> Option<sys::napi_value> {
    let pointer = Box::into_raw(refusal);
    let mut result = ptr::null_mut();
    // SAFETY: the pointer is a box's; `finalize` turns it back into that box once.
    let status =
        unsafe { sys::napi_create_external(env, pointer.cast(), Some(finalize), ptr::null_mut(), &mut result) };
    if status != sys::Status::napi_ok {
        // SAFETY: Node did not take it, so it is still this function's box.
        drop(unsafe { Box::from_raw(pointer) });
        return None;
    }
    // SAFETY: the external was made above, and the tag is a constant.
    let status = unsafe { sys::napi_type_tag_object(env, result, &REFUSAL_TAG) };
    (status == sys::Status::napi_ok).then_some(result)
}

unsafe extern "C" fn finalize(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    guard(|| {
        // SAFETY: Node calls this once, with the pointer of the box that `external` gave it.
        drop(unsafe { Box::from_raw(data.cast::<Refusal>()) });
    });
}

fn refusal<'a>(call: &'a Call) -> Outcome<&'a Refusal> {
    let (mut tagged, mut data) = (false, ptr::null_mut());
    if !call.is_external(0) {
        return Err(invalid("this is no error of the library"));
    }
    // SAFETY: the environment is the one that calls; Node checks the kind of the value.
    let status = unsafe { sys::napi_check_object_type_tag(call.env, call.argument(0), &REFUSAL_TAG, &mut tagged) };
    if status != sys::Status::napi_ok || !tagged {
        return Err(invalid("this is no error of the library"));
    }
    // SAFETY: as above.
    let status = unsafe { sys::napi_get_value_external(call.env, call.argument(0), &mut data) };
    if status != sys::Status::napi_ok || data.is_null() {
        return Err(invalid("this is no error of the library"));
    }
    // SAFETY: the tag says that `external` made it, and the caller's value keeps it alive during the call.
    Ok(unsafe { &*data.cast::<Refusal>() })
}

/// `errorMessage(refusal)`: the message, with those who hold borrows now.
pub fn message(call: &Call) -> Outcome {
    value::string(call.env, &refusal(call)?.message())
}

/// `errorHolders(refusal)`: the holders as JSON.
pub fn holders(call: &Call) -> Outcome {
    value::json(call.env, &refusal(call)?.holders())
}
