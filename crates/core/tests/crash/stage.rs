//! One heap on which a process dies, and those that live on. After each death: the others go on at once, a fresh process
//! opens the heap, two who recover at once agree, what is left is what the model allows, and nothing is lost.

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Heap, Init, RegionOptions};

use crate::actor::Actor;
use crate::books::{OWN, nothing_is_left, observe};
use crate::model::{Model, State};
use crate::scenarios::Scenario;
use crate::second::Second;

/// Bytes of the heaps of these tests.
pub const LIMIT: u64 = 32 << 20;
/// "At once", on a machine that does other things as well. What waits for the dead waits for ever, or for some 5 s.
pub const AT_ONCE: Duration = Duration::from_secs(4);

/// A folder in memory that is removed with all that is in it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("weaveheap-crash-{}-{next}", std::process::id()));
        std::fs::create_dir(&path).expect("a folder of our own");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Names of the files in it.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// Does something that the dead must not delay.
pub fn at_once<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    let took = start.elapsed();
    assert!(took < AT_ONCE, "{what} took {took:?}");
    done
}

/// How a process that may die fared.
#[derive(Default)]
pub struct Fate {
    /// The operation under way, if one was.
    during: Option<usize>,
    /// The operations before it: done, or refused because of what stands still beside them.
    before: Vec<(usize, bool)>,
    pub unharmed: bool,
    /// The operation beside has no such point.
    pub beside_done: bool,
}

impl Fate {
    fn of(second: Second) -> Fate {
        let (said, status) = second.into_its_end();
        Fate::told(&said, status)
    }

    pub fn told(said: &[String], status: ExitStatus) -> Fate {
        let mut fate = Fate::default();
        for line in said {
            let (what, rest) = line.split_once(' ').expect("two words");
            let number = rest.parse().expect("a number");
            match what {
                "begun" => fate.during = Some(number),
                "done" | "refused" => {
                    fate.during = None;
                    fate.before.push((number, what == "done"));
                }
                "unharmed" => fate.unharmed = true,
                "beside" => fate.beside_done = true,
                "waiting" => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}, after {said:?}");
        fate
    }

    /// The states that the heap may be in.
    pub fn allowed(&self, scenario: &Scenario, model: &Model) -> Vec<State> {
        let mut models = vec![model.clone()];
        if let Some((first, op)) = &scenario.beside {
            // What stands still may have taken effect, at any time.
            first.iter().for_each(|op| models[0].apply(op));
            let mut also = models[0].clone();
            also.apply(op);
            models.push(also);
        }
        let mut allowed = Vec::new();
        for mut model in models {
            for (index, done) in &self.before {
                if *done {
                    model.apply(&scenario.armed[*index]);
                }
            }
            match self.during {
                Some(index) => allowed.extend(model.allowed(&scenario.armed[index])),
                None => allowed.push(model.after_death()),
            }
        }
        allowed
    }
}

/// One heap, with those that live on.
pub struct Stage {
    folder: Folder,
    pub path: PathBuf,
    survivor: Actor,
    own: Handle,
    pub model: Model,
}

impl Stage {
    pub fn new(scenario: &Scenario) -> Stage {
        let folder = Folder::new();
        let path = folder.path().join("heap");
        // SAFETY: as in `open`.
        let heap = unsafe { Heap::options().limit(LIMIT).label("survivor").create_path(&path) }.expect("a heap");
        let own = heap.create_region(&RegionOptions::new().name(OWN)).expect("a region");
        let mut survivor = Actor::new(scenario.name, &path, Some(heap));
        let mut model = Model::default();
        for op in &scenario.setup {
            survivor.must(op);
            model.apply(op);
        }
        model.survivors = std::mem::take(&mut model.held);
        for op in &scenario.prepare {
            model.apply(op);
        }
        Stage { folder, path, survivor, own, model }
    }

    pub fn heap(&self) -> &Heap {
        self.survivor.heap()
    }

