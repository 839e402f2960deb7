//! The floors: what the processor takes for the steps without which the work cannot be done.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::harness::{Taken, nanoseconds};

/// One word on a cache line of its own.
#[repr(align(64))]
#[derive(Default)]
struct Line(AtomicU64);

/// Words on lines of their own, all 0 between the calls.
pub struct Lines(Vec<Line>);

impl Lines {
    /// This many.
    pub fn new(count: usize) -> Lines {
        Lines((0..count).map(|_| Line::default()).collect())
    }

    /// A compare-and-swap up and one down, on one line after the other.
    pub fn swap_pairs(&self, passes: usize) -> Taken {
        nanoseconds(passes * self.0.len(), || {
            for _ in 0..passes {
                for Line(word) in &self.0 {
                    black_box(word.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok());
                    black_box(word.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok());
                }
            }
        })
    }

    /// A compare-and-swap up and a plain store down, on one line after the other.
    pub fn swap_and_store(&self, passes: usize) -> Taken {
        nanoseconds(passes * self.0.len(), || {
            for _ in 0..passes {
                for Line(word) in &self.0 {
                    black_box(word.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok());
                    word.store(0, Ordering::Release);
                }
            }
        })
    }
}
