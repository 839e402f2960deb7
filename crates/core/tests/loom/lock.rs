//! The heap's lock and its journal (C1): a holder that dies at any of its writes is followed by one of two that come by,
//! and its change is made or was never begun.

use weaveheap_core::model::{
    self, Bound, Fault, as_thread, breaks, breaks_at_a_death, declare_dead, dies_after, holds, holds_at_each_death,
    together,
};
use weaveheap_core::{Handle, Heap, Init, RegionOptions};

use crate::scene::{A, B, D, Scene, thread};

const BOUND: Bound = Bound::of(1, 2);
const TWO: Bound = Bound::of(2, 3);

/// Another process dies after so many writes of what it does; then two threads come by that need the lock. True if it
/// did not come to its end.
fn takeover(death: u64, what: fn(&Heap, Handle)) -> bool {
    let scene = Scene::of_processes();
    let buffer = scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    let heap = model::attach(&scene.heap);
    let region = heap.create_region(&RegionOptions::new().name("its own")).expect("a region");
    let died = as_thread(D, || {
        heap.alloc(region, 64, 64, Init::Uninit).expect("a buffer");
        dies_after(death, || what(&heap, region))
    });
    declare_dead(&heap);
    together(
        &[&scene.heap],
        [
            thread(&scene, move |scene| {
                scene.heap.create_region(&RegionOptions::new().name("A's")).expect("the lock is free again");
            }),
            thread(&scene, move |scene| scene.heap.publish("bs", buffer).expect("the lock is free again")),
        ],
    );
    scene.check();
    let names = scene.heap.snapshot().expect("a heap that can be read");
    let named = |name: &str| names.regions.iter().filter(|region| region.name == name).count();
    assert!(named("A's") == 1 && named("its own") <= 1);
    assert_eq!(scene.heap.lookup("bs").expect("it is published"), buffer);
    died
}

fn close(heap: &Heap, region: Handle) {
    heap.close(region).expect("nobody borrows");
}

fn create(heap: &Heap, _: Handle) {
    heap.create_region(&RegionOptions::new().name("another")).expect("a region");
}

fn publish(heap: &Heap, region: Handle) {
    heap.publish("its-own", region).expect("the name is free");
}

#[test]
fn death_in_a_close_is_completed() {
    holds_at_each_death(BOUND, |death| takeover(death, close));
}

#[test]
fn death_in_the_making_of_a_region_is_completed() {
    holds_at_each_death(BOUND, |death| takeover(death, create));
}

#[test]
fn death_in_publishing_is_completed() {
    holds_at_each_death(BOUND, |death| takeover(death, publish));
}

#[test]
fn takeover_of_a_close_needs_the_journal() {
    breaks_at_a_death(Fault::Journal, BOUND, |death| takeover(death, close));
}

#[test]
fn takeover_needs_one_exchange_of_two_that_come_by() {
    breaks_at_a_death(Fault::TakeoverByStore, BOUND, |death| takeover(death, close));
}

/// Two threads change the directory at once: each finds what the other has done.
fn two_changes() {
    let scene = Scene::new();
    let buffer = scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    let publishes = |name: &'static str| {
        thread(&scene, move |scene| scene.heap.publish(name, buffer).expect("a name that nobody has taken"))
    };
    together(&[&scene.heap], [publishes("one"), publishes("two")]);
    for name in ["one", "two"] {
        assert_eq!(scene.heap.lookup(name).expect("published"), buffer);
    }
    scene.check();
}

#[test]
fn changes_exclude_each_other() {
    holds(TWO, two_changes);
}

#[test]
fn changes_need_the_lock() {
    breaks(Fault::LockByStore, TWO, two_changes);
}

#[test]
fn changes_need_the_lock_released() {
    breaks(Fault::LockRelease, TWO, two_changes);
}
