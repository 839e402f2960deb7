//! The scenarios: what the survivors set up, what a process does before it may die, and what it does when it may die at
//! any kill point. Buffers are known by length.

use weaveheap_core::ErrorCode;

use crate::actor::{SHARED, UNIQUE};
use crate::model::Op::{self, *};

/// One scenario.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    pub name: &'static str,
    /// By the survivors; what they borrow here they hold to the end.
    pub setup: Vec<Op>,
    /// By the one that may die, before it may.
    pub prepare: Vec<Op>,
    /// By the one that may die at any kill point.
    pub armed: Vec<Op>,
    /// A second thread of the one that may die: what it does first, and what it stands still in the middle of.
    pub beside: Option<(Vec<Op>, Op)>,
    /// A survivor waits until this region is idle, from before the armed operations on.
    pub waited_for: Option<&'static str>,
}

/// The scenario with this name.
pub fn find(name: &str) -> Scenario {
    let all = alone().into_iter().chain(beside()).chain(zeroing());
    all.into_iter().find(|scenario| scenario.name == name).expect("a scenario")
}

fn refused(code: ErrorCode, op: Op) -> Op {
    Refused(code, Box::new(op))
}

/// A region `a` with buffers of 64 and of 500 bytes.
fn two() -> Vec<Op> {
    vec![Region("a"), Alloc("a", 64), Alloc("a", 500)]
}

/// The largest length of each class of sizes, and one beyond them all.
fn lengths() -> Vec<u64> {
    let mut lengths: Vec<u64> = (1..=8).map(|units| units * 64).collect();
    while lengths[lengths.len() - 1] < 1 << 20 {
        let last = lengths[lengths.len() - 1];
        lengths.extend((1..=4).map(|quarter| last + last / 4 * quarter));
    }
    lengths
}

fn allocs(region: &'static str, lengths: impl IntoIterator<Item = u64>) -> Vec<Op> {
    lengths.into_iter().map(|length| AllocUninit(region, length)).collect()
}

fn attached(mut ops: Vec<Op>) -> Vec<Op> {
    ops.insert(0, Attach);
    ops
}

