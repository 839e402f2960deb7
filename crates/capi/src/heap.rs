//! Heaps: making, opening, attaching, leaving and removing them, and what concerns a heap as a whole (H1 to H10).

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use weaveheap_core::{CheckReport, Error, ErrorCode, Heap, HeapOptions, Result};

use crate::abi;
use crate::argument::{self, Growing, given};
use crate::attached::{self, Share, first_object};
use crate::boundary::{self, ErrorOut};

/// An attached heap. Opaque: made by `weaveheap_heap_private`, `_create`, `_open` and their like, and released with
/// `weaveheap_heap_release`. Any threads may use one object at the same time.
pub struct CHeap(pub(crate) Heap, pub(crate) Option<Arc<Share>>);

/// What a heap is made or opened with. Start from `WEAVEHEAP_HEAP_OPTIONS_INIT`; every field may stay 0.
#[repr(C)]
pub struct CHeapOptions {
    /// `sizeof(weaveheap_heap_options)`.
    pub struct_size: usize,
    /// The most that the heap may hold, in bytes; 0 for 64 GiB or what the system gives. Ignored by `open`.
    pub limit: u64,
    /// One of `WEAVEHEAP_RUNTIME_*`: the language that the caller works for. 0 is C.
    pub runtime: u32,
    /// Not 0: the command line may see a private heap by process id.
    pub inspect: u32,
    /// Not 0: shared borrows of runtimes without read-only views are checksummed. Ignored by `open`.
    pub verify: u32,
    /// What the attachment calls itself in reports, cut to 64 bytes of UTF-8; null for nothing.
    pub label: *const c_char,
}

// SAFETY: repr(C), struct_size first, integers and a pointer only.
unsafe impl Growing for CHeapOptions {
    const FIRST_SIZE: usize = size_of::<CHeapOptions>();
}

/// What a heap is. Set `struct_size` before the call.
#[repr(C)]
pub struct CHeapInfo {
    /// `sizeof(weaveheap_heap_info_t)`.
    pub struct_size: usize,
    /// Bytes of address space, the heap's limit.
    pub limit: u64,
    /// The language of this attachment, one of `WEAVEHEAP_RUNTIME_*`.
    pub runtime: u32,
    /// True if other processes can attach.
    pub shared: bool,
    /// True if shared borrows of runtimes without read-only views are checksummed.
    pub verify: bool,
    /// True once `weaveheap_heap_detach` has succeeded, and in a forked child.
    pub detached: bool,
}

// SAFETY: repr(C), struct_size first, integers and booleans only.
unsafe impl Growing for CHeapInfo {
    const FIRST_SIZE: usize = size_of::<CHeapInfo>();
}

/// What `weaveheap_heap_check` found. Set `struct_size` before the call.
#[repr(C)]
pub struct CCheckReport {
    /// `sizeof(weaveheap_check_report)`.
    pub struct_size: usize,
    /// Regions walked.
    pub regions: u64,
    /// Chunks walked.
    pub chunks: u64,
    /// Buffers that live.
    pub buffers: u64,
    /// Borrows that live.
    pub borrows: u64,
    /// Attachments.
    pub attachments: u64,
    /// Places for buffers that nobody will be given any more, since a process died in the middle of an allocation or a
    /// free. Their memory comes back when the region is reset or closed.
    pub lost: u64,
}

// SAFETY: repr(C), struct_size first, integers only.
unsafe impl Growing for CCheckReport {
    const FIRST_SIZE: usize = size_of::<CCheckReport>();
}

/// # Safety
/// `options` is null or points at what the header says.
unsafe fn options(options: *const CHeapOptions) -> Result<HeapOptions> {
    let mut built = HeapOptions::new().runtime(weaveheap_core::Runtime::C);
    if options.is_null() {
        return Ok(built);
    }
    // SAFETY: not null; the caller gives a struct of its struct_size.
    let given = unsafe { argument::read_sized(options, "options") }?;
    built = built.runtime(abi::runtime(given.runtime)?).inspect(given.inspect != 0).verify(given.verify != 0);
    if given.limit != 0 {
        built = built.limit(given.limit);
    }
    // SAFETY: the caller gives null or a string.
    if let Some(label) = unsafe { argument::optional_text(given.label, "options->label") }? {
        built = built.label(label);
    }
    Ok(built)
}

