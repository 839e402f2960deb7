//! Statistics, holders and counters of an attached heap, and inspection of heaps of other processes (N1, N2, B6, H10).

use std::ffi::c_char;

use weaveheap_core::{Counters, Error, ErrorCode, Inspector};

use crate::argument::{self, Growing, given};
use crate::boundary::{self, ErrorOut};
use crate::handle::{CHandle, handle};
use crate::heap::CHeap;

/// A heap seen read-only from another process, without an attachment. Opaque: released with
/// `weaveheap_inspector_release`. Any threads may use one object at the same time.
pub struct CInspector(Inspector);

/// Counters of a heap or a region. They only grow. Set `struct_size` before the call.
#[repr(C)]
pub struct CCounters {
    /// `sizeof(weaveheap_counters)`.
    pub struct_size: usize,
    /// Buffers allocated.
    pub allocations: u64,
    /// Buffers freed one by one.
    pub frees: u64,
    /// Bytes asked for in all allocations.
    pub bytes_allocated: u64,
    /// Bytes of the buffers freed one by one.
    pub bytes_freed: u64,
    /// Borrows begun.
    pub borrows_begun: u64,
    /// Borrows ended.
    pub borrows_ended: u64,
    /// Borrows, frees and closes refused because of a borrow.
    pub conflicts: u64,
    /// Handles and tokens refused as stale.
    pub stale: u64,
    /// Native views made.
    pub views: u64,
    /// Views whose borrow was ended by a finalizer.
    pub finalized: u64,
    /// Regions of private heaps that were collected while open.
    pub regions_collected: u64,
    /// Copies counted as `WEAVEHEAP_COPY_INGEST`.
    pub copies_ingest: u64,
    /// Bytes of them.
    pub bytes_ingest: u64,
    /// Copies counted as `WEAVEHEAP_COPY_EXPORT`.
    pub copies_export: u64,
    /// Bytes of them.
    pub bytes_export: u64,
    /// Copies counted as `WEAVEHEAP_COPY_NO_EXTERNAL_BUFFERS`.
    pub copies_no_external_buffers: u64,
    /// Bytes of them.
    pub bytes_no_external_buffers: u64,
    /// Copies counted as `WEAVEHEAP_COPY_SERIALIZE`.
    pub copies_serialize: u64,
    /// Bytes of them.
    pub bytes_serialize: u64,
}

// SAFETY: repr(C), struct_size first, integers only.
unsafe impl Growing for CCounters {
    const FIRST_SIZE: usize = size_of::<CCounters>();
}

impl From<&Counters> for CCounters {
    fn from(counters: &Counters) -> CCounters {
        let copies = &counters.copies;
        CCounters {
            struct_size: 0,
            allocations: counters.allocations,
            frees: counters.frees,
            bytes_allocated: counters.bytes_allocated,
            bytes_freed: counters.bytes_freed,
            borrows_begun: counters.borrows_begun,
            borrows_ended: counters.borrows_ended,
            conflicts: counters.conflicts,
            stale: counters.stale,
            views: counters.views,
            finalized: counters.finalized,
            regions_collected: counters.regions_collected,
            copies_ingest: copies.ingest.count,
            bytes_ingest: copies.ingest.bytes,
            copies_export: copies.export.count,
            bytes_export: copies.export.bytes,
            copies_no_external_buffers: copies.no_external_buffers.count,
            bytes_no_external_buffers: copies.no_external_buffers.bytes,
            copies_serialize: copies.serialize.count,
            bytes_serialize: copies.serialize.bytes,
        }
    }
}

/// The heap as it is now, as JSON: the heap, attachments, regions, borrows with their holders, names, and counters in all
/// and by runtime. Handles are strings in their text form, sizes are bytes, ages milliseconds. Nobody is stopped.
///
/// Success: a string that the caller owns; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_stats_json(heap: Option<&CHeap>, err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || Ok(boundary::owned_text(given(heap, "heap")?.0.snapshot()?.to_json())))
}

/// Who holds borrows of a buffer, or of any buffer of a region, as JSON: an array of `{"handle", "region", "kind",
/// "process", "thread", "runtime", "label", "age_ms", "alive"}`. After a refusal (`WEAVEHEAP_ERROR_BORROWED`,
/// `WEAVEHEAP_ERROR_BORROW_CONFLICT`) it names whoever is in the way.
///
/// Success: a string that the caller owns, "[]" if nobody does; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_holders_json(
    heap: Option<&CHeap>,
    handle: CHandle,
    err: ErrorOut<'_>,
) -> *const c_char {
    boundary::value(err, || boundary::owned_json(&given(heap, "heap")?.0.holders(self::handle(handle))?))
}

