//! Two processes on one heap: they exclude, wait for and see each other (B1, B4, B6, H2, H8, R4, N2), and what a killed
//! one held is recovered (C1, C2).

use std::time::{Duration, Instant};

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, RegionOptions};

use crate::second::Second;
use crate::support::{SharedHeap, TempDir, code, wait_for};

struct Pair {
    shared: SharedHeap,
    region: Handle,
    buffer: Handle,
    second: Second,
}

impl Pair {
    fn heap(&self) -> &Heap {
        &self.shared.heap
    }
}

fn pair() -> Pair {
    let shared = SharedHeap::new();
    let region = shared.heap.create_region(&RegionOptions::new().name("pair")).expect("a region");
    let buffer = shared.heap.alloc(region, 64, 64, Init::Zeroed).expect("a buffer");
    let mut second = Second::start("obey", &[&shared.path.to_string_lossy()]);
    assert_eq!(second.hear(), "ready");
    Pair { shared, region, buffer, second }
}

#[test]
fn processes_exclude_each_other_and_see_the_holder() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("unique {}", p.buffer)), "ok 1");
    let refused = p.heap().borrow(p.buffer, BorrowKind::Shared).expect_err("the other process has it");
    assert_eq!(refused.code(), ErrorCode::BorrowConflict);
    let holders = refused.holders();
    assert_eq!(holders.len(), 1);
    assert_eq!((holders[0].process, holders[0].kind), (p.second.id(), BorrowKind::Unique));
    assert_eq!((holders[0].label.as_str(), holders[0].alive), ("second", true));
    assert!(refused.to_string().contains(&p.second.id().to_string()), "{refused}");
    assert_eq!(p.second.ask("write 1 across"), "ok");
    assert_eq!(p.second.ask("end 1"), "ok");
    let lease = p.heap().borrow(p.buffer, BorrowKind::Shared).expect("nobody has it");
    assert_eq!(&lease.as_slice()[..6], b"across");
    assert_eq!(p.second.ask(&format!("unique {}", p.buffer)), "BorrowConflict");
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "ok 2");
    assert_eq!(p.second.ask("read 2 6"), "ok across");
    assert_eq!(p.second.ask(&format!("close {}", p.region)), "Borrowed");
    drop(lease);
    assert_eq!(code(p.heap().close(p.region)), ErrorCode::Borrowed);
    assert_eq!(p.second.ask("end 2"), "ok");
    p.heap().close(p.region).expect("nobody holds anything");
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "StaleHandle");
    p.heap().check().expect("a sound heap");
    p.second.finish();
}

#[test]
fn unique_borrows_of_two_processes_lose_no_write() {
    const TURNS: u64 = 20_000;
    let shared = SharedHeap::new();
    let region = shared.heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = shared.heap.alloc(region, 8, 64, Init::Zeroed).expect("a buffer");
    shared.heap.publish("count", buffer).expect("a free name");
    let mut second = Second::start("count", &[&shared.path.to_string_lossy(), &TURNS.to_string()]);
    assert_eq!(second.hear(), "ready");
    crate::roles::count_up(&shared.heap, buffer, TURNS);
    assert_eq!(second.hear(), "done");
    let lease = shared.heap.borrow(buffer, BorrowKind::Shared).expect("free");
    assert_eq!(lease.as_slice(), (2 * TURNS).to_le_bytes());
    drop(lease);
    let counters = shared.heap.snapshot().expect("a snapshot").counters;
    assert_eq!((counters.borrows_begun, counters.borrows_ended), (2 * TURNS + 1, 2 * TURNS + 1));
    second.finish();
    shared.heap.close(region).expect("nothing is borrowed");
}

#[test]
fn handles_made_in_one_process_are_used_in_the_other() {
    let mut p = pair();
    let made = p.second.ask(&format!("alloc {} 100", p.region));
    let handle: Handle = made.strip_prefix("ok ").expect("a handle").parse().expect("a handle");
    let mut lease = p.heap().borrow(handle, BorrowKind::Unique).expect("a live buffer");
    assert_eq!(lease.len(), 100);
    lease.as_mut_slice().expect("unique")[..4].copy_from_slice(b"here");
    drop(lease);
    assert_eq!(p.second.ask(&format!("shared {handle}")), "ok 1");
    assert_eq!(p.second.ask("read 1 4"), "ok here");
    assert_eq!(code(p.heap().free(handle)), ErrorCode::Borrowed);
    assert_eq!(p.second.ask("end 1"), "ok");
    p.heap().free(handle).expect("free");
    assert_eq!(p.second.ask(&format!("free {handle}")), "StaleHandle");
    p.second.finish();
}

