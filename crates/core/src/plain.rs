//! Words of a module of WebAssembly that has one thread: they do what atomic ones do, and cost what plain memory does. The
//! compiler may read a word once where nothing in between can change it.

use std::cell::Cell;
use std::sync::atomic::Ordering;

macro_rules! words {
    ($($name:ident: $number:ty),*) => { $(
        #[derive(Default)]
        #[repr(transparent)]
        pub(crate) struct $name(Cell<$number>);

        // SAFETY: there is one thread.
        unsafe impl Sync for $name {}

        #[allow(dead_code, reason = "each kind of word has the same")]
        impl $name {
            pub(crate) const fn new(value: $number) -> $name {
                $name(Cell::new(value))
            }

            pub(crate) fn load(&self, _: Ordering) -> $number {
                self.0.get()
            }

            pub(crate) fn store(&self, value: $number, _: Ordering) {
                self.0.set(value);
            }

            pub(crate) fn swap(&self, value: $number, _: Ordering) -> $number {
                self.0.replace(value)
            }

            pub(crate) fn fetch_add(&self, n: $number, _: Ordering) -> $number {
                self.0.replace(self.0.get().wrapping_add(n))
            }

            pub(crate) fn fetch_sub(&self, n: $number, _: Ordering) -> $number {
                self.0.replace(self.0.get().wrapping_sub(n))
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $number,
                new: $number,
                _: Ordering,
                _: Ordering,
            ) -> Result<$number, $number> {
                let now = self.0.get();
                if now != current {
                    return Err(now);
                }
                self.0.set(new);
                Ok(now)
            }

            pub(crate) const fn as_ptr(&self) -> *mut $number {
                self.0.as_ptr()
            }
        }
    )* };
}

words!(AtomicU32: u32, AtomicU64: u64, AtomicUsize: usize);

/// There is nobody on whose side anything could be seen in another order.
pub(crate) fn fence(_: Ordering) {}

/// As `fence`.
pub(crate) fn compiler_fence(_: Ordering) {}
