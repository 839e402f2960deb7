//! What the host gives the core: a clock and random numbers.

use weaveheap_core::Hooks;

use crate::bindings::wasi::{clocks::monotonic_clock, random::random};

/// Sets the core's hooks. Later calls change nothing.
pub(crate) fn set() {
    weaveheap_core::set_hooks(Hooks { now: Some(monotonic_clock::now), random: Some(fill), may_sleep: None });
}

fn fill(bytes: &mut [u8]) -> bool {
    for piece in bytes.chunks_mut(8) {
        piece.copy_from_slice(&random::get_random_u64().to_le_bytes()[..piece.len()]);
    }
    true
}
