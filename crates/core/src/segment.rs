//! The mapped memory of a heap: the only module that maps it, and the only one that turns an offset or an index into
//! a reference, after checking it (H2, H3).

use std::fs::File;
use std::io;
use std::ptr::NonNull;

use crate::error::{Error, ErrorCode, Result};
use crate::layout::*;
use crate::sync::{Half, Known, Word};
use crate::sys;
use crate::told::{corrupt, corrupt_with, told, told_with};

/// A mapped segment. References that it gives live as long as it does.
pub(crate) struct Segment {
    base: NonNull<u8>,
    pub(crate) geometry: Geometry,
    pub(crate) identity: Identity,
    /// Marks need no fence of their own (`sync::light`).
    pub(crate) cheap: bool,
    /// For each table, where its extents were found to be, after they were checked (H3).
    known: [Box<[Known]>; TABLES],
    /// The file behind it; `None` for plain private memory, and for a second copy of the library at one base.
    pub(crate) file: Option<File>,
    source: Source,
}

/// Where the pages come from, and so how the mapping ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// This process alone: the last attachment unmaps.
    Private,
    /// A file that others map too.
    Shared,
    /// A read-only mapping for inspection.
    ReadOnly,
}

// SAFETY: the mapping belongs to no thread, and all records are made of atomic words.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

/// The record types of the tables.
///
/// # Safety
/// `TABLE.record()` is at least the size of `Self`, a multiple of its alignment, and `Self` is made of atomic words
/// only, for which any bytes are valid.
pub(crate) unsafe trait Record: Sized {
    const TABLE: Table;
}

macro_rules! records {
    ($($record:ty => $table:ident),* $(,)?) => { $(
        // SAFETY: the assertions below, and the definition of the record in `layout`.
        unsafe impl Record for $record {
            const TABLE: Table = Table::$table;
        }
        const _: () = assert!(size_of::<$record>() as u64 <= Table::$table.record()
            && Table::$table.record() % align_of::<$record>() as u64 == 0);
    )* };
}

records! {
    AttachmentRecord => Attachments,
    ThreadRecord => Threads,
    Entry => Entries,
    EntryPage => EntryPages,
    RegionRecord => Regions,
    Context => Contexts,
    Slot => Slots,
    Block => Blocks,
    Chunk => Chunks,
    NameRecord => Names,
}

/// Why there is no record that the segment itself names. It becomes an error where it is handed on, so that whoever looks a
/// record up has little to carry.
#[cfg(not(target_family = "wasm"))]
#[derive(Debug)]
pub(crate) struct NoRecord(Table, u32);

#[cfg(not(target_family = "wasm"))]
impl NoRecord {
    fn new(table: Table, index: u32) -> NoRecord {
        NoRecord(table, index)
    }

    fn what(&self) -> (Table, u32) {
        (self.0, self.1)
    }
}

/// In WebAssembly a look-up gives an address or none: what was missing last is noted, for the message.
#[cfg(target_family = "wasm")]
#[derive(Debug)]
pub(crate) struct NoRecord;

#[cfg(target_family = "wasm")]
static MISSING: Word = Word::new(0);

#[cfg(target_family = "wasm")]
impl NoRecord {
    #[cold]
    #[inline(never)]
    fn new(table: Table, index: u32) -> NoRecord {
        MISSING.set_relaxed(table as u64 | u64::from(index) << 32);
        NoRecord
    }

    fn what(&self) -> (Table, u32) {
        let missing = MISSING.relaxed();
        (Table::ALL[missing as u32 as usize % TABLES], (missing >> 32) as u32)
    }
}

impl From<NoRecord> for Error {
    #[cold]
    #[inline(never)]
    fn from(missing: NoRecord) -> Error {
        let (table, index) = missing.what();
        corrupt_with!("index {} of the table for {} has no record", index, table.noun())
    }
}

/// A walk over a list of records: at most as many as the table has, else `Corrupt`, which is the last.
pub(crate) struct Links<'s, R> {
    segment: &'s Segment,
    next: fn(&R) -> &Word,
    link: u64,
    left: u32,
}

