//! Recovery of what a dead process held, beside threads that go on (C1, C2): its borrows are ended once, counts are exact
//! wherever it died, and nobody waits for a recount that waits for him.

use weaveheap_core::model::{
    self, Bound, Fault, as_thread, breaks, breaks_at_a_death, declare_dead, dies_after, holds, holds_at_each_death,
    recover, together,
};
use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, Lease, RegionOptions};

use crate::scene::{A, B, D, E, Scene, Thread, thread};

const BOUND: Bound = Bound::of(1, 2);

/// Another process.
struct Process {
    heap: Heap,
    number: usize,
}

impl Process {
    /// It has what it needs for a borrow.
    fn new(scene: &Scene, number: usize) -> Process {
        let heap = model::attach(&scene.heap);
        Scene { heap: heap.clone(), region: scene.region }.prepare(number);
        Process { heap, number }
    }

    /// Dies after so many writes of what it does; true if that came before all was done.
    fn die(&self, death: u64, f: impl FnOnce(&Heap)) -> bool {
        let died = as_thread(self.number, || dies_after(death, || f(&self.heap)));
        declare_dead(&self.heap);
        died
    }

    /// Dies in a borrow or in its end.
    fn die_in_a_borrow(&self, death: u64, buffer: Handle, kind: BorrowKind) -> bool {
        self.die(death, |heap| heap.borrow(buffer, kind).expect("nobody is in its way").end())
    }
}

/// A heap in which a process has died in a borrow, or in its end, with two threads that go on.
struct Wake {
    scene: Scene,
    buffer: Handle,
    /// What the first thread held before the other process came.
    lease: Option<Lease>,
    died: bool,
    _dead: Process,
}

impl Wake {
    fn new(death: u64, kind: BorrowKind, held: bool) -> Wake {
        Wake::of(ready(), death, kind, held)
    }

    fn of((scene, buffer): (Scene, Handle), death: u64, kind: BorrowKind, held: bool) -> Wake {
        let lease = held.then(|| as_thread(A, || scene.borrow(buffer, BorrowKind::Shared).expect("nobody is there")));
        let dead = Process::new(&scene, D);
        let died = dead.die_in_a_borrow(death, buffer, kind);
        Wake { scene, buffer, lease, died, _dead: dead }
    }

    /// Everything has ended, whoever ended it.
    fn is_over(&self) -> bool {
        assert_eq!(self.scene.check().borrows, 0);
        self.scene.heap.clear_poison(self.buffer).expect("the buffer lives");
        assert!(self.scene.heap.borrow(self.buffer, BorrowKind::Unique).is_ok(), "a count is left");
        self.died
    }
}

/// A buffer, and two threads that have what they need.
fn ready() -> (Scene, Handle) {
    let scene = Scene::of_processes();
    let buffer = scene.alloc();
    scene.prepare(A);
    scene.prepare(B);
    (scene, buffer)
}

fn recovering(scene: &Scene) -> Thread {
    thread(scene, |scene| recover(&scene.heap).expect("nobody is stopped"))
}

fn borrowing(scene: &Scene, buffer: Handle, kind: BorrowKind) -> Thread {
    thread(scene, move |scene| match scene.borrow(buffer, kind) {
        Ok(lease) => lease.end(),
        // The dead one's borrow, seen before another thread has ended it.
        Err(code) => assert!(matches!(code, ErrorCode::BorrowConflict | ErrorCode::Poisoned), "{code:?}"),
    })
}

fn ending(scene: &Scene, lease: Lease) -> Thread {
    thread(scene, move |_| {
        model::read(lease.as_ptr(), lease.len());
        lease.end();
    })
}

/// One begins a borrow, one recovers.
fn begin_and_recover(death: u64, dead: BorrowKind, live: BorrowKind) -> bool {
    let wake = Wake::new(death, dead, false);
    together(&[&wake.scene.heap], [borrowing(&wake.scene, wake.buffer, live), recovering(&wake.scene)]);
    wake.is_over()
}

#[test]
fn shared_begin_beside_a_recount() {
    holds_at_each_death(BOUND, |death| begin_and_recover(death, BorrowKind::Shared, BorrowKind::Shared));
}

#[test]
fn unique_begin_beside_a_recount() {
    holds_at_each_death(BOUND, |death| begin_and_recover(death, BorrowKind::Shared, BorrowKind::Unique));
}

#[test]
fn begin_beside_the_recovery_of_a_unique_borrow() {
    holds_at_each_death(BOUND, |death| begin_and_recover(death, BorrowKind::Unique, BorrowKind::Shared));
}

#[test]
fn begin_beside_a_recount_needs_the_mark() {
    let scene = |death| begin_and_recover(death, BorrowKind::Shared, BorrowKind::Shared);
    breaks_at_a_death(Fault::RecountMark, BOUND, scene);
}