/// Scenarios in which one thread works alone.
pub fn alone() -> Vec<Scenario> {
    const STALE: ErrorCode = ErrorCode::StaleHandle;
    let scenario = |name, setup: Vec<Op>, prepare: Vec<Op>, armed: Vec<Op>| Scenario {
        name,
        setup,
        prepare: attached(prepare),
        armed,
        ..Scenario::default()
    };
    // What a dead process held: a shared and a unique borrow, and the last of a region that drains.
    let dies = || {
        AnotherDies(vec![
            Begin(SHARED, 64),
            Begin(UNIQUE, 500),
            Region("d"),
            Alloc("d", 70),
            Begin(SHARED, 70),
            CloseWhenIdle("d"),
        ])
    };
    let mut all = vec![
        scenario(
            "life_of_a_region",
            vec![],
            vec![],
            vec![
                Region("a"),
                Alloc("a", 64),
                Publish("name", 64),
                Lookup("name"),
                Unpublish("name"),
                Free(64),
                Close("a"),
            ],
        ),
        scenario(
            "names",
            vec![Region("a"), Alloc("a", 64), Publish("theirs", 64)],
            vec![],
            vec![
                refused(ErrorCode::AlreadyExists, Publish("theirs", 64)),
                Publish("ours", 64),
                Unpublish("theirs"),
                Publish("theirs", 64),
                Free(64),
                refused(ErrorCode::NotFound, Lookup("ours")),
                Alloc("a", 65),
                Publish("ours", 65),
                Close("a"),
            ],
        ),
        scenario("alloc_of_each_class", vec![Region("a")], vec![], allocs("a", lengths())),
        scenario(
            "free_of_each_class",
            vec![],
            [vec![Region("a")], allocs("a", lengths())].concat(),
            [lengths().into_iter().map(Free).collect(), allocs("a", lengths())].concat(),
        ),
        scenario(
            "large_buffers",
            vec![Region("a")],
            vec![],
            vec![
                Alloc("a", 3 << 20),
                AllocUninit("a", 5 << 20),
                Free(3 << 20),
                Alloc("a", (3 << 20) - 1),
                Free(5 << 20),
                Ingest("a", 2 << 20),
                Reset("a"),
                Alloc("a", 2 << 20),
                Close("a"),
            ],
        ),
        scenario(
            "zeroed_under_a_borrow",
            vec![],
            vec![Region("a"), AllocUninit("a", 200_000), Free(200_000)],
            vec![Alloc("a", 200_001), Ingest("a", 200_002), Free(200_001)],
        ),
        scenario(
            "freed_slots_change_threads",
            vec![],
            [vec![Region("a")], allocs("a", 1001..1070), (1001..1062).map(Free).collect()].concat(),
            vec![
                Free(1062),
                Free(1063),
                Free(1064),
                Free(1065),
                OnThread(vec![Alloc("a", 1090), Alloc("a", 1091)]),
                Alloc("a", 1092),
                Free(1091),
            ],
        ),
        scenario(
            "shared_borrows",
            two(),
            vec![],
            vec![Begin(SHARED, 64), Begin(SHARED, 64), BeginRaw(SHARED, 500), End(64), EndRaw(500), End(64), Free(64)],
        ),
        scenario(
            "shared_borrows_beside_a_survivor",
            [two(), vec![Begin(SHARED, 64)]].concat(),
            vec![],
            vec![
                Begin(SHARED, 64),
                refused(ErrorCode::BorrowConflict, Begin(UNIQUE, 64)),
                refused(ErrorCode::Borrowed, Free(64)),
                End(64),
                refused(ErrorCode::Borrowed, Close("a")),
                refused(ErrorCode::Borrowed, Reset("a")),
                Freeze(64),
            ],
        ),
        scenario(
            "unique_borrows",
            two(),
            vec![],
            vec![
                Begin(UNIQUE, 64),
                refused(ErrorCode::BorrowConflict, Begin(SHARED, 64)),
                refused(ErrorCode::BorrowConflict, Freeze(64)),
                BeginRaw(UNIQUE, 500),
                refused(ErrorCode::Borrowed, Close("a")),
                End(64),
                EndRaw(500),
                Begin(UNIQUE, 500),
            ],
        ),
        scenario(
            "unique_borrow_of_a_survivor",
            [two(), vec![Begin(UNIQUE, 64)]].concat(),
            vec![],
            vec![
                refused(ErrorCode::BorrowConflict, Begin(SHARED, 64)),
                refused(ErrorCode::Borrowed, Close("a")),
                Begin(UNIQUE, 500),
                CloseWhenIdle("a"),
                End(500),
            ],
        ),
        scenario(
            "freeze",
            two(),
            vec![],
            vec![
                Freeze(64),
                Begin(SHARED, 64),
                refused(ErrorCode::Denied, Begin(UNIQUE, 64)),
                End(64),
                Freeze(500),
                Free(64),
            ],
        ),
        scenario(
            "stale_handles",
            two(),
            vec![],
            vec![
                Free(64),
                refused(STALE, Free(64)),
                refused(STALE, Begin(SHARED, 64)),
                refused(STALE, Freeze(64)),
                Close("a"),
                refused(STALE, Begin(UNIQUE, 500)),
                refused(STALE, Free(500)),
                refused(STALE, Alloc("a", 5)),
                refused(STALE, Close("a")),
            ],
        ),
        scenario(
            "reset",
            two(),
            allocs("a", [100_000, 300_000, 2 << 20]),
            vec![
                Reset("a"),
                Alloc("a", 64),
                Alloc("a", 300_000),
                Alloc("a", 2 << 20),
                Reset("a"),
                Alloc("a", 65),
                Close("a"),
            ],
        ),
        scenario("close", two(), allocs("a", [100_000, 300_000, 2 << 20]), vec![Close("a"), Region("a"), Close("a")]),
        scenario(
            "close_when_idle",
            two(),
            vec![],
            vec![
                Begin(SHARED, 64),
                BeginRaw(UNIQUE, 500),
                CloseWhenIdle("a"),
                refused(STALE, Begin(SHARED, 64)),
                refused(STALE, Alloc("a", 5)),
                End(64),
                EndRaw(500),
                Region("a"),
                CloseWhenIdle("a"),
            ],
        ),
        scenario(
            "close_when_idle_beside_a_survivor",
            [two(), vec![Begin(SHARED, 64)]].concat(),
            vec![],
            vec![Begin(SHARED, 64), CloseWhenIdle("a"), End(64)],
        ),
        scenario(
            "trim",
            vec![Region("a"), AllocUninit("a", 2 << 20)],
            vec![Region("b"), AllocUninit("b", 3 << 20), AllocUninit("b", 100_000), Free(2 << 20), Close("b")],
            vec![Trim, Alloc("a", 3 << 20), Trim],
        ),
        Scenario {
            name: "attach_and_detach",
            setup: two(),
            armed: vec![
                Attach,
                Begin(UNIQUE, 64),
                refused(ErrorCode::Borrowed, Detach),
                End(64),
                Alloc("a", 70),
                OnThread(vec![Alloc("a", 71)]),
                Detach,
                Attach,
                Free(70),
                Detach,
            ],
            ..Scenario::default()
        },
        Scenario {
            name: "attach_recovers",
            setup: two(),
            prepare: vec![dies()],
            armed: vec![Attach, Check],
            ..Scenario::default()
        },
        scenario("check_recovers", two(), vec![dies()], vec![Check, ClearPoison(500), Begin(UNIQUE, 500)]),
        scenario(
            "conflict_recovers",
            two(),
            vec![dies()],
            vec![
                Begin(UNIQUE, 64),
                refused(ErrorCode::Poisoned, Begin(SHARED, 500)),
                End(64),
                ClearPoison(500),
                Free(500),
            ],
        ),
        scenario("free_recovers", two(), vec![dies()], vec![Free(64), Free(500)]),
        scenario("close_recovers", two(), vec![dies()], vec![Close("a")]),
        scenario("reset_recovers", two(), vec![dies()], vec![Reset("a")]),
        scenario("close_when_idle_recovers", two(), vec![dies()], vec![CloseWhenIdle("a")]),
        scenario("wait_idle_recovers", two(), vec![dies()], vec![WaitIdle("a")]),
        scenario(
            "threads_end_with_live_borrows",
            two(),
            vec![],
            vec![
                OnThread(vec![Begin(UNIQUE, 64), BeginRaw(SHARED, 500)]),
                OnThread(vec![Begin(SHARED, 500), Alloc("a", 70)]),
                End(64),
                EndRaw(500),
                OnThread(vec![End(500)]),
            ],
        ),
        scenario(
            "more_borrows_than_a_page",
            two(),
            (0..62).map(|_| Begin(SHARED, 64)).collect(),
            vec![Begin(SHARED, 64), Begin(SHARED, 64), Begin(SHARED, 500), Begin(SHARED, 500), End(500), End(64)],
        ),
        scenario("more_buffers_than_a_block", vec![Region("a")], allocs("a", 1..255), allocs("a", 255..260)),
        scenario(
            "more_names_than_an_extent",
            two(),
            (0..511).map(|i| Publish(Box::leak(format!("n{i}").into_boxed_str()), 64)).collect(),
            vec![Publish("x", 64), Publish("y", 500)],
        ),
        scenario(
            "wait_idle",
            two(),
            vec![],
            vec![WaitIdle("a"), Begin(SHARED, 64), refused(ErrorCode::Timeout, WaitIdle("a")), End(64)],
        ),
    ];
    let names: Vec<&'static str> = (0..126).map(|i| &*Box::leak(format!("r{i}").into_boxed_str())).collect();
    all.push(scenario(
        "more_regions_than_an_extent",
        vec![],
        names.iter().zip(1..).flat_map(|(name, length)| [Region(name), AllocUninit(name, length)]).collect(),
        vec![Region("a"), Alloc("a", 501), Region("b"), Alloc("b", 502), Close("r3")],
    ));
    for (name, ops) in [
        ("end_wakes_a_waiter", vec![End(64), End(500)]),
        ("last_end_wakes_a_waiter", vec![End(500), CloseWhenIdle("a"), End(64)]),
        ("reset_wakes_a_waiter", vec![End(500), End(64), Reset("a")]),
    ] {
        let mut waits = scenario(name, two(), vec![Begin(SHARED, 64), Begin(UNIQUE, 500)], ops);
        waits.waited_for = Some("a");
        all.push(waits);
    }
    all
}

