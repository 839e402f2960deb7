//! The border with JavaScript. A function returns 0, or the number of an error that is kept for `keep` or `last_message`.
//! What else it gives is in a few words that JavaScript reads where they are; text is in memory, and the words say where.
//! A number of 64 bits is two words, the low one first.

use std::cell::{Cell, RefCell};

use wasm_bindgen::prelude::*;
use weaveheap_core::{Error, ErrorCode, Handle, Holder};

use crate::json;

/// The version of this border. JavaScript's layer refuses another one (F5).
const ABI: u32 = 1;
/// Words that a call gives.
const WORDS: usize = 6;
/// The longest text that a call takes, in bytes; no name is longer.
pub(crate) const INPUT: usize = 1024;

thread_local! {
    static OUT: [Cell<u32>; WORDS] = const { [const { Cell::new(0) }; WORDS] };
    static IN: [Cell<u8>; INPUT] = const { [const { Cell::new(0) }; INPUT] };
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    static LAST: RefCell<Option<Refusal>> = const { RefCell::new(None) };
    static KEPT: RefCell<Vec<Option<Refusal>>> = const { RefCell::new(Vec::new()) };
}

/// The result of a function.
pub(crate) type Outcome<T = ()> = Result<T, Refusal>;

/// Why a function failed, with the holders where they are known already.
pub(crate) struct Refusal {
    error: Error,
    holders: Option<Vec<Holder>>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal { error, holders: None }
    }
}

impl Refusal {
    /// An error with the holders that were in the way when it happened.
    pub(crate) fn with_holders(error: Error, holders: Vec<Holder>) -> Refusal {
        Refusal { error, holders: Some(holders) }
    }

    fn holders(&self) -> Vec<Holder> {
        self.holders.clone().unwrap_or_else(|| self.error.holders())
    }

    fn message(&self) -> String {
        let mut text = self.error.message();
        if let Some(holders) = self.holders.as_ref().filter(|holders| !holders.is_empty()) {
            let shown: Vec<String> = holders.iter().take(8).map(Holder::to_string).collect();
            text.push_str(" Held: ");
            text.push_str(&shown.join("; "));
            text.push('.');
        }
        text
    }
}

/// Runs a function, and turns its outcome into 0 or the number of its error.
pub(crate) fn status(outcome: Outcome) -> u32 {
    match outcome {
        Ok(()) => 0,
        Err(refusal) => {
            let number = refusal.error.code().number();
            LAST.set(Some(refusal));
            number.unsigned_abs()
        }
    }
}

/// An error with this message.
pub(crate) fn refused(code: ErrorCode, message: &'static str) -> Refusal {
    Error::with_message(code, message).into()
}

/// Gives a word.
pub(crate) fn give(position: usize, word: u32) {
    OUT.with(|out| out[position].set(word));
}

/// Gives 64 bits as two words.
pub(crate) fn give_bits(position: usize, bits: u64) {
    give(position, bits as u32);
    give(position + 1, (bits >> 32) as u32);
}

/// Gives text, which stays until the next one.
pub(crate) fn give_text(text: String) {
    give(0, text.as_ptr().addr() as u32);
    give(1, text.len() as u32);
    TEXT.set(text);
}

/// The handle whose words these are.
pub(crate) fn handle(low: u32, high: u32) -> Handle {
    Handle::from_bits(bits(low, high))
}

/// The bits whose words these are.
pub(crate) fn bits(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The text of so many bytes that JavaScript has put into `input`.
pub(crate) fn text(length: u32) -> Outcome<String> {
    let bytes = IN.with(|input| input.iter().take(length as usize).map(Cell::get).collect());
    String::from_utf8(bytes).map_err(|_| refused(ErrorCode::InvalidUtf8, "the text is no UTF-8"))
}

/// Where the words are that calls give.
#[wasm_bindgen]
pub fn out() -> u32 {
    OUT.with(|out| out.as_ptr().addr() as u32)
}

/// Where JavaScript puts text for a call.
#[wasm_bindgen]
pub fn input() -> u32 {
    IN.with(|input| input.as_ptr().addr() as u32)
}

/// The version of the border; the package's version as text.
#[wasm_bindgen]
pub fn abi() -> u32 {
    give_text(env!("CARGO_PKG_VERSION").to_owned());
    ABI
}

/// The message of the last error as text. It is forgotten.
#[wasm_bindgen]
pub fn last_message() {
    let last = LAST.take();
    give_text(last.map_or_else(String::new, |refusal| refusal.message()));
}

/// Keeps the last error, whose message and holders are asked for later: what it is called.
#[wasm_bindgen]
pub fn keep() -> u32 {
    let last = LAST.take();
    KEPT.with_borrow_mut(|kept| match kept.iter().position(Option::is_none) {
        Some(free) => {
            kept[free] = last;
            free as u32
        }
        None => {
            kept.push(last);
            kept.len() as u32 - 1
        }
    })
}

fn with_kept<T: Default>(id: u32, give: impl FnOnce(&Refusal) -> T) -> T {
    KEPT.with_borrow(|kept| kept.get(id as usize).and_then(Option::as_ref).map(give)).unwrap_or_default()
}

/// The message of a kept error as text.
#[wasm_bindgen]
pub fn kept_message(id: u32) {
    give_text(with_kept(id, Refusal::message));
}

/// The holders of a kept error as JSON.
#[wasm_bindgen]
pub fn kept_holders(id: u32) {
    give_text(json::holders(&with_kept(id, Refusal::holders)));
}

/// Forgets a kept error.
#[wasm_bindgen]
pub fn drop_kept(id: u32) {
    KEPT.with_borrow_mut(|kept| {
        if let Some(place) = kept.get_mut(id as usize) {
            *place = None;
        }
    });
}

/// Panics, so that a test can see what that does (F1).
#[wasm_bindgen]
pub fn panic_now() {
    panic!("a panic was asked for");
}