/// One begins its first borrow in the region, one recovers.
fn first_begin_and_recover(death: u64) -> bool {
    let scene = Scene::of_processes();
    let buffer = scene.alloc();
    scene.prepare(B);
    let other = scene.heap.create_region(&RegionOptions::new()).expect("a region");
    Scene { heap: scene.heap.clone(), region: other }.prepare(A);
    let wake = Wake::of((scene, buffer), death, BorrowKind::Shared, false);
    together(&[&wake.scene.heap], [borrowing(&wake.scene, buffer, BorrowKind::Shared), recovering(&wake.scene)]);
    wake.is_over()
}

#[test]
fn first_begin_beside_a_recount() {
    holds_at_each_death(BOUND, first_begin_and_recover);
}

#[test]
fn first_begin_beside_a_recount_needs_to_be_free_while_it_waits() {
    breaks_at_a_death(Fault::WaitInBegin, BOUND, first_begin_and_recover);
}

/// One ends its borrow, one recovers.
fn end_and_recover(death: u64) -> bool {
    let mut wake = Wake::new(death, BorrowKind::Shared, true);
    let lease = wake.lease.take().expect("it was held");
    together(&[&wake.scene.heap], [ending(&wake.scene, lease), recovering(&wake.scene)]);
    wake.is_over()
}

#[test]
fn end_beside_a_recount() {
    holds_at_each_death(BOUND, end_and_recover);
}

#[test]
fn end_beside_a_recount_needs_the_mark() {
    breaks_at_a_death(Fault::RecountMark, BOUND, end_and_recover);
}

#[test]
fn end_beside_a_recount_needs_to_be_held_while_it_waits() {
    breaks_at_a_death(Fault::UndoInBegin, BOUND, end_and_recover);
}

/// One frees the buffer and uses its slot anew, one recovers.
fn free_and_recover(death: u64, kind: BorrowKind) -> bool {
    let wake = Wake::new(death, kind, false);
    let (scene, buffer) = (&wake.scene, wake.buffer);
    let bytes = scene.bytes(buffer);
    let (freed, frees) = crate::scene::outcome();
    let freeing = thread(scene, move |scene| match scene.heap.free(buffer) {
        Ok(()) => {
            freed.add(1);
            bytes.reuse();
            let new = scene.alloc();
            assert_eq!(new.index(), buffer.index(), "the slot is used again");
            scene.borrow(new, BorrowKind::Unique).expect("nobody has seen it").end();
        }
        // The dead one's borrow, seen before another thread has ended it.
        Err(error) => assert_eq!(error.code(), ErrorCode::Borrowed),
    });
    together(&[&scene.heap], [freeing, recovering(scene)]);
    assert_eq!((scene.check().buffers, scene.check().borrows), (1, 0));
    assert_eq!(scene.heap.free(buffer).is_ok(), frees.get() == 0);
    wake.died
}

#[test]
fn free_beside_a_recount() {
    holds_at_each_death(BOUND, |death| free_and_recover(death, BorrowKind::Shared));
}

#[test]
fn free_beside_the_recovery_of_a_unique_borrow() {
    holds_at_each_death(BOUND, |death| free_and_recover(death, BorrowKind::Unique));
}

/// Two recover at once; one of them then clears the poison.
fn two_recover(death: u64, kind: BorrowKind) -> bool {
    let wake = Wake::new(death, kind, false);
    let (scene, buffer) = (&wake.scene, wake.buffer);
    let recovered = move |scene: &Scene| {
        recover(&scene.heap).expect("nobody is stopped");
        assert_eq!(scene.heap.holders(buffer).expect("an attached heap").len(), 0);
    };
    let clearing = thread(scene, move |scene| {
        recovered(&scene);
        scene.heap.clear_poison(buffer).expect("the buffer lives");
    });
    together(&[&scene.heap], [clearing, thread(scene, move |scene| recovered(&scene))]);
    assert_eq!(scene.check().borrows, 0);
    assert!(scene.heap.borrow(buffer, BorrowKind::Unique).is_ok(), "it is poisoned again, or a count is left");
    wake.died
}

#[test]
fn two_recover_a_shared_borrow() {
    holds_at_each_death(BOUND, |death| two_recover(death, BorrowKind::Shared));
}

#[test]
fn two_recover_a_unique_borrow() {
    holds_at_each_death(BOUND, |death| two_recover(death, BorrowKind::Unique));
}

/// Two recover at once what could be written to; one of them clears the poison, once and for all.
fn two_recover_what_was_held() {
    let (scene, buffer) = ready();
    let dead = Process::new(&scene, D);
    dead.die(u64::MAX, |heap| std::mem::forget(heap.borrow(buffer, BorrowKind::Unique)));
    let clearing = thread(&scene, move |scene| {
        recover(&scene.heap).expect("nobody is stopped");
        assert_eq!(scene.borrow(buffer, BorrowKind::Shared).err(), Some(ErrorCode::Poisoned));
        scene.heap.clear_poison(buffer).expect("the buffer lives");
    });
    together(&[&scene.heap], [clearing, recovering(&scene)]);
    assert_eq!(scene.check().borrows, 0);
    assert!(scene.heap.borrow(buffer, BorrowKind::Unique).is_ok(), "it is poisoned again");
    // Nobody has ended that borrow's share of the attachment, which is of a process that is gone.
    std::mem::forget(dead);
}