impl<R: Record> Iterator for Links<'_, R> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Result<u32>> {
        let link = std::mem::take(&mut self.link);
        if link == 0 {
            return None;
        }
        Some(self.segment.index_at(R::TABLE, link, &mut self.left).and_then(|index| {
            let record = self.segment.record::<R>(index)?;
            self.link = (self.next)(record).acquire();
            Ok(index)
        }))
    }
}

/// So many addresses that are not known yet, as memory that costs nothing until it is used.
fn zeroed(count: u32) -> Box<[Known]> {
    let zeroed: Box<[std::mem::MaybeUninit<Known>]> = Box::new_zeroed_slice(count as usize);
    // SAFETY: an address of 0 is one that is not known.
    unsafe { zeroed.assume_init() }
}

fn reserve_error(size: u64, why: &str) -> Error {
    told_with!(
        ErrorCode::OutOfMemory,
        "no {} bytes of address space could be reserved ({}): make the heap with a smaller limit",
        size,
        why
    )
}

impl Segment {
    /// New private memory.
    pub(crate) fn private(size: u64) -> Result<(NonNull<u8>, Option<File>)> {
        let length = usize::try_from(size).map_err(|_| reserve_error(size, "too large"))?;
        sys::map_private(length).map(|base| (base, None)).map_err(|error| reserve_error(size, &sys::reason(&error)))
    }

