//! Processes of several threads do everything at once on shared buffers, and die at random instants while others live
//! on. Whoever writes checks that it is alone; in the end every count is exact.

use std::path::Path;
use std::time::{Duration, Instant};

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, Lease, RegionOptions};

use crate::actor::open;
use crate::books::{OWN, nothing_is_left};
use crate::is_long;
use crate::second::{Second, say};
use crate::stage::{Folder, at_once};

/// Shared buffers, and the words in each.
const BUFFERS: usize = 4;
const WORDS: usize = 8;

/// A small generator (xorshift): which operations come is random, and the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n
    }
}

fn words(lease: &Lease) -> Vec<u64> {
    lease.as_slice().chunks(8).map(|word| u64::from_ne_bytes(word.try_into().expect("8 bytes"))).collect()
}

fn put(lease: &mut Lease, at: usize, value: u64) {
    let bytes = &mut lease.as_mut_slice().expect("unique")[at * 8..at * 8 + 8];
    bytes.copy_from_slice(&value.to_ne_bytes());
}

/// Writes all words of a buffer. The first is odd meanwhile: who dies then leaves it so, and the next writer mends it.
fn write(lease: &mut Lease, value: u64) {
    let before = words(lease)[0] & !1;
    put(lease, 0, before + 1);
    (1..WORDS).for_each(|at| put(lease, at, value));
    let found = words(lease);
    assert!(found[0] == before + 1 && found[1..].iter().all(|word| *word == value), "another wrote: {found:?}");
    put(lease, 0, before + 2);
}

/// Reads all words of a buffer twice: nobody writes meanwhile, and what is there was written whole.
fn read(lease: &Lease) {
    let found = words(lease);
    assert_eq!(words(lease), found, "another wrote under a shared borrow");
    assert!(found[0] & 1 == 1 || found[1..].iter().all(|word| *word == found[1]), "half written: {found:?}");
}

/// What one thread does, for ever: `turn` is called after each operation, until it says no.
fn churn(heap: &Heap, seed: u64, mut turn: impl FnMut() -> bool) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let shared = heap.lookup("shared").expect("published");
    let buffers: Vec<Handle> = (0..BUFFERS).map(|i| heap.lookup(&format!("b{i}")).expect("published")).collect();
    let (mut common, mut own): (Vec<Handle>, Vec<Handle>) = Default::default();
    let mut leases: Vec<Lease> = Vec::new();
    let mut region = Handle::NULL;
    while turn() {
        let r = random.next();
        match r % 16 {
            0 if region.is_null() => {
                region = heap.create_region(&RegionOptions::new().name("one's own")).expect("a region");
            }
            0 => {
                leases.retain(|lease| !own.contains(&lease.handle()));
                own.clear();
                heap.close(region).expect("nobody else knows it");
                region = Handle::NULL;
            }
            1..=3 if !region.is_null() && own.len() < 100 => {
                let length = if random.below(64) == 0 { 2 << 20 } else { random.below(8192) as u64 };
                let init = if r & 64 == 0 { Init::Zeroed } else { Init::Uninit };
                own.push(heap.alloc(region, length, 64, init).expect("a buffer"));
            }
            4 if !own.is_empty() => {
                let buffer = own.swap_remove(random.below(own.len()));
                leases.retain(|lease| lease.handle() != buffer);
                heap.free(buffer).expect("nobody else knows it");
            }
            5..=9 => {
                let buffer = buffers[random.below(BUFFERS)];
                let kind = if random.below(3) == 0 { BorrowKind::Unique } else { BorrowKind::Shared };
                match heap.borrow(buffer, kind) {
                    Ok(mut lease) => {
                        if kind == BorrowKind::Unique {
                            write(&mut lease, r);
                        } else {
                            read(&lease);
                        }
                        leases.push(lease);
                    }
                    Err(error) => match error.code() {
                        ErrorCode::BorrowConflict => {}
                        ErrorCode::Poisoned => heap.clear_poison(buffer).expect("poisoned, or cleared by another"),
                        _ => panic!("{error}"),
                    },
                }
                while leases.len() > 5 {
                    leases.swap_remove(random.below(leases.len()));
                }
            }
            10 | 11 if !leases.is_empty() => drop(leases.swap_remove(random.below(leases.len()))),
            12 if common.len() < 40 => {
                common.push(heap.alloc(shared, random.below(1024) as u64, 64, Init::Uninit).expect("a buffer"));
            }
            12 | 13 => {
                if let Some(buffer) = common.pop() {
                    heap.free(buffer).expect("nobody else knows it");
                }
            }
            14 if random.below(16) == 0 => {
                let drained = heap.create_region(&RegionOptions::new()).expect("a region");
                let buffer = heap.alloc(drained, 100, 64, Init::Uninit).expect("a buffer");
                let lease = heap.borrow(buffer, BorrowKind::Shared).expect("new");
                heap.close_when_idle(drained).expect("open");
                lease.end();
                let gone = heap.borrow(buffer, BorrowKind::Shared).expect_err("closed");
                assert_eq!(gone.code(), ErrorCode::StaleHandle);
            }
            15 if !region.is_null() && random.below(16) == 0 => {
                leases.retain(|lease| !own.contains(&lease.handle()));
                own.clear();
                heap.reset(region).expect("nobody else knows it");
            }
            _ => {}
        }
    }
    leases.clear();
    common.drain(..).for_each(|buffer| heap.free(buffer).expect("nobody else knows it"));
    if !region.is_null() {
        heap.close(region).expect("nobody else knows it");
    }
}

