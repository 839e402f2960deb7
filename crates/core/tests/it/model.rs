//! Programs of operations, run on a heap and on plain maps side by side (`weaveheap-model`): they must agree in every
//! answer, and the heap passes `check` after each step (R1 to R4, R6, K1, K4, B1, B7, C3, H8, N1).

use proptest::prelude::*;
use weaveheap_core::{Heap, RegionOptions};
use weaveheap_model::{Length, Operation, Step, Using, run};

#[cfg(target_os = "linux")]
use crate::support::{SharedHeap, open};

/// Bits that are mostly those of what they are applied to.
fn xor() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 6 => (0_u32..64).prop_map(|bit| 1 << bit), 1 => any::<u64>()]
}

fn length() -> impl Strategy<Value = Length> {
    prop_oneof![
        8 => any::<u8>().prop_map(Length::Small),
        4 => any::<u16>().prop_map(Length::Medium),
        1 => (0_u32..3 << 20).prop_map(Length::Large),
        1 => any::<u64>().prop_map(Length::Beyond),
    ]
}

fn using() -> impl Strategy<Value = Using> {
    use Using::*;
    prop::sample::select(vec![Free, BorrowShared, BorrowUnique, Freeze, Alloc, Reset, Close, CloseWhenIdle, Publish])
}

fn operation() -> impl Strategy<Value = Operation> {
    let n = any::<u8>;
    prop_oneof![
        3 => prop::option::weighted(0.3, 0_u16..1000).prop_map(|limit| Operation::CreateRegion { limit }),
        12 => (n(), length(), 0_u8..14, any::<bool>())
            .prop_map(|(region, length, align, zeroed)| Operation::Alloc { region, length, align, zeroed }),
        2 => (n(), 0_u16..2000, n())
            .prop_map(|(region, length, byte)| Operation::AllocFrom { region, length, byte }),
        4 => n().prop_map(|buffer| Operation::Free { buffer }),
        7 => (n(), any::<bool>()).prop_map(|(buffer, unique)| Operation::Borrow { buffer, unique }),
        7 => n().prop_map(|lease| Operation::Release { lease }),
        5 => (n(), any::<u16>(), n()).prop_map(|(lease, at, byte)| Operation::Write { lease, at, byte }),
        3 => (n(), any::<bool>()).prop_map(|(buffer, unique)| Operation::Begin { buffer, unique }),
        3 => n().prop_map(|token| Operation::End { token }),
        1 => (n(), xor()).prop_map(|(token, xor)| Operation::EndForged { token, xor }),
        1 => n().prop_map(|buffer| Operation::Freeze { buffer }),
        1 => n().prop_map(|buffer| Operation::ClearPoison { buffer }),
        1 => n().prop_map(|region| Operation::Reset { region }),
        1 => n().prop_map(|region| Operation::Close { region }),
        1 => n().prop_map(|region| Operation::CloseWhenIdle { region }),
        1 => n().prop_map(|region| Operation::WaitIdle { region }),
        2 => (n(), any::<bool>(), n()).prop_map(|(of, region, name)| Operation::Publish { of, region, name }),
        1 => n().prop_map(|name| Operation::Unpublish { name }),
        1 => n().prop_map(|name| Operation::Lookup { name }),
        3 => (n(), any::<bool>(), xor(), using())
            .prop_map(|(of, region, xor, using)| Operation::Forge { of, region, xor, using }),
        1 => Just(Operation::Detach),
        1 => Just(Operation::Trim),
    ]
}

fn program(most: usize) -> impl Strategy<Value = Vec<Step>> {
    // Most steps are made by the thread that runs the program.
    let by = prop_oneof![4 => (0_u8..2).prop_map(|attachment| attachment * 2), 1 => any::<u8>()];
    prop::collection::vec((by, operation()).prop_map(|(by, operation)| Step { by, operation }), 1..most)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() }
}

fn agrees(heaps: &[Heap], program: &[Step]) -> Result<(), TestCaseError> {
    run(heaps, program).map_err(|disagreement| TestCaseError::fail(disagreement.to_string()))
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn private_heap_agrees_with_a_plain_model(program in program(120)) {
        agrees(&[Heap::options().limit(256 << 20).private().expect("a heap")], &program)?;
    }
}

proptest! {
    #![proptest_config(config(24))]

    /// H1, H2: the shared heap is attached twice, and steps go through either.
    #[test]
    fn both_kinds_of_heap_agree_with_a_plain_model(program in program(60)) {
        agrees(&[Heap::options().limit(256 << 20).private().expect("a heap")], &program)?;
        #[cfg(target_os = "linux")]
        {
            let shared = SharedHeap::new();
            let second = open(&shared.path);
            agrees(&[shared.heap.clone(), second], &program)?;
        }
    }
}

#[test]
fn disagreement_comes_as_a_conformance_case() {
    let heap = Heap::private().expect("a heap");
    // The reference takes the heap for empty.
    heap.create_region(&RegionOptions::new()).expect("there is room");
    let program = [
        Step { by: 0, operation: Operation::CreateRegion { limit: None } },
        Step { by: 0, operation: Operation::CloseWhenIdle { region: 0 } },
    ];
    let disagreement = run(&[heap], &program).expect_err("one region too many");
    assert_eq!(disagreement.step, 1);
    assert!(disagreement.what.contains("expected (1, 0, 0)"), "{disagreement}");
    let case: serde_json::Value = serde_json::from_str(&disagreement.case).expect("JSON");
    assert_eq!(case["steps"], serde_json::json!([{ "do": "create_region", "as": "r0" }]));
}
