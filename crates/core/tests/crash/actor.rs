//! Who does the operations of a scenario: the test itself, or a process that may die at a kill point while it does.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use weaveheap_core::{
    BorrowKind, ErrorCode, Handle, Heap, Init, Inspector, Lease, RegionOptions, Result, Token, kill_points,
};

use crate::model::Op;
use crate::scenarios;
use crate::second::{Second, say, told};

/// An attachment, what it knows, and what it holds.
pub struct Actor {
    scenario: String,
    path: PathBuf,
    heap: Option<Heap>,
    regions: BTreeMap<String, Handle>,
    buffers: BTreeMap<u64, Handle>,
    leases: Vec<(u64, Lease)>,
    tokens: Vec<(u64, Token)>,
}

/// Opens the heap of a test, with a label.
pub fn open(path: &Path, label: &str) -> Heap {
    // SAFETY: the tests share the heap with processes of their own, which follow the protocol.
    unsafe { Heap::options().label(label).open_path(path) }.expect("the heap opens")
}

impl Actor {
    pub fn new(scenario: &str, path: &Path, heap: Option<Heap>) -> Actor {
        let (scenario, path) = (scenario.to_owned(), path.to_owned());
        let (regions, buffers) = Default::default();
        let mut actor = Actor { scenario, path, heap, regions, buffers, leases: Vec::new(), tokens: Vec::new() };
        actor.learn();
        actor
    }

    /// Learns what there is, without a write to the heap.
    fn learn(&mut self) {
        let inspector = Inspector::open_path(&self.path).expect("the heap can be inspected");
        for region in inspector.snapshot().expect("a snapshot").regions {
            for buffer in inspector.buffers(region.handle, usize::MAX).expect("a live region") {
                self.buffers.insert(buffer.length, buffer.handle);
            }
            self.regions.insert(region.name, region.handle);
        }
    }

    pub fn heap(&self) -> &Heap {
        self.heap.as_ref().expect("attached")
    }

    /// Ends all that it holds.
    pub fn let_go(&mut self) {
        self.leases.clear();
        for (_, token) in self.tokens.drain(..) {
            self.heap.as_ref().expect("attached").end(token).expect("a live token");
        }
    }

    fn let_another_die(&self) {
        let another = Second::start("do_and_die", &[&self.scenario, &self.path.to_string_lossy()]);
        let (said, status) = another.into_its_end();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{said:?}");
    }

    /// Does what must succeed.
    pub fn must(&mut self, op: &Op) {
        if let Err(error) = self.run(op) {
            panic!("{op:?}: {error}");
        }
    }

    pub fn run(&mut self, op: &Op) -> Result<()> {
        let region = |name: &str| self.regions.get(name).copied().unwrap_or(Handle::NULL);
        let buffer = |length: &u64| self.buffers.get(length).copied().unwrap_or(Handle::NULL);
        match op {
            Op::Attach => self.heap = Some(open(&self.path, "actor")),
            Op::Detach => {
                self.heap().detach()?;
                self.heap = None;
            }
            Op::Region(name) => {
                let made = self.heap().create_region(&RegionOptions::new().name(*name))?;
                self.regions.insert((*name).to_owned(), made);
            }
            Op::Alloc(name, length) => {
                let made = self.heap().alloc(region(name), *length, 64, Init::Zeroed)?;
                self.buffers.insert(*length, made);
            }
            Op::AllocUninit(name, length) => {
                let made = self.heap().alloc(region(name), *length, 64, Init::Uninit)?;
                self.buffers.insert(*length, made);
            }
            Op::Ingest(name, length) => {
                let made = self.heap().alloc_from(region(name), &vec![7; *length as usize], 64)?;
                self.buffers.insert(*length, made);
            }
            Op::Free(length) => self.heap().free(buffer(length))?,
            Op::Begin(kind, length) => {
                let mut lease = self.heap().borrow(buffer(length), *kind)?;
                if let Some(first) = lease.as_mut_slice().and_then(|bytes| bytes.first_mut()) {
                    *first = 1;
                }
                self.leases.push((*length, lease));
            }
            Op::End(length) => {
                let at = self.leases.iter().rposition(|(of, _)| of == length).expect("it is held");
                self.leases.remove(at).1.end();
            }
            Op::BeginRaw(kind, length) => {
                let token = self.heap().borrow_raw(buffer(length), *kind)?.token;
                self.tokens.push((*length, token));
            }
            Op::EndRaw(length) => {
                let at = self.tokens.iter().rposition(|(of, _)| of == length).expect("it is held");
                let (_, token) = self.tokens.remove(at);
                self.heap().end(token)?;
            }
            Op::Freeze(length) => self.heap().freeze(buffer(length))?,
            Op::ClearPoison(length) => self.heap().clear_poison(buffer(length))?,
            Op::Publish(name, length) => self.heap().publish(name, buffer(length))?,
            Op::Unpublish(name) => self.heap().unpublish(name)?,
            Op::Lookup(name) => {
                self.heap().lookup(name)?;
            }
            Op::Close(name) => self.heap().close(region(name))?,
            Op::Reset(name) => self.heap().reset(region(name))?,
            Op::CloseWhenIdle(name) => self.heap().close_when_idle(region(name))?,
            Op::WaitIdle(name) => self.heap().wait_idle(region(name), Some(Duration::from_millis(20)))?,
            Op::Trim => {
                self.heap().trim()?;
            }
            Op::Check => {
                self.heap().check()?;
            }
            Op::AnotherDies(_) => self.let_another_die(),
            Op::OnThread(ops) => {
                std::thread::scope(|scope| {
                    let work = scope.spawn(|| ops.iter().for_each(|op| self.must(op)));
                    work.join().expect("no panic");
                });
            }
            Op::Refused(code, op) => match self.run(op) {
                Err(error) if error.code() == *code => {}
                Err(error) => return Err(error),
                Ok(()) => panic!("{op:?} must be refused as {code:?}, and succeeded"),
            },
        }
        Ok(())
    }
}

