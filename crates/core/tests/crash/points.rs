//! A process dies at each kill point of each scenario: alone, beside a thread that stands still in the middle of
//! something, and while it recovers another. And it stands still there without dying, which delays others by no more
//! than a bound.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use weaveheap_core::{BorrowKind, ErrorCode, RegionOptions};

use crate::is_long;
use crate::scenarios::{self, Scenario};
use crate::second::Second;
use crate::stage::{Fate, Stage};

/// How long a process that stands still may delay one call: it waits some 5 s for a lock.
const BOUND: Duration = Duration::from_secs(25);

/// What was wrong, and where.
fn attempt<T>(place: &str, work: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        format!("{place}: {}", text.unwrap_or("a panic"))
    })
}

/// Does something with each item, on so many threads, each with a process that opens heaps freshly. What it returns is
/// said; all that is wrong is told in the end.
fn each<T: Send>(items: Vec<T>, threads: usize, work: impl Fn(&T, &mut Second) -> Result<String, String> + Sync) {
    let queue = Mutex::new(items);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut verifier = Second::start("verify", &[]);
                loop {
                    let next = queue.lock().expect("no panic").pop();
                    let Some(item) = next else { return };
                    let start = Instant::now();
                    match work(&item, &mut verifier) {
                        Ok(said) => println!("{said}, {:.1} s", start.elapsed().as_secs_f64()),
                        Err(error) => {
                            wrong.lock().expect("no panic").push(error);
                            verifier = Second::start("verify", &[]);
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} are left wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// As many as there are processors: each of them runs processes of its own.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// These scenarios, or the one that `WEAVEHEAP_SCENARIO` names.
fn chosen(scenarios: Vec<Scenario>) -> Vec<Scenario> {
    let only = std::env::var("WEAVEHEAP_SCENARIO").ok();
    scenarios.into_iter().filter(|scenario| only.as_ref().is_none_or(|only| scenario.name == only)).collect()
}

/// One death at the `n`th point, with a thread that stands still at the `m`th of the operation beside, if that is not 0.
fn one(scenario: &Scenario, verifier: &mut Second, n: u64, m: u64) -> Result<Fate, String> {
    attempt(&format!("{} at point {n}, beside at point {m}", scenario.name), || {
        let stage = Stage::new(scenario);
        let fate = stage.let_die(scenario, n, m);
        let allowed = fate.allowed(scenario, &stage.model);
        stage.settle(verifier, &allowed, n);
        fate
    })
}

/// Deaths at one point after another until `die` says that none is left, and how many there were; or what was found at the first few that
/// left something wrong.
fn die_everywhere(
    first: u64,
    step: impl Fn(u64) -> u64,
    mut die: impl FnMut(u64) -> Result<bool, String>,
) -> Result<u64, String> {
    let (mut n, mut deaths, mut wrong) = (first, 0, Vec::new());
    while wrong.len() < 4 {
        match die(n) {
            Ok(true) if wrong.is_empty() => return Ok(deaths),
            Ok(true) => break,
            Ok(false) => deaths += 1,
            Err(error) => wrong.push(error),
        }
        n += step(n);
    }
    Err(wrong.join("\n"))
}

#[test]
fn death_at_each_kill_point() {
    // The short run thins out the points of the longest scenarios.
    let step = |n| if n < 120 || is_long() { 1 } else { 4 };
    each(chosen(scenarios::alone()), threads(), |scenario, verifier| {
        let deaths = die_everywhere(1, step, |n| Ok(one(scenario, verifier, n, 0)?.unharmed))?;
        Ok(format!("{}: {deaths} deaths", scenario.name))
    });
}

#[test]
fn death_while_a_table_grows_into_used_memory() {
    // A granule is zeroed word by word: thousands of points that are alike.
    let step = |n| if is_long() { 1 + n % 7 } else { 97 };
    each(chosen(scenarios::zeroing()), threads(), |scenario, verifier| {
        let deaths = die_everywhere(1, step, |n| Ok(one(scenario, verifier, n, 0)?.unharmed))?;
        Ok(format!("{}: {deaths} deaths", scenario.name))
    });
}

#[test]
fn death_beside_a_thread_in_the_middle_of_something() {
    let step = |n| match is_long() {
        true => 1,
        false if n < 12 => 3,
        false => 17,
    };
    each(chosen(scenarios::beside()), threads(), |scenario, verifier| {
        let mut all = 0;
        for m in 1.. {
            let mut over = false;
            all += die_everywhere(1 + if is_long() { 0 } else { m % 3 }, step, |n| {
                let fate = one(scenario, verifier, n, m)?;
                over |= fate.beside_done;
                Ok(fate.unharmed)
            })?;
            if over {
                break;
            }
        }
        Ok(format!("{}: {all} deaths", scenario.name))
    });
}

#[test]
fn death_of_one_that_recovers_another() {
    const OF: [&str; 8] = [
        "shared_borrows",
        "unique_borrows",
        "threads_end_with_live_borrows",
        "freed_slots_change_threads",
        "close",
        "close_when_idle",
        "large_buffers",
        "attach_and_detach",
    ];
    let (of_first, of_second) = if is_long() { (5, 4) } else { (41, 19) };
    let scenarios = scenarios::alone().into_iter().filter(|scenario| OF.contains(&scenario.name)).collect();
    each(chosen(scenarios), threads(), |scenario, verifier| {
        let mut all = 0;
        let first = 1 + scenario.armed.len() as u64;
        for n in (first..).step_by(of_first) {
            let mut unharmed = false;
            all += die_everywhere(
                1 + n % of_second,
                |_| of_second,
                |k| {
                    attempt(&format!("{} at point {n}, and at point {k} of its recovery", scenario.name), || {
                        let stage = Stage::new(scenario);
                        let fate = stage.let_die(scenario, n, 0);
                        unharmed |= fate.unharmed;
                        let allowed = fate.allowed(scenario, &stage.model);
                        let path = stage.path.to_string_lossy().into_owned();
                        let (said, status) = Second::start("recover", &[&path, &k.to_string()]).into_its_end();
                        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}, after {said:?}");
                        stage.settle(verifier, &allowed, k);
                        !said.is_empty()
                    })
                },
            )?;
            if unharmed {
                break;
            }
        }
        Ok(format!("{}: {all} deaths", scenario.name))
    });
}

#[test]
fn one_that_stands_still_delays_others_by_no_more_than_a_bound() {
    const OF: [&str; 6] = [
        "shared_borrows",
        "unique_borrows",
        "life_of_a_region",
        "freed_slots_change_threads",
        "names",
        "large_buffers",
    ];
    // Much of it is waiting.
    let (step, threads) = if is_long() { (5, 32) } else { (97, 12) };
    let scenarios = scenarios::alone().into_iter().filter(|scenario| OF.contains(&scenario.name));
    let last = |scenario: &Scenario| 60 * scenario.armed.len() as u64;
    let places = chosen(scenarios.collect()).into_iter().enumerate().flat_map(|(index, scenario)| {
        let places = (1 + index as u64..last(&scenario)).step_by(step);
        places.map(move |n| (scenario.clone(), n)).collect::<Vec<_>>()
    });
    each(places.collect(), threads, |(scenario, n), verifier| {
        attempt(&format!("{} standing still at point {n}", scenario.name), || {
            let stage = Stage::new(scenario);
            let path = stage.path.to_string_lossy().into_owned();
            let mut second = Second::start("act", &[scenario.name, &path, &n.to_string(), "0", "stand still"]);
            let mut stood = String::from("not reached");
            let mut said = Vec::new();
            while let Some(line) = second.hear() {
                if line == "standing 0" {
                    stood = work_beside(&stage, second.id());
                    second.tell("go on");
                } else {
                    said.push(line);
                }
            }
            let (_, status) = second.into_its_end();
            let fate = Fate::told(&said, status);
            assert!(fate.unharmed, "{said:?}");
            let allowed = fate.allowed(scenario, &stage.model);
            stage.settle(verifier, &allowed, *n);
            format!("{} standing still at point {n}: {stood}", scenario.name)
        })
    });
}

/// A step of the core that is left out leaves something wrong that is found.
#[test]
fn planted_faults_are_found() {
    let faults = [
        ("Journal", "life_of_a_region"),
        ("Poison", "unique_borrows"),
        ("Settle", "free_of_each_class"),
        ("Resume", "close"),
    ];
    each(faults.to_vec(), threads(), |(fault, scenario), _| {
        let mut again = Command::new(std::env::current_exe().expect("this binary"));
        again.args(["--exact", "points::death_at_each_kill_point"]).env("RUST_BACKTRACE", "0");
        let done = again.env("WEAVEHEAP_FAULT", fault).env("WEAVEHEAP_SCENARIO", scenario).output().expect("it runs");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let found = said.lines().find(|line| line.starts_with(&format!("{scenario} at point ")));
        match found {
            Some(found) if done.status.code() == Some(101) => Ok(format!("{fault}: {found:.160}")),
            _ => Err(format!("{fault} was not found by {scenario}: {}\n{said}", done.status)),
        }
    });
}

/// What others do while a process stands still: each call is done, or refused within a bound, and tells who it is.
fn work_beside(stage: &Stage, process: u32) -> String {
    let heap = stage.heap();
    let named = format!("process {process}");
    let mut refused = 0;
    let mut bounded = |what: &str, call: &mut dyn FnMut() -> weaveheap_core::Result<()>| {
        let start = Instant::now();
        let result = call();
        assert!(start.elapsed() < BOUND, "{what} took {:?}", start.elapsed());
        match result {
            Ok(()) => {}
            Err(error) if matches!(error.code(), ErrorCode::StaleHandle | ErrorCode::Denied) => {}
            Err(error) if matches!(error.code(), ErrorCode::Borrowed | ErrorCode::BorrowConflict) => {
                assert!(error.to_string().contains(&named), "{what}: {error}");
                refused += 1;
            }
            Err(error) => panic!("{what}: {error}"),
        }
    };
    for region in heap.snapshot().expect("a snapshot").regions {
        for buffer in heap.buffers(region.handle, usize::MAX).unwrap_or_default() {
            for kind in [BorrowKind::Shared, BorrowKind::Unique] {
                bounded("a borrow", &mut || heap.borrow(buffer.handle, kind).map(drop));
            }
        }
    }
    bounded("a region", &mut || heap.close(heap.create_region(&RegionOptions::new())?));
    format!("{refused} calls refused")
}
