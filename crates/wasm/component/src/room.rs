//! The module's own memory, which resources, messages and reports need. It grows beside the heap; where it cannot, calls
//! are refused before they need it, for what then finds none is a trap.

use std::cell::{Cell, RefCell};

use weaveheap_core::{Error, ErrorCode, Heap, Result};

/// What a call may need for a resource and a message.
const CALL: usize = 4 << 10;

/// What a report needs at least, and what is kept back.
const REPORT: usize = 64 << 10;

/// More than a borrow, a region or a name takes of a report, in the core's form and in the interface's.
const LINE: usize = 1 << 10;

/// More than a buffer takes of a check.
const BUFFER: usize = 256;

thread_local! {
    static KEPT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static LINES: Cell<usize> = const { Cell::new(0) };
    static MOST_LINES: Cell<usize> = const { Cell::new(0) };
}

/// Something that reports list: a borrow, a region, or a name.
pub(crate) struct Line(());

impl Line {
    pub(crate) fn new() -> Line {
        LINES.set(LINES.get() + 1);
        MOST_LINES.set(MOST_LINES.get().max(LINES.get()));
        Line(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        LINES.set(LINES.get() - 1);
    }
}

/// True if so many bytes are there in one piece. They stay with the module's allocator: the heap takes its pages elsewhere.
pub(crate) fn is_there(bytes: usize) -> bool {
    let mut taken = Vec::<u8>::new();
    let is_there = taken.try_reserve_exact(bytes).is_ok();
    // Or the compiler would leave out what is never used.
    std::hint::black_box(&taken);
    is_there
}

fn ask(bytes: usize) -> Result<()> {
    if is_there(bytes) { Ok(()) } else { Err(Error::new(ErrorCode::OutOfMemory)) }
}

/// Before a call that may make a resource.
pub(crate) fn for_call() -> Result<()> {
    ask(CALL)
}

/// Keeps memory back for reports, if there is some.
pub(crate) fn keep() {
    KEPT.with_borrow_mut(|kept| {
        if kept.capacity() == 0 {
            // What cannot be had now is tried for again after the next report.
            let _ = kept.try_reserve_exact(REPORT);
        }
    });
}

/// What gives memory back, and must not be refused: with what was kept back, where there is no other.
pub(crate) fn freeing<T>(work: impl FnOnce() -> T) -> T {
    if is_there(CALL) {
        return work();
    }
    KEPT.take();
    let done = work();
    keep();
    done
}

/// Makes a report, with what was kept back for it.
pub(crate) fn report<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    KEPT.take();
    let made = ask(REPORT / 2 + LINES.get().saturating_mul(LINE)).and_then(|()| work());
    keep();
    made
}

/// Before a check of this heap, in a report.
pub(crate) fn for_check(heap: &Heap) -> Result<()> {
    let buffers = heap.snapshot()?.regions.iter().map(|region| region.buffers).sum::<u64>();
    // It looks at all entries that the ledger has ever had.
    let lines = MOST_LINES.get().saturating_mul(LINE);
    ask((REPORT / 2 + lines).saturating_add((buffers as usize).saturating_mul(BUFFER)))
}