/// Scenarios with thousands of points that are alike: a table grows into memory that was used before, and is zeroed.
pub fn zeroing() -> Vec<Scenario> {
    vec![Scenario {
        name: "growth_into_used_memory",
        setup: vec![],
        // The survivors' region has the first of the 8 blocks of an extent.
        prepare: attached(
            [vec![Region("a"), AllocUninit("a", 4 << 20), Close("a"), Region("a")], allocs("a", 1..1792)].concat(),
        ),
        armed: allocs("a", 1792..1796),
        ..Scenario::default()
    }]
}

/// Scenarios in which another thread of the one that dies stands still in the middle of something, at each point.
pub fn beside() -> Vec<Scenario> {
    // With its record and its context, so that what it does takes no lock.
    let warm = || vec![Begin(SHARED, 500), End(500), AllocUninit("a", 90), Free(90)];
    let scenario = |name, prepare: Vec<Op>, beside: Op, armed: Vec<Op>| Scenario {
        name,
        setup: two(),
        prepare: attached(prepare),
        armed,
        beside: Some((warm(), beside)),
        waited_for: None,
    };
    let with = |first: &[Op], mut scenario: Scenario| {
        if let Some((warm, _)) = &mut scenario.beside {
            warm.extend_from_slice(first);
        }
        scenario
    };
    vec![
        scenario("free_beside_free", vec![], Free(64), vec![Free(64), Free(500)]),
        scenario("shared_beside_shared", vec![], Begin(SHARED, 64), vec![Begin(SHARED, 64), End(64)]),
        scenario("unique_beside_unique", vec![], Begin(UNIQUE, 64), vec![Begin(UNIQUE, 64)]),
        scenario("free_beside_shared", vec![], Begin(SHARED, 64), vec![Free(64)]),
        scenario("close_beside_shared", vec![], Begin(SHARED, 64), vec![Close("a")]),
        scenario("close_beside_alloc", vec![], AllocUninit("a", 70), vec![Close("a")]),
        scenario("reset_beside_free", vec![], Free(64), vec![Reset("a")]),
        scenario("close_when_idle_beside_alloc", vec![], AllocUninit("a", 70), vec![CloseWhenIdle("a")]),
        with(&[Begin(SHARED, 64)], scenario("end_beside_end", vec![Begin(SHARED, 64)], End(64), vec![End(64)])),
        with(&[Begin(UNIQUE, 64)], scenario("close_when_idle_beside_end", vec![], End(64), vec![CloseWhenIdle("a")])),
        with(&[Begin(SHARED, 64)], scenario("close_beside_end", vec![], End(64), vec![Close("a")])),
        with(
            &[Begin(SHARED, 64), CloseWhenIdle("a")],
            scenario("last_end_beside_last_end", vec![Begin(SHARED, 64)], End(64), vec![End(64)]),
        ),
    ]
}