#[test]
fn two_recover_what_was_held_unique() {
    holds(Bound::of(2, 3), two_recover_what_was_held);
}

#[test]
fn two_that_recover_what_was_held_need_the_poison() {
    breaks(Fault::Poison, BOUND, two_recover_what_was_held);
}

/// One borrows, one closes the region and recovers on the way: the borrow is undone during the recount.
fn close_and_recover(death: u64) -> bool {
    let wake = Wake::new(death, BorrowKind::Shared, false);
    let (scene, buffer) = (&wake.scene, wake.buffer);
    let bytes = scene.bytes(buffer);
    let borrowing = thread(scene, move |scene| {
        if let Err(code) = scene.borrow(buffer, BorrowKind::Shared) {
            assert_eq!(code, ErrorCode::StaleHandle);
        }
    });
    let closing = thread(scene, move |scene| match scene.heap.close(scene.region) {
        Ok(()) => bytes.reuse(),
        Err(error) => assert_eq!(error.code(), ErrorCode::Borrowed),
    });
    together(&[&scene.heap], [borrowing, closing]);
    recover(&scene.heap).expect("nobody is stopped");
    assert_eq!(scene.check().borrows, 0);
    wake.died
}

#[test]
fn begin_beside_a_close_that_recounts() {
    holds_at_each_death(BOUND, close_and_recover);
}

#[test]
fn begin_beside_a_close_that_recounts_needs_to_be_held_while_it_waits() {
    breaks_at_a_death(Fault::UndoInBegin, BOUND, close_and_recover);
}

/// A process dies in a borrow of a buffer whose region was closed before its mark. One recovers it, while another allocates
/// the slot in its next region.
fn next_life_and_recover(death: u64) -> bool {
    let scene = Scene::of_processes();
    let other = scene.heap.create_region(&RegionOptions::new()).expect("a region");
    scene.prepare(A);
    // It has used another region, so that it goes the long way: the short one looks at the region after its mark.
    let dead = Process::new(&Scene { heap: scene.heap.clone(), region: other }, D);
    // Their block is the last that the region takes, and the first that the other one will.
    let (before, buffer) = as_thread(B, || (scene.alloc(), scene.alloc()));
    let alloc = move |scene: &Scene| scene.heap.alloc(other, 64, 64, Init::Uninit).expect("a buffer");
    let closing = {
        let scene = scene.clone();
        let close = move || {
            scene.heap.close(scene.region).expect("nobody borrows yet");
            assert_eq!(alloc(&scene).index(), before.index(), "the block has come to the other region");
        };
        move || as_thread(B, close)
    };
    // What the short way writes, and takes back.
    let in_vain = 4;
    let died = dead.die(in_vain + death, |heap| {
        model::interrupted(in_vain, closing, || drop(heap.borrow(buffer, BorrowKind::Shared)));
    });
    let allocating = thread(&scene, move |scene| {
        let new = alloc(&scene);
        assert_eq!(new.index(), buffer.index(), "the slot is used again");
        scene.borrow(new, BorrowKind::Unique).expect("nobody has seen it").end();
    });
    together(&[&scene.heap], [recovering(&scene), allocating]);
    assert_eq!(scene.check().borrows, 0);
    assert_eq!(scene.borrow(buffer, BorrowKind::Shared).err(), Some(ErrorCode::StaleHandle));
    died
}

#[test]
fn next_life_of_a_slot_beside_a_recount() {
    holds_at_each_death(BOUND, next_life_and_recover);
}

#[test]
fn next_life_of_a_slot_beside_a_recount_needs_one_exchange() {
    breaks_at_a_death(Fault::RecountByStore, BOUND, next_life_and_recover);
}

/// Another process dies after so many writes of the recovery; then one ends its borrow and one recovers.
fn end_and_recover_again(first: u64, second: u64) -> bool {
    let (scene, buffer) = ready();
    let recoverer = Process::new(&scene, E);
    let mut wake = Wake::of((scene, buffer), first, BorrowKind::Shared, true);
    let died = recoverer.die(second, |heap| recover(heap).expect("nobody is stopped"));
    let lease = wake.lease.take().expect("it was held");
    together(&[&wake.scene.heap], [ending(&wake.scene, lease), recovering(&wake.scene)]);
    wake.is_over();
    died
}

#[test]
fn end_beside_a_recount_that_another_began() {
    // Where the end's exchange was made and not recorded, and where it was not made yet, among others.
    for first in 4..10 {
        holds_at_each_death(Bound::of(1, 2), move |second| end_and_recover_again(first, second));
    }
}
