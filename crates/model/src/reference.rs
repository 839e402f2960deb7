//! The reference: what a heap does, said with vectors and maps alone (R1 to R4, R6, K1, K4, B1, B7, H8, N1).

use std::collections::BTreeMap;

use weaveheap_core::{BorrowKind, ErrorCode};

/// The life of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    Draining,
    Gone,
}

/// What a heap and each of its regions count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) allocations: u64,
    pub(crate) frees: u64,
    pub(crate) bytes_allocated: u64,
    pub(crate) bytes_freed: u64,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) conflicts: u64,
    pub(crate) ingested: u64,
    pub(crate) bytes_ingested: u64,
}

pub(crate) struct Region {
    pub(crate) life: Life,
    pub(crate) limit: Option<u64>,
    pub(crate) counts: Counts,
}

pub(crate) struct Buffer {
    pub(crate) region: usize,
    pub(crate) live: bool,
    pub(crate) frozen: bool,
    pub(crate) length: u64,
    pub(crate) align: u64,
    /// `None` while it is uninitialised.
    pub(crate) content: Option<Vec<u8>>,
}

/// One borrow, as a lease or as a token.
#[derive(Clone, Copy)]
pub(crate) struct Borrow {
    pub(crate) buffer: usize,
    pub(crate) kind: BorrowKind,
    pub(crate) attachment: usize,
    pub(crate) live: bool,
}

/// A region or a buffer, by its place in the vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Region(usize),
    Buffer(usize),
}

/// Why an operation is refused: the code, and for `Borrowed` and `BorrowConflict` the kinds of the borrows in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) holders: Option<Vec<BorrowKind>>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal { code, holders: None }
    }
}

pub(crate) type Answer = Result<(), Refusal>;

/// All that was ever made, in order; nothing is taken out.
#[derive(Default)]
pub(crate) struct Reference {
    pub(crate) regions: Vec<Region>,
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) borrows: Vec<Borrow>,
    pub(crate) names: BTreeMap<u8, Named>,
    pub(crate) counts: Counts,
}

impl Reference {
    fn count(&mut self, region: usize, by: impl Fn(&mut Counts)) {
        by(&mut self.counts);
        by(&mut self.regions[region].counts);
    }

    pub(crate) fn open(&self, region: usize) -> Answer {
        if self.regions[region].life == Life::Open { Ok(()) } else { Err(ErrorCode::StaleHandle.into()) }
    }

    /// Its handle is good.
    pub(crate) fn usable(&self, buffer: usize) -> bool {
        self.buffers[buffer].live && self.open(self.buffers[buffer].region).is_ok()
    }

    /// Its bytes are there: a region that drains keeps them.
    pub(crate) fn present(&self, buffer: &Buffer) -> bool {
        buffer.live && self.regions[buffer.region].life != Life::Gone
    }

    fn check_usable(&self, buffer: usize) -> Answer {
        if self.usable(buffer) { Ok(()) } else { Err(ErrorCode::StaleHandle.into()) }
    }

    pub(crate) fn holders(&self, of: impl Fn(&Borrow) -> bool) -> Vec<BorrowKind> {
        self.borrows.iter().filter(|borrow| borrow.live && of(borrow)).map(|borrow| borrow.kind).collect()
    }

    pub(crate) fn of_buffer(&self, buffer: usize) -> Vec<BorrowKind> {
        self.holders(|borrow| borrow.buffer == buffer)
    }

    pub(crate) fn of_region(&self, region: usize) -> Vec<BorrowKind> {
        self.holders(|borrow| self.buffers[borrow.buffer].region == region)
    }

    /// Refused, and counted, if any of these is in the way.
    fn unless_held(&mut self, code: ErrorCode, region: usize, holders: Vec<BorrowKind>, in_the_way: bool) -> Answer {
        if !in_the_way {
            return Ok(());
        }
        self.count(region, |counts| counts.conflicts += 1);
        Err(Refusal { code, holders: Some(holders) })
    }

    pub(crate) fn create_region(&mut self, limit: Option<u64>) {
        self.regions.push(Region { life: Life::Open, limit, counts: Counts::default() });
    }

    pub(crate) fn may_alloc(&self, region: usize, length: u64, align: u64, most: u64) -> Answer {
        if align > 4096 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        if length > most {
            return Err(ErrorCode::OutOfMemory.into());
        }
        self.open(region)
    }

    pub(crate) fn alloc(&mut self, region: usize, length: u64, align: u64, content: Option<Vec<u8>>) {
        self.count(region, |counts| {
            counts.allocations += 1;
            counts.bytes_allocated += length;
        });
        self.buffers.push(Buffer { region, live: true, frozen: false, length, align, content });
    }

