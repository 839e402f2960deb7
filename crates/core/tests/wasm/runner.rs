//! Runs the tests of a crate in WebAssembly: the embedder (`run.mjs`) makes an instance for each, and says which.

use std::time::Duration;

use test::{ShouldPanic, TestDescAndFn, TestFn};

#[link(wasm_import_module = "test")]
unsafe extern "C" {
    /// The number of the test to run, or -1 to name them all.
    #[link_name = "which"]
    safe fn embedder_which() -> i32;
    #[link_name = "print"]
    fn embedder_print(text: *const u8, length: usize);
    #[link_name = "random"]
    fn embedder_random(bytes: *mut u8, length: usize);
    #[link_name = "now"]
    safe fn embedder_now() -> u64;
    #[link_name = "pass"]
    safe fn embedder_pass(nanoseconds: u64);
    #[link_name = "grow"]
    safe fn embedder_grow(pages: u32) -> i32;
}

/// Says a line to the embedder.
pub fn say(text: &str) {
    // SAFETY: the embedder reads these bytes during the call.
    unsafe { embedder_print(text.as_ptr(), text.len()) };
}

/// Moves the embedder's clock on.
#[allow(dead_code, reason = "not every crate of tests has one that needs it")]
pub fn pass(time: Duration) {
    embedder_pass(time.as_nanos() as u64);
}

/// The embedder's clock.
#[allow(dead_code, reason = "not every crate of tests has one that needs it")]
pub fn now() -> Duration {
    Duration::from_nanos(embedder_now())
}

/// Grows memory from JavaScript: the first of the pages, or `None`.
#[allow(dead_code, reason = "not every crate of tests has one that needs it")]
pub fn grow(pages: usize) -> Option<usize> {
    usize::try_from(embedder_grow(u32::try_from(pages).ok()?)).ok()
}

fn random(bytes: &mut [u8]) -> bool {
    // SAFETY: the embedder writes these bytes during the call.
    unsafe { embedder_random(bytes.as_mut_ptr(), bytes.len()) };
    true
}

/// Tests with this in their names run in a module to which the embedder gives nothing.
const BARE: &str = "without_hooks";
/// Tests with this in their names run in a thread that may sleep, all others in one that may not.
const ASLEEP: &str = "asleep";

/// Runs one test to its end, or names all.
pub fn run(tests: &[&TestDescAndFn]) {
    std::panic::set_hook(Box::new(|panic| say(&panic.to_string())));
    let Ok(number) = usize::try_from(embedder_which()) else {
        for test in tests {
            let panics = if test.desc.should_panic == ShouldPanic::No { "" } else { " - should panic" };
            say(&format!("{}{panics}", test.desc.name));
        }
        return;
    };
    let (name, TestFn::StaticTestFn(test)) = (tests[number].desc.name.to_string(), &tests[number].testfn) else {
        panic!("no test of this kind can be run here");
    };
    if !name.contains(BARE) {
        let may_sleep: fn() -> bool = if name.contains(ASLEEP) { || true } else { || false };
        let hooks = crate::Hooks { now: Some(|| embedder_now()), random: Some(random), may_sleep: Some(may_sleep) };
        assert!(crate::set_hooks(hooks), "the first hooks count");
    }
    test().expect("the test succeeds");
    say("done");
}

/// Does this work in so many threads, each of which has its number, and waits until all have done it.
#[cfg(target_feature = "atomics")]
#[allow(dead_code, reason = "not every crate of tests has one that needs it")]
pub fn in_threads(count: usize, work: extern "C" fn(usize)) {
    #[link(wasm_import_module = "test")]
    unsafe extern "C" {
        #[link_name = "threads"]
        fn embedder_threads(work: extern "C" fn(usize), count: usize, memory: *mut u8, each: usize) -> usize;
    }
    /// Bytes of a thread: its stack, and its own variables.
    const EACH: usize = 512 << 10;
    let layout = std::alloc::Layout::from_size_align(count * EACH, 64 << 10).expect("not too large");
    // SAFETY: the size is not 0.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    assert!(!memory.is_null(), "there is memory for threads");
    // SAFETY: the memory is for these threads alone, and never given back.
    let good = unsafe { embedder_threads(work, count, memory, EACH) };
    assert_eq!(good, count, "every thread comes to its end");
}
