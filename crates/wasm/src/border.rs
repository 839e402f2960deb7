//! The border with JavaScript. A function returns 0, or the number of an error, which JavaScript keeps by `keep` and asks for
//! its message, made of parts (`lib/instance.mjs`). What else a function gives is in a few words that JavaScript reads where
//! they are; text and data are in memory, and the words say where. A number of 64 bits is two words, the low one first.

use std::cell::{Cell, RefCell};

use wasm_bindgen::prelude::*;
use weaveheap_core::{Error, Handle, Holder, Result};

use crate::data::Data;

/// The version of this border. JavaScript's layer refuses another one (F5).
const ABI: u32 = 1;
/// Words that a call gives.
const WORDS: usize = 6;
/// The longest text that a call takes, in bytes; no name is longer.
pub(crate) const INPUT: usize = 1024;

thread_local! {
    static OUT: [Cell<u32>; WORDS] = const { [const { Cell::new(0) }; WORDS] };
    static IN: [Cell<u8>; INPUT] = const { [const { Cell::new(0) }; INPUT] };
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static LAST: RefCell<Option<Refusal>> = const { RefCell::new(None) };
    /// Who was in the way of what fails now.
    static IN_THE_WAY: RefCell<Option<Vec<Holder>>> = const { RefCell::new(None) };
}

/// Why a function failed, with the holders where they are known already.
struct Refusal {
    error: Error,
    holders: Option<Vec<Holder>>,
}

/// An error with the holders that were in the way when it happened. It is to be returned.
pub(crate) fn with_holders(error: Error, holders: Vec<Holder>) -> Error {
    IN_THE_WAY.set(Some(holders));
    error
}

/// Turns the outcome of a function into 0 or the number of its error.
pub(crate) fn status(outcome: Result<()>) -> u32 {
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            let number = error.code().number();
            LAST.set(Some(Refusal { error, holders: IN_THE_WAY.take() }));
            number.unsigned_abs()
        }
    }
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

/// Gives bytes, which stay until the next ones.
pub(crate) fn give_bytes(bytes: Vec<u8>) {
    give(0, bytes.as_ptr().addr() as u32);
    give(1, bytes.len() as u32);
    BYTES.set(bytes);
}

/// Gives what is written.
pub(crate) fn give_data(write: impl FnOnce(&mut Data)) {
    let mut data = Data::default();
    write(&mut data);
    give_bytes(data.into_bytes());
}

/// The handle whose words these are.
pub(crate) fn handle(low: u32, high: u32) -> Handle {
    Handle::from_bits(bits(low, high))
}

/// The bits whose words these are.
pub(crate) fn bits(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The text of so many bytes that JavaScript has put into `input`: it has written UTF-8 there.
pub(crate) fn text(length: u32) -> String {
    let bytes: Vec<u8> = IN.with(|input| input.iter().take(length as usize).map(Cell::get).collect());
    String::from_utf8_lossy(&bytes).into_owned()
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
    give_bytes(env!("CARGO_PKG_VERSION").into());
    ABI
}

/// Keeps the last error, whose message and holders are asked for later: where it is, until `drop_kept`.
#[wasm_bindgen]
pub fn keep() -> u32 {
    LAST.take().map_or(0, |last| Box::into_raw(Box::new(last)).expose_provenance() as u32)
}

fn kept<'a>(id: u32) -> Option<&'a Refusal> {
    // SAFETY: JavaScript's layer gives what `keep` gave, and forgets it with `drop_kept`.
    unsafe { std::ptr::with_exposed_provenance::<Refusal>(id as usize).as_ref() }
}

/// Gives a kept error's own message as its number and values: nothing if its code's is to do; the handle that it is about; and whether it asks
/// for holders (1) or has them (2).
#[wasm_bindgen]
pub fn kept_parts(id: u32) {
    let Some(Refusal { error, holders }) = kept(id) else { return };
    give_bytes(error.numbered_message());
    give_bits(2, error.subject().to_bits());
    give(4, u32::from(error.has_holders()) | u32::from(holders.is_some()) << 1);
}

/// Gives the holders of a kept error.
#[wasm_bindgen]
pub fn kept_holders(id: u32) {
    let Some(Refusal { error, holders }) = kept(id) else { return };
    let now = if holders.is_none() { error.holders() } else { Vec::new() };
    give_data(|data| data.holders(holders.as_ref().unwrap_or(&now)));
}

/// Forgets a kept error.
#[wasm_bindgen]
pub fn drop_kept(id: u32) {
    let place = std::ptr::with_exposed_provenance_mut::<Refusal>(id as usize);
    if !place.is_null() {
        // SAFETY: as for `kept`: `keep` has made it, and nobody asks for it again.
        drop(unsafe { Box::from_raw(place) });
    }
}

/// Panics, so that a test can see what that does (F1).
#[wasm_bindgen]
pub fn panic_now() {
    panic!("a panic was asked for");
}
