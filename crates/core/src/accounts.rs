//! The books of a heap at rest, for the crash tests (`--cfg weaveheap_kill_points`): how many records of each table are
//! handed out. A heap that nobody uses any more has handed out none, however its users ended.

use std::collections::BTreeMap;

use crate::directory::is_live;
use crate::error::Result;
use crate::handle::Handle;
use crate::heap::Heap;
use crate::journal::Locked;
use crate::layout::*;
use crate::segment::Record;
use crate::sync::Word;

impl Heap {
    /// Records in use, by table: those ever handed out, without those on the free list.
    pub fn records_in_use(&self) -> Result<BTreeMap<&'static str, u64>> {
        let locked = self.attachment.locked()?;
        let mut in_use = BTreeMap::new();
        count::<ThreadRecord>(&locked, &mut in_use, |r| &r.next)?;
        count::<EntryPage>(&locked, &mut in_use, |r| &r.next)?;
        count::<RegionRecord>(&locked, &mut in_use, |r| &r.next)?;
        count::<Context>(&locked, &mut in_use, |r| &r.next)?;
        count::<Block>(&locked, &mut in_use, |r| &r.next)?;
        count::<Chunk>(&locked, &mut in_use, |r| &r.next)?;
        let segment = locked.segment;
        let names = (0..segment.used(Table::Names)).filter_map(|index| segment.get::<NameRecord>(index));
        // One whose handle is stale is taken for the next name.
        let live = |record: &&NameRecord| is_live(segment, Handle::from_bits(record.handle.acquire()));
        let names = names.filter(|record| record.length.acquire() != 0).filter(live).count();
        in_use.insert(Table::Names.noun(), names as u64);
        Ok(in_use)
    }
}

fn count<R: Record>(
    locked: &Locked<'_>,
    in_use: &mut BTreeMap<&'static str, u64>,
    next: fn(&R) -> &Word,
) -> Result<()> {
    let state = &locked.segment.header().tables[R::TABLE as usize];
    let mut free = 0;
    for link in locked.segment.links(&state.free, next) {
        link?;
        free += 1;
    }
    let name = if R::TABLE == Table::EntryPages { "pages of the ledger" } else { R::TABLE.noun() };
    in_use.insert(name, u64::from(locked.segment.used(R::TABLE)) - free);
    Ok(())
}
