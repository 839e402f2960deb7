//! What every call passes on its way in and out: arguments are checked here, and no panic leaves (F1). Errors become
//! Python exceptions in `error.rs`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};
use weaveheap_core::{Error, ErrorCode, Handle};

use crate::error::{Fault, Res};
use crate::handle::PyHandle;

/// How long a wait sleeps before it looks for signals, so that Ctrl-C ends it.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

/// Work that is worth letting other Python threads run meanwhile: zeroing or copying this many bytes.
const WORTH_DETACHING: u64 = 64 * 1024;

/// Runs the body of a call. A panic in it becomes `Internal`.
pub fn guard<T>(body: impl FnOnce() -> Res<T>) -> Res<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => Err(panicked(payload.as_ref())),
    }
}

/// What a panic becomes.
#[cold]
pub fn panicked(payload: &(dyn Any + Send)) -> Fault {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = format!("a panic inside WeaveHeap: {}. Please report it.", text.unwrap_or("no message"));
    Error::with_message(ErrorCode::Internal, text).into()
}

/// Does work without the interpreter lock when it handles many bytes, and with it when taking it back would cost more.
pub fn detached<T: Send>(py: Python<'_>, bytes: u64, work: impl FnOnce() -> T + Send) -> T {
    if bytes >= WORTH_DETACHING { py.detach(work) } else { work() }
}

/// Waits without the interpreter lock, in steps, with a look at the signals between them.
pub fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    step: impl Fn(Option<Duration>) -> weaveheap_core::Result<T> + Sync,
) -> Res<T> {
    let end = timeout.and_then(|t| Instant::now().checked_add(t));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let time = left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL));
        match py.detach(|| step(Some(time))) {
            Err(error) if error.code() == ErrorCode::Timeout && left.is_none_or(|left| left > time) => {
                py.check_signals()?;
            }
            Err(error) => {
                py.check_signals()?;
                return Err(error.into());
            }
            Ok(value) => return Ok(value),
        }
    }
}

fn invalid(message: String) -> Fault {
    Error::with_message(ErrorCode::InvalidArgument, message).into()
}

/// A number of bytes: a length, an alignment, a limit. One beyond 64 bits is more than any heap holds, and is refused
/// as such.
#[derive(Clone, Copy)]
pub struct Size(pub u64);

impl<'a, 'py> FromPyObject<'a, 'py> for Size {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Size> {
        let number = whole_number(&object)?;
        match number.extract::<u64>() {
            Ok(value) => Ok(Size(value)),
            Err(_) if number.gt(0)? => Ok(Size(u64::MAX)),
            Err(_) => Err(invalid(format!("{} is negative, and a number of bytes is not.", shown(&number))).into()),
        }
    }
}

/// 64 bits that mean something as they are: a handle, an address.
#[derive(Clone, Copy)]
pub struct Bits(pub u64);

impl<'a, 'py> FromPyObject<'a, 'py> for Bits {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Bits> {
        let number = whole_number(&object)?;
        match number.extract::<u64>() {
            Ok(value) => Ok(Bits(value)),
            Err(_) => Err(invalid(format!("{} is not between 0 and 2**64 - 1.", shown(&number))).into()),
        }
    }
}

/// The `int` that an object stands for (`__index__`), as NumPy's integers do.
fn whole_number<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyInt>> {
    if let Ok(number) = object.cast::<PyInt>() {
        return Ok(number.clone());
    }
    match object.getattr_opt("__index__")? {
        Some(index) => Ok(index.call0()?.cast_into::<PyInt>()?),
        None => Err(PyTypeError::new_err(format!("a whole number is needed, not {}", object.get_type().name()?))),
    }
}

/// A number for a message; the digits of a huge one would only hide it.
fn shown(number: &Bound<'_, PyInt>) -> String {
    number.str().ok().map(|s| s.to_string()).filter(|s| s.len() <= 40).unwrap_or_else(|| "The number".to_owned())
}

/// Text. What is no UTF-8 (a lone surrogate) is `InvalidUtf8`.
pub struct Text(pub String);

impl<'a, 'py> FromPyObject<'a, 'py> for Text {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Text> {
        Ok(Text(utf8(&*object.cast::<PyString>()?)?.to_owned()))
    }
}

/// The UTF-8 that a text object keeps, without a copy.
pub fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Res<&'a str> {
    text.to_str().map_err(|_| {
        let message = "The text holds a lone surrogate, which UTF-8 cannot. Remove it, or allocate bytes instead.";
        Error::with_message(ErrorCode::InvalidUtf8, message).into()
    })
}

/// A path, as `os.fspath` gives it. One that the system has no bytes for (a lone surrogate) is `InvalidUtf8`.
pub struct FilePath(pub PathBuf);

impl<'a, 'py> FromPyObject<'a, 'py> for FilePath {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<FilePath> {
        match object.extract::<PathBuf>() {
            Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(object.py()) => {
                let message = "The path holds a lone surrogate, which UTF-8 cannot. Remove it.";
                Err(Fault::from(Error::with_message(ErrorCode::InvalidUtf8, message)).into())
            }
            path => path.map(FilePath),
        }
    }
}

/// A handle as an argument: a `Handle`, or its bits as an `int`. Any bits may be given: every use is checked (K1).
#[derive(Clone, Copy)]
pub struct HandleArg(pub Handle);

impl<'a, 'py> FromPyObject<'a, 'py> for HandleArg {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<HandleArg> {
        if let Ok(handle) = object.cast::<PyHandle>() {
            return Ok(HandleArg(handle.get().0));
        }
        Ok(HandleArg(Handle::from_bits(object.extract::<Bits>()?.0)))
    }
}

/// How long to wait: seconds as a number, `None` for ever, nothing at all for no waiting.
#[derive(Clone, Copy)]
pub enum Wait {
    /// The caller gave no time.
    AtOnce,
    /// Until the time is over; `None` never ends.
    For(Option<Duration>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Wait {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Wait> {
        if object.is_none() {
            return Ok(Wait::For(None));
        }
        let seconds: f64 = object.extract()?;
        if seconds.is_nan() || seconds < 0.0 {
            return Err(invalid(format!("The timeout {seconds} is not a number of seconds from 0.")).into());
        }
        // What Duration cannot hold is longer than anybody waits.
        Ok(Wait::For(Duration::try_from_secs_f64(seconds).ok()))
    }
}
