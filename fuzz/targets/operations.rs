//! Programs of operations on the core beside the plain model (`weaveheap-model`), on private heaps and on shared ones
//! with two attachments. A disagreement is printed as a conformance case.
#![no_main]

use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use weaveheap_core::Heap;
use weaveheap_model::{Step, run};

/// Steps of one program.
const MOST_STEPS: usize = 80;

#[derive(Arbitrary, Debug)]
struct Input {
    shared: bool,
    program: Vec<Step>,
}

fuzz_target!(|input: Input| {
    let program = &input.program[..input.program.len().min(MOST_STEPS)];
    let options = || Heap::options().limit(256 << 20);
    let ran = if input.shared {
        let path = weaveheap_fuzz::folder().join("operations");
        // SAFETY: this process alone uses the file, and follows the protocol.
        let first = unsafe { options().create_path(&path) }.expect("a shared heap");
        // SAFETY: as above.
        let second = unsafe { options().open_path(&path) }.expect("it opens");
        let ran = run(&[first.clone(), second], program);
        Heap::remove_path(&path).expect("it is there");
        ran
    } else {
        run(&[options().private().expect("a private heap")], program)
    };
    if let Err(disagreement) = ran {
        panic!("{disagreement}");
    }
});
