//! Threads that begin a measurement at the same instant.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::Taken;

/// The mean of what this many threads measure at once: each prepares, all wait for each other, and then each runs what
/// its preparation gave, which returns nanoseconds for each operation.
pub fn at_once<Work: FnOnce() -> Taken>(count: usize, prepare: impl Fn(usize) -> Work + Sync) -> Taken {
    let ready = AtomicUsize::new(0);
    let (ready, prepare) = (&ready, &prepare);
    let all: Vec<Taken> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|index| {
                scope.spawn(move || {
                    let work = prepare(index);
                    ready.fetch_add(1, Ordering::AcqRel);
                    let mut turns = 0_u32;
                    while ready.load(Ordering::Acquire) < count {
                        std::hint::spin_loop();
                        turns += 1;
                        if turns.is_multiple_of(4096) {
                            // Fewer processors than threads, or another program on one of them.
                            std::thread::yield_now();
                        }
                    }
                    work()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread of the measurement")).collect()
    });
    Taken::mean(&all)
}
