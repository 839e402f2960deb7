//! The operations of the scenarios, and what a heap should look like after some of them and a death: a plain model with
//! maps. Regions are known by name and buffers by length, so that what the dead one made can be told too.

use std::collections::{BTreeMap, BTreeSet};

use weaveheap_core::{BorrowKind, ErrorCode};

/// One call, or a few that belong together.
#[derive(Clone, Debug)]
pub enum Op {
    /// Opens the heap.
    Attach,
    /// Detaches and drops the heap.
    Detach,
    /// Makes a region.
    Region(&'static str),
    /// Allocates in this region so many bytes, zeroed.
    Alloc(&'static str, u64),
    /// As `Alloc`, with whatever is there.
    AllocUninit(&'static str, u64),
    /// Allocates and copies.
    Ingest(&'static str, u64),
    Free(u64),
    /// Begins a borrow that a lease ends.
    Begin(BorrowKind, u64),
    /// Ends the last lease of this buffer.
    End(u64),
    /// Begins a borrow that its token ends.
    BeginRaw(BorrowKind, u64),
    EndRaw(u64),
    Freeze(u64),
    ClearPoison(u64),
    Publish(&'static str, u64),
    Unpublish(&'static str),
    Lookup(&'static str),
    Close(&'static str),
    Reset(&'static str),
    CloseWhenIdle(&'static str),
    /// Waits for a short time.
    WaitIdle(&'static str),
    Trim,
    Check,
    /// Another process does these, and dies with what it holds.
    AnotherDies(Vec<Op>),
    /// Does these on a thread that then ends.
    OnThread(Vec<Op>),
    /// The call is refused so, and changes nothing.
    Refused(ErrorCode, Box<Op>),
}

/// A buffer of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Buffer {
    pub frozen: bool,
    pub poisoned: bool,
}

/// A region of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    pub draining: bool,
    pub buffers: BTreeMap<u64, Buffer>,
}

/// A heap as everybody sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    pub regions: BTreeMap<String, Region>,
    /// Published names, and the lengths of the buffers that they name.
    pub names: BTreeMap<String, u64>,
}

/// A heap and who borrows what in it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub state: State,
    /// Borrows of the one that may die.
    pub held: Vec<(BorrowKind, u64)>,
    /// Borrows of those that live on.
    pub survivors: Vec<(BorrowKind, u64)>,
    /// What others that may be dead already have held, and is not recovered yet.
    pub dead: Vec<(BorrowKind, u64)>,
}

/// Zeroing more than this is done under a unique borrow.
const LONG_ZERO: u64 = 64 << 10;

impl Model {
    fn region_of(&mut self, buffer: u64) -> Option<&mut Region> {
        self.state.regions.values_mut().find(|region| region.buffers.contains_key(&buffer))
    }

    fn buffer(&mut self, buffer: u64) -> &mut Buffer {
        self.region_of(buffer)
            .and_then(|region| region.buffers.get_mut(&buffer))
            .expect("a scenario names live buffers")
    }

    /// What the dead held is recovered.
    fn recover(&mut self) {
        for (kind, buffer) in std::mem::take(&mut self.dead) {
            if kind == BorrowKind::Unique
                && let Some(buffer) = self.region_of(buffer).and_then(|region| region.buffers.get_mut(&buffer))
            {
                buffer.poisoned = true;
            }
        }
        self.finish_draining();
    }

    fn drop_stale_names(&mut self) {
        let live: BTreeSet<u64> =
            self.state.regions.values().filter(|r| !r.draining).flat_map(|r| r.buffers.keys()).copied().collect();
        self.state.names.retain(|_, buffer| live.contains(buffer));
    }

    fn finish_draining(&mut self) {
        let held: Vec<u64> =
            [&self.held, &self.survivors, &self.dead].into_iter().flatten().map(|(_, buffer)| *buffer).collect();
        self.state
            .regions
            .retain(|_, region| !region.draining || region.buffers.keys().any(|buffer| held.contains(buffer)));
    }

    /// What a death leaves, once it is recovered.
    pub fn after_death(mut self) -> State {
        let held = std::mem::take(&mut self.held);
        self.dead.extend(held);
        self.recover();
        self.state
    }

    /// The states that a heap may be left in by a death during this call, recovered: nothing of it done, all of it, or
    /// the steps of those calls that have some.
    pub fn allowed(&self, op: &Op) -> Vec<State> {
        let mut after = self.clone();
        after.apply(op);
        let mut allowed = vec![self.clone().after_death(), after.after_death()];
        match op {
            // Zeroed, or filled, under a unique borrow.
            Op::Alloc(region, length) if *length > LONG_ZERO => {
                allowed.push(self.clone().with(&[Op::Alloc(region, *length), Op::Begin(BorrowKind::Unique, *length)]));
            }
            Op::Ingest(region, length) => {
                allowed.push(self.clone().with(&[Op::Alloc(region, *length), Op::Begin(BorrowKind::Unique, *length)]));
            }
            Op::OnThread(ops) => {
                let mut model = self.clone();
                for op in ops {
                    allowed.extend(model.allowed(op));
                    model.apply(op);
                }
            }
            _ => {}
        }
        allowed
    }

    fn with(mut self, ops: &[Op]) -> State {
        ops.iter().for_each(|op| self.apply(op));
        self.after_death()
    }

    /// The call has succeeded.
    pub fn apply(&mut self, op: &Op) {
        // Whoever meets what the dead held recovers it. Who does not meet it leaves it to the next: that is the same
        // in the end.
        if !matches!(op, Op::AnotherDies(_)) {
            self.recover();
        }
        match op {
            Op::AnotherDies(ops) => {
                let held = std::mem::take(&mut self.held);
                ops.iter().for_each(|op| self.apply(op));
                let died = std::mem::replace(&mut self.held, held);
                self.dead.extend(died);
            }
            Op::Attach | Op::Check | Op::Detach | Op::Trim | Op::WaitIdle(_) | Op::Lookup(_) | Op::Refused(..) => {}
            Op::Region(name) => {
                self.state.regions.insert((*name).to_owned(), Region::default());
            }
            Op::Alloc(region, length) | Op::AllocUninit(region, length) | Op::Ingest(region, length) => {
                let region = self.state.regions.get_mut(*region).expect("a scenario names live regions");
                region.buffers.insert(*length, Buffer::default());
            }
            Op::Free(buffer) => {
                if let Some(region) = self.region_of(*buffer) {
                    region.buffers.remove(buffer);
                }
                self.drop_stale_names();
            }
            Op::Begin(kind, buffer) | Op::BeginRaw(kind, buffer) => self.held.push((*kind, *buffer)),
            Op::End(buffer) | Op::EndRaw(buffer) => {
                let at = self.held.iter().rposition(|(_, held)| held == buffer).expect("it is held");
                self.held.remove(at);
                self.finish_draining();
            }
            Op::Freeze(buffer) => self.buffer(*buffer).frozen = true,
            Op::ClearPoison(buffer) => self.buffer(*buffer).poisoned = false,
            Op::Publish(name, buffer) => {
                self.state.names.insert((*name).to_owned(), *buffer);
            }
            Op::Unpublish(name) => {
                self.state.names.remove(*name);
            }
            Op::Close(name) => {
                self.state.regions.remove(*name);
                self.drop_stale_names();
            }
            Op::Reset(name) => {
                self.state.regions.get_mut(*name).expect("live").buffers.clear();
                self.drop_stale_names();
            }
            Op::CloseWhenIdle(name) => {
                self.state.regions.get_mut(*name).expect("live").draining = true;
                self.drop_stale_names();
                self.finish_draining();
            }
            Op::OnThread(ops) => ops.iter().for_each(|op| self.apply(op)),
        }
    }
}
