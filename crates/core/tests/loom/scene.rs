//! What scenes share: small heaps, threads that have what they need, and borrows whose bytes are watched.

use std::cell::Cell;
use std::rc::Rc;

use weaveheap_core::model::{self, as_thread};
use weaveheap_core::{BorrowKind, CheckReport, ErrorCode, Handle, Heap, Init, Lease, RegionOptions};

/// The threads that run together.
pub const A: usize = 1;
pub const B: usize = 2;
pub const C: usize = 3;
/// A thread of another process, which dies before the others run.
pub const D: usize = 4;
/// One more, that dies later.
pub const E: usize = 5;

/// What one thread does.
pub type Thread = Box<dyn FnOnce()>;

/// A private heap with one region.
#[derive(Clone)]
pub struct Scene {
    pub heap: Heap,
    pub region: Handle,
}

/// The bytes of a buffer, for one who has freed it and uses them otherwise.
#[derive(Clone, Copy)]
pub struct Bytes(*const u8, usize);

impl Bytes {
    pub fn reuse(self) {
        model::write(self.0, self.1);
    }
}

impl Scene {
    pub fn new() -> Scene {
        Scene::with(&RegionOptions::new())
    }

    /// The same for a scene with processes that may die.
    pub fn of_processes() -> Scene {
        model::of_processes();
        Scene::new()
    }

    /// The same with such a region.
    pub fn with(region: &RegionOptions) -> Scene {
        let heap = Heap::options().limit(4 << 20).private().expect("a heap");
        let region = heap.create_region(region).expect("a region");
        Scene { heap, region }
    }

    /// A buffer of 64 bytes.
    pub fn alloc(&self) -> Handle {
        self.heap.alloc(self.region, 64, 64, Init::Uninit).expect("a buffer")
    }

    /// Lets a thread have its record, its ledger entries and its context in the region before it runs.
    pub fn prepare(&self, thread: usize) {
        as_thread(thread, || self.heap.free(self.alloc()).expect("nobody borrows it"));
    }

    /// Borrows and touches the bytes.
    pub fn borrow(&self, buffer: Handle, kind: BorrowKind) -> Result<Lease, ErrorCode> {
        let lease = self.heap.borrow(buffer, kind).map_err(|error| error.code())?;
        match kind {
            BorrowKind::Shared => model::read(lease.as_ptr(), lease.len()),
            BorrowKind::Unique => model::write(lease.as_ptr(), lease.len()),
        }
        Ok(lease)
    }

    pub fn bytes(&self, buffer: Handle) -> Bytes {
        let (pointer, length) = model::bytes_of(&self.heap, buffer);
        Bytes(pointer, length)
    }

    /// What holds at the end of each execution.
    pub fn check(&self) -> CheckReport {
        self.heap.check().expect("a heap that keeps its invariants")
    }
}

/// A thread that works on a scene.
pub fn thread(scene: &Scene, f: impl FnOnce(Scene) + 'static) -> Thread {
    let scene = scene.clone();
    Box::new(move || f(scene))
}

/// A number that threads of a scene add to, and that is looked at when they have ended. It orders nothing.
#[derive(Clone)]
pub struct Tally(Rc<Cell<u64>>);

impl Tally {
    pub fn add(&self, n: u64) {
        self.0.set(self.0.get() + n);
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Two ends of one tally: for the threads, and for who looks at it.
pub fn outcome() -> (Tally, Tally) {
    let tally = Tally(Rc::default());
    (tally.clone(), tally)
}
