//! Handles as text, the same in all languages (K5).

use weaveheap_core::Handle;

use crate::border::{Call, Outcome};
use crate::value;

/// `handleToText(handle)`.
pub fn to_text(call: &Call) -> Outcome {
    value::string(call.env, &call.handle(0)?.to_string())
}

/// `handleFromText(text)`.
pub fn from_text(call: &Call) -> Outcome {
    let handle: Handle = call.text(0, "text")?.parse()?;
    value::bigint(call.env, handle.to_bits())
}
