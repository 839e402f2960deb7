//! What belongs to one process: a forked child has none of it, whatever its process id (H7).

use std::marker::PhantomData;
use std::sync::{MutexGuard, PoisonError};

use crate::sync::Word;
use crate::sys::{self, Mutex};

/// A number of this process that no ancestor of it has: whoever was forked reads another one.
///
/// Process ids do not do: a child in another PID namespace may have its parent's.
pub(crate) fn generation() -> u64 {
    /// Address of a word on a page that a fork wipes; 0 before first use.
    static MARK: Word = Word::new(0);
    /// The last number given; a child counts on from its parent's.
    static LAST: Word = Word::new(0);
    if !sys::FORKS {
        return 1;
    }
    let mut address = MARK.acquire();
    if address == 0 {
        let Ok(page) = sys::map_fork_wiped(4096) else { return u64::from(sys::pid()) | 1 << 63 };
        // One that another thread was faster to set stays mapped and unused.
        address = match MARK.cas(0, page.as_ptr().expose_provenance() as u64) {
            Ok(_) => page.as_ptr() as u64,
            Err(theirs) => theirs,
        };
    }
    // SAFETY: the page was mapped above, readable and writable, and is never unmapped; a wiped page reads as zero.
    let mark = unsafe { &*std::ptr::with_exposed_provenance::<Word>(address as usize) };
    match mark.acquire() {
        0 => {
            let mine = LAST.add(1) + 1;
            mark.cas(0, mine).map_or_else(|theirs| theirs, |_| mine)
        }
        mine => mine,
    }
}

/// A value of this process behind a mutex. A forked child finds a new one: its parent's may have been locked by a
/// thread that the child does not have.
pub(crate) struct PerProcess<T> {
    /// Address of a leaked `Owned`.
    place: Word,
    _value: PhantomData<Mutex<T>>,
}

struct Owned<T> {
    generation: u64,
    value: Mutex<T>,
    /// Address of the parent's, which nobody uses and nobody may free: tools that look for leaks find it here.
    _parent: u64,
}

impl<T: Default + Send + 'static> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess { place: Word::new(0), _value: PhantomData }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'static, T> {
        let generation = generation();
        loop {
            let address = self.place.acquire();
            if address != 0 {
                // SAFETY: only addresses of leaked values of this type are stored, and with exposed provenance.
                let owned = unsafe { &*std::ptr::with_exposed_provenance::<Owned<T>>(address as usize) };
                if owned.generation == generation {
                    return owned.value.lock().unwrap_or_else(PoisonError::into_inner);
                }
            }
            let new = Box::into_raw(Box::new(Owned { generation, value: Mutex::<T>::default(), _parent: address }));
            if self.place.cas(address, new.expose_provenance() as u64).is_err() {
                // SAFETY: made above, and nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_number_and_its_values() {
        static VALUES: PerProcess<Vec<u32>> = PerProcess::new();
        assert_eq!(generation(), generation());
        VALUES.lock().push(7);
        assert_eq!(std::thread::spawn(|| VALUES.lock().clone()).join().unwrap(), [7]);
    }
}
