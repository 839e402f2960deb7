//! Borrows: pointer, length and token, `const` for shared ones (V2, B1 to B7).

use std::mem::MaybeUninit;

use weaveheap_core::{BorrowKind, Error, ErrorCode, Miss, RawBorrow};

use crate::argument::given;
use crate::boundary::{self, ErrorOut};
use crate::handle::{CHandle, CToken, handle, token};
use crate::heap::CHeap;

/// A shared borrow: bytes to read. They stay where they are, and nobody writes them, until the token is ended.
#[repr(C)]
pub struct CView {
    /// The first byte; never null, also for a length of 0.
    pub data: *const u8,
    /// Bytes.
    pub length: usize,
    /// What `weaveheap_borrow_end` takes.
    pub token: CToken,
}

/// A unique borrow: bytes to read and write. They stay where they are, and nobody else touches them, until the token is
/// ended.
#[repr(C)]
pub struct CViewMut {
    /// The first byte; never null, also for a length of 0.
    pub data: *mut u8,
    /// Bytes.
    pub length: usize,
    /// What `weaveheap_borrow_end` takes.
    pub token: CToken,
}

/// Borrows a buffer for reading, together with any number of other readers. It never waits.
///
/// Success: 0; `*view` has the bytes and the token. End the borrow with `weaveheap_borrow_end`; the pointer is good until
/// then, whatever happens to the handle, the region or the heap object.
/// Failure: the code; nothing is borrowed and `*view` is as it was. `WEAVEHEAP_ERROR_BORROW_CONFLICT` while anyone has the
/// bytes for writing, `WEAVEHEAP_ERROR_POISONED` after a writer's death.
/// Threads: any. The bytes may be read from any thread, and another may end the borrow.
/// Null: `heap` or `view` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_borrow_shared(
    heap: Option<&CHeap>,
    buffer: CHandle,
    view: Option<&mut MaybeUninit<CView>>,
    err: ErrorOut<'_>,
) -> i32 {
    begin(heap, buffer, BorrowKind::Shared, view, err)
}

/// Borrows a buffer for writing, alone. It never waits.
///
/// Success: 0; `*view` has the bytes and the token. End the borrow with `weaveheap_borrow_end`; the pointer is good until
/// then, whatever happens to the handle, the region or the heap object.
/// Failure: the code; nothing is borrowed and `*view` is as it was. `WEAVEHEAP_ERROR_BORROW_CONFLICT` while anyone else
/// has the bytes at all, `WEAVEHEAP_ERROR_DENIED` for a frozen buffer, `WEAVEHEAP_ERROR_POISONED` after a writer's death.
/// Threads: any; one at a time may use the bytes, and another may end the borrow.
/// Null: `heap` or `view` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_borrow_unique(
    heap: Option<&CHeap>,
    buffer: CHandle,
    view: Option<&mut MaybeUninit<CViewMut>>,
    err: ErrorOut<'_>,
) -> i32 {
    begin(heap, buffer, BorrowKind::Unique, view, err)
}

/// Ends a borrow. A token ends once: of two threads that end the same one, one succeeds.
///
/// Success: 0; the view's pointer must not be used any more.
/// Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_STALE_HANDLE` if the token has ended, is forged, or was
/// made by another attachment.
/// Threads: any, whichever began it.
/// Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_borrow_end(heap: Option<&CHeap>, token: CToken, err: ErrorOut<'_>) -> i32 {
    // Nothing in the short way panics.
    match heap {
        Some(heap) if heap.0.end_short(self::token(token)) => boundary::done(err),
        _ => end_long(heap, token, err),
    }
}

/// Borrows by the short way, in which nothing panics, or by the long one.
#[inline(always)]
fn begin<V: From<RawBorrow>>(
    heap: Option<&CHeap>,
    buffer: CHandle,
    kind: BorrowKind,
    mut view: Option<&mut MaybeUninit<V>>,
    err: ErrorOut<'_>,
) -> i32 {
    if let (Some(heap), Some(view)) = (heap, &mut view) {
        match heap.0.borrow_short(handle(buffer), kind) {
            Ok(borrow) => {
                view.write(V::from(borrow));
                return boundary::done(err);
            }
            Err(Miss::Stale) => return stale(buffer, err),
            Err(Miss::Slow) => {}
        }
    }
    begin_long(heap, buffer, kind, view, err)
}

// A call of its own each, with the arguments where they are: what it needs burdens no short way.
#[cold]
#[inline(never)]
fn begin_long<V: From<RawBorrow>>(
    heap: Option<&CHeap>,
    buffer: CHandle,
    kind: BorrowKind,
    view: Option<&mut MaybeUninit<V>>,
    err: ErrorOut<'_>,
) -> i32 {
    boundary::code(err, || {
        let (heap, view) = (&given(heap, "heap")?.0, given(view, "view")?);
        view.write(V::from(heap.borrow_raw(handle(buffer), kind)?));
        Ok(())
    })
}

#[cold]
#[inline(never)]
fn stale(buffer: CHandle, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || Err(Error::new(ErrorCode::StaleHandle).about(handle(buffer))))
}

#[cold]
#[inline(never)]
fn end_long(heap: Option<&CHeap>, token: CToken, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || given(heap, "heap")?.0.end(self::token(token)))
}

impl From<RawBorrow> for CView {
    #[inline(always)]
    fn from(borrow: RawBorrow) -> CView {
        CView { data: borrow.pointer.cast_const(), length: borrow.length, token: borrow.token.to_bits() }
    }
}

impl From<RawBorrow> for CViewMut {
    #[inline(always)]
    fn from(borrow: RawBorrow) -> CViewMut {
        CViewMut { data: borrow.pointer, length: borrow.length, token: borrow.token.to_bits() }
    }
}
