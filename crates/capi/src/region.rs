//! Regions: arenas whose buffers are freed together (R1 to R7).

use std::ffi::c_char;
use std::mem::MaybeUninit;

use weaveheap_core::{RegionInfo, RegionOptions, RegionState};

use crate::argument::{self, Growing, given};
use crate::boundary::{self, ErrorOut};
use crate::handle::{CHandle, handle};
use crate::heap::CHeap;

/// The region is in use.
pub const WEAVEHEAP_REGION_OPEN: u32 = 1;
/// The region is being closed at this moment.
pub const WEAVEHEAP_REGION_CLOSING: u32 = 2;
/// The region closes when the last borrow ends.
pub const WEAVEHEAP_REGION_DRAINING: u32 = 3;

/// What a region is and holds. Set `struct_size` before the call.
#[repr(C)]
pub struct CRegionInfo {
    /// `sizeof(weaveheap_region_info_t)`.
    pub struct_size: usize,
    /// Its handle.
    pub handle: CHandle,
    /// Its limit in bytes; 0 without one.
    pub limit: u64,
    /// Bytes of its chunks.
    pub reserved: u64,
    /// The most that `reserved` has been.
    pub peak: u64,
    /// Buffers that live.
    pub buffers: u64,
    /// Bytes of buffers that live.
    pub bytes_live: u64,
    /// Borrows of its buffers that live, shared and unique.
    pub borrows: u64,
    /// One of `WEAVEHEAP_REGION_*`.
    pub state: u32,
}

// SAFETY: repr(C), struct_size first, integers only.
unsafe impl Growing for CRegionInfo {
    const FIRST_SIZE: usize = size_of::<CRegionInfo>();
}

impl From<&RegionInfo> for CRegionInfo {
    fn from(info: &RegionInfo) -> CRegionInfo {
        CRegionInfo {
            struct_size: 0,
            handle: info.handle.to_bits(),
            limit: info.limit.unwrap_or(0),
            reserved: info.reserved,
            peak: info.peak,
            buffers: info.buffers,
            bytes_live: info.bytes_live,
            borrows: info.borrows,
            state: match info.state {
                RegionState::Open => WEAVEHEAP_REGION_OPEN,
                RegionState::Closing => WEAVEHEAP_REGION_CLOSING,
                RegionState::Draining => WEAVEHEAP_REGION_DRAINING,
            },
        }
    }
}

/// Makes a region. `name` is for people to read: UTF-8, up to 64 bytes. `limit` is the most that it may hold, in bytes,
/// kept to the size of a chunk; 0 for none.
///
/// Success: the region's handle; close the region with `weaveheap_region_close` or `weaveheap_region_close_when_idle`.
/// Failure: 0; nothing was made. The library keeps nothing of `name`.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `name` (no name) and `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_region_create(
    heap: Option<&CHeap>,
    name: *const c_char,
    limit: u64,
    err: ErrorOut<'_>,
) -> CHandle {
    boundary::value(err, || {
        let heap = &given(heap, "heap")?.0;
        let mut options = RegionOptions::new();
        // SAFETY: the caller gives null or a string.
        if let Some(name) = unsafe { argument::optional_text(name, "name") }? {
            options = options.name(name);
        }
        if limit != 0 {
            options = options.limit(limit);
        }
        Ok(heap.create_region(&options)?.to_bits())
    })
}

/// Empties a region and keeps it: the handles of its buffers are stale at once, its own stays.
///
/// Success: 0.
/// Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROWED` while a buffer of it is borrowed.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_region_reset(heap: Option<&CHeap>, region: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.reset(handle(region)))
}

/// Frees a region and all in it: its handle and those of its buffers are stale at once, in every process.
///
/// Success: 0.
/// Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROWED` while a buffer of it is borrowed.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_region_close(heap: Option<&CHeap>, region: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.close(handle(region)))
}

/// Refuses new borrows and allocations from now on (`WEAVEHEAP_ERROR_STALE_HANDLE`); the last borrow to end, in whichever
/// process, frees the region.
///
/// Success: 0.
/// Failure: the code, and nothing has changed.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_region_close_when_idle(heap: Option<&CHeap>, region: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.close_when_idle(handle(region)))
}

/// For bindings of garbage-collected languages: the object that owns the region was collected. Closes the region when
/// idle, and counts that.
///
/// Success: true if the region was open, so that the language can warn; false if it was closed already.
/// Failure: false.
/// Threads: any, finalizers among them.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_region_collect(heap: Option<&CHeap>, region: CHandle, err: ErrorOut<'_>) -> bool {
    boundary::value(err, || Ok(given(heap, "heap")?.0.collect_region(handle(region))))
}

/// Sleeps until no buffer of the region is borrowed, at most `timeout` seconds; for ever if it is negative.
///
/// Success: 0.
/// Failure: the code. `WEAVEHEAP_ERROR_TIMEOUT` when the time is over, `WEAVEHEAP_ERROR_INVALID_ARGUMENT` if `timeout` is
/// not a number.
/// Threads: any; only the calling one sleeps.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_region_wait_idle(
    heap: Option<&CHeap>,
    region: CHandle,
    timeout: f64,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.wait_idle(handle(region), argument::timeout(timeout)?))
}

/// What a region is and holds.
///
/// Success: 0; `*info` is filled as far as its `struct_size` reaches.
/// Failure: the code; `*info` is as it was.
/// Threads: any.
/// Null: `heap` or `info` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_region_info(
    heap: Option<&CHeap>,
    region: CHandle,
    info: *mut CRegionInfo,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let found = given(heap, "heap")?.0.region_info(handle(region))?;
        // SAFETY: as the header asks of the caller.
        unsafe { argument::write_sized(info, &CRegionInfo::from(&found), "info") }
    })
}

/// The region's name.
///
/// Success: a string that the caller owns, empty for a region without a name; release it with `weaveheap_free_string`.
/// Failure: null; nothing is owned.
/// Threads: any.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_region_name(heap: Option<&CHeap>, region: CHandle, err: ErrorOut<'_>) -> *const c_char {
    boundary::value(err, || Ok(boundary::owned_text(given(heap, "heap")?.0.region_info(handle(region))?.name)))
}

/// Writes the handles of the region's buffers, by index, into an array of the caller's; at most `capacity`.
/// `buffers` in `weaveheap_region_info_t` says how many there are.
///
/// Success: how many handles were written; 0 with `err->code` 0 if there are none.
/// Failure: 0; the array is as it was.
/// Threads: any.
/// Null: `heap` null, or `handles` null with a `capacity` above 0, is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weaveheap_region_buffers(
    heap: Option<&CHeap>,
    region: CHandle,
    handles: *mut MaybeUninit<CHandle>,
    capacity: usize,
    err: ErrorOut<'_>,
) -> usize {
    boundary::value(err, || {
        let heap = &given(heap, "heap")?.0;
        // SAFETY: the caller gives null or an array of `capacity` handles.
        let places = unsafe { argument::array(handles, capacity, "handles") }?;
        let buffers = heap.buffers(handle(region), capacity)?;
        let mut written = 0;
        for (place, buffer) in places.iter_mut().zip(&buffers) {
            place.write(buffer.handle.to_bits());
            written += 1;
        }
        Ok(written)
    })
}
