//! The heap's directory from names to handles, and waiting for a name (H8).

use std::time::Duration;

use crate::attachment::Attachment;
use crate::error::{Error, ErrorCode, Result};
use crate::fault::{Fault, planted};
use crate::handle::{Handle, HandleKind};
use crate::layout::*;
use crate::ledger;
use crate::names;
use crate::pages;
use crate::segment::Segment;
use crate::snapshot::NameInfo;
use crate::sys::{self, Instant};
use crate::told::told_with;

/// The longest sleep of a waiter.
const NAP: Duration = Duration::from_secs(1);

/// Whether a handle names something that lives.
pub(crate) fn is_live(segment: &Segment, handle: Handle) -> bool {
    let open = |record: &RegionRecord| control::is_open(record.control.acquire());
    match handle.kind() {
        _ if handle.is_null() => false,
        HandleKind::Region => segment
            .get::<RegionRecord>(handle.index())
            .is_some_and(|record| record.born.acquire() as u32 == handle.generation() && open(record)),
        HandleKind::Buffer => segment.get::<Slot>(handle.index()).is_some_and(|slot| {
            let state = slot.state.acquire();
            let owner = slot.owner.acquire();
            state::generation(state) == handle.generation()
                && state & state::FREE == 0
                && segment
                    .get::<RegionRecord>(control::region(owner))
                    .is_some_and(|record| control::lives(record.control.acquire(), owner))
        }),
    }
}

/// The published names whose handles live, by name.
pub(crate) fn names(segment: &Segment) -> Vec<NameInfo> {
    let mut names: Vec<NameInfo> = (0..segment.used(Table::Names))
        .filter_map(|index| segment.get::<NameRecord>(index))
        .filter_map(read)
        .filter(|info| is_live(segment, info.handle))
        .collect();
    names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    names
}

/// A record read whole; `None` if it is free.
fn read(record: &NameRecord) -> Option<NameInfo> {
    for _ in 0..64 {
        let (length, handle) = (record.length.acquire(), record.handle.acquire());
        if length == 0 || length > 64 {
            return None;
        }
        let name = ledger::text(&record.name, length as usize);
        if record.length.acquire() == length && record.handle.acquire() == handle {
            return Some(NameInfo { name, handle: Handle::from_bits(handle) });
        }
    }
    None
}

impl Attachment {
    fn find_name(&self, name: &str) -> Option<(&NameRecord, Handle)> {
        // Names are compared as the words that they are kept in: a full directory has thousands.
        let (length, words) = (name.len() as u64, ledger::text_words(name));
        let same = |record: &NameRecord| {
            record.length.acquire() == length
                && record.name.iter().zip(words).all(|(word, want)| word.relaxed() == want)
        };
        (0..self.segment.used(Table::Names)).find_map(|index| {
            let record = self.segment.get::<NameRecord>(index).filter(|record| same(record))?;
            read(record).filter(|info| info.name == name).map(|info| (record, info.handle))
        })
    }

    pub(crate) fn publish(&self, name: &str, handle: Handle) -> Result<()> {
        names::check_name(name)?;
        let locked = self.locked()?;
        if !is_live(&self.segment, handle) {
            let tcb = &self.tcb()?;
            return Err(self.stale(tcb, handle));
        }
        let mut change = locked.change();
        let record = match self.find_name(name) {
            Some((_, old)) if is_live(&self.segment, old) => {
                return Err(told_with!(
                    ErrorCode::AlreadyExists,
                    "the name {:?} is published for {}: unpublish it first",
                    name,
                    old
                ));
            }
            Some((record, _)) => record,
            None => match self.unused_name() {
                Some(record) => record,
                None => pages::take_record::<NameRecord>(&locked, &mut change, |r| &r.handle)?.1,
            },
        };
        for (word, value) in record.name.iter().zip(ledger::text_words(name)) {
            change.set(word, value);
        }
        change.set(&record.handle, handle.to_bits());
        change.set(&record.length, name.len() as u64);
        change.commit()?;
        drop(locked);
        let changed = &self.segment.header().names_changed;
        changed.bump();
        if !planted(Fault::NameWake) {
            changed.wake_all();
        }
        Ok(())
    }

    /// A record that is free, or whose handle is stale.
    fn unused_name(&self) -> Option<&NameRecord> {
        (0..self.segment.used(Table::Names)).find_map(|index| {
            let record = self.segment.get::<NameRecord>(index)?;
            let handle = Handle::from_bits(record.handle.acquire());
            let unused = record.length.acquire() == 0 || !is_live(&self.segment, handle);
            unused.then_some(record)
        })
    }

    pub(crate) fn unpublish(&self, name: &str) -> Result<()> {
        names::check_name(name)?;
        let locked = self.locked()?;
        let Some((record, handle)) = self.find_name(name) else { return Err(absent(name)) };
        let mut change = locked.change();
        change.set(&record.length, 0);
        change.commit()?;
        if is_live(&self.segment, handle) { Ok(()) } else { Err(absent(name)) }
    }

    pub(crate) fn lookup(&self, name: &str) -> Result<Handle> {
        names::check_name(name)?;
        self.check_attached()?;
        match self.find_name(name) {
            Some((_, handle)) if is_live(&self.segment, handle) => Ok(handle),
            _ => Err(absent(name)),
        }
    }

    pub(crate) fn lookup_wait(&self, name: &str, timeout: Option<Duration>) -> Result<Handle> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let changed = &self.segment.header().names_changed;
        loop {
            let tick = changed.acquire();
            match self.lookup(name) {
                Err(error) if error.code() == ErrorCode::NotFound => {}
                found => return found,
            }
            let left = sys::time_left(deadline)?;
            if left.is_zero() {
                return Err(told_with!(ErrorCode::Timeout, "nobody published {:?} in the time given", name));
            }
            let tick = if planted(Fault::TickLate) { changed.acquire() } else { tick };
            changed.sleep_while(tick, left.min(NAP));
        }
    }
}

fn absent(name: &str) -> Error {
    told_with!(ErrorCode::NotFound, "nothing is published as {:?} in this heap", name)
}
