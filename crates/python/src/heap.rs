//! `Heap`: making, opening and finding heaps, their regions and their directory (H1 to H9).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyAny, PyWeakrefMethods, PyWeakrefReference};
use serde::Serialize;
use weaveheap_core::{Error, ErrorCode, Heap, HeapOptions, RegionOptions, Runtime};

use crate::border::{Bits, FilePath, HandleArg, Size, Text, Wait, guard, wait};
use crate::buffer::PyBuffer;
use crate::error::Res;
use crate::handle::PyHandle;
use crate::holder::PyHolder;
use crate::region::PyRegion;

/// A heap: one segment of memory with regions and buffers in it, private to this process or shared with others.
///
/// Make one with `Heap.private()` or `Heap.create(name)`, attach to one with `Heap.open(name)`. A heap is a context
/// manager: leaving it detaches. Any thread may use it.
///
/// >>> import weaveheap
/// >>> with weaveheap.Heap.private() as heap:
/// ...     with heap.region(name="frames") as region:
/// ...         buffer = region.alloc(4)
/// ...         with buffer.borrow_unique() as view:
/// ...             view[:] = b"weft"
/// ...         print(bytes(buffer), len(buffer))
/// b'weft' 4
#[pyclass(frozen, weakref, name = "Heap", module = "weaveheap")]
pub struct PyHeap {
    pub core: Heap,
    serial: u64,
    /// The objects that own regions of a private heap (R7), so that a buffer found by its handle keeps its region's.
    regions: Mutex<HashMap<u64, Py<PyWeakrefReference>>>,
}

/// The heap objects of this process by id and base, so that `by_id` gives the object that there is.
static HEAPS: Mutex<Vec<Known>> = Mutex::new(Vec::new());

struct Known {
    id: String,
    base: usize,
    serial: u64,
    object: Py<PyWeakrefReference>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs while one is locked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn options(label: Option<Text>) -> HeapOptions {
    HeapOptions::new().runtime(Runtime::Python).label(label.map_or(String::new(), |l| l.0))
}

/// Where a shared heap is: by name or by path, never by guessing which (H4).
enum Place {
    Name(String),
    Path(PathBuf),
}

impl Place {
    fn of(name: Option<Text>, path: Option<FilePath>) -> Res<Place> {
        match (name, path) {
            (Some(name), None) => Ok(Place::Name(name.0)),
            (None, Some(path)) => Ok(Place::Path(path.0)),
            _ => Err(Error::with_message(
                ErrorCode::InvalidArgument,
                "A shared heap is found by its name or by `path=`: give one of the two.",
            )
            .into()),
        }
    }
}

/// Plain data of the core as a `dict`: the same keys in every language.
pub fn to_dict<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.getattr("loads")?.call1((json,))
}

/// A record of the core as a `dict`.
pub fn record<'py>(py: Python<'py>, data: &impl Serialize) -> Res<Bound<'py, PyAny>> {
    let json = serde_json::to_string(data).map_err(|e| Error::with_message(ErrorCode::Internal, e.to_string()))?;
    Ok(to_dict(py, &json)?)
}

impl PyHeap {
    /// The object of an attachment that has none yet.
    fn wrap(py: Python<'_>, core: Heap) -> Res<Bound<'_, PyHeap>> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        // Relaxed: the number only has to be another one each time.
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let (id, base) = (core.id(), core.base() as usize);
        let object = Bound::new(py, PyHeap { core, serial, regions: Mutex::default() })?;
        let known = Known { id, base, serial, object: PyWeakrefReference::new(&object)?.unbind() };
        lock(&HEAPS).push(known);
        Ok(object)
    }

    /// Remembers the object that owns a region.
    pub fn remember(&self, region: &Bound<'_, PyRegion>) -> PyResult<()> {
        let weak = PyWeakrefReference::new(region)?.unbind();
        lock(&self.regions).insert(region.get().handle.to_bits(), weak);
        Ok(())
    }

    /// Forgets the object that owned a region.
    pub fn forget(&self, region: weaveheap_core::Handle) {
        let weak = lock(&self.regions).remove(&region.to_bits());
        drop(weak);
    }

    /// The region object for a handle of a region that lives: the one that owns it if there is one.
    pub fn region_object<'py>(slf: &Bound<'py, PyHeap>, region: weaveheap_core::Handle) -> Res<Bound<'py, PyRegion>> {
        let py = slf.py();
        let weak = lock(&slf.get().regions).get(&region.to_bits()).map(|w| w.clone_ref(py));
        let known = weak.and_then(|weak| weak.bind(py).upgrade());
        if let Some(object) = known.and_then(|object| object.cast_into::<PyRegion>().ok()) {
            return Ok(object);
        }
        Ok(Bound::new(py, PyRegion::referred(slf.clone().unbind(), region))?)
    }

    /// Detaches as leaving a scope does: no harm if it is done already.
    fn leave(&self) -> Res<()> {
        match self.core.detach() {
            Err(error) if error.code() == ErrorCode::NotAttached => Ok(()),
            result => Ok(result?),
        }
    }
}

