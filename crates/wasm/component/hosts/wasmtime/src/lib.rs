//! The component as a program with wasmtime has it: its types, what it imports, and an instance.

use std::path::Path;
use std::time::Instant;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, ResourceLimiter, Result, Store};

/// What wasmtime writes from `wit/`.
#[allow(missing_docs, reason = "written by wasmtime from files that have the docs")]
pub mod bindings {
    wasmtime::component::bindgen!({ path: "../../../../../wit", world: "weaveheap" });
}

pub use bindings::exports::weaveheap::heap::errors::{Error, ErrorCode};
pub use bindings::exports::weaveheap::heap::heap as interface;

/// What the component imports, and a limit to its memory. A program that uses the crate `wasmtime-wasi` has the imports
/// from there.
pub struct Host {
    started: Instant,
    limit: usize,
    /// Bytes of the instance's memory.
    pub memory: usize,
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let grows = desired <= self.limit;
        if grows {
            self.memory = desired;
        }
        Ok(grows)
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(true)
    }
}

impl bindings::wasi::random::random::Host for Host {
    fn get_random_u64(&mut self) -> u64 {
        getrandom::u64().expect("every system that wasmtime runs on has random numbers")
    }
}

impl bindings::wasi::clocks::monotonic_clock::Host for Host {
    fn now(&mut self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}

/// A component, compiled: instances are made of it.
pub struct Compiled {
    engine: Engine,
    component: Component,
    linker: Linker<Host>,
}

impl Compiled {
    /// The component of this file.
    pub fn new(file: impl AsRef<Path>) -> Result<Compiled> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, file)?;
        let mut linker = Linker::new(&engine);
        bindings::Weaveheap::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
        Ok(Compiled { engine, component, linker })
    }

    /// An instance, whose memory has at most so many bytes.
    pub fn instance(&self, memory: usize) -> Result<Instance> {
        let host = Host { started: Instant::now(), limit: memory, memory: 0 };
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| host);
        let raw = self.linker.instantiate(&mut store, &self.component)?;
        let bindings = bindings::Weaveheap::new(&mut store, &raw)?;
        Ok(Instance { store, raw, bindings })
    }
}

/// An instance: memory and heaps of its own.
pub struct Instance {
    /// Everything that wasmtime has for it.
    pub store: Store<Host>,
    /// For exports that are not in `wit/`.
    pub raw: wasmtime::component::Instance,
    bindings: bindings::Weaveheap,
}

impl Instance {
    /// Makes a call. The outer error is a trap, or a resource that is not there; the inner one is the component's.
    pub fn call<T>(&mut self, work: impl FnOnce(&interface::Guest, &mut Store<Host>) -> T) -> T {
        work(self.bindings.weaveheap_heap_heap(), &mut self.store)
    }
}

/// The answer of a call, with a refusal as an error of the program.
pub fn answer<T>(answer: Result<std::result::Result<T, Error>>) -> Result<T> {
    answer?.map_err(|error| wasmtime::Error::msg(format!("{:?}: {}", error.code, error.message)))
}
