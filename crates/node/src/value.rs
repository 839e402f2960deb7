//! Values between Rust and JavaScript: numbers, big integers, text, bytes. Every argument is checked here, whatever
//! the JavaScript layer did.

use std::ptr;
use std::time::Duration;

use napi::sys;
use weaveheap_core::{Error, ErrorCode, Handle};

use crate::border::{Call, Outcome};
use crate::error::{Fault, invalid};

/// Turns an N-API status into an outcome.
pub fn ok(status: sys::napi_status, what: &'static str) -> Outcome<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Fault::Status(status, what)) }
}

fn half_a_pair(name: &str) -> Fault {
    let text = format!("{name} has half of a surrogate pair, which UTF-8 cannot say: remove it, or use bytes");
    Error::with_message(ErrorCode::InvalidUtf8, text).into()
}

fn kind(call: &Call, position: usize) -> sys::napi_valuetype {
    let mut kind = sys::ValueType::napi_undefined;
    // SAFETY: the value is an argument of this call.
    unsafe { sys::napi_typeof(call.env, call.argument(position), &mut kind) };
    kind
}

/// `undefined`.
pub fn undefined(env: sys::napi_env) -> Outcome {
    let mut result = ptr::null_mut();
    // SAFETY: the environment is the one that calls.
    ok(unsafe { sys::napi_get_undefined(env, &mut result) }, "undefined")?;
    Ok(result)
}

/// A boolean.
pub fn boolean(env: sys::napi_env, value: bool) -> Outcome {
    let mut result = ptr::null_mut();
    // SAFETY: the environment is the one that calls.
    ok(unsafe { sys::napi_get_boolean(env, value, &mut result) }, "a boolean")?;
    Ok(result)
}

/// A number.
pub fn number(env: sys::napi_env, value: f64) -> Outcome {
    let mut result = ptr::null_mut();
    // SAFETY: the environment is the one that calls.
    ok(unsafe { sys::napi_create_double(env, value, &mut result) }, "a number")?;
    Ok(result)
}

/// A big integer.
pub fn bigint(env: sys::napi_env, value: u64) -> Outcome {
    let mut result = ptr::null_mut();
    // SAFETY: the environment is the one that calls.
    ok(unsafe { sys::napi_create_bigint_uint64(env, value, &mut result) }, "a big integer")?;
    Ok(result)
}

/// Text. A text longer than JavaScript can hold is `Unsupported`.
pub fn string(env: sys::napi_env, text: &str) -> Outcome {
    let mut result = ptr::null_mut();
    // SAFETY: pointer and length are those of a live text.
    let status = unsafe { sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut result) };
    if status == sys::Status::napi_ok {
        return Ok(result);
    }
    clear_exception(env);
    Err(Fault::from(Error::with_message(
        ErrorCode::Unsupported,
        format!("{} bytes are more than a JavaScript string can hold: read the bytes through a view", text.len()),
    )))
}

/// Takes away an exception that N-API made pending, where an error of the heap says more.
pub fn clear_exception(env: sys::napi_env) {
    let (mut pending, mut exception) = (false, ptr::null_mut());
    // SAFETY: the environment is the one that calls.
    unsafe {
        sys::napi_is_exception_pending(env, &mut pending);
        if pending {
            sys::napi_get_and_clear_last_exception(env, &mut exception);
        }
    }
}

/// Data as JSON text; the JavaScript layer parses it.
pub fn json(env: sys::napi_env, data: &(impl serde::Serialize + ?Sized)) -> Outcome {
    let text = serde_json::to_string(data)
        .map_err(|error| Error::with_message(ErrorCode::Internal, format!("no JSON can be made: {error}")))?;
    string(env, &text)
}