#[test]
fn lookup_waits_for_another_process_to_publish() {
    let mut p = pair();
    p.second.tell("lookup_wait late 20000");
    std::thread::sleep(Duration::from_millis(150));
    p.heap().publish("late", p.buffer).expect("a free name");
    assert_eq!(p.second.hear(), format!("ok {}", p.buffer));
    assert_eq!(p.second.ask("lookup_wait never 100"), "Timeout");
    assert_eq!(p.second.ask("lookup never"), "NotFound");
    // The other way round, and for ever.
    let heap = p.heap().clone();
    let waiting = std::thread::spawn(move || heap.lookup_wait("back", None));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(p.second.ask(&format!("publish back {}", p.region)), "ok");
    assert_eq!(waiting.join().expect("no panic").expect("found"), p.region);
    p.second.finish();
}

#[test]
fn wait_idle_waits_for_another_process_to_end() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "ok 1");
    assert_eq!(code(p.heap().wait_idle(p.region, Some(Duration::from_millis(100)))), ErrorCode::Timeout);
    let (heap, region) = (p.heap().clone(), p.region);
    let waiting = std::thread::spawn(move || heap.wait_idle(region, Some(Duration::from_secs(20))));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!waiting.is_finished());
    assert_eq!(p.second.ask("end 1"), "ok");
    waiting.join().expect("no panic").expect("idle");
    let lease = p.heap().borrow(p.buffer, BorrowKind::Unique).expect("idle");
    p.second.tell(&format!("wait_idle {} 20000", p.region));
    std::thread::sleep(Duration::from_millis(100));
    drop(lease);
    assert_eq!(p.second.hear(), "ok");
    p.second.finish();
}

#[test]
fn waiting_sleeps() {
    let p = pair();
    let used = crate::system::thread_time;
    let _lease = p.heap().borrow(p.buffer, BorrowKind::Shared).expect("a borrow");
    let (before, start) = (used(), Instant::now());
    assert_eq!(code(p.heap().wait_idle(p.region, Some(Duration::from_secs(1)))), ErrorCode::Timeout);
    assert_eq!(code(p.heap().lookup_wait("absent", Some(Duration::from_secs(1)))), ErrorCode::Timeout);
    let (cpu, wall) = (used() - before, start.elapsed());
    assert!(wall >= Duration::from_millis(1990), "{wall:?}");
    assert!(cpu < Duration::from_millis(400), "{cpu:?} of processor time for {wall:?} of waiting");
}

#[test]
fn last_borrow_of_another_process_frees_a_draining_region() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "ok 1");
    p.heap().close_when_idle(p.region).expect("asked once");
    assert_eq!(code(p.heap().borrow(p.buffer, BorrowKind::Shared)), ErrorCode::StaleHandle);
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "StaleHandle");
    assert_eq!(p.second.ask(&format!("alloc {} 8", p.region)), "StaleHandle");
    assert_eq!(p.heap().snapshot().expect("a snapshot").regions.len(), 1);
    assert_eq!(p.second.ask("read 1 1"), "ok \0");
    assert_eq!(p.second.ask("end 1"), "ok");
    assert_eq!(p.heap().snapshot().expect("a snapshot").regions, []);
    p.heap().check().expect("a sound heap");
    p.second.finish();
}

#[test]
fn statistics_name_both_processes() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "ok 1");
    let _own = p.heap().borrow(p.buffer, BorrowKind::Shared).expect("shared");
    let snapshot = p.heap().snapshot().expect("a snapshot");
    let mut processes: Vec<u32> = snapshot.attachments.iter().map(|attachment| attachment.process).collect();
    processes.sort();
    let mut wanted = [std::process::id(), p.second.id()];
    wanted.sort();
    assert_eq!(processes, wanted);
    assert!(snapshot.attachments.iter().all(|attachment| attachment.borrows == 1 && attachment.alive));
    assert_eq!(snapshot.borrows.len(), 2);
    p.second.finish();
}

#[test]
fn shared_borrow_of_a_killed_process_is_ended() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "ok 1");
    assert_eq!(code(p.heap().borrow(p.buffer, BorrowKind::Unique)), ErrorCode::BorrowConflict);
    p.second.kill();
    // Whoever meets what the dead one held recovers it: the first conflict may still name it.
    wait_for("the borrow of the dead one ends", || p.shared.heap.borrow(p.buffer, BorrowKind::Unique).is_ok());
    p.shared.heap.check().expect("a sound heap");
    p.shared.heap.close(p.region).expect("nobody holds anything");
    let snapshot = p.shared.heap.snapshot().expect("a snapshot");
    assert_eq!(snapshot.borrows, []);
    assert_eq!(snapshot.attachments.iter().filter(|attachment| attachment.alive).count(), 1);
}

