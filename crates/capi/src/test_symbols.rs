//! What tests alone may call; built with the feature `test-symbols` and never shipped.

use crate::argument::given;
use crate::boundary::{self, ErrorOut};
use crate::heap::CHeap;

/// Panics while it works on a heap, in a thread of the caller's: F1 makes that `WEAVEHEAP_ERROR_INTERNAL`.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_test_panic(heap: Option<&CHeap>, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        let id = given(heap, "heap")?.0.id();
        panic!("a planted panic in heap {id}");
    })
}

/// Panics with a payload whose destructor panics too.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_test_panic_twice(err: ErrorOut<'_>) -> i32 {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a planted second panic");
        }
    }
    boundary::code(err, || std::panic::panic_any(Bomb))
}

/// Logs an event of this level, inside a span of the same level.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_test_log(level: u32, number: u64) {
    boundary::quiet(|| match level {
        1 => tracing::error_span!("test_span", number).in_scope(|| tracing::error!(number, "a test event")),
        2 => tracing::warn_span!("test_span", number).in_scope(|| tracing::warn!(number, "a test event")),
        3 => tracing::info_span!("test_span", number).in_scope(|| tracing::info!(number, "a test event")),
        4 => tracing::debug_span!("test_span", number).in_scope(|| tracing::debug!(number, "a test event")),
        _ => tracing::trace_span!("test_span", number).in_scope(|| tracing::trace!(number, "a test event")),
    });
}
