//! The error struct that crosses the border, and what its numbers say (F2, F3).

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::OnceLock;

use weaveheap_core::{Error, ErrorCode};

use crate::boundary::ErrorOut;
use crate::{argument, boundary, release};

/// The outcome of a call. Functions that take a `weaveheap_error *err` write both fields before they return, on
/// success too, and never read them: the struct need not be initialised. It may be null.
///
/// After a failure the caller owns `message` and releases it with `weaveheap_error_clear` before it uses the struct
/// again. For a refusal because of a borrow the message lists the holders; they are gathered only when `err` is given.
#[repr(C)]
pub struct CError {
    /// 0 (`WEAVEHEAP_OK`) or one of `WEAVEHEAP_ERROR_*`.
    pub code: i32,
    /// One line of UTF-8: the code's name, what was wrong, what to do. Null on success.
    pub message: *const c_char,
}

/// Releases the message of an error and sets it to success. Clearing twice does no harm.
///
/// Success: the message is freed; the struct is `{ WEAVEHEAP_OK, NULL }`.
/// Failure: it cannot fail.
/// Threads: any; one thread at a time for one struct.
/// Null: `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_error_clear(err: Option<&mut CError>) {
    let Some(err) = err else { return };
    err.code = 0;
    let message = std::mem::replace(&mut err.message, ptr::null());
    // SAFETY: the header says that only this library sets the message, and that it is released once.
    unsafe { release::weaveheap_free_string(message) };
}

/// The name of an error code, the same in all languages: "StaleHandle". "Ok" for 0.
///
/// Success: a static string. Do not release it.
/// Failure: null for a number that is not in use.
/// Threads: any.
/// Null: it takes no pointer.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_error_name(code: i32) -> *const c_char {
    words(code, |words| &words.name)
}

/// What an error code says, in one sentence.
///
/// Success: a static string. Do not release it.
/// Failure: null for a number that is not in use.
/// Threads: any.
/// Null: it takes no pointer.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_error_meaning(code: i32) -> *const c_char {
    words(code, |words| &words.meaning)
}

/// What to do about an error code, in one sentence.
///
/// Success: a static string. Do not release it.
/// Failure: null for a number that is not in use.
/// Threads: any.
/// Null: it takes no pointer.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_error_remedy(code: i32) -> *const c_char {
    words(code, |words| &words.remedy)
}

/// The number of the error code with this name: 2 for "StaleHandle".
///
/// Success: the number; 0 for "Ok".
/// Failure: -1 if `name` is null or the name of no code.
/// Threads: any.
/// Null: `name` may be null, and gives -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_error_number(name: *const c_char) -> i32 {
    let Some(number) = boundary::quiet(|| {
        // SAFETY: the caller gives null or a string, as the header says.
        let name = unsafe { argument::text(name, "name") }.ok()?;
        if name == "Ok" {
            return Some(0);
        }
        ErrorCode::ALL.iter().find(|code| code.name() == name).map(|code| code.number())
    }) else {
        return -1;
    };
    number
}

/// Who holds what was in the way of the last call that failed on this thread, as JSON: an array as from
/// `weaveheap_heap_holders_json`, without those that have let go since. They are gathered by this call.
///
/// Success: a string that the caller owns, "[]" if no borrow was in the way; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any; each has a last failure of its own. Where calls move between threads, use `weaveheap_heap_holders_json`.
/// Null: `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_error_last_holders_json(err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || {
        let last = LAST.try_with(|last| last.borrow().clone()).ok().flatten();
        let holders = last.map_or(Vec::new(), |error| error.holders());
        boundary::owned_json(&holders)
    })
}

thread_local! {
    static LAST: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Keeps a failure for `weaveheap_error_last_holders_json`. A thread that is ending keeps none.
pub(crate) fn remember(error: Error) {
    let before = LAST.try_with(|last| last.replace(Some(error)));
    // Dropped outside of the cell: it may be the last share of an attachment.
    boundary::quiet(|| drop(before));
}

struct Words {
    number: i32,
    name: CString,
    meaning: CString,
    remedy: CString,
}

fn words(code: i32, pick: fn(&Words) -> &CString) -> *const c_char {
    static WORDS: OnceLock<Vec<Words>> = OnceLock::new();
    let text = |text: &str| CString::new(text).unwrap_or_default();
    boundary::quiet(|| {
        let words = WORDS.get_or_init(|| {
            let success = Words {
                number: 0,
                name: text("Ok"),
                meaning: text("Success."),
                remedy: text("Nothing is to be done."),
            };
            let codes = ErrorCode::ALL.iter().map(|code| Words {
                number: code.number(),
                name: text(code.name()),
                meaning: text(code.meaning()),
                remedy: text(code.remedy()),
            });
            std::iter::once(success).chain(codes).collect()
        });
        words.iter().find(|words| words.number == code).map_or(ptr::null(), |words| pick(words).as_ptr())
    })
}