/// The role of a process that may die: the scenario's name, the heap's file, the kill point (0 is none), and the point
/// where a second thread stands still in the middle of the scenario's other operation (0 is none).
pub fn act(arguments: &[&str]) {
    let scenario = scenarios::find(arguments[0]);
    let (n, m): (u64, u64) = (arguments[2].parse().expect("a number"), arguments[3].parse().expect("a number"));
    let mut actor = Actor::new(scenario.name, Path::new(arguments[1]), None);
    scenario.prepare.iter().for_each(|op| actor.must(op));
    let beside = scenario.beside.as_ref().filter(|_| m != 0);
    if let Some((first, op)) = beside {
        halt_beside(&actor, first, op, m);
    }
    if scenario.waited_for.is_some() {
        // The one that waits is told, and has begun to wait.
        say("waiting 0");
        told();
    }
    match arguments.get(4) {
        Some(_) => stand_still_at(n),
        None => kill_points::die_at(n),
    }
    for (index, op) in scenario.armed.iter().enumerate() {
        say(&format!("begun {index}"));
        match actor.run(op) {
            Ok(()) => say(&format!("done {index}")),
            // What stands still beside it may be in the way.
            Err(error) if beside.is_some() && in_the_way(error.code()) => say(&format!("refused {index}")),
            Err(error) => panic!("{op:?}: {error}"),
        }
    }
    kill_points::die_at(0);
    say("unharmed 0");
    // What it still holds is recovered as from any other death.
    die();
}

/// Ends this process as a signal from outside does.
pub fn die() -> ! {
    // SAFETY: plain system calls.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
        loop {
            libc::pause();
        }
    }
}

/// This thread stands still at its `n`th point; that is said, and it goes on when this process is told to.
fn stand_still_at(n: u64) {
    kill_points::halt_at(n);
    std::thread::spawn(|| {
        while kill_points::halted() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        say("standing 0");
        told();
        kill_points::go_on();
    });
}

/// The role of one that opens a heap on which another has died, and dies at this kill point while it recovers that.
pub fn recover(arguments: &[&str]) {
    kill_points::die_at(arguments[1].parse().expect("a number"));
    let heap = open(Path::new(arguments[0]), "recoverer");
    heap.check().expect("a sound heap");
    kill_points::die_at(0);
    say("unharmed 0");
    die();
}

/// The role of one that does what another scenario's `AnotherDies` says, and dies with what it holds.
pub fn do_and_die(arguments: &[&str]) {
    let scenario = scenarios::find(arguments[0]);
    let path = Path::new(arguments[1]);
    let mut actor = Actor::new(arguments[0], path, Some(open(path, "another")));
    for op in &scenario.prepare {
        if let Op::AnotherDies(ops) = op {
            ops.iter().for_each(|op| actor.must(op));
        }
    }
    die();
}

fn in_the_way(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Borrowed | ErrorCode::BorrowConflict | ErrorCode::StaleHandle)
}

/// Starts a second thread of this process that stands still at its `m`th point in this operation; says "beside done" if
/// it has no such point.
fn halt_beside(actor: &Actor, first: &[Op], op: &Op, m: u64) {
    let mut beside = Actor::new("", &actor.path, Some(actor.heap().clone()));
    let (first, op) = (first.to_vec(), op.clone());
    let (ended, over) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        first.iter().for_each(|op| beside.must(op));
        kill_points::halt_at(m);
        beside.must(&op);
        kill_points::halt_at(0);
        let _ = ended.send(());
        // What it holds is held until the process dies.
        loop {
            std::thread::park();
        }
    });
    while kill_points::halted() == 0 {
        match over.recv_timeout(Duration::from_millis(1)) {
            Ok(()) => return say("beside 0"),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("the thread beside has failed"),
        }
    }
}

/// Kinds of borrows, in short.
pub const SHARED: BorrowKind = BorrowKind::Shared;
pub const UNIQUE: BorrowKind = BorrowKind::Unique;
