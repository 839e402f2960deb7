//! The ten hottest operations of the heap, each run as often as asked. A program over it counts instructions under
//! callgrind; as a shared library it is loaded twice by `weaveheap-bench`, once built without counters.

use std::hint::black_box;
use std::os::raw::c_char;

use weaveheap_core::{BorrowKind, Handle, Heap, Init, RegionOptions, Result};

/// One operation's name, and how it is run so many times.
pub type Op = (&'static str, fn(&Bench, usize) -> Result<()>);

/// All of them.
pub const OPS: [Op; 10] = [
    ("borrow_shared", Bench::borrow_shared),
    ("borrow_unique", Bench::borrow_unique),
    ("borrow_lease", Bench::borrow_lease),
    ("borrow_token", Bench::borrow_token),
    ("borrow_conflict", Bench::borrow_conflict),
    ("borrow_stale", Bench::borrow_stale),
    ("alloc_free", Bench::alloc_free),
    ("alloc_free_zeroed", Bench::alloc_free_zeroed),
    ("fill_reset", Bench::fill_reset),
    ("region_create_close", Bench::region_create_close),
];

/// Hot buffers.
const HOT: usize = 1_000;
/// What a region holds when it is reset or closed: as many as a short-lived arena has.
const FILL: usize = 16;

/// A private heap with hot buffers, one under a unique borrow, and one freed.
pub struct Bench {
    heap: Heap,
    region: Handle,
    arena: Handle,
    hot: Vec<Handle>,
    taken: Handle,
    freed: Handle,
}

impl Bench {
    /// A heap of 1 GiB, which valgrind can map.
    pub fn new() -> Result<Bench> {
        let heap = Heap::options().limit(1 << 30).private()?;
        let region = heap.create_region(&RegionOptions::new())?;
        let arena = heap.create_region(&RegionOptions::new())?;
        let one = || heap.alloc(region, 64, 64, Init::Uninit);
        let hot = (0..HOT).map(|_| one()).collect::<Result<_>>()?;
        let (taken, freed) = (one()?, one()?);
        heap.borrow_raw(taken, BorrowKind::Unique)?;
        heap.free(freed)?;
        Ok(Bench { heap, region, arena, hot, taken, freed })
    }

    fn each_hot(&self, count: usize) -> impl Iterator<Item = Handle> + '_ {
        self.hot.iter().copied().cycle().take(count)
    }

    fn borrow_shared(&self, count: usize) -> Result<()> {
        let buffers = self.hot.iter().map(|handle| self.heap.buffer(*handle)).collect::<Result<Vec<_>>>()?;
        for buffer in buffers.iter().cycle().take(count) {
            black_box(&*buffer.borrow_shared()?);
        }
        Ok(())
    }

    fn borrow_unique(&self, count: usize) -> Result<()> {
        let mut buffers = self.hot.iter().map(|handle| self.heap.buffer(*handle)).collect::<Result<Vec<_>>>()?;
        for turn in 0..count {
            black_box(&mut *buffers[turn % HOT].borrow_unique()?);
        }
        Ok(())
    }

    fn borrow_lease(&self, count: usize) -> Result<()> {
        for handle in self.each_hot(count) {
            black_box(self.heap.borrow(handle, BorrowKind::Shared)?.as_slice());
        }
        Ok(())
    }

    fn borrow_token(&self, count: usize) -> Result<()> {
        for handle in self.each_hot(count) {
            let borrow = black_box(self.heap.borrow_raw(handle, BorrowKind::Shared)?);
            self.heap.end(borrow.token)?;
        }
        Ok(())
    }

    fn borrow_conflict(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            assert!(black_box(self.heap.borrow_raw(self.taken, BorrowKind::Shared)).is_err());
        }
        Ok(())
    }

    fn borrow_stale(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            assert!(black_box(self.heap.borrow_raw(self.freed, BorrowKind::Shared)).is_err());
        }
        Ok(())
    }

    fn alloc_free(&self, count: usize) -> Result<()> {
        self.alloc_and_free(count, Init::Uninit)
    }

    fn alloc_free_zeroed(&self, count: usize) -> Result<()> {
        self.alloc_and_free(count, Init::Zeroed)
    }

    fn alloc_and_free(&self, count: usize, init: Init) -> Result<()> {
        for _ in 0..count {
            let buffer = black_box(self.heap.alloc(self.region, 64, 64, init)?);
            self.heap.free(buffer)?;
        }
        Ok(())
    }

    fn fill_reset(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.fill(self.arena)?;
            self.heap.reset(self.arena)?;
        }
        Ok(())
    }

    fn region_create_close(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            let region = self.heap.create_region(&RegionOptions::new())?;
            self.fill(region)?;
            self.heap.close(region)?;
        }
        Ok(())
    }

    fn fill(&self, region: Handle) -> Result<()> {
        for _ in 0..FILL {
            black_box(self.heap.alloc(region, 64, 64, Init::Uninit)?);
        }
        Ok(())
    }
}

/// A bench for other programs; null if there is no memory for its heap. It is never given back.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_bench_new() -> *mut Bench {
    Bench::new().map_or(std::ptr::null_mut(), |bench| Box::into_raw(Box::new(bench)))
}

/// Runs the operation with this name so many times. 0 if all went well.
///
/// # Safety
/// `bench` was given by [`weaveheap_bench_new`], `name` is a C string, and no other call has either at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_bench_run(bench: *const Bench, name: *const c_char, count: usize) -> i32 {
    // SAFETY: the caller's promises.
    let (Some(bench), name) = (unsafe { bench.as_ref() }, unsafe { std::ffi::CStr::from_ptr(name) }) else { return 1 };
    match OPS.iter().find(|(known, _)| known.as_bytes() == name.to_bytes()) {
        Some((_, run)) => i32::from(run(bench, count).is_err()),
        None => 1,
    }
}