#[test]
fn unique_borrow_of_a_killed_process_is_poisoned() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("unique {}", p.buffer)), "ok 1");
    assert_eq!(p.second.ask("write 1 half"), "ok");
    p.second.kill();
    let heap = &p.shared.heap;
    wait_for("the bytes are poisoned", || code(heap.borrow(p.buffer, BorrowKind::Shared)) == ErrorCode::Poisoned);
    assert_eq!(code(heap.borrow(p.buffer, BorrowKind::Unique)), ErrorCode::Poisoned);
    assert!(heap.buffer_info(p.buffer).expect("live").poisoned);
    heap.check().expect("a sound heap");
    heap.clear_poison(p.buffer).expect("poisoned");
    assert_eq!(&heap.borrow(p.buffer, BorrowKind::Shared).expect("usable again").as_slice()[..4], b"half");
    heap.borrow(p.buffer, BorrowKind::Unique).expect("usable again").end();
}

#[test]
fn poisoned_buffer_is_freed_and_its_region_closed() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("unique {}", p.buffer)), "ok 1");
    let other = p.shared.heap.alloc(p.region, 8, 64, Init::Zeroed).expect("a buffer");
    assert_eq!(p.second.ask(&format!("unique {other}")), "ok 2");
    p.second.kill();
    let heap = &p.shared.heap;
    wait_for("the bytes are poisoned", || code(heap.borrow(p.buffer, BorrowKind::Shared)) == ErrorCode::Poisoned);
    heap.free(p.buffer).expect("a poisoned buffer may be freed");
    assert_eq!(code(heap.clear_poison(p.buffer)), ErrorCode::StaleHandle);
    heap.close(p.region).expect("a region with a poisoned buffer may be closed");
    heap.check().expect("a sound heap");
}

#[test]
fn region_that_waits_for_a_killed_process_is_freed() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "ok 1");
    p.shared.heap.close_when_idle(p.region).expect("asked once");
    p.second.kill();
    let heap = &p.shared.heap;
    wait_for("the region is freed", || {
        // `check` and `attach` recover what dead processes held.
        heap.check().expect("a sound heap");
        heap.snapshot().expect("a snapshot").regions.is_empty()
    });
}

#[test]
fn processes_killed_anywhere_leave_a_usable_heap() {
    let shared = SharedHeap::new();
    let heap = &shared.heap;
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    heap.publish("region", region).expect("a free name");
    let buffers = ["b0", "b1", "b2"].map(|name| {
        let buffer = heap.alloc(region, 64, 64, Init::Zeroed).expect("a buffer");
        heap.publish(name, buffer).expect("a free name");
        buffer
    });
    // One process lives through it all, others die beside it.
    let mut survivor = Second::start("churn", &[&shared.path.to_string_lossy()]);
    assert_eq!(survivor.hear(), "ready");
    let usable = |buffer: Handle| {
        wait_for("the buffer is usable again", || match heap.borrow(buffer, BorrowKind::Unique) {
            Ok(_) => true,
            Err(error) if error.code() == ErrorCode::Poisoned => {
                heap.clear_poison(buffer).expect("poisoned");
                false
            }
            Err(_) => false,
        });
    };
    for round in 0..40_u64 {
        let mut second = Second::start("churn", &[&shared.path.to_string_lossy()]);
        assert_eq!(second.hear(), "ready");
        std::thread::sleep(Duration::from_micros(500 + round * 173));
        second.kill();
        buffers.into_iter().for_each(usable);
        heap.check().expect("a sound heap");
    }
    survivor.kill();
    buffers.into_iter().for_each(usable);
    heap.check().expect("a sound heap");
    assert_eq!(heap.snapshot().expect("a snapshot").borrows, []);
    heap.close(region).expect("nothing is left borrowed");
}

#[test]
fn killed_creator_leaves_a_whole_heap_or_nothing() {
    let folder = TempDir::new();
    for round in 0..12 {
        let mut second = Second::start("create", &[&folder.path().to_string_lossy()]);
        assert_eq!(second.hear(), "ready");
        std::thread::sleep(Duration::from_micros(4000 + round * 170));
        second.kill();
        for entry in std::fs::read_dir(folder.path()).expect("the folder") {
            let path = entry.expect("an entry").path();
            assert!(
                path.file_name().expect("a name").to_string_lossy().starts_with("heap"),
                "{} is left",
                path.display()
            );
            crate::support::open(&path).check().expect("a sound heap");
            Heap::remove_path(&path).expect("it is there");
        }
    }
}

#[test]
fn killed_process_does_not_keep_the_heap_from_the_next() {
    let mut p = pair();
    assert_eq!(p.second.ask(&format!("shared {}", p.buffer)), "ok 1");
    p.second.kill();
    let third = crate::support::open(&p.shared.path);
    wait_for("a new attachment uses what the dead one held", || third.borrow(p.buffer, BorrowKind::Unique).is_ok());
    third.check().expect("a sound heap");
}
