//! What a thread used last, a step from where it stands: its block, the extent of slots, the region. The short ways
//! (`fast`) find all they need here without a chain of loads.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use crate::attachment::Attachment;
use crate::context::{Cached, Here};
use crate::handle::Handle;
use crate::layout::*;
use crate::threads::Tcb;

const EXTENT: u32 = 1 << Table::Slots.shift();

/// One thread's. The addresses are of the attachment with this serial number, which is never used twice.
pub(crate) struct Near {
    pub(crate) serial: Cell<u64>,
    pub(crate) tcb: Cell<*mut Tcb>,
    /// The number and the address of an extent of slots.
    extent: Cell<u32>,
    slots: Cell<NonNull<Slot>>,
    /// The region: what `Cached` has of it.
    handle: Cell<u64>,
    owner: Cell<u64>,
    index: Cell<u32>,
    context: Cell<NonNull<Context>>,
    region: Cell<NonNull<RegionRecord>>,
}

#[cfg(not(loom))]
thread_local! {
    /// Never destroyed, so that it works in every destructor.
    static NEAR: Near = const { Near::new() };
}
#[cfg(loom)]
static NEAR: crate::model::Local<Near> = crate::model::Local::new(Near::new);

/// Looks at this thread's.
#[inline(always)]
pub(crate) fn with<R>(look: impl FnOnce(&Near) -> R) -> R {
    NEAR.with(look)
}

/// The thread uses this block from here on, and has nothing else of its attachment at hand.
pub(crate) fn turn_to(serial: u64, tcb: *mut Tcb) {
    with(|near| {
        near.serial.set(serial);
        near.tcb.set(tcb);
        near.extent.set(u32::MAX);
        near.have(Cached::NONE);
    });
}

/// The thread looks again for the region that it uses next.
pub(crate) fn forget_region() {
    with(|near| near.have(Cached::NONE));
}

impl Near {
    const fn new() -> Near {
        Near {
            serial: Cell::new(0),
            tcb: Cell::new(ptr::null_mut()),
            extent: Cell::new(u32::MAX),
            slots: Cell::new(NonNull::dangling()),
            handle: Cell::new(Cached::NONE.handle),
            owner: Cell::new(Cached::NONE.owner),
            index: Cell::new(0),
            context: Cell::new(Cached::NONE.context),
            region: Cell::new(Cached::NONE.region),
        }
    }

    fn have(&self, region: Cached) {
        let Cached { handle, owner, index, context, region } = region;
        self.handle.set(handle);
        self.owner.set(owner);
        self.index.set(index);
        self.context.set(context);
        self.region.set(region);
    }
}

/// For calls between `tcb_fast` and whatever may call out to a subscriber of events, which may turn the thread to
/// another heap.
impl Attachment {
    /// The slot of this index.
    #[inline(always)]
    pub(crate) fn slot_near(&self, index: u32) -> Option<&Slot> {
        let extent = with(|near| {
            debug_assert_eq!(near.serial.get(), self.serial, "the thread is at another heap");
            near.extent.get()
        });
        if index / EXTENT != extent && !self.come_near(index) {
            return None;
        }
        // SAFETY: `come_near` found the address of this extent of this attachment; it has so many slots, which are atomic
        // words, and extents never move.
        Some(with(|near| unsafe { near.slots.get().add((index % EXTENT) as usize).as_ref() }))
    }

    #[cold]
    #[inline(never)]
    fn come_near(&self, index: u32) -> bool {
        let Some(slot) = self.segment.get::<Slot>(index) else { return false };
        with(|near| {
            near.extent.set(index / EXTENT);
            // SAFETY: the slot is the one of this index, so as many slots of its extent lie before it.
            near.slots.set(unsafe { NonNull::from(slot).sub((index % EXTENT) as usize) });
        });
        true
    }

    /// The thread's context of the region of this owner, if it used that lately.
    #[inline(always)]
    pub(crate) fn here(&self, tcb: &Tcb, owner: u64) -> Option<Here<'_>> {
        if with(|near| near.owner.get()) != owner && !here_again(tcb, owner) {
            return None;
        }
        Some(self.here_now(owner))
    }

    /// The same, if it is the one that it used last.
    #[inline(always)]
    pub(crate) fn here_still(&self, owner: u64) -> Option<Here<'_>> {
        if with(|near| near.owner.get()) != owner {
            return None;
        }
        Some(self.here_now(owner))
    }

    /// The same for the region of this handle.
    #[inline(always)]
    pub(crate) fn here_of(&self, tcb: &Tcb, region: Handle) -> Option<Here<'_>> {
        if with(|near| near.handle.get()) != region.to_bits() && !here_again_of(tcb, region) {
            return None;
        }
        Some(self.here_now(with(|near| near.owner.get())))
    }

    /// The region that the thread used last.
    #[inline(always)]
    fn here_now(&self, owner: u64) -> Here<'_> {
        with(|near| {
            debug_assert_eq!(near.serial.get(), self.serial, "the thread is at another heap");
            // SAFETY: records of this attachment's segment, which are atomic words and stay while it lives; or `NOWHERE`.
            let (context, region) = unsafe { (near.context.get().as_ref(), near.region.get().as_ref()) };
            Here { index: near.index.get(), owner, context, region }
        })
    }
}

#[cold]
#[inline(never)]
fn here_again(tcb: &Tcb, owner: u64) -> bool {
    let cached = tcb.cache[control::region(owner) as usize % tcb.cache.len()].get();
    with(|near| near.have(cached));
    cached.owner == owner
}

#[cold]
#[inline(never)]
fn here_again_of(tcb: &Tcb, region: Handle) -> bool {
    let cached = tcb.cache[region.index() as usize % tcb.cache.len()].get();
    with(|near| near.have(cached));
    cached.handle == region.to_bits()
}
