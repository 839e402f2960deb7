//! What is loaded beside this program: the C ABI with a loop in C (`capi_borrow`), and the same operations over a core
//! with and without counters (`counters`). Where the libraries are, `cargo xtask bench` says in the environment.

use std::ffi::{CString, OsStr, c_char, c_int, c_void};

use anyhow::{Context, Result, bail, ensure};
use weaveheap_core::{Heap, RegionOptions};

use super::borrow;
use weaveheap_bench::harness::{Figures, Plan, Taken, nanoseconds};

/// A loaded library. It stays loaded.
struct Library(*mut c_void);

impl Library {
    /// The library that this variable of the environment names.
    fn load(variable: &str, flags: c_int) -> Result<Library> {
        let path = std::env::var_os(variable).with_context(|| format!("{variable} names no library"))?;
        let name = CString::new(OsStr::as_encoded_bytes(&path))?;
        // SAFETY: the name is a C string, and the libraries are the project's own: what they do when loaded is known.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | flags) };
        if library.is_null() {
            bail!("{} cannot be loaded", path.display());
        }
        Ok(Library(library))
    }

    /// A function of it.
    ///
    /// # Safety
    /// `F` is the type of a function pointer, that of the function with this name.
    unsafe fn function<F: Copy>(&self, name: &str) -> Result<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let c_name = CString::new(name)?;
        // SAFETY: the library is loaded, and the name is a C string.
        let address = unsafe { libc::dlsym(self.0, c_name.as_ptr()) };
        ensure!(!address.is_null(), "the library has no {name}");
        // SAFETY: the caller's promise; sizes were compared.
        Ok(unsafe { std::mem::transmute_copy(&address) })
    }
}

pub fn capi_borrow(plan: &Plan) -> Result<Figures> {
    const HOT: usize = 1_000;
    const PASSES: usize = 5;
    // For all, since the loop in C finds the functions of the library there, as in a program linked with it.
    let _capi = Library::load("WEAVEHEAP_BENCH_CAPI", libc::RTLD_GLOBAL)?;
    let loops = Library::load("WEAVEHEAP_BENCH_C", libc::RTLD_LOCAL)?;
    // SAFETY: the types are those of `benches/c/borrow.c`.
    let (prepare, pass) = unsafe {
        let prepare: unsafe extern "C" fn(usize) -> c_int = loops.function("bench_prepare")?;
        let pass: unsafe extern "C" fn(usize) -> c_int = loops.function("bench_borrow")?;
        (prepare, pass)
    };
    // SAFETY: called once, before the other.
    ensure!(unsafe { prepare(HOT) } == 0, "the C side has no heap");
    let ours = || {
        // SAFETY: prepared above, and called by this thread alone.
        nanoseconds(PASSES * HOT, || assert_eq!(unsafe { pass(PASSES) }, 0, "a borrow failed"))
    };
    let heap = Heap::private()?;
    let region = heap.region(&RegionOptions::new())?;
    let buffers = borrow::buffers(&region, HOT)?;
    Ok(plan.in_turns(plan.many(), ours, || borrow::passes(&buffers)))
}

/// The operations of `benches/ops` in a loaded library.
struct Ops {
    run: unsafe extern "C" fn(*const c_void, *const c_char, usize) -> c_int,
    bench: *mut c_void,
}

impl Ops {
    fn load(variable: &str) -> Result<Ops> {
        let library = Library::load(variable, libc::RTLD_LOCAL)?;
        // SAFETY: the types are those of `benches/ops`.
        let (new, run) = unsafe {
            let new: unsafe extern "C" fn() -> *mut c_void = library.function("weaveheap_bench_new")?;
            (new, library.function("weaveheap_bench_run")?)
        };
        // SAFETY: it has no precondition.
        let bench = unsafe { new() };
        ensure!(!bench.is_null(), "no memory for a heap");
        Ok(Ops { run, bench })
    }

    fn time(&self, name: &std::ffi::CStr, count: usize) -> Taken {
        nanoseconds(count, || {
            // SAFETY: the bench and the name are good, and no other thread uses them.
            assert_eq!(unsafe { (self.run)(self.bench, name.as_ptr(), count) }, 0, "{name:?} failed");
        })
    }
}

pub fn counters(plan: &Plan) -> Result<Figures> {
    const PAIRS: usize = 5_000;
    let counting = Ops::load("WEAVEHEAP_BENCH_OPS")?;
    let plain = Ops::load("WEAVEHEAP_BENCH_OPS_PLAIN")?;
    Ok(plan.in_turns(plan.many(), || counting.time(c"alloc_free", PAIRS), || plain.time(c"alloc_free", PAIRS)))
}
