//! The caller's arguments, checked and turned into Rust's (F2). The only file here that makes slices and strings of raw
//! pointers. A null pointer is `InvalidArgument`, in release builds too.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::Duration;

use weaveheap_core::{Error, ErrorCode, Result};

/// Larger sizes of a growing struct are taken for uninitialised memory.
const LARGEST_STRUCT: usize = 4096;

/// A struct that begins with `size_t struct_size`, so that later versions can have more fields at its end.
///
/// # Safety
/// The type is `repr(C)`, begins with that field, and is valid with every byte 0.
pub(crate) unsafe trait Growing: Sized {
    /// The size of its first version: what the oldest caller gives.
    const FIRST_SIZE: usize;
}

pub(crate) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::with_message(ErrorCode::InvalidArgument, message)
}

fn null(name: &str) -> Error {
    invalid(format!("{name} is null: give a pointer"))
}

/// A reference that must be there.
#[inline]
pub(crate) fn given<T>(argument: Option<T>, name: &'static str) -> Result<T> {
    argument.ok_or_else(|| null(name))
}

/// UTF-8 up to a NUL.
///
/// # Safety
/// `pointer` is null or a string that ends in NUL and lives through the call.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &'static str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, and the caller's promise covers the rest.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map_err(|error| bad_utf8(name, error.valid_up_to()))
}

/// As [`text`], where null stands for none.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn optional_text<'a>(pointer: *const c_char, name: &'static str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise is the callee's precondition.
    unsafe { text(pointer, name) }.map(Some)
}

/// A path in the system's own encoding.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn path(pointer: *const c_char, name: &'static str) -> Result<PathBuf> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, and the caller's promise covers the rest.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    if bytes.is_empty() {
        return Err(invalid(format!("{name} is empty: give the file's path")));
    }
    system_path(bytes, name)
}

#[cfg(unix)]
fn system_path(bytes: &CStr, _name: &'static str) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(Path::new(std::ffi::OsStr::from_bytes(bytes.to_bytes())).to_path_buf())
}

#[cfg(not(unix))]
fn system_path(bytes: &CStr, name: &'static str) -> Result<PathBuf> {
    bytes.to_str().map(|text| Path::new(text).to_path_buf()).map_err(|error| bad_utf8(name, error.valid_up_to()))
}

/// Bytes; null is allowed for none of them, as an empty C++ vector gives it.
///
/// # Safety
/// `pointer` is null or the first of `length` bytes that live through the call and that nobody writes meanwhile.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, length: usize, name: &'static str) -> Result<&'a [u8]> {
    if pointer.is_null() {
        return if length == 0 { Ok(&[]) } else { Err(null(name)) };
    }
    if isize::try_from(length).is_err() {
        return Err(invalid(format!("a length of {length} bytes is more than memory can hold")));
    }
    // SAFETY: not null, within isize, and the caller's promise covers the rest.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// An array to be written; null is allowed for none.
///
/// # Safety
/// `pointer` is null or the first of `capacity` items that nobody else touches during the call.
pub(crate) unsafe fn array<'a, T>(
    pointer: *mut MaybeUninit<T>,
    capacity: usize,
    name: &'static str,
) -> Result<&'a mut [MaybeUninit<T>]> {
    if pointer.is_null() {
        return if capacity == 0 { Ok(&mut []) } else { Err(null(name)) };
    }
    if capacity.checked_mul(size_of::<T>().max(1)).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(invalid(format!("a capacity of {capacity} items is more than memory can hold")));
    }
    // SAFETY: not null, within isize, and the caller's promise covers the rest.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, capacity) })
}

/// Bytes of a live borrow. The lifetime is the caller's to keep within the borrow.
///
/// # Safety
/// `borrow` is live and is not ended while the slice is in use.
pub(crate) unsafe fn borrowed<'a>(borrow: &weaveheap_core::RawBorrow) -> &'a [u8] {
    // SAFETY: the pointer is never null, and a live borrow pins its bytes and keeps writers away (B1, B2).
    unsafe { std::slice::from_raw_parts(borrow.pointer, borrow.length) }
}

/// Seconds to wait: negative or endless for ever.
pub(crate) fn timeout(seconds: f64) -> Result<Option<Duration>> {
    if seconds.is_nan() {
        return Err(invalid("timeout is not a number: give seconds, or a negative number to wait for ever"));
    }
    if seconds < 0.0 {
        return Ok(None);
    }
    // What a Duration cannot hold is longer than anybody waits.
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

pub(crate) fn bad_utf8(name: &'static str, offset: usize) -> Error {
    Error::with_message(ErrorCode::InvalidUtf8, format!("{name} is UTF-8 only up to offset {offset}"))
}

/// # Safety
/// `pointer` is null or points at a struct whose first field is an initialised `size_t`.
unsafe fn struct_size<T: Growing>(pointer: *const T, name: &'static str) -> Result<usize> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, and the first field is the size.
    let size = unsafe { pointer.cast::<usize>().read() };
    if !(T::FIRST_SIZE..=LARGEST_STRUCT).contains(&size) {
        return Err(invalid(format!(
            "{name}->struct_size is {size}: set it to sizeof *{name}, {} bytes in this version",
            size_of::<T>()
        )));
    }
    Ok(size)
}

/// Copies a growing struct in. Fields that an older caller lacks are 0; fields that this library lacks must be 0.
///
/// # Safety
/// `pointer` is null or points at as many initialised bytes as its field `struct_size` says.
pub(crate) unsafe fn read_sized<T: Growing>(pointer: *const T, name: &'static str) -> Result<T> {
    // SAFETY: the caller's promise covers the first field.
    let size = unsafe { struct_size(pointer, name) }?;
    let known = size.min(size_of::<T>());
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are readable by the caller's promise and fit into T.
    unsafe { ptr::copy_nonoverlapping(pointer.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), known) };
    // SAFETY: the caller's struct has `size` bytes, and `known` is at most that.
    let rest = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>().add(known), size - known) };
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Error::with_message(
            ErrorCode::Unsupported,
            format!("{name} has fields that this version of the library lacks: set them to 0, or use a newer library"),
        ));
    }
    // SAFETY: Growing promises that the type is plain data, valid when zeroed and with the caller's fields in it.
    Ok(unsafe { value.assume_init() })
}

/// Copies a growing struct out, as far as the caller's version of it reaches; what this library lacks becomes 0.
///
/// # Safety
/// `pointer` is null or points at as many writable bytes as its initialised field `struct_size` says.
pub(crate) unsafe fn write_sized<T: Growing>(pointer: *mut T, value: &T, name: &'static str) -> Result<()> {
    // SAFETY: the caller's promise covers the first field.
    let size = unsafe { struct_size(pointer.cast_const(), name) }?;
    let known = size.min(size_of::<T>());
    let field = size_of::<usize>();
    let from = ptr::from_ref(value).cast::<MaybeUninit<u8>>();
    let to = pointer.cast::<MaybeUninit<u8>>();
    // SAFETY: both structs reach to `known`, which is no less than the first field; they do not overlap.
    unsafe { ptr::copy_nonoverlapping(from.add(field), to.add(field), known - field) };
    // SAFETY: the caller's struct has `size` bytes.
    unsafe { ptr::write_bytes(to.add(known), 0, size - known) };
    Ok(())
}