/// Makes a private heap: memory of this process.
///
/// Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
/// Failure: null; nothing is owned. The library keeps nothing of `options`.
/// Threads: any.
/// Null: `options` may be null (all defaults); `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_private(options: *const CHeapOptions, err: ErrorOut<'_>) -> Option<Box<CHeap>> {
    boundary::value(err, || {
        // SAFETY: as the header asks of the caller.
        let options = unsafe { self::options(options) }?;
        Ok(first_object(options.private()?))
    })
}

/// Makes a shared heap with this name ([a-z0-9][a-z0-9._-]{0,63}). Whoever attaches to it must follow the borrow rules,
/// as threads of one process do.
///
/// Success: a heap object that the caller owns; release it with `weaveheap_heap_release`. The heap itself stays until
/// `weaveheap_heap_remove`.
/// Failure: null; nothing is owned and nothing was made. `WEAVEHEAP_ERROR_ALREADY_EXISTS` if there is one of the name,
/// `WEAVEHEAP_ERROR_INVALID_NAME` for a bad name. The library keeps nothing of `name` and `options`.
/// Threads: any.
/// Null: `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_create(
    name: *const c_char,
    options: *const CHeapOptions,
    err: ErrorOut<'_>,
) -> Option<Box<CHeap>> {
    boundary::value(err, || {
        // SAFETY: as the header asks of the caller.
        let (name, options) = unsafe { (argument::text(name, "name")?, self::options(options)?) };
        // SAFETY: the header passes the contract of shared heaps (F6) on to the caller.
        Ok(first_object(unsafe { options.create(name) }?))
    })
}

/// Makes a shared heap in this file, under the same contract as `weaveheap_heap_create`.
///
/// Success: a heap object that the caller owns; release it with `weaveheap_heap_release`. The file stays until
/// `weaveheap_heap_remove_path`.
/// Failure: null; nothing is owned and nothing was made. `WEAVEHEAP_ERROR_ALREADY_EXISTS` if the file exists. The library
/// keeps nothing of `path` and `options`.
/// Threads: any.
/// Null: `path` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_create_path(
    path: *const c_char,
    options: *const CHeapOptions,
    err: ErrorOut<'_>,
) -> Option<Box<CHeap>> {
    boundary::value(err, || {
        // SAFETY: as the header asks of the caller.
        let (path, options) = unsafe { (argument::path(path, "path")?, self::options(options)?) };
        // SAFETY: the header passes the contract of shared heaps (F6) on to the caller.
        Ok(first_object(unsafe { options.create_path(&path) }?))
    })
}

/// Opens the shared heap with this name, under the same contract as `weaveheap_heap_create`.
///
/// Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
/// Failure: null; nothing is owned. `WEAVEHEAP_ERROR_NOT_FOUND` if there is none, `WEAVEHEAP_ERROR_INCOMPATIBLE` or
/// `WEAVEHEAP_ERROR_CORRUPT` if the file is no heap of this version. The library keeps nothing of `name` and `options`.
/// Threads: any.
/// Null: `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_open(
    name: *const c_char,
    options: *const CHeapOptions,
    err: ErrorOut<'_>,
) -> Option<Box<CHeap>> {
    boundary::value(err, || {
        // SAFETY: as the header asks of the caller.
        let (name, options) = unsafe { (argument::text(name, "name")?, self::options(options)?) };
        // SAFETY: the header passes the contract of shared heaps (F6) on to the caller.
        Ok(first_object(unsafe { options.open(name) }?))
    })
}

