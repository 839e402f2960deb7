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
    /// Memory of the last page that nobody has had yet: where it begins, and how many bytes are left.
    next: Cell<usize>,
    left: Cell<usize>,
}

// SAFETY: such a module has one thread.
unsafe impl Sync for Allocator {}

#[global_allocator]
static ALLOCATOR: Allocator =
    Allocator { free: [const { Cell::new(0) }; usize::BITS as usize], next: Cell::new(0), left: Cell::new(0) };

/// The logarithm of the piece for a layout, which is aligned to its size up to a page.
fn class(layout: Layout) -> u32 {
    let size = layout.size().max(layout.align()).max(LEAST);
    usize::BITS - (size - 1).leading_zeros()
}

impl Allocator {
    /// A piece that nobody has had yet, in pages of its own or in the last one; 0 if memory cannot grow.
    #[cold]
    fn new_piece(&self, size: usize) -> usize {
        if size >= PAGE {
            return grown(size / PAGE);
        }
        let mut skipped = self.next.get().wrapping_neg() & (size - 1);
        if self.left.get() < skipped + size {
            let page = grown(1);
            if page == 0 {
                return 0;
            }
            // What is left of the last page is less than a piece of this size.
            skipped = 0;
            self.next.set(page);
            self.left.set(PAGE);
        }
        let piece = self.next.get() + skipped;
        self.next.set(piece.wrapping_add(size));
        self.left.set(self.left.get() - skipped - size);
        piece
    }

    /// The first free piece of this size; 0 if there is none.
    fn take(&self, class: u32) -> usize {
        let list = &self.free[class as usize];
        let free = list.get();
        if free != 0 {
            // SAFETY: a free piece begins with the address of the next one, which `give` has written.
            list.set(unsafe { *ptr::with_exposed_provenance::<usize>(free) });
        }
        free
    }

    fn give(&self, class: u32, piece: usize) {
        let list = &self.free[class as usize];
        // SAFETY: the piece is nobody's, and larger than an address.
        unsafe { *ptr::with_exposed_provenance_mut::<usize>(piece) = list.get() };
        list.set(piece);
    }

    /// A part of a larger free piece, the rest of which is free in halves; 0 if there is none.
    #[cold]
    fn split(&self, class: u32) -> usize {
        for larger in class + 1..usize::BITS {
            let piece = self.take(larger);
            if piece != 0 {
                (class..larger).for_each(|half| self.give(half, piece + (1 << half)));
                return piece;
            }
        }
        0
    }
}

/// So many new pages; 0 if memory cannot grow.
fn grown(pages: usize) -> usize {
    match memory_grow::<0>(pages) {
        usize::MAX => 0,
        first => first * PAGE,
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
        let address = match self.take(class) {
            0 => match self.new_piece(1 << class) {
                0 => self.split(class),
                new => new,
            },
            free => free,
        };
        ptr::with_exposed_provenance_mut(address)
    }

    #[inline(never)]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        self.give(class(layout), piece.expose_provenance());
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
