//! Buffers: runs of bytes in a region (R2, R3, K4, C2).

use std::mem::MaybeUninit;

use weaveheap_core::{BorrowKind, BufferInfo, CopyReason};

use crate::abi;
use crate::argument::{self, Growing, given};
use crate::boundary::{self, ErrorOut};
use crate::handle::{CHandle, handle};
use crate::heap::CHeap;
use crate::release;

/// What a buffer is. Set `struct_size` before the call.
#[repr(C)]
pub struct CBufferInfo {
    /// `sizeof(weaveheap_buffer_info_t)`.
    pub struct_size: usize,
    /// Its handle.
    pub handle: CHandle,
    /// The handle of its region.
    pub region: CHandle,
    /// Its length in bytes.
    pub length: u64,
    /// Its offset from the heap's base, in bytes.
    pub offset: u64,
    /// Shared borrows that live.
    pub shared: u32,
    /// True under a unique borrow.
    pub unique: bool,
    /// True once `weaveheap_buffer_freeze` took the right to write.
    pub frozen: bool,
    /// True if a holder died while it could write.
    pub poisoned: bool,
}

// SAFETY: repr(C), struct_size first, integers and booleans only.
unsafe impl Growing for CBufferInfo {
    const FIRST_SIZE: usize = size_of::<CBufferInfo>();
}

impl From<&BufferInfo> for CBufferInfo {
    fn from(info: &BufferInfo) -> CBufferInfo {
        CBufferInfo {
            struct_size: 0,
            handle: info.handle.to_bits(),
            region: info.region.to_bits(),
            length: info.length,
            offset: info.offset,
            shared: info.shared,
            unique: info.unique,
            frozen: info.frozen,
            poisoned: info.poisoned,
        }
    }
}

/// Allocates `length` bytes. `align` is a power of two from 1 to `WEAVEHEAP_ALIGN_MAX`; `WEAVEHEAP_ALIGN_DEFAULT` is the
/// usual one. `init` is `WEAVEHEAP_INIT_ZEROED` or `WEAVEHEAP_INIT_UNINIT`. A length of 0 is allowed.
///
/// Success: the buffer's handle. The region owns the memory: it lives until `weaveheap_buffer_free`, or until its region
/// is reset or closed.
/// Failure: 0; nothing was allocated. `WEAVEHEAP_ERROR_LIMIT_REACHED` for the region's limit,
/// `WEAVEHEAP_ERROR_OUT_OF_MEMORY` for the heap's or the system's.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_alloc(
    heap: Option<&CHeap>,
    region: CHandle,
    length: u64,
    align: u64,
    init: u32,
    err: ErrorOut<'_>,
) -> CHandle {
    boundary::value(err, || {
        Ok(given(heap, "heap")?.0.alloc(handle(region), length, align, abi::init(init)?)?.to_bits())
    })
}

/// Allocates a copy of `length` bytes; the copy is counted as `WEAVEHEAP_COPY_INGEST`.
///
/// Success: the buffer's handle, as from `weaveheap_buffer_alloc`.
/// Failure: 0; nothing was allocated. The library keeps nothing of `bytes`.
/// Threads: any; nobody may write `bytes` meanwhile.
/// Null: `heap` null, or `bytes` null with a `length` above 0, is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_buffer_alloc_from(
    heap: Option<&CHeap>,
    region: CHandle,
    bytes: *const u8,
    length: usize,
    align: u64,
    err: ErrorOut<'_>,
) -> CHandle {
    boundary::value(err, || {
        let heap = &given(heap, "heap")?.0;
        // SAFETY: the caller gives null or `length` bytes.
        let bytes = unsafe { argument::bytes(bytes, length, "bytes") }?;
        Ok(heap.alloc_from(handle(region), bytes, align)?.to_bits())
    })
}

/// Frees one buffer: its handle is stale at once, in every process.
///
/// Success: 0.
/// Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROWED` while it is borrowed.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_free(heap: Option<&CHeap>, buffer: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.free(handle(buffer)))
}