/// The heap's counters since it was created, closed regions and detached processes included.
///
/// Success: 0; `*counters` is filled as far as its `struct_size` reaches.
/// Failure: the code; `*counters` is as it was.
/// Threads: any.
/// Null: `heap` or `counters` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_counters(
    heap: Option<&CHeap>,
    counters: *mut CCounters,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let found = CCounters::from(&given(heap, "heap")?.0.snapshot()?.counters);
        // SAFETY: as the header asks of the caller.
        unsafe { argument::write_sized(counters, &found, "counters") }
    })
}

/// The region's counters since it was created.
///
/// Success: 0; `*counters` is filled as far as its `struct_size` reaches.
/// Failure: the code; `*counters` is as it was.
/// Threads: any.
/// Null: `heap` or `counters` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_region_counters(
    heap: Option<&CHeap>,
    region: CHandle,
    counters: *mut CCounters,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let found = CCounters::from(&given(heap, "heap")?.0.region_info(handle(region))?.counters);
        // SAFETY: as the header asks of the caller.
        unsafe { argument::write_sized(counters, &found, "counters") }
    })
}

fn boxed(inspector: Inspector) -> Option<Box<CInspector>> {
    Some(Box::new(CInspector(inspector)))
}

/// Looks at the shared heap with this name, read-only: nothing in it is changed, and nobody notices.
///
/// Success: an inspector that the caller owns; release it with `weaveheap_inspector_release`.
/// Failure: null; nothing is owned. `WEAVEHEAP_ERROR_NOT_FOUND` if there is none. The library keeps nothing of `name`.
/// Threads: any.
/// Null: `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_inspector_open(name: *const c_char, err: ErrorOut<'_>) -> Option<Box<CInspector>> {
    boundary::value(err, || {
        // SAFETY: the caller gives null or a string.
        Ok(boxed(Inspector::open(unsafe { argument::text(name, "name") }?)?))
    })
}

/// Looks at the shared heap in this file, read-only.
///
/// Success: an inspector that the caller owns; release it with `weaveheap_inspector_release`.
/// Failure: null; nothing is owned. The library keeps nothing of `path`.
/// Threads: any.
/// Null: `path` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_inspector_open_path(
    path: *const c_char,
    err: ErrorOut<'_>,
) -> Option<Box<CInspector>> {
    boundary::value(err, || {
        // SAFETY: the caller gives null or a string.
        Ok(boxed(Inspector::open_path(&unsafe { argument::path(path, "path") }?)?))
    })
}

/// Looks at a private heap of a process that was made with `inspect`, read-only. `index` counts such heaps from 0.
///
/// Success: an inspector that the caller owns; release it with `weaveheap_inspector_release`.
/// Failure: null; nothing is owned. `WEAVEHEAP_ERROR_NOT_FOUND` if there is no such process or it has no more heaps.
/// Threads: any.
/// Null: `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_inspector_of_process(
    process: u32,
    index: usize,
    err: ErrorOut<'_>,
) -> Option<Box<CInspector>> {
    boundary::value(err, || {
        let heaps = Inspector::of_process(process)?;
        let count = heaps.len();
        heaps.into_iter().nth(index).map(boxed).ok_or_else(|| {
            Error::with_message(
                ErrorCode::NotFound,
                format!("process {process} has {count} private heaps to look at: make them with `inspect`"),
            )
        })
    })
}

/// The inspected heap as it is now, as JSON, as from `weaveheap_heap_stats_json`.
///
/// Success: a string that the caller owns; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any.
/// Null: `inspector` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_inspector_stats_json(inspector: Option<&CInspector>, err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || Ok(boundary::owned_text(given(inspector, "inspector")?.0.snapshot()?.to_json())))
}

/// Who holds borrows of a buffer, or of any buffer of a region, as JSON, as from `weaveheap_heap_holders_json`.
///
/// Success: a string that the caller owns, "[]" if nobody does; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned. `WEAVEHEAP_ERROR_STALE_HANDLE` if the handle is stale.
/// Threads: any.
/// Null: `inspector` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_inspector_holders_json(
    inspector: Option<&CInspector>,
    handle: CHandle,
    err: ErrorOut<'_>,
) -> *const c_char {
    boundary::value(err, || boundary::owned_json(&given(inspector, "inspector")?.0.holders(self::handle(handle))?))
}

/// Buffers of a region that live, by index, at most `limit`, as JSON: an array of `{"handle", "region", "length", "offset",
/// "shared", "unique", "frozen", "poisoned"}`.
///
/// Success: a string that the caller owns; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any.
/// Null: `inspector` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_inspector_buffers_json(
    inspector: Option<&CInspector>,
    region: CHandle,
    limit: usize,
    err: ErrorOut<'_>,
) -> *const c_char {
    boundary::value(err, || boundary::owned_json(&given(inspector, "inspector")?.0.buffers(handle(region), limit)?))
}

/// Releases an inspector.
///
/// Success: the object is gone. Using or releasing it again is undefined.
/// Failure: it cannot fail.
/// Threads: any, when no other thread uses the object.
/// Null: `inspector` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_inspector_release(inspector: Option<Box<CInspector>>) {
    boundary::quiet(|| drop(inspector));
}
