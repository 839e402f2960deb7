//! The allocator of the package's module: what Rust allocates beside the heaps (records of objects, messages, statistics) is
//! little and short-lived, and the standard library's allocator would be a twentieth of the module. Sizes are powers of two;
//! what is freed is kept by its size for the next of that size. The heaps' own memory is not from here.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::memory_grow;
use std::cell::Cell;
use std::ptr;

/// A page of memory.
const PAGE: usize = 65536;
/// The least that is given: a free piece holds the address of the next one.
const LEAST: usize = 16;

struct Allocator {
    /// The first free piece of each size, by its logarithm; 0 for none.
    free: [Cell<usize>; usize::BITS as usize],
    /// Memory that nobody has had yet.
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: such a module has one thread.
unsafe impl Sync for Allocator {}

#[global_allocator]
static ALLOCATOR: Allocator =
    Allocator { free: [const { Cell::new(0) }; usize::BITS as usize], next: Cell::new(0), end: Cell::new(0) };

/// The logarithm of the piece for a layout, which is aligned to its size up to a page.
fn class(layout: Layout) -> u32 {
    let size = layout.size().max(layout.align()).max(LEAST);
    usize::BITS - (size - 1).leading_zeros()
}

impl Allocator {
    /// A piece that nobody has had yet; 0 if memory cannot grow.
    #[cold]
    fn new_piece(&self, size: usize) -> usize {
        let mut start = self.next.get().next_multiple_of(size.min(PAGE));
        if start.checked_add(size).is_none_or(|stop| stop > self.end.get()) {
            let pages = size.div_ceil(PAGE);
            let first = memory_grow::<0>(pages);
            if first == usize::MAX {
                return 0;
            }
            // What is left before it is lost, which is less than a piece of this size.
            if first * PAGE != self.end.get() {
                start = first * PAGE;
            }
            // The end of all addresses is 0 here, below which nothing fits.
            self.end.set((first + pages).wrapping_mul(PAGE));
        }
        self.next.set(start.wrapping_add(size));
        start
    }
}

// SAFETY: pieces do not overlap: each is part of memory that was grown here, and is on one list or one caller's. It is as
// large as its layout, and aligned to its size up to a page, which is more than any layout here is aligned to.
unsafe impl GlobalAlloc for Allocator {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let class = class(layout);
        if class >= usize::BITS - 1 || layout.align() > PAGE {
            return ptr::null_mut();
        }
        let list = &self.free[class as usize];
        let address = match list.get() {
            0 => self.new_piece(1 << class),
            free => {
                // SAFETY: a free piece begins with the address of the next one, which `dealloc` has written.
                list.set(unsafe { *ptr::with_exposed_provenance::<usize>(free) });
                free
            }
        };
        ptr::with_exposed_provenance_mut(address)
    }

    #[inline(never)]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let list = &self.free[class(layout) as usize];
        // SAFETY: the caller gives a piece back that `alloc` gave for this layout; it is large enough and aligned.
        unsafe { piece.cast::<usize>().write(list.get()) };
        list.set(piece.expose_provenance());
    }

    #[inline(never)]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller gives a size that makes a layout with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if class(wanted) == class(layout) {
            return piece;
        }
        // SAFETY: the layout is not of size 0, as the caller promises.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both are as large, and the old one is the caller's to give back.
            unsafe {
                ptr::copy_nonoverlapping(piece, moved, layout.size().min(size));
                self.dealloc(piece, layout);
            }
        }
        moved
    }
}