/// The role of a process that does all this in two threads until it is killed. One that finds something wrong ends.
pub fn work(arguments: &[&str]) {
    let heap = open(Path::new(arguments[0]), "worker");
    let seed: u64 = arguments[1].parse().expect("a number");
    std::panic::set_hook(Box::new(|panic| {
        say(&format!("wrong {panic}").replace('\n', " "));
        std::process::exit(3);
    }));
    say("ready");
    std::thread::scope(|scope| {
        scope.spawn(|| churn(&heap, seed, || true));
        churn(&heap, seed + 1_000_000, || true);
    });
}

#[test]
fn deaths_at_random_instants() {
    let deaths = if is_long() { 5_000 } else { 200 };
    let folder = Folder::new();
    let path = folder.path().join("heap");
    // SAFETY: as in `open`.
    let heap = unsafe { Heap::options().limit(256 << 20).create_path(&path) }.expect("a heap");
    let shared = heap.create_region(&RegionOptions::new().name("shared")).expect("a region");
    heap.publish("shared", shared).expect("a free name");
    for i in 0..BUFFERS {
        let buffer = heap.alloc(shared, 8 * WORDS as u64, 64, Init::Zeroed).expect("a buffer");
        heap.publish(&format!("b{i}"), buffer).expect("a free name");
    }
    heap.create_region(&RegionOptions::new().name(OWN)).expect("a region");
    let mut seed = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_nanos() as u64 | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut start = || {
        seed = seed.wrapping_add(2);
        let mut worker = Second::start("work", &[&path.to_string_lossy(), &(seed & 0xffff_ffff).to_string()]);
        assert_eq!(worker.hear().as_deref(), Some("ready"));
        worker
    };
    let mut workers: Vec<Second> = (0..3).map(|_| start()).collect();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // One that lives through it all, in this process.
        let survivor = scope.spawn(|| {
            let survivor = open(&path, "survivor");
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            churn(&survivor, 7, || {
                longest = longest.max(last.elapsed());
                last = Instant::now();
                !over.load(std::sync::atomic::Ordering::Relaxed)
            });
            longest
        });
        for _ in 0..deaths {
            std::thread::sleep(Duration::from_micros(random.next() % 6_000));
            let worker = workers.swap_remove(random.below(workers.len()));
            assert!(!survivor.is_finished(), "the survivor found something wrong");
            worker.kill();
            at_once("a check after a death", || heap.check()).expect("a sound heap");
            workers.push(start());
        }
        workers.drain(..).for_each(Second::kill);
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        let longest = survivor.join().expect("no panic");
        println!("{deaths} deaths, the longest operation of a survivor took {longest:?}");
        assert!(longest < crate::stage::AT_ONCE);
    });
    let report = heap.check().expect("a sound heap");
    assert_eq!((report.borrows, report.attachments), (0, 1), "{report:?}");
    for i in 0..BUFFERS {
        let buffer = heap.lookup(&format!("b{i}")).expect("published");
        heap.clear_poison(buffer).expect("live");
        let info = heap.buffer_info(buffer).expect("live");
        assert_eq!((info.shared, info.unique), (0, false), "{info:?}");
        heap.borrow(buffer, BorrowKind::Unique).expect("nobody holds it").end();
    }
    assert_eq!(heap.check().expect("a sound heap").lost, 0, "slots are lost");
    let snapshot = heap.snapshot().expect("a snapshot");
    snapshot.names.iter().for_each(|name| heap.unpublish(&name.name).expect("published"));
    snapshot.regions.iter().for_each(|region| heap.close(region.handle).expect("nobody holds anything"));
    let counters = heap.snapshot().expect("a snapshot").counters;
    println!("{counters:?}");
    // Each death may come between a borrow and its count, in each of the two threads of a process.
    let uncounted = counters.borrows_begun.abs_diff(counters.borrows_ended);
    assert!(uncounted <= 2 * deaths, "{uncounted} borrows more begun than ended, or less");
    assert_eq!(folder.files(), ["heap"], "what lies in the heap's folder");
    drop(heap);
    nothing_is_left(&path);
}
