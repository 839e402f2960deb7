//! An error in a word, so that a `Result` of it is small: every `?` of the core moves one, and in a module of WebAssembly
//! these moves are a large part of the code. It is a code alone, or where on the module's heap there is more.

use std::alloc::{Layout, alloc};
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use crate::error::{ErrorCode, Parts};

/// The address of `Parts` that are this object's own; or the code's number doubled and one, which no address of them is.
pub(crate) struct Place(NonNull<Parts>);

// SAFETY: what the address names is owned, and may go to other threads.
unsafe impl Send for Place where Parts: Send {}
// SAFETY: as above, and it is only read through a shared reference.
unsafe impl Sync for Place where Parts: Sync {}

impl Place {
    /// Without memory for more, an error is its code alone.
    pub(crate) fn of(parts: Parts) -> Place {
        let code = parts.code;
        if parts.is_code_alone() {
            return Place::of_code(code);
        }
        // SAFETY: the layout is not of size 0.
        match NonNull::new(unsafe { alloc(Layout::new::<Parts>()) }) {
            Some(memory) => {
                let place = memory.cast::<Parts>();
                // SAFETY: the memory is new, and of this layout.
                unsafe { place.write(parts) };
                Place(place)
            }
            None => Place::of_code(code),
        }
    }

    pub(crate) fn of_code(code: ErrorCode) -> Place {
        Place(NonNull::without_provenance(NonZeroUsize::MIN | (code.number() as usize) << 1))
    }

    fn address(&self) -> Option<NonNull<Parts>> {
        (self.0.addr().get() & 1 == 0).then_some(self.0)
    }

    pub(crate) fn code(&self) -> ErrorCode {
        match self.address() {
            // SAFETY: it was written by `of`, and lives as long as this object.
            Some(place) => unsafe { place.as_ref() }.code,
            None => ErrorCode::from_number((self.0.addr().get() >> 1) as i32).unwrap_or(ErrorCode::Internal),
        }
    }

    /// A copy of what it says.
    #[inline(never)]
    pub(crate) fn parts(&self) -> Parts {
        match self.address() {
            // SAFETY: as in `code`.
            Some(place) => unsafe { place.as_ref() }.clone(),
            None => Parts::new(self.code()),
        }
    }

    pub(crate) fn into_parts(self) -> Parts {
        self.parts()
    }
}

impl Clone for Place {
    fn clone(&self) -> Place {
        Place::of(self.parts())
    }
}

impl Drop for Place {
    #[inline(never)]
    fn drop(&mut self) {
        if let Some(place) = self.address() {
            // SAFETY: `of` has allocated it with this layout, as `Box` does, and this object is its only owner.
            drop(unsafe { Box::from_raw(place.as_ptr()) });
        }
    }
}
