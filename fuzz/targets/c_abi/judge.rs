//! What must hold of every result, and the arguments as the functions take them.

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::ptr;

use weaveheap::error::{CError, weaveheap_error_clear, weaveheap_error_name};
use weaveheap::release::weaveheap_free_string;
use weaveheap_core::ErrorCode;

use crate::call::{Bytes, Options, Size, Text, Timeout};

/// Where a function reports its outcome.
pub type ErrorOut<'a> = Option<&'a mut MaybeUninit<CError>>;

/// Calls a function, with an error to fill or without one, and checks what comes back in it. The code is `None` where
/// none was asked for.
pub fn judged<T>(wanted: bool, call: impl FnOnce(ErrorOut<'_>) -> T) -> (T, Option<i32>) {
    if !wanted {
        return (call(None), None);
    }
    const UNTOUCHED: i32 = i32::MIN;
    let mut err = MaybeUninit::new(CError { code: UNTOUCHED, message: ptr::null() });
    let result = call(Some(&mut err));
    // SAFETY: it was initialised above, and is only ever replaced by another one.
    let err = unsafe { err.assume_init_mut() };
    let code = err.code;
    check_code(code);
    match code {
        0 => assert!(err.message.is_null(), "a success has a message"),
        _ => assert!(!text(err.message).is_empty(), "an error without words"),
    }
    // SAFETY: the message is the library's.
    unsafe { weaveheap_error_clear(Some(err)) };
    assert!(err.code == 0 && err.message.is_null());
    (result, Some(code))
}

/// A code in use, and not that of a panic.
fn check_code(code: i32) {
    assert!(!weaveheap_error_name(code).is_null(), "{code} is no code");
    assert_ne!(code, ErrorCode::Internal.number(), "a panic");
}

/// A function without a result: it returns the code that the error has. True if it succeeded.
pub fn done(wanted: bool, call: impl FnOnce(ErrorOut<'_>) -> i32) -> bool {
    let (returned, code) = judged(wanted, call);
    check_code(returned);
    assert!(code.is_none_or(|code| code == returned), "returned {returned}, the error has {code:?}");
    returned == 0
}

/// A function whose result is 0 or null on failure.
pub fn made<T: Default + PartialEq>(wanted: bool, call: impl FnOnce(ErrorOut<'_>) -> T) -> Option<T> {
    let (result, code) = judged(wanted, call);
    let failed = code.is_some_and(|code| code != 0);
    assert!(!failed || result == T::default(), "a result beside an error");
    (result != T::default()).then_some(result)
}

/// A function that gives a new object, or null and an error.
pub fn object<T>(wanted: bool, call: impl FnOnce(ErrorOut<'_>) -> Option<Box<T>>) -> Option<Box<T>> {
    let (result, code) = judged(wanted, call);
    assert!(code.is_none_or(|code| (code == 0) == result.is_some()), "an object beside an error, or neither");
    result
}

/// A function that gives a string, which is released.
pub fn string(wanted: bool, call: impl FnOnce(ErrorOut<'_>) -> *const c_char) -> Option<String> {
    let (result, code) = judged(wanted, call);
    if result.is_null() {
        return None;
    }
    assert!(code.is_none_or(|code| code == 0), "a string beside an error");
    let words = text(result).to_owned();
    // SAFETY: the library gave it to us.
    unsafe { weaveheap_free_string(result) };
    Some(words)
}

/// A string of the library's, which is always UTF-8.
pub fn text<'a>(pointer: *const c_char) -> &'a str {
    assert!(!pointer.is_null());
    // SAFETY: the library's strings end in NUL; callers use it while it is theirs.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8")
}

fn cut(bytes: &[u8]) -> CString {
    CString::new(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).expect("cut at the first NUL")
}

/// A name, whatever it is.
pub fn name(text: &Text) -> Option<CString> {
    match text {
        Text::Null => None,
        Text::Known(number) => {
            Some(cut(["a", "b-1", "Upper", "", "a/b", "null", "b1:3"][usize::from(*number) % 7].as_bytes()))
        }
        Text::Any(bytes) => Some(cut(bytes)),
    }
}

/// A path into our own folder.
pub fn path(text: &Text) -> Option<CString> {
    let folder = weaveheap_fuzz::folder().as_os_str().as_encoded_bytes();
    let file = match text {
        Text::Null => return None,
        Text::Known(number) => format!("/path{}", number % 3).into_bytes(),
        Text::Any(bytes) if bytes.is_empty() => return Some(CString::default()),
        Text::Any(bytes) => [b"/path", bytes.as_slice()].concat(),
    };
    let file: Vec<u8> =
        file.iter().enumerate().map(|(at, byte)| if at > 0 && *byte == b'/' { b'_' } else { *byte }).collect();
    Some(cut(&[folder, &file].concat()))
}

/// The pointer of a string, or null.
pub fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Seconds.
pub fn seconds(timeout: Timeout) -> f64 {
    match timeout {
        Timeout::Zero => 0.0,
        Timeout::NegativeZero => -0.0,
        Timeout::Short => 1e-4,
        Timeout::NotANumber => f64::NAN,
    }
}

/// Runs with a pointer to bytes and their length.
pub fn bytes<T>(bytes: &Bytes, run: impl FnOnce(*const u8, usize) -> T) -> T {
    match bytes {
        Bytes::Given(bytes) => run(bytes.as_ptr(), bytes.len()),
        Bytes::Null(length) => run(ptr::null(), *length as usize),
        // Refused before it is looked at.
        Bytes::TooLong => run([0_u8].as_ptr(), usize::MAX),
    }
}

/// Words of the largest struct that the library takes, and as many again behind it.
const WORDS: usize = 1024;
const FILL: u64 = 0xaaaa_aaaa_aaaa_aaaa;

fn struct_size<T>(size: Size) -> Option<usize> {
    match size {
        Size::Null => None,
        Size::Right => Some(size_of::<T>()),
        Size::Larger(by) => Some(size_of::<T>() + usize::from(by) % 64),
        Size::Any(size) => Some(size as usize),
    }
}

/// Calls a function with a struct that it fills: one of any `struct_size`, in memory that has no less. What lies behind
/// that stays as it was, and all of it after a failure.
pub fn filled<T>(size: Size, call: impl FnOnce(*mut T) -> bool) {
    let Some(size) = struct_size::<T>(size) else {
        call(ptr::null_mut());
        return;
    };
    let mut memory = Box::new([FILL; WORDS]);
    memory[0] = size as u64;
    let filled = call(memory.as_mut_ptr().cast::<T>());
    assert_eq!(memory[0], size as u64, "struct_size is the caller's");
    let from = if filled { size.div_ceil(8) } else { 1 };
    assert!(memory[from..].iter().all(|word| *word == FILL), "bytes that are not the struct's were written");
    assert!(!filled || size >= size_of::<T>() && size <= WORDS * 4, "a struct of {size} bytes was filled");
}

/// Calls a function with options of any `struct_size`, and what is behind them 0.
pub fn with_options<T>(options: &Options, call: impl FnOnce(*const weaveheap::heap::CHeapOptions) -> T) -> T {
    use weaveheap::heap::CHeapOptions;
    let size = match struct_size::<CHeapOptions>(options.size) {
        // The usual limit: with the sanitizer, so much address space takes a second.
        None if options.verify == 7 => return call(ptr::null()),
        size => size.unwrap_or(size_of::<CHeapOptions>()),
    };
    let limit = options.limit.map_or(64 << 20, |limit| if limit >> 56 == 0xff { limit } else { limit % (1 << 30) });
    let label = name(&options.label);
    let mut memory = Box::new([0_u64; WORDS]);
    let given = CHeapOptions {
        struct_size: size,
        limit,
        runtime: options.runtime.into(),
        inspect: options.inspect.into(),
        verify: options.verify.into(),
        label: pointer(&label),
    };
    let place = memory.as_mut_ptr().cast::<CHeapOptions>();
    // SAFETY: the memory is larger, aligned to words, and ours.
    unsafe { place.write(given) };
    call(place)
}
