//! Programs of heap operations, run on a heap and on plain maps side by side. The core's property tests and the fuzz
//! target `operations` share the language and the reference; neither uses `unsafe`.
//!
//! After each step both must agree in the result, its code and its holders, in lengths, bytes, states and counters, and
//! the heap must pass `check` (C3). Where they do not, [`Disagreement`] has the program as a conformance case.

#![forbid(unsafe_code)]

mod case;
mod compare;
mod machine;
mod operation;
mod reference;

use std::fmt;

use weaveheap_core::Heap;

pub use operation::{Length, Operation, Step, Using};

/// Where a heap does something else than the reference.
#[derive(Debug)]
pub struct Disagreement {
    /// The number of the step from 1; one more than there are for what is found at the end.
    pub step: usize,
    /// What differs.
    pub what: String,
    /// The program up to there as a conformance case, with what the reference expects.
    pub case: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}\nas a conformance case:\n{}", self.step, self.what, self.case)
    }
}

impl std::error::Error for Disagreement {}

/// Runs a program on an empty heap, given as one or more attachments to it, and on the reference. At the end all that
/// the program made is ended and closed. What is expected of a heap with less than 128 MiB is not modelled.
pub fn run(heaps: &[Heap], program: &[Step]) -> Result<(), Disagreement> {
    let mut machine = machine::Machine::new(heaps);
    for (index, step) in program.iter().enumerate() {
        if let Err(what) = machine.step(step) {
            return Err(Disagreement { step: index + 1, what, case: machine.case.text() });
        }
    }
    match machine.finish() {
        Ok(()) => Ok(()),
        Err(what) => Err(Disagreement { step: program.len() + 1, what, case: machine.case.text() }),
    }
}
