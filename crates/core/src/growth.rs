//! Where memory is there only once it was asked for (WebAssembly): a heap has a range of addresses, others grow the same
//! memory too, and what they take within the range is marked as handed out for good. Elsewhere all granules are there.
//!
//! The header's `grown` says up to where the heap knows whose the pages are. Below it, a granule that is handed out and not
//! committed is another's; the heap commits all that it hands out. What others took is not counted as the heap's.

use crate::error::Result;
use crate::journal::Change;
use crate::segment::Segment;

#[cfg(target_family = "wasm")]
pub(crate) use module::{extend, is_foreign, reach, release};
#[cfg(not(target_family = "wasm"))]
pub(crate) use whole::{extend, is_foreign, reach};

#[cfg(not(target_family = "wasm"))]
mod whole {
    use super::*;

    /// Granules below this one can be handed out.
    pub(crate) fn reach(segment: &Segment) -> u64 {
        segment.geometry.granules
    }

    /// Makes more granules reachable; false if there are no more.
    pub(crate) fn extend(_change: &Change<'_>, _segment: &Segment, _count: u64) -> Result<bool> {
        Ok(false)
    }

    /// Whether a granule within the heap's range is another's.
    pub(crate) fn is_foreign(_segment: &Segment, _granule: u64) -> bool {
        false
    }
}

#[cfg(target_family = "wasm")]
mod module {
    use super::*;
    use crate::error::ErrorCode;
    use crate::layout::GRANULE;
    use crate::pages::{any_bit, set_bits};
    use crate::sys;
    use crate::told::told;

    /// How often memory is grown for one run: another thread may grow it in between.
    const TRIES: u32 = 8;

    /// Granules below this one can be handed out.
    pub(crate) fn reach(segment: &Segment) -> u64 {
        segment.header().grown.acquire().min(segment.geometry.granules)
    }

    /// Whether a granule within the heap's range is another's.
    pub(crate) fn is_foreign(segment: &Segment, granule: u64) -> bool {
        let bit = |bits: u64| any_bit(segment, bits, granule, 1);
        granule < reach(segment) && bit(segment.geometry.used_bits) && !bit(segment.geometry.committed_bits)
    }

    /// Makes more granules reachable: what other heaps have left, then new memory, then what was left in pieces. It is
    /// done when it returns, whatever becomes of `change`. False if the heap's range is full, `OutOfMemory` if memory
    /// cannot grow.
    pub(crate) fn extend(change: &Change<'_>, segment: &Segment, count: u64) -> Result<bool> {
        let base = sys::page_of(segment.base());
        let granules = segment.geometry.granules;
        let range = base + segment.geometry.fixed_granules as usize..base + granules as usize;
        let Ok(wanted) = usize::try_from(count) else { return Ok(false) };
        if let Some((first, got)) = sys::take_left(range.clone(), wanted, wanted) {
            own(change, segment, (first - base) as u64, got as u64)?;
            return Ok(true);
        }
        let grew = grow(change, segment, count)?;
        if grew == Grew::Enough {
            return Ok(true);
        }
        let mut more = false;
        while let Some((first, got)) = sys::take_left(range.clone(), 1, usize::MAX) {
            own(change, segment, (first - base) as u64, got as u64)?;
            more = true;
        }
        match grew {
            Grew::Refused if !more => Err(told!(
                ErrorCode::OutOfMemory,
                "the module's memory cannot grow by {} bytes: close regions, or give the module more memory",
                count.saturating_mul(GRANULE)
            )),
            _ => Ok(more),
        }
    }

    #[derive(PartialEq, Eq)]
    enum Grew {
        Enough,
        /// The heap's range has no room for the run.
        Full,
        /// The embedder gives no more.
        Refused,
    }

    fn grow(change: &Change<'_>, segment: &Segment, count: u64) -> Result<Grew> {
        let base = sys::page_of(segment.base());
        let granules = segment.geometry.granules;
        for _ in 0..TRIES {
            let end = (sys::end_of_memory() - base) as u64;
            if end > reach(segment) {
                // Others have grown memory since.
                own(change, segment, end.min(granules), 0)?;
            }
            let reach = reach(segment);
            let tail = free_below(segment, reach);
            if tail >= count {
                return Ok(Grew::Enough);
            }
            let need = count - tail;
            if need > granules - reach {
                return Ok(Grew::Full);
            }
            let Some(first) = sys::grow(need as usize) else { return Ok(Grew::Refused) };
            let at = (first - base) as u64;
            if at + need > granules {
                // Another thread was faster, and what is left over is beyond the heap's range.
                sys::leave(first, need as usize);
                return Ok(Grew::Full);
            }
            own(change, segment, at, need)?;
            if at == reach {
                return Ok(Grew::Enough);
            }
        }
        Ok(Grew::Refused)
    }

    /// Free granules that end at this one.
    fn free_below(segment: &Segment, end: u64) -> u64 {
        let is_free = |granule: &u64| !any_bit(segment, segment.geometry.used_bits, *granule, 1);
        (segment.geometry.fixed_granules..end).rev().take_while(is_free).count() as u64
    }

    /// Notes in a change of its own that these granules are the heap's, and that all below them of which it did not know
    /// are not.
    fn own(change: &Change<'_>, segment: &Segment, first: u64, count: u64) -> Result<()> {
        let grown = &segment.header().grown;
        let (reach, bits) = (grown.relaxed(), segment.geometry.used_bits);
        let mut own = change.before();
        if first > reach {
            set_bits(&mut own, segment, bits, reach, first - reach, true);
        }
        if first < reach {
            set_bits(&mut own, segment, bits, first, count.min(reach - first), false);
        }
        own.set(grown, reach.max(first + count));
        own.commit()
    }

    /// Leaves all pages of a heap to others.
    ///
    /// # Safety
    /// Nobody uses the heap any more.
    pub(crate) unsafe fn release(segment: &Segment) {
        let (base, mut end) = (sys::page_of(segment.base()), reach(segment));
        // From the end: what says whose the granules are stands at the heap's beginning, and is left last.
        while end > 0 {
            let count = (0..end).rev().take_while(|granule| !is_foreign(segment, *granule)).count();
            end -= count as u64;
            if count > 0 {
                sys::leave(base + end as usize, count);
            } else {
                end -= 1;
            }
        }
    }
}