    /// Lets a process die, while a thread of this one borrows, allocates and frees all the time.
    pub fn let_die(&self, scenario: &Scenario, n: u64, m: u64) -> Fate {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (heap, own) = (self.heap(), self.own);
                while !over.load(Ordering::Relaxed) {
                    at_once("a borrow beside a dying process", || use_region(heap, own));
                    std::thread::yield_now();
                }
            });
            // Whatever happens, the thread above ends.
            let _over = OnDrop(|| over.store(true, Ordering::Relaxed));
            let path = self.path.to_string_lossy();
            let mut second = Second::start("act", &[scenario.name, &path, &n.to_string(), &m.to_string()]);
            let Some(region) = scenario.waited_for else { return Fate::of(second) };
            assert_eq!(second.hear().as_deref(), Some("waiting 0"));
            let regions = self.heap().snapshot().expect("a snapshot").regions;
            let region = regions.iter().find(|info| info.name == region).expect("the region").handle;
            let waiter = scope.spawn(move || self.heap().wait_idle(region, Some(AT_ONCE * 4)));
            // It marks the region first, then sleeps.
            std::thread::sleep(Duration::from_millis(10));
            second.tell("go");
            let fate = Fate::of(second);
            let waited = at_once("a wait for what a dead process held", || waiter.join().expect("no panic"));
            // The region may have been closed.
            assert!(waited.is_ok() || waited.is_err_and(|error| error.code() == ErrorCode::StaleHandle));
            fate
        })
    }

    /// Those that live on meet what the dead one held: each buffer can be borrowed at once, unless they hold it.
    fn meet(&self) {
        let heap = self.heap();
        let regions = heap.snapshot().expect("a snapshot").regions;
        for region in regions {
            let Ok(buffers) = heap.buffers(region.handle, usize::MAX) else { continue };
            for buffer in buffers {
                let ours = self.model.survivors.iter().any(|(_, length)| *length == buffer.length);
                let met =
                    at_once("a borrow of what a dead process held", || heap.borrow(buffer.handle, BorrowKind::Unique));
                match met.map(|lease| lease.end()).map_err(|error| error.code()) {
                    Ok(()) | Err(ErrorCode::Poisoned | ErrorCode::StaleHandle | ErrorCode::Denied) => {}
                    Err(ErrorCode::BorrowConflict) if ours => {}
                    Err(other) => panic!("a buffer of {} bytes that the dead one held: {other:?}", buffer.length),
                }
            }
        }
        at_once("work of all kinds after a death", || {
            let region = heap.create_region(&RegionOptions::new()).expect("a region");
            use_region(heap, region);
            heap.publish("after", region).expect("a free name");
            heap.unpublish("after").expect("published");
            heap.close(region).expect("nothing is borrowed");
        });
    }

    /// After a death: everything that the module's head says.
    pub fn settle(mut self, verifier: &mut Second, allowed: &[State], n: u64) {
        if n.is_multiple_of(3) {
            self.meet();
        }
        let start = Barrier::new(2);
        let seen = std::thread::scope(|scope| {
            let fresh = scope.spawn(|| {
                start.wait();
                at_once("a fresh process", || verifier.ask(&self.path.to_string_lossy()))
            });
            start.wait();
            if n % 3 == 1 {
                at_once("a check beside another", || self.heap().check()).expect("a sound heap");
            }
            fresh.join().expect("no panic")
        });
        let found = observe(self.heap());
        assert_eq!(seen, format!("{found:?}"), "two look at one heap");
        assert!(allowed.contains(&found), "found\n  {found:?}\nbut only these are allowed:\n  {allowed:?}");
        let snapshot = self.heap().snapshot().expect("a snapshot");
        assert_eq!(snapshot.attachments.len(), 1, "{:?}", snapshot.attachments);
        assert_eq!(snapshot.borrows.len(), self.model.survivors.len(), "{:?}", snapshot.borrows);
        self.meet();
        assert_eq!(self.heap().check().expect("a sound heap").lost, 0, "slots are lost");
        assert_eq!(self.folder.files(), ["heap"], "what lies in the heap's folder");
        self.close_all(n);
        let Stage { folder, path, survivor, .. } = self;
        drop(survivor);
        nothing_is_left(&path);
        drop(folder);
    }

    /// Ends what the survivors hold, and closes every region: each buffer freed first, or all at once.
    fn close_all(&mut self, n: u64) {
        self.survivor.let_go();
        let heap = self.heap();
        let snapshot = heap.snapshot().expect("a snapshot");
        for name in snapshot.names {
            heap.unpublish(&name.name).expect("published");
        }
        for region in snapshot.regions.iter().filter(|region| region.state == weaveheap_core::RegionState::Open) {
            if n.is_multiple_of(2) {
                for buffer in heap.buffers(region.handle, usize::MAX).expect("live") {
                    heap.free(buffer.handle).expect("nobody holds it");
                }
                assert_eq!(heap.check().expect("a sound heap").lost, 0, "slots are lost");
            }
            heap.close(region.handle).expect("nobody holds anything of it");
        }
    }
}

/// What everybody does all the time, without the heap's lock once it has been done before.
pub fn use_region(heap: &Heap, region: Handle) {
    let buffer = heap.alloc(region, 100, 64, Init::Zeroed).expect("a buffer");
    let mut lease = heap.borrow(buffer, BorrowKind::Unique).expect("a borrow");
    lease.as_mut_slice().expect("unique").fill(3);
    lease.end();
    assert_eq!(heap.borrow(buffer, BorrowKind::Shared).expect("a borrow").as_slice()[99], 3);
    heap.free(buffer).expect("nobody holds it");
}