impl Call<'_> {
    /// A handle: a bigint of 64 bits.
    pub fn handle(&self, position: usize) -> Outcome<Handle> {
        match self.bits(position) {
            Some(bits) => Ok(Handle::from_bits(bits)),
            None => Err(invalid("a handle is a bigint of 64 bits: pass buffer.handle or region.handle as it is")),
        }
    }

    /// The bits of a bigint; `None` for another value, and for one that 64 bits do not hold.
    pub fn bits(&self, position: usize) -> Option<u64> {
        let (mut bits, mut lossless) = (0, false);
        // SAFETY: the value is an argument of this call; Node checks its kind.
        let status =
            unsafe { sys::napi_get_value_bigint_uint64(self.env, self.argument(position), &mut bits, &mut lossless) };
        (status == sys::Status::napi_ok && lossless).then_some(bits)
    }

    /// The sign of a bigint; `None` for another value.
    fn is_negative_bigint(&self, position: usize) -> Option<bool> {
        let (mut sign, mut words, mut word) = (0, 1, 0);
        let value = self.argument(position);
        // SAFETY: the value is an argument of this call, and there is room for one word; Node checks its kind.
        let status = unsafe { sys::napi_get_value_bigint_words(self.env, value, &mut sign, &mut words, &mut word) };
        (status == sys::Status::napi_ok).then_some(sign != 0)
    }

    /// A count of bytes: a number without a fraction, or a bigint. One beyond 64 bits is more than any heap holds, and is
    /// refused as such.
    pub fn size(&self, position: usize, name: &'static str) -> Outcome<u64> {
        if let Some(bits) = self.bits(position) {
            return Ok(bits);
        }
        if let Some(negative) = self.is_negative_bigint(position) {
            return if negative { Err(invalid(format!("{name} is negative"))) } else { Ok(u64::MAX) };
        }
        match self.float(position) {
            Some(value) if value >= 0.0 && value.fract() == 0.0 => Ok(value as u64),
            Some(value) => Err(invalid(format!("{name} is {value}: give a whole number of bytes from 0 on"))),
            None => Err(invalid(format!("{name} is no number: give a whole number of bytes, or a bigint"))),
        }
    }

    /// A count of bytes that may be left out (`undefined` or `null`).
    pub fn optional_size(&self, position: usize, name: &'static str) -> Outcome<Option<u64>> {
        if self.is_absent(position) { Ok(None) } else { self.size(position, name).map(Some) }
    }

    /// A number; `None` for another value.
    pub fn float(&self, position: usize) -> Option<f64> {
        let mut result = 0.0;
        // SAFETY: the value is an argument of this call; Node checks its kind.
        let status = unsafe { sys::napi_get_value_double(self.env, self.argument(position), &mut result) };
        (status == sys::Status::napi_ok).then_some(result)
    }

    /// Milliseconds to wait at most; `None` (for ever) for `undefined`, `null` and `Infinity`.
    pub fn timeout(&self, position: usize) -> Outcome<Option<Duration>> {
        if self.is_absent(position) {
            return Ok(None);
        }
        match self.float(position) {
            Some(f64::INFINITY) => Ok(None),
            // More than a Duration holds is for ever too.
            Some(value) if value >= 0.0 => Ok(Duration::try_from_secs_f64(value / 1000.0).ok()),
            _ => Err(invalid("timeout is a number of milliseconds from 0 on, or undefined to wait for ever")),
        }
    }

    /// True for `undefined` and `null`.
    pub fn is_absent(&self, position: usize) -> bool {
        matches!(kind(self, position), sys::ValueType::napi_undefined | sys::ValueType::napi_null)
    }

    /// True for a value that a native library made.
    pub fn is_external(&self, position: usize) -> bool {
        kind(self, position) == sys::ValueType::napi_external
    }

    /// A boolean; everything else but `true` is false.
    pub fn flag(&self, position: usize) -> bool {
        let mut result = false;
        // SAFETY: the value is an argument of this call; Node checks its kind.
        let status = unsafe { sys::napi_get_value_bool(self.env, self.argument(position), &mut result) };
        status == sys::Status::napi_ok && result
    }

    /// Text. `InvalidUtf8` if it holds half of a surrogate pair.
    pub fn text(&self, position: usize, name: &'static str) -> Outcome<String> {
        if kind(self, position) != sys::ValueType::napi_string {
            return Err(invalid(format!("{name} is no string")));
        }
        let value = self.argument(position);
        let mut length = 0;
        // SAFETY: the value is a string of this call; with a null buffer only the length is written.
        let status = unsafe { sys::napi_get_value_string_utf8(self.env, value, ptr::null_mut(), 0, &mut length) };
        ok(status, name)?;
        let mut bytes = vec![0u8; length + 1];
        // SAFETY: the buffer has room for the text and its terminator.
        let status = unsafe {
            sys::napi_get_value_string_utf8(self.env, value, bytes.as_mut_ptr().cast(), bytes.len(), &mut length)
        };
        ok(status, name)?;
        bytes.truncate(length);
        match String::from_utf8(bytes) {
            // Node writes this character for half a pair, without a word. It may as well be in the text itself.
            Ok(text) if text.contains(char::REPLACEMENT_CHARACTER) => self.text_of_units(position, name),
            Ok(text) => Ok(text),
            Err(_) => Err(half_a_pair(name)),
        }
    }

    /// Text, from its UTF-16 units.
    fn text_of_units(&self, position: usize, name: &'static str) -> Outcome<String> {
        let value = self.argument(position);
        let mut length = 0;
        // SAFETY: the value is a string of this call; with a null buffer only the length is written.
        let status = unsafe { sys::napi_get_value_string_utf16(self.env, value, ptr::null_mut(), 0, &mut length) };
        ok(status, name)?;
        let mut units = vec![0u16; length + 1];
        // SAFETY: the buffer has room for the text and its terminator.
        let status =
            unsafe { sys::napi_get_value_string_utf16(self.env, value, units.as_mut_ptr(), units.len(), &mut length) };
        ok(status, name)?;
        String::from_utf16(&units[..length]).map_err(|_| half_a_pair(name))
    }

    /// Text that may be left out.
    pub fn optional_text(&self, position: usize, name: &'static str) -> Outcome<Option<String>> {
        if self.is_absent(position) { Ok(None) } else { self.text(position, name).map(Some) }
    }

    /// The bytes of a `Uint8Array` over an `ArrayBuffer`.
    pub fn bytes(&self, position: usize) -> Outcome<&[u8]> {
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: the value is an argument of this call; Node checks its kind.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                self.argument(position),
                &mut kind,
                &mut length,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_array {
            return Err(invalid("give the bytes as a Uint8Array"));
        }
        if length == 0 || data.is_null() {
            return Ok(&[]);
        }
        // SAFETY: Node says where the array's bytes are; it is alive as an argument, and no JavaScript runs until the
        // callback returns. Arrays over shared memory are kept out by the JavaScript layer.
        Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
    }
}