/// Takes the right to write from a buffer, for everyone and for good: unique borrows are
/// `WEAVEHEAP_ERROR_DENIED` from now on.
///
/// Success: 0, also if it was frozen before.
/// Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROW_CONFLICT` under a unique borrow.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_freeze(heap: Option<&CHeap>, buffer: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.freeze(handle(buffer)))
}

/// Makes a buffer usable again whose unique holder died: its bytes may be half changed, and the caller knows.
///
/// Success: 0, also if it was not poisoned.
/// Failure: the code, and nothing has changed.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_clear_poison(heap: Option<&CHeap>, buffer: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.clear_poison(handle(buffer)))
}

/// What a buffer is, and who borrows it in numbers.
///
/// Success: 0; `*info` is filled as far as its `struct_size` reaches.
/// Failure: the code; `*info` is as it was.
/// Threads: any.
/// Null: `heap` or `info` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_buffer_info(
    heap: Option<&CHeap>,
    buffer: CHandle,
    info: *mut CBufferInfo,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let found = given(heap, "heap")?.0.buffer_info(handle(buffer))?;
        // SAFETY: as the header asks of the caller.
        unsafe { argument::write_sized(info, &CBufferInfo::from(&found), "info") }
    })
}

/// The length of a buffer in bytes.
///
/// Success: the length; 0 with `err->code` 0 for an empty buffer.
/// Failure: 0.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_length(heap: Option<&CHeap>, buffer: CHandle, err: ErrorOut<'_>) -> u64 {
    boundary::value(err, || Ok(given(heap, "heap")?.0.buffer_info(handle(buffer))?.length))
}

/// Copies a buffer's bytes out of the heap, under a shared borrow that lasts for the call; the copy is counted as
/// `WEAVEHEAP_COPY_EXPORT`. Borrow instead where a view will do.
///
/// Success: a block that the caller owns, never null, and its length in `*length`; release it with `weaveheap_free_bytes`.
/// Failure: null; nothing is owned and `*length` is as it was. `WEAVEHEAP_ERROR_BORROW_CONFLICT` under a unique borrow.
/// Threads: any.
/// Null: `heap` or `length` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_export(
    heap: Option<&CHeap>,
    buffer: CHandle,
    length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> *mut u8 {
    boundary::value(err, || {
        let heap = &given(heap, "heap")?.0;
        let length = given(length, "length")?;
        let lease = heap.borrow(handle(buffer), BorrowKind::Shared)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(lease.len()).map_err(|_| {
            weaveheap_core::Error::with_message(
                weaveheap_core::ErrorCode::OutOfMemory,
                format!("no memory for a copy of {} bytes: borrow the buffer instead", lease.len()),
            )
        })?;
        bytes.extend_from_slice(lease.as_slice());
        lease.count_copy(CopyReason::Export, bytes.len() as u64);
        length.write(bytes.len());
        Ok(release::owned_bytes(bytes))
    })
}

/// Counts a copy of a buffer's bytes that the caller made; `reason` is one of `WEAVEHEAP_COPY_*`. Copies that this library
/// makes are counted by it.
///
/// Success: 0; for a stale handle too, where the heap counts it and no region.
/// Failure: the code.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_count_copy(
    heap: Option<&CHeap>,
    buffer: CHandle,
    reason: u32,
    bytes: u64,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        given(heap, "heap")?.0.count_copy(handle(buffer), abi::copy_reason(reason)?, bytes);
        Ok(())
    })
}

/// Counts a native view that the caller made of a buffer's bytes: a slice, an array or a segment object of its language.
/// The library sees borrows, and cannot see what is made of them.
///
/// Success: 0; for a stale handle too, where the heap counts it and no region.
/// Failure: the code.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_count_view(heap: Option<&CHeap>, buffer: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        given(heap, "heap")?.0.count_view(handle(buffer));
        Ok(())
    })
}

/// Counts a view whose borrow a finalizer of the caller's language is about to end, and not the program.
///
/// Success: 0; for a stale handle too, where the heap counts it and no region.
/// Failure: the code.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_buffer_count_finalized(heap: Option<&CHeap>, buffer: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        given(heap, "heap")?.0.count_finalized(handle(buffer));
        Ok(())
    })
}
