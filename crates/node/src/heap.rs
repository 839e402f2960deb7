//! Heaps: made, opened, listed, removed, inspected, detached; and the directory of names (H1 to H10, N2, C3).

use std::path::{Path, PathBuf};

use weaveheap_core::{Error, ErrorCode, Heap, HeapOptions, Runtime};

use crate::border::{Call, Outcome};
use crate::error::{Refusal, invalid};
use crate::value;
use crate::wait;

/// Where a shared heap is: by name or by path, and never by guessing which (H4).
enum Place {
    Name(String),
    Path(PathBuf),
}

fn place(call: &Call) -> Outcome<Place> {
    match (call.optional_text(0, "name")?, call.optional_text(1, "path")?) {
        (Some(name), None) => Ok(Place::Name(name)),
        (None, Some(path)) => Ok(Place::Path(path.into())),
        _ => Err(invalid("give a heap's name, or { path }, and not both")),
    }
}

fn options(call: &Call, label: usize) -> Outcome<HeapOptions> {
    let label = call.optional_text(label, "label")?.unwrap_or_default();
    Ok(HeapOptions::new().runtime(Runtime::Node).label(label))
}

fn added(call: &Call, heap: Heap, owner: bool) -> Outcome {
    value::number(call.env, call.addon.add_heap(heap, owner) as f64)
}

/// Makes or opens a heap; if address space is used up, once more after making room.
fn made(call: &Call, make: impl Fn() -> weaveheap_core::Result<Heap>) -> Outcome {
    let heap = match make() {
        Err(error) if error.code() == ErrorCode::OutOfMemory && call.addon.make_room() => make()?,
        result => result?,
    };
    added(call, heap, true)
}

/// `heapPrivate(limit, inspect, verify, label)`: its number.
pub fn private(call: &Call) -> Outcome {
    let mut options = options(call, 3)?.verify(call.flag(2));
    if let Some(limit) = call.optional_size(0, "limit")? {
        options = options.limit(limit);
    }
    if call.flag(1) {
        options = options.inspect(true);
    }
    made(call, || options.clone().private())
}

/// `heapCreate(name, path, limit, verify, label)`: its number.
pub fn create(call: &Call) -> Outcome {
    let mut options = options(call, 4)?.verify(call.flag(3));
    if let Some(limit) = call.optional_size(2, "limit")? {
        options = options.limit(limit);
    }
    let place = place(call)?;
    made(call, || match &place {
        // SAFETY: this library touches bytes under borrows only; what others do is their word (F6).
        Place::Name(name) => unsafe { options.clone().create(name) },
        // SAFETY: as above.
        Place::Path(path) => unsafe { options.clone().create_path(path) },
    })
}

/// `heapOpen(name, path, label)`: its number.
pub fn open(call: &Call) -> Outcome {
    let options = options(call, 2)?;
    let place = place(call)?;
    made(call, || match &place {
        // SAFETY: this library touches bytes under borrows only; what others do is their word (F6).
        Place::Name(name) => unsafe { options.clone().open(name) },
        // SAFETY: as above.
        Place::Path(path) => unsafe { options.clone().open_path(path) },
    })
}

/// `heapById(id)`: the number of another object for an attachment of this process.
pub fn by_id(call: &Call) -> Outcome {
    let heap = Heap::by_id(&call.text(0, "id")?)?;
    added(call, heap, false)
}

/// `heapRemove(name, path)`.
pub fn remove(call: &Call) -> Outcome {
    match place(call)? {
        Place::Name(name) => Heap::remove(&name)?,
        Place::Path(path) => Heap::remove_path(&path)?,
    }
    value::undefined(call.env)
}

/// `heapList()`: names and paths, as JSON.
pub fn list(call: &Call) -> Outcome {
    let entries = Heap::list()?
        .into_iter()
        .map(|entry| serde_json::json!({ "name": entry.name, "path": entry.path.to_string_lossy() }));
    value::json(call.env, &serde_json::Value::Array(entries.collect()))
}

/// `heapFolder()`: the folder of names.
pub fn folder(call: &Call) -> Outcome {
    value::string(call.env, &Heap::folder().to_string_lossy())
}

/// `heapDescribe(heap)`: what does not change, as JSON.
pub fn describe(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let heap = &entry.heap;
    let description = serde_json::json!({
        "id": heap.id(),
        "path": heap.path().map(Path::to_string_lossy),
        "shared": heap.is_shared(),
        "verify": entry.verify,
        "limit": heap.limit(),
    });
    value::json(call.env, &description)
}

/// `heapIsDetached(heap)`: true also if another object or thread has detached the attachment.
pub fn is_detached(call: &Call) -> Outcome {
    let detached = call.addon.heap(call).map_or(true, |entry| entry.heap.is_detached());
    value::boolean(call.env, detached)
}

/// `heapDetach(heap)`: ends the attachment, or this object's reference to one that another object made (H9).
pub fn detach(call: &Call) -> Outcome {
    let number = call.addon.heap_number(call)?;
    let entry = call.addon.heap(call)?;
    if entry.owner {
        entry.heap.detach()?;
    } else if entry.views.get() > 0 {
        let mut holders = entry.heap.snapshot()?.borrows;
        holders.retain(|holder| holder.process == std::process::id() && holder.runtime == Runtime::Node);
        return Err(Refusal::with_holders(Error::new(ErrorCode::Borrowed), holders).into());
    }
    call.addon.forget_heap(number);
    value::undefined(call.env)
}

/// `heapDrop(heap)`: the object was collected.
pub fn drop_object(call: &Call) -> Outcome {
    call.addon.drop_heap(call.addon.heap_number(call)?);
    value::undefined(call.env)
}

/// `heapSnapshot(heap)`: the statistics as JSON.
pub fn snapshot(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    value::string(call.env, &entry.heap.snapshot()?.to_json())
}

/// `heapCheck(heap)`: the report as JSON.
pub fn check(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    value::json(call.env, &entry.heap.check()?)
}

/// `heapTrim(heap)`: bytes given back.
pub fn trim(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    value::number(call.env, entry.heap.trim()? as f64)
}

/// `heapHolders(heap, handle)`: as JSON.
pub fn holders(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    value::json(call.env, &entry.heap.holders(call.handle(1)?)?)
}

/// `publish(heap, name, handle)`.
pub fn publish(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    entry.heap.publish(&call.text(1, "name")?, call.handle(2)?)?;
    value::undefined(call.env)
}

/// `lookup(heap, name)`: the handle.
pub fn lookup(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let handle = entry.heap.lookup(&call.text(1, "name")?)?;
    value::bigint(call.env, handle.to_bits())
}

/// `lookupWait(heap, name, timeout)`: a promise of the handle.
pub fn lookup_wait(call: &Call) -> Outcome {
    let heap = call.addon.heap(call)?.heap.clone();
    let name = call.text(1, "name")?;
    wait::start(call, call.timeout(2)?, move |slice| heap.lookup_wait(&name, slice).map(Some))
}

/// `unpublish(heap, name)`.
pub fn unpublish(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    entry.heap.unpublish(&call.text(1, "name")?)?;
    value::undefined(call.env)
}