/// Opens the shared heap in this file, under the same contract as `weaveheap_heap_create`.
///
/// Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
/// Failure: null; nothing is owned. The codes are those of `weaveheap_heap_open`. The library keeps nothing of `path` and
/// `options`.
/// Threads: any.
/// Null: `path` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_open_path(
    path: *const c_char,
    options: *const CHeapOptions,
    err: ErrorOut<'_>,
) -> Option<Box<CHeap>> {
    boundary::value(err, || {
        // SAFETY: as the header asks of the caller.
        let (path, options) = unsafe { (argument::path(path, "path")?, self::options(options)?) };
        // SAFETY: the header passes the contract of shared heaps (F6) on to the caller.
        Ok(first_object(unsafe { options.open_path(&path) }?))
    })
}

/// Attaches this copy of the library to a heap that another copy has mapped in this process (a Python module, say).
/// `base` is what `weaveheap_heap_base` gave in this process, and that heap stays attached until this call has returned;
/// any other pointer is undefined.
///
/// Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
/// Failure: null; nothing is owned. The library keeps nothing of `options`.
/// Threads: any.
/// Null: `base` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_attach(
    base: *mut c_void,
    options: *const CHeapOptions,
    err: ErrorOut<'_>,
) -> Option<Box<CHeap>> {
    boundary::value(err, || {
        if base.is_null() {
            return Err(argument::invalid("base is null: give what weaveheap_heap_base returned"));
        }
        // SAFETY: as the header asks of the caller.
        let options = unsafe { self::options(options) }?;
        // SAFETY: not null, and the header passes the callee's precondition on to the caller.
        Ok(first_object(unsafe { options.attach(base.cast::<u8>()) }?))
    })
}

/// Another object of the heap with this id, if this copy of the library is attached to it. Both objects are the same
/// attachment.
///
/// Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
/// Failure: null; nothing is owned. `WEAVEHEAP_ERROR_NOT_FOUND` if the library is not attached to such a heap.
/// Threads: any.
/// Null: `id` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_by_id(id: *const c_char, err: ErrorOut<'_>) -> Option<Box<CHeap>> {
    boundary::value(err, || {
        // SAFETY: the caller gives null or a string.
        let id = unsafe { argument::text(id, "id") }?;
        attached::another_object(id)
    })
}

/// Where the heap is mapped in this process: what `weaveheap_heap_attach` takes.
///
/// Success: the address. The heap owns the memory; it stays mapped until the heap is detached or released, and as long as
/// borrows of it live. Read and write it through borrows only.
/// Failure: null. `WEAVEHEAP_ERROR_NOT_ATTACHED` after detaching.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_base(heap: Option<&CHeap>, err: ErrorOut<'_>) -> *mut c_void {
    boundary::value(err, || {
        let heap = &given(heap, "heap")?.0;
        if heap.is_detached() {
            return Err(Error::new(ErrorCode::NotAttached));
        }
        Ok(heap.base().cast::<c_void>())
    })
}

/// The heap's id: 32 hexadecimal digits that are its alone.
///
/// Success: a string that the caller owns; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_id(heap: Option<&CHeap>, err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || Ok(boundary::owned_text(given(heap, "heap")?.0.id())))
}

/// The file of a shared heap.
///
/// Success: a string that the caller owns; release it with `weaveheap_free_string`. Null with `err->code` 0 for a private
/// heap, which has no file.
/// Failure: null; nothing is owned. `WEAVEHEAP_ERROR_INVALID_UTF8` if the path is not UTF-8.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_path(heap: Option<&CHeap>, err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || match given(heap, "heap")?.0.path() {
        Some(path) => owned_path(path),
        None => Ok(std::ptr::null()),
    })
}

fn owned_path(path: &std::path::Path) -> Result<*const c_char> {
    let text = path.to_str().ok_or_else(|| {
        Error::with_message(ErrorCode::InvalidUtf8, format!("the path {} is not UTF-8", path.display()))
    })?;
    Ok(boundary::owned_text(text.to_owned()))
}

/// What the heap is. It answers after detaching, too.
///
/// Success: 0; `*info` is filled as far as its `struct_size` reaches.
/// Failure: the code; `*info` is as it was.
/// Threads: any.
/// Null: `heap` or `info` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_info(heap: Option<&CHeap>, info: *mut CHeapInfo, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        let heap = &given(heap, "heap")?.0;
        let found = CHeapInfo {
            struct_size: 0,
            limit: heap.limit(),
            runtime: heap.runtime() as u32,
            shared: heap.is_shared(),
            verify: heap.verify(),
            detached: heap.is_detached(),
        };
        // SAFETY: as the header asks of the caller.
        unsafe { argument::write_sized(info, &found, "info") }
    })
}