    /// A file mapped whole; it has this size already.
    pub(crate) fn mapped(file: &File, size: u64, writable: bool) -> Result<NonNull<u8>> {
        let length = usize::try_from(size).map_err(|_| reserve_error(size, "too large"))?;
        let mapped = if writable { sys::map_shared(file, length) } else { sys::map_read_only(file, length) };
        mapped.map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => sys::error("mapping", &error),
            _ => reserve_error(size, &sys::reason(&error)),
        })
    }

    /// A segment over memory that is mapped already.
    ///
    /// # Safety
    /// `base` is the start of a mapping of `identity.size` bytes from `source`, which this object ends as that source
    /// says.
    pub(crate) unsafe fn over(base: NonNull<u8>, identity: Identity, file: Option<File>, source: Source) -> Segment {
        let cheap = identity.flags & FLAG_LIGHT != 0 && source == Source::Private;
        let geometry = Geometry::new(identity.size);
        let known = std::array::from_fn(|table| zeroed(geometry.tables[table].extent_count()));
        Segment { base, geometry, identity, cheap, known, file, source }
    }

    /// Reads and checks the identity of a segment of which only the first page is certain to be there.
    ///
    /// # Safety
    /// `base` points to at least a page of readable memory.
    pub(crate) unsafe fn identity_at(base: NonNull<u8>) -> Result<Identity> {
        // SAFETY: the identity's words are in the first page, and atomic.
        let header = unsafe { &*base.as_ptr().cast::<[Word; IDENTITY_WORDS]>() };
        check_identity(&std::array::from_fn(|i| header[i].acquire()))
    }

    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn source(&self) -> Source {
        if sys::SHARED_HEAPS { self.source } else { Source::Private }
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: a segment is at least `MIN_SIZE` bytes, the header is at its start, page-aligned, and atomic.
        unsafe { &*self.base.as_ptr().cast::<Header>() }
    }

    /// The word at this offset, which must be a multiple of 8 within the segment.
    pub(crate) fn word(&self, offset: u64) -> Option<&Word> {
        if !offset.is_multiple_of(8) || offset > self.geometry.size - 8 {
            return None;
        }
        // SAFETY: in the mapping, aligned, and only ever accessed as an atomic word by structural code.
        Some(unsafe { &*self.base.as_ptr().add(offset as usize).cast::<Word>() })
    }

    /// The offset of a word of this segment.
    pub(crate) fn offset_of(&self, word: &Word) -> u64 {
        (word as *const Word as usize - self.base.as_ptr() as usize) as u64
    }

    /// The bytes at this offset, checked to be in the segment and not in its fixed parts.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn bytes(&self, offset: u64, length: u64) -> Option<NonNull<u8>> {
        let end = offset.checked_add(length)?;
        if end > self.geometry.size || offset < self.geometry.fixed_bytes {
            return None;
        }
        // SAFETY: the offset is within the mapping, so the pointer is not null.
        Some(unsafe { NonNull::new_unchecked(self.base.as_ptr().add(offset as usize)) })
    }

    fn extent(&self, table: Table, extent: u32) -> &Half {
        let geometry = &self.geometry.tables[table as usize];
        debug_assert!(extent < geometry.extent_count());
        // SAFETY: the extent list is in the fixed part of the segment, 4-aligned, and `extent` is within the capacity
        // (asserted for tests, and checked by both callers).
        unsafe { &*self.base.as_ptr().add(geometry.extents as usize + extent as usize * 4).cast::<Half>() }
    }

    /// The record with this index, if its extent is there.
    #[inline]
    pub(crate) fn get<R: Record>(&self, index: u32) -> Option<&R> {
        // SAFETY: it is a record of this table, which has atomic words, valid for any bytes.
        self.address(R::TABLE, index).map(|address| unsafe { address.cast::<R>().as_ref() })
    }

    /// Where the record with this index is, if its extent is there: in the granule, and aligned, since records are powers of
    /// two at least as large as their alignment. The last extent of a table may have more records than its capacity, which
    /// are nobody's.
    #[cfg_attr(not(target_family = "wasm"), inline)]
    #[cfg_attr(target_family = "wasm", inline(never))]
    fn address(&self, table: Table, index: u32) -> Option<NonNull<u8>> {
        // The extent was checked to be a granule of the mapping when its address was kept, and extents are never given back.
        match self.known[table as usize].get((index >> table.shift()) as usize)?.get() {
            0 => self.find(table, index),
            known => {
                let within = (index & ((1 << table.shift()) - 1)) as usize * table.record() as usize;
                // SAFETY: records are not at address 0.
                Some(unsafe { NonNull::new_unchecked(std::ptr::with_exposed_provenance_mut(known + within)) })
            }
        }
    }

    /// The same for a record whose extent was not asked for before: it is checked, and kept for the next time.
    #[cold]
    fn find(&self, table: Table, index: u32) -> Option<NonNull<u8>> {
        let geometry = &self.geometry.tables[table as usize];
        if index >= geometry.capacity {
            return None;
        }
        let granule = u64::from(self.extent(table, index >> geometry.shift).acquire());
        if granule < self.geometry.fixed_granules || granule >= self.geometry.granules {
            return None;
        }
        // SAFETY: the granule is in the mapping (checked above).
        let address = unsafe { self.base.as_ptr().add((granule * GRANULE) as usize) };
        self.known[table as usize].get((index >> geometry.shift) as usize)?.set(address.expose_provenance());
        self.address(table, index)
    }

    /// The index of a record of this segment.
    pub(crate) fn index_of<R: Record>(&self, record: &R) -> Option<u32> {
        let address = std::ptr::from_ref(record).expose_provenance();
        let extent = |known: &Known| address.checked_sub(known.get()).filter(|within| (*within as u64) < GRANULE);
        let mut extents = self.known[R::TABLE as usize].iter().enumerate();
        let (at, within) = extents.find_map(|(at, known)| Some((at, extent(known)?)))?;
        Some((at << R::TABLE.shift()) as u32 + (within as u64 / R::TABLE.record()) as u32)
    }

    /// The record with this index, or `Corrupt`: for indices that the segment itself names.
    pub(crate) fn record<R: Record>(&self, index: u32) -> std::result::Result<&R, NoRecord> {
        self.get(index).ok_or_else(|| NoRecord::new(R::TABLE, index))
    }

    /// The record behind a stored index plus one; `None` for 0.
    pub(crate) fn linked<R: Record>(&self, link: u64) -> Result<Option<(u32, &R)>> {
        if link == 0 {
            return Ok(None);
        }
        let index = u32::try_from(link - 1).map_err(|_| no_link(R::TABLE, link))?;
        Ok(Some((index, self.record(index)?)))
    }

    /// What a link of a list says, of which so many are left.
    fn index_at(&self, table: Table, link: u64, left: &mut u32) -> Result<u32> {
        let Some(fewer) = left.checked_sub(1) else {
            return Err(corrupt_with!("a list in the table for {} has a loop", table.noun()));
        };
        *left = fewer;
        u32::try_from(link - 1).map_err(|_| no_link(table, link))
    }

    /// The records of a list, by index: from a head, by the word in each that links to the next.
    pub(crate) fn links<R: Record>(&self, head: &Word, next: fn(&R) -> &Word) -> Links<'_, R> {
        Links { segment: self, next, link: head.acquire(), left: self.capacity(R::TABLE) }
    }

    /// The 32-bit cell that lists the extent, as the word that holds it and the shift within that word.
    pub(crate) fn extent_word(&self, table: Table, extent: u32) -> Result<(&Word, u32)> {
        let geometry = &self.geometry.tables[table as usize];
        let offset = geometry.extents + u64::from(extent) * 4;
        let word = self.word(offset & !7).ok_or_else(|| corrupt!("extent list"))?;
        let high = offset & 4 != 0;
        Ok((word, if high == cfg!(target_endian = "little") { 32 } else { 0 }))
    }

    pub(crate) fn extent_granule(&self, table: Table, extent: u32) -> Option<u64> {
        let geometry = &self.geometry.tables[table as usize];
        if extent >= geometry.extent_count() {
            return None;
        }
        match self.extent(table, extent).acquire() {
            0 => None,
            granule => Some(u64::from(granule)),
        }
    }

    pub(crate) fn capacity(&self, table: Table) -> u32 {
        self.geometry.tables[table as usize].capacity
    }

    pub(crate) fn used(&self, table: Table) -> u32 {
        self.header().tables[table as usize].used.acquire().min(u64::from(self.capacity(table))) as u32
    }

    /// The word of a bitmap that holds a granule's bit.
    pub(crate) fn bit_word(&self, bits: u64, word: u64) -> &Word {
        debug_assert!(word < self.geometry.granules.div_ceil(64));
        // SAFETY: the bitmaps are in the fixed part, 8-aligned; callers pass words of granules below `granules`.
        unsafe { &*self.base.as_ptr().add((bits + word * 8) as usize).cast::<Word>() }
    }

    /// Ends the mapping.
    ///
    /// # Safety
    /// Nobody uses memory of the segment in this process any more.
    pub(crate) unsafe fn unmap(&self) {
        #[cfg(target_family = "wasm")]
        // SAFETY: the caller's promise.
        unsafe {
            crate::growth::release(self)
        }
        #[cfg(not(target_family = "wasm"))]
        // SAFETY: the mapping is whole, and the caller's promise.
        unsafe {
            sys::unmap(self.base, self.geometry.size as usize)
        }
    }
}

