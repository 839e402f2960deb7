//! Faults that the models of the protocol and the crash tests plant, one at a time: each takes one ordering or one step
//! away, and they must then find what breaks. In ordinary builds [`planted`] is false for the compiler, and nothing is left.

/// A step or an ordering that can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Begin changes the slot's state without a full barrier: its look at the region may come before its mark.
    BeginFence,
    /// The closer does not fence between its change of the region and its look at the marks of others.
    CloseFence,
    /// No fence between a thread's own mark (`busy`, the end of a unique borrow) and its look at the region.
    LightFence,
    /// Begin looks at the slot's state and then stores, instead of one exchange.
    BeginByStore,
    /// Begin reads the slot's owner after the exchange, so that it may be that of the slot's next life.
    OwnerLate,
    /// A slot of a closed region is allocated without killing the begins that are still in flight to it.
    Invalidate,
    /// A region that is reset keeps its epoch.
    EpochKept,
    /// A slot is allocated again in its last generation.
    GenerationKept,
    /// A slot whose generations are used up begins anew.
    Retirement,
    /// `free` looks at the state and then stores, instead of one exchange.
    FreeByStore,
    /// A token is claimed by a look and a store, instead of one exchange.
    ClaimByStore,
    /// Who ends another thread's borrow by token has no barrier passed between saying so and its look at the mark.
    ClaimFence,
    /// Who ends another thread's borrow by token does not wait for that thread's mark.
    ClaimIgnored,
    /// The end of a shared borrow looks at the count and then stores, instead of one exchange.
    EndByStore,
    /// Who joins a shared borrow that is alone has no barrier passed between its change of the region and its look at
    /// the other's entry.
    JoinFence,
    /// Who joins a shared borrow that is alone counts it also while it ends.
    JoinEnding,
    /// The end of a shared borrow that is alone does not look whether it was joined.
    SoleBlind,
    /// A closer does not wait for threads that allocate.
    BusyIgnored,
    /// The lock is taken by a look and a store, instead of one exchange.
    LockByStore,
    /// The lock of a dead holder is taken by a look and a store, instead of one exchange.
    TakeoverByStore,
    /// The lock is given back without releasing what was written under it.
    LockRelease,
    /// The record of a change is cleared before the change is made.
    Journal,
    /// The end of the last borrow of a draining region does not look again.
    DrainEnd,
    /// An end wakes nobody.
    IdleWake,
    /// A close that is refused wakes nobody who has seen it.
    ReopenWake,
    /// A name that is published wakes nobody.
    NameWake,
    /// A waiter reads what it sleeps on after it has looked, and not before.
    TickLate,
    /// A dead holder's count is settled without holding others off.
    RecountMark,
    /// A count is settled by a store, also if the slot has a new life by now.
    RecountByStore,
    /// An end, or a begin that must be undone, stays marked as ending while it waits for a recount.
    UndoInBegin,
    /// A begin that meets a recount stays marked as beginning while it waits for it.
    WaitInBegin,
    /// A detach does not wait for the operations of other threads.
    QuietIgnored,
    /// A detach does not look again for operations under way once it has found no borrow.
    QuietOnce,
    /// The bytes that a dead process could write are not poisoned.
    Poison,
    /// An allocation or a free that its thread did not finish is left as it is.
    Settle,
    /// Who takes a lock over leaves the region alone that the dead holder was closing.
    Resume,
}

/// Whether this fault is planted, in a model that is running.
#[cfg(loom)]
pub(crate) use crate::model::planted;

/// Whether this fault is planted, in a build for the crash tests.
#[cfg(all(weaveheap_kill_points, not(loom)))]
pub(crate) use crate::kill_points::planted;

/// Whether this fault is planted: never in ordinary builds.
#[cfg(not(any(loom, weaveheap_kill_points)))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}