impl Drop for PyHeap {
    fn drop(&mut self) {
        let mut heaps = lock(&HEAPS);
        let gone = heaps.iter().position(|known| known.serial == self.serial).map(|at| heaps.swap_remove(at));
        drop(heaps);
        drop(gone);
    }
}

#[pymethods]
impl PyHeap {
    /// A heap of this process alone, gone when its last user is.
    ///
    /// `limit` is the most that it may hold, in bytes (64 GiB of address space, or what the system gives). `inspect` lets
    /// the command line see it by process id. `verify` checksums the shared borrows of JavaScript. `label` is what this
    /// attachment calls itself in reports, up to 64 bytes.
    #[staticmethod]
    #[pyo3(signature = (*, limit=None, inspect=false, verify=false, label=None))]
    fn private<'py>(
        py: Python<'py>,
        limit: Option<Size>,
        inspect: bool,
        verify: bool,
        label: Option<Text>,
    ) -> Res<Bound<'py, PyHeap>> {
        guard(|| {
            let mut options = options(label).inspect(inspect).verify(verify);
            if let Some(limit) = limit {
                options = options.limit(limit.0);
            }
            PyHeap::wrap(py, py.detach(|| options.private())?)
        })
    }

    /// Makes a shared heap, by `name` or by `path`. `AlreadyExists` if there is one, `InvalidName` for a bad name.
    ///
    /// Processes that share a heap trust each other to keep to the borrows, as threads do.
    #[staticmethod]
    #[pyo3(signature = (name=None, *, path=None, limit=None, verify=false, label=None))]
    fn create<'py>(
        py: Python<'py>,
        name: Option<Text>,
        path: Option<FilePath>,
        limit: Option<Size>,
        verify: bool,
        label: Option<Text>,
    ) -> Res<Bound<'py, PyHeap>> {
        guard(|| {
            let place = Place::of(name, path)?;
            let mut options = options(label).verify(verify);
            if let Some(limit) = limit {
                options = options.limit(limit.0);
            }
            // SAFETY: whoever calls accepts the trust between processes that the documentation of this function and
            // SECURITY.md state (F6); Python has no word for an unsafe call.
            let core = py.detach(|| unsafe {
                match &place {
                    Place::Name(name) => options.create(name),
                    Place::Path(path) => options.create_path(path),
                }
            })?;
            PyHeap::wrap(py, core)
        })
    }

    /// Attaches to the shared heap with this `name` or `path`. `NotFound` if there is none, `Incompatible` or `Corrupt`
    /// if the file is none.
    #[staticmethod]
    #[pyo3(signature = (name=None, *, path=None, label=None))]
    fn open<'py>(
        py: Python<'py>,
        name: Option<Text>,
        path: Option<FilePath>,
        label: Option<Text>,
    ) -> Res<Bound<'py, PyHeap>> {
        guard(|| {
            let place = Place::of(name, path)?;
            let options = options(label);
            // SAFETY: as for `create`.
            let core = py.detach(|| unsafe {
                match &place {
                    Place::Name(name) => options.open(name),
                    Place::Path(path) => options.open_path(path),
                }
            })?;
            PyHeap::wrap(py, core)
        })
    }

    /// Unlinks the shared heap with this `name` or `path`. Processes that are attached keep it. `NotFound` if there is
    /// none.
    #[staticmethod]
    #[pyo3(signature = (name=None, *, path=None))]
    fn remove(py: Python<'_>, name: Option<Text>, path: Option<FilePath>) -> Res<()> {
        guard(|| {
            let place = Place::of(name, path)?;
            py.detach(|| match &place {
                Place::Name(name) => Heap::remove(name),
                Place::Path(path) => Heap::remove_path(path),
            })?;
            Ok(())
        })
    }

    /// The shared heaps in the folder of names.
    #[staticmethod]
    fn list(py: Python<'_>) -> Res<Vec<PyHeapEntry>> {
        guard(|| {
            let entries = py.detach(Heap::list)?;
            Ok(entries.into_iter().map(|entry| PyHeapEntry { name: entry.name, path: entry.path }).collect())
        })
    }

    /// The folder of names: `WEAVEHEAP_DIR`, or the user's own folder in the system's shared memory.
    #[staticmethod]
    fn folder() -> Res<PathBuf> {
        guard(|| Ok(Heap::folder()))
    }

    /// Attaches to a heap that another copy of the library has mapped in this process. For experts, and unsafe.
    ///
    /// `base` must be what that copy gave as the heap's base address, in this process, and that heap must stay attached
    /// until this call has returned. Any other number can crash the process or corrupt its memory.
    #[staticmethod]
    #[pyo3(signature = (base, *, label=None))]
    fn attach<'py>(py: Python<'py>, base: Bits, label: Option<Text>) -> Res<Bound<'py, PyHeap>> {
        guard(|| {
            let address = usize::try_from(base.0).unwrap_or(0);
            if address == 0 {
                return Err(Error::with_message(
                    ErrorCode::InvalidArgument,
                    "The base address is null. Give the `base` of a heap that is attached in this process.",
                )
                .into());
            }
            // SAFETY: the caller's promise, as documented.
            let core = unsafe { options(label).attach(std::ptr::with_exposed_provenance_mut(address)) }?;
            PyHeap::wrap(py, core)
        })
    }

    /// The heap with this id, if this process is attached to it. `NotFound` if it is not.
    #[staticmethod]
    #[pyo3(signature = (id, /))]
    fn by_id<'py>(py: Python<'py>, id: Text) -> Res<Bound<'py, PyHeap>> {
        guard(|| {
            let core = Heap::by_id(&id.0)?;
            let (id, base) = (core.id(), core.base() as usize);
            let weak = {
                let heaps = lock(&HEAPS);
                heaps.iter().find(|known| known.base == base && known.id == id).map(|known| known.object.clone_ref(py))
            };
            let object = weak.and_then(|weak| weak.bind(py).upgrade());
            match object.and_then(|object| object.cast_into::<PyHeap>().ok()) {
                Some(heap) => Ok(heap),
                None => PyHeap::wrap(py, core),
            }
        })
    }

    /// 32 hexadecimal digits that are this heap's alone.
    #[getter]
    fn id(&self) -> Res<String> {
        guard(|| Ok(self.core.id()))
    }

    /// The file of a shared heap, `None` for a private one.
    #[getter]
    fn path(&self) -> Res<Option<PathBuf>> {
        guard(|| Ok(self.core.path().map(PathBuf::from)))
    }

    /// True if other processes can attach.
    #[getter]
    fn shared(&self) -> Res<bool> {
        guard(|| Ok(self.core.is_shared()))
    }

    /// True if shared borrows of JavaScript are checksummed.
    #[getter]
    fn verify(&self) -> Res<bool> {
        guard(|| Ok(self.core.verify()))
    }

    /// The most that the heap may hold, in bytes.
    #[getter]
    fn limit(&self) -> Res<u64> {
        guard(|| Ok(self.core.limit()))
    }

    /// Where the heap is mapped in this process: what `Heap.attach` of another copy of the library takes.
    #[getter]
    fn base(&self) -> Res<usize> {
        guard(|| Ok(self.core.base().expose_provenance()))
    }

    /// True once it has been detached, and in a forked child.
    #[getter]
    fn detached(&self) -> Res<bool> {
        guard(|| Ok(self.core.is_detached()))
    }

    /// Makes a region. `name` is for people (up to 64 bytes), `limit` the most that it may hold in bytes.
    ///
    /// In a private heap the object owns its region: collected while open, the region is closed when idle, with a
    /// `ResourceWarning`. In a shared heap a region lives until it is closed.
    #[pyo3(signature = (*, name=None, limit=None))]
    fn region<'py>(slf: &Bound<'py, Self>, name: Option<Text>, limit: Option<Size>) -> Res<Bound<'py, PyRegion>> {
        guard(|| {
            let mut options = RegionOptions::new().name(name.map_or(String::new(), |name| name.0));
            if let Some(limit) = limit {
                options = options.limit(limit.0);
            }
            let core = &slf.get().core;
            let handle = core.create_region(&options)?;
            let owns = !core.is_shared();
            let region = match Bound::new(slf.py(), PyRegion::new(slf.clone().unbind(), handle, owns)) {
                Ok(region) => region,
                Err(error) => {
                    core.close(handle)?;
                    return Err(error.into());
                }
            };
            if owns {
                slf.get().remember(&region)?;
            }
            Ok(region)
        })
    }

    /// The region with this handle. Dropping the object closes nothing, unless it is the one that owns the region.
    #[pyo3(signature = (handle, /))]
    fn region_at<'py>(slf: &Bound<'py, Self>, handle: HandleArg) -> Res<Bound<'py, PyRegion>> {
        guard(|| {
            let info = slf.get().core.region_info(handle.0)?;
            PyHeap::region_object(slf, info.handle)
        })
    }

    /// The buffer with this handle. `StaleHandle` if it is null, freed, forged, or of another heap.
    #[pyo3(signature = (handle, /))]
    fn buffer<'py>(slf: &Bound<'py, Self>, handle: HandleArg) -> Res<Bound<'py, PyBuffer>> {
        guard(|| {
            let info = slf.get().core.buffer_info(handle.0)?;
            let region = PyHeap::region_object(slf, info.region)?;
            PyBuffer::wrap(region, info.handle, info.length)
        })
    }

    /// Puts a handle into the heap's directory, for `lookup` in this and other processes. `AlreadyExists` if the name is
    /// taken by a live handle.
    #[pyo3(signature = (name, handle, /))]
    fn publish(&self, py: Python<'_>, name: Text, handle: HandleArg) -> Res<()> {
        guard(|| Ok(py.detach(|| self.core.publish(&name.0, handle.0))?))
    }

    /// The handle under this name. `NotFound` at once if there is none; with a `timeout` in seconds it is waited for,
    /// and then `Timeout`; `timeout=None` waits for ever.
    #[pyo3(signature = (name, timeout=Wait::AtOnce), text_signature = "($self, name, timeout=...)")]
    fn lookup(&self, py: Python<'_>, name: Text, timeout: Wait) -> Res<PyHandle> {
        guard(|| {
            let handle = match timeout {
                Wait::AtOnce => self.core.lookup(&name.0)?,
                Wait::For(time) => wait(py, time, |step| self.core.lookup_wait(&name.0, step))?,
            };
            Ok(PyHandle(handle))
        })
    }

    /// Takes a name out of the directory. `NotFound` if it is not there.
    #[pyo3(signature = (name, /))]
    fn unpublish(&self, py: Python<'_>, name: Text) -> Res<()> {
        guard(|| Ok(py.detach(|| self.core.unpublish(&name.0))?))
    }

    /// Regions, live borrows with their holders, names and counters as they are now, as a `dict`. Sizes are bytes, ages
    /// milliseconds, handles text.
    fn stats<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyAny>> {
        guard(|| {
            let json = py.detach(|| self.core.snapshot().map(|snapshot| snapshot.to_json()))?;
            Ok(to_dict(py, &json)?)
        })
    }

    /// Who holds borrows of a buffer, or of any buffer of a region.
    #[pyo3(signature = (handle, /))]
    fn holders(&self, py: Python<'_>, handle: HandleArg) -> Res<Vec<PyHolder>> {
        guard(|| Ok(py.detach(|| self.core.holders(handle.0))?.into_iter().map(PyHolder).collect()))
    }

    /// Walks the whole heap and verifies its invariants. `Corrupt` says which one does not hold; the `dict` that comes
    /// back counts what was walked.
    fn check<'py>(&self, py: Python<'py>) -> Res<Bound<'py, PyAny>> {
        guard(|| {
            let report = py.detach(|| self.core.check())?;
            record(py, &report)
        })
    }

    /// Gives freed memory back to the system now. Returns the bytes given back.
    fn trim(&self, py: Python<'_>) -> Res<u64> {
        guard(|| Ok(py.detach(|| self.core.trim())?))
    }

    /// Ends this attachment: every later call is `NotAttached`. `Borrowed` while this process holds views.
    fn detach(&self, py: Python<'_>) -> Res<()> {
        guard(|| Ok(py.detach(|| self.core.detach())?))
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Detaches. With an exception on its way, what is still borrowed stays so, and the exception goes on.
    fn __exit__(
        &self,
        exception: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Res<bool> {
        guard(|| match self.leave() {
            Err(_) if !exception.is_none() => Ok(false),
            result => result.map(|()| false),
        })
    }

    fn __repr__(&self) -> Res<String> {
        guard(|| {
            let state = if self.core.is_detached() { ", detached" } else { "" };
            Ok(match self.core.path() {
                Some(path) => format!("<weaveheap.Heap shared {}{state}>", path.display()),
                None => format!("<weaveheap.Heap private {}{state}>", self.core.id()),
            })
        })
    }
}

/// A shared heap in the folder of names.
#[pyclass(frozen, get_all, name = "HeapEntry", module = "weaveheap")]
pub struct PyHeapEntry {
    /// Its name.
    name: String,
    /// Its file.
    path: PathBuf,
}

#[pymethods]
impl PyHeapEntry {
    fn __repr__(&self) -> String {
        format!("HeapEntry(name={:?}, path={:?})", self.name, self.path)
    }
}
