//! Programs of operations made of random bytes, run on a heap and on plain maps side by side, while others grow the
//! module's memory: they must agree in every answer, and the heap passes `check` after each step (R1 to R4, K1, B1, C3).

use arbitrary::{Arbitrary, Unstructured};
use weaveheap_core::Heap;
use weaveheap_model::{Step, run};

/// Bytes that follow from a number.
fn bytes(mut seed: u64) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (seed >> 33) as u8
    };
    std::iter::repeat_with(next).take(4000).collect()
}

#[test]
fn heap_agrees_with_a_plain_model() {
    let mut steps = 0;
    for seed in 0..150 {
        let bytes = bytes(seed);
        let mut source = Unstructured::new(&bytes);
        let mut program: Vec<Step> = (0..60).filter_map(|_| Step::arbitrary(&mut source).ok()).collect();
        // The module has one thread, which makes every step.
        program.iter_mut().for_each(|step| step.by &= !1);
        steps += program.len();
        let heap = Heap::options().limit(256 << 20).private().expect("a heap");
        if let Err(disagreement) = run(&[heap], &program) {
            panic!("program {seed}: {disagreement}");
        }
        crate::runner::grow(1).expect("memory can grow");
    }
    assert!(steps > 5000, "{steps}");
}