/// Ends this attachment: every later call with any object of it is `WEAVEHEAP_ERROR_NOT_ATTACHED`. The object itself is
/// still to be released.
///
/// Success: 0.
/// Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROWED` while this process holds borrows through it.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_detach(heap: Option<&CHeap>, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.detach())
}

/// Releases a heap object. The last object of an attachment detaches; the memory is unmapped when the last borrow of it
/// has ended, so that no view loses its bytes. Those borrows are ended through an object got by `weaveheap_heap_by_id`.
///
/// Success: the object is gone. Using or releasing it again is undefined.
/// Failure: it cannot fail.
/// Threads: any, when no other thread uses the object.
/// Null: `heap` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_release(heap: Option<Box<CHeap>>) {
    boundary::quiet(|| {
        if let Some(heap) = heap {
            attached::release(*heap);
        }
    });
}

/// Unlinks the shared heap with this name. Processes that are attached keep it.
///
/// Success: 0.
/// Failure: the code. `WEAVEHEAP_ERROR_NOT_FOUND` if there is none. The library keeps nothing of `name`.
/// Threads: any.
/// Null: `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_remove(name: *const c_char, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        // SAFETY: the caller gives null or a string.
        Heap::remove(unsafe { argument::text(name, "name") }?)
    })
}

/// Unlinks the shared heap in this file. Processes that are attached keep it.
///
/// Success: 0.
/// Failure: the code. `WEAVEHEAP_ERROR_NOT_FOUND` if there is none, `WEAVEHEAP_ERROR_INCOMPATIBLE` if the file is no heap.
/// The library keeps nothing of `path`.
/// Threads: any.
/// Null: `path` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_remove_path(path: *const c_char, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        // SAFETY: the caller gives null or a string.
        Heap::remove_path(&unsafe { argument::path(path, "path") }?)
    })
}

/// The shared heaps in the folder of names, as JSON: `[{"name": ..., "path": ...}]`, by name.
///
/// Success: a string that the caller owns; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any.
/// Null: `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_list_json(err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || {
        let entries: Vec<_> = Heap::list()?
            .into_iter()
            .map(|entry| serde_json::json!({ "name": entry.name, "path": entry.path.to_string_lossy() }))
            .collect();
        Ok(boundary::owned_text(serde_json::Value::Array(entries).to_string()))
    })
}

/// The folder of names: `WEAVEHEAP_DIR`, or the user's own folder in the system's shared memory.
///
/// Success: a string that the caller owns; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned. `WEAVEHEAP_ERROR_INVALID_UTF8` if the path is not UTF-8.
/// Threads: any.
/// Null: `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_folder(err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || owned_path(&Heap::folder()))
}

/// Walks the whole heap and verifies its invariants.
///
/// Success: 0; `*report` is filled as far as its `struct_size` reaches.
/// Failure: the code; `*report` is as it was. `WEAVEHEAP_ERROR_CORRUPT` says which invariant does not hold.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `report` and `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_heap_check(
    heap: Option<&CHeap>,
    report: *mut CCheckReport,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let CheckReport { regions, chunks, buffers, borrows, attachments, lost } = given(heap, "heap")?.0.check()?;
        if report.is_null() {
            return Ok(());
        }
        let found = CCheckReport { struct_size: 0, regions, chunks, buffers, borrows, attachments, lost };
        // SAFETY: not null; the caller gives a struct of its struct_size.
        unsafe { argument::write_sized(report, &found, "report") }
    })
}

/// Gives freed memory back to the system now.
///
/// Success: the bytes given back; 0 with `err->code` 0 if there was nothing to give.
/// Failure: 0.
/// Threads: any. It may take milliseconds.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_heap_trim(heap: Option<&CHeap>, err: ErrorOut<'_>) -> u64 {
    boundary::value(err, || given(heap, "heap")?.0.trim())
}