    /// A copy into a new buffer, under a borrow of its own.
    pub(crate) fn ingest(&mut self, region: usize, length: u64) {
        self.count(region, |counts| {
            counts.begun += 1;
            counts.ended += 1;
            counts.ingested += 1;
            counts.bytes_ingested += length;
        });
    }

    pub(crate) fn free(&mut self, buffer: usize) -> Answer {
        self.check_usable(buffer)?;
        let (region, length) = (self.buffers[buffer].region, self.buffers[buffer].length);
        let holders = self.of_buffer(buffer);
        let held = !holders.is_empty();
        self.unless_held(ErrorCode::Borrowed, region, holders, held)?;
        self.buffers[buffer].live = false;
        self.count(region, |counts| {
            counts.frees += 1;
            counts.bytes_freed += length;
        });
        Ok(())
    }

    pub(crate) fn borrow(&mut self, buffer: usize, kind: BorrowKind, attachment: usize) -> Answer {
        self.check_usable(buffer)?;
        if kind == BorrowKind::Unique && self.buffers[buffer].frozen {
            return Err(ErrorCode::Denied.into());
        }
        let region = self.buffers[buffer].region;
        let holders = self.of_buffer(buffer);
        let held = holders.contains(&BorrowKind::Unique) || kind == BorrowKind::Unique && !holders.is_empty();
        self.unless_held(ErrorCode::BorrowConflict, region, holders, held)?;
        self.count(region, |counts| counts.begun += 1);
        self.borrows.push(Borrow { buffer, kind, attachment, live: true });
        Ok(())
    }

    /// Ends a borrow; the last one of a region that drains closes it (R4).
    pub(crate) fn end(&mut self, borrow: usize) {
        self.borrows[borrow].live = false;
        let region = self.buffers[self.borrows[borrow].buffer].region;
        self.count(region, |counts| counts.ended += 1);
        if self.regions[region].life == Life::Draining && self.of_region(region).is_empty() {
            self.regions[region].life = Life::Gone;
        }
    }

    pub(crate) fn freeze(&mut self, buffer: usize) -> Answer {
        self.check_usable(buffer)?;
        let holders = self.of_buffer(buffer);
        let held = holders.contains(&BorrowKind::Unique);
        self.unless_held(ErrorCode::BorrowConflict, self.buffers[buffer].region, holders, held)?;
        self.buffers[buffer].frozen = true;
        Ok(())
    }

    pub(crate) fn clear_poison(&self, buffer: usize) -> Answer {
        self.check_usable(buffer)
    }

    /// `reset` and `close`: what they refuse is the same.
    pub(crate) fn empty(&mut self, region: usize, keep: bool) -> Answer {
        self.open(region)?;
        let holders = self.of_region(region);
        let held = !holders.is_empty();
        self.unless_held(ErrorCode::Borrowed, region, holders, held)?;
        self.buffers.iter_mut().filter(|buffer| buffer.region == region).for_each(|buffer| buffer.live = false);
        if !keep {
            self.regions[region].life = Life::Gone;
        }
        Ok(())
    }

    pub(crate) fn close_when_idle(&mut self, region: usize) -> Answer {
        self.open(region)?;
        let idle = self.of_region(region).is_empty();
        self.regions[region].life = if idle { Life::Gone } else { Life::Draining };
        Ok(())
    }

    pub(crate) fn wait_idle(&self, region: usize) -> Answer {
        self.open(region)?;
        if self.of_region(region).is_empty() { Ok(()) } else { Err(ErrorCode::Timeout.into()) }
    }

    fn lives(&self, named: Named) -> bool {
        match named {
            Named::Region(region) => self.open(region).is_ok(),
            Named::Buffer(buffer) => self.usable(buffer),
        }
    }

    /// What is found under a name.
    pub(crate) fn named(&self, name: u8) -> Option<Named> {
        self.names.get(&name).copied().filter(|named| self.lives(*named))
    }

    pub(crate) fn publish(&mut self, name: u8, named: Named) -> Answer {
        if !self.lives(named) {
            return Err(ErrorCode::StaleHandle.into());
        }
        if self.named(name).is_some() {
            return Err(ErrorCode::AlreadyExists.into());
        }
        self.names.insert(name, named);
        Ok(())
    }

    pub(crate) fn unpublish(&mut self, name: u8) -> Answer {
        let found = self.named(name);
        self.names.remove(&name);
        found.map(drop).ok_or(ErrorCode::NotFound.into())
    }
}