#[cold]
#[inline(never)]
fn no_link(table: Table, link: u64) -> Error {
    corrupt_with!("link {:#x} in the table for {}", link, table.noun())
}

/// Checks the words of an identity: kind of file, version, byte order, size.
pub(crate) fn check_identity(words: &[u64; IDENTITY_WORDS]) -> Result<Identity> {
    let Some((identity, sound)) = Identity::from_words(words) else {
        return Err(told!(ErrorCode::Incompatible, "the file is no heap: it does not begin with WeaveHeap's mark"));
    };
    if identity.byte_order != BYTE_ORDER {
        return Err(told!(
            ErrorCode::Incompatible,
            "the heap has another byte order than this machine, or its header is damaged"
        ));
    }
    if identity.layout_version != crate::LAYOUT_VERSION {
        let (theirs, ours) = (identity.layout_version, crate::LAYOUT_VERSION);
        return Err(told!(
            ErrorCode::Incompatible,
            "the heap has layout version {}, this library reads version {}",
            theirs,
            ours
        ));
    }
    if !sound {
        return Err(corrupt!("the header's checksum does not match"));
    }
    if identity.size < MIN_SIZE || identity.size > MAX_SIZE || !identity.size.is_multiple_of(GRANULE) {
        return Err(corrupt!("the header says a size of {} bytes", identity.size));
    }
    Ok(identity)
}
