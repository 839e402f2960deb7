//! The layout of a segment: its tables and their records (H2, H3). Offsets and indices only, fields of fixed size, the
//! same on 32 and 64 bits. Nothing here touches memory; `packing` says how the words of a record are packed.
//!
//! Indices that may be absent are stored plus one, so that a record of zeros is an empty one.

pub(crate) use crate::packing::{class, control, extent, meta, mix, phase, place, state, tick};
use crate::sync::{Half, Word};

/// The unit in which address space is handed out.
pub(crate) const GRANULE: u64 = 64 << 10;
/// The smallest and the largest segment.
pub(crate) const MIN_SIZE: u64 = 2 << 20;
pub(crate) const MAX_SIZE: u64 = 1 << 40;
pub(crate) const DEFAULT_SIZE: u64 = 64 << 30;
/// What one segment can have of an address space: no pointer goes further from its base than `isize::MAX`.
pub(crate) const ADDRESSABLE: u64 = isize::MAX as u64 & !(GRANULE - 1);
/// The largest alignment of a buffer.
pub(crate) const MAX_ALIGN: u64 = 4096;

pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"WEAVHEAP");
pub(crate) const BYTE_ORDER: u32 = 0x0102_0304;

/// Words of the identity, at the segment's start; the last one is the checksum of those before it.
pub(crate) const IDENTITY_WORDS: usize = 10;

/// What a segment is: written once, before anybody else can open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) layout_version: u32,
    pub(crate) byte_order: u32,
    pub(crate) flags: u32,
    pub(crate) size: u64,
    pub(crate) seed: u64,
    pub(crate) id: u128,
    pub(crate) boot: u128,
}

/// The heap is a file that other processes can attach.
pub(crate) const FLAG_SHARED: u32 = 1;
/// Shared borrows of runtimes without read-only views are checksummed.
pub(crate) const FLAG_VERIFY: u32 = 2;
/// Marks need no fence of their own: all who use the heap are of one process, on whose behalf closers pass it.
pub(crate) const FLAG_LIGHT: u32 = 4;

impl Identity {
    pub(crate) fn to_words(self) -> [u64; IDENTITY_WORDS] {
        let mut words = [
            MAGIC,
            u64::from(self.layout_version) | u64::from(self.byte_order) << 32,
            u64::from(self.flags),
            self.size,
            self.seed,
            self.id as u64,
            (self.id >> 64) as u64,
            self.boot as u64,
            (self.boot >> 64) as u64,
            0,
        ];
        words[IDENTITY_WORDS - 1] = checksum(&words);
        words
    }

    /// The identity in these words, if the magic is right; and whether the checksum is.
    pub(crate) fn from_words(words: &[u64; IDENTITY_WORDS]) -> Option<(Identity, bool)> {
        if words[0] != MAGIC {
            return None;
        }
        let wide = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
        let identity = Identity {
            layout_version: words[1] as u32,
            byte_order: (words[1] >> 32) as u32,
            flags: words[2] as u32,
            size: words[3],
            seed: words[4],
            id: wide(words[5], words[6]),
            boot: wide(words[7], words[8]),
        };
        Some((identity, words[IDENTITY_WORDS - 1] == checksum(words)))
    }
}

fn checksum(words: &[u64; IDENTITY_WORDS]) -> u64 {
    u64::from(crc32(&words[..IDENTITY_WORDS - 1])) | 1 << 32
}

#[cfg(not(target_family = "wasm"))]
fn crc32(words: &[u64]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for word in words {
        hasher.update(&word.to_le_bytes());
    }
    hasher.finalize()
}

/// The same bit by bit: what is loaded through the network has no room for tables.
#[cfg(any(test, target_family = "wasm"))]
fn crc32_by_bits(words: &[u64]) -> u32 {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    !bytes.fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ 0xedb8_8320 * (sum & 1)))
}

#[cfg(target_family = "wasm")]
use crc32_by_bits as crc32;

/// Counters of a context or a thread record, by position. Copies and their bytes follow, one word a reason.
pub(crate) mod counter {
    pub(crate) const ALLOCATIONS: usize = 0;
    pub(crate) const FREES: usize = 1;
    pub(crate) const BYTES_ALLOCATED: usize = 2;
    pub(crate) const BYTES_FREED: usize = 3;
    pub(crate) const BEGUN: usize = 4;
    pub(crate) const ENDED: usize = 5;
    pub(crate) const CONFLICTS: usize = 6;
    pub(crate) const STALE: usize = 7;
    pub(crate) const VIEWS: usize = 8;
    pub(crate) const FINALIZED: usize = 9;
    pub(crate) const COLLECTED: usize = 10;
    pub(crate) const COPIES: usize = 11;
    pub(crate) const COPY_BYTES: usize = 15;
    pub(crate) const COUNT: usize = 19;
}

/// The counters of one thread, in one region or beyond all regions. One thread writes, all read.
pub(crate) type CounterWords = [Word; counter::COUNT];

/// Runtimes whose totals have a place in the header.
pub(crate) const RUNTIMES: usize = 16;

/// Writes that one journal can hold: a structural change is one journal.
pub(crate) const JOURNAL: usize = 64;

/// One table's state.
#[repr(C)]
pub(crate) struct TableState {
    /// Records ever handed out: those below have an extent.
    pub(crate) used: Word,
    /// First free record, plus one.
    pub(crate) free: Word,
}

/// The first page of a segment, after the identity's words.
#[repr(C, align(64))]
pub(crate) struct Header {
    pub(crate) identity: [Word; IDENTITY_WORDS],
    /// 1 once the heap is whole.
    pub(crate) ready: Word,
    /// Attachments of a private heap: the last one to go unmaps.
    pub(crate) users: Word,
    /// In WebAssembly: the memory of the granules below this one is there, and what is others' of it is marked (`growth`).
    pub(crate) grown: Word,
    _pad0: [Word; 3],
    /// The heap's lock: attachment plus one (16), its record's sequence (32); 0 is free.
    pub(crate) lock: Word,
    /// Region that is being closed under the lock, plus one.
    pub(crate) closing: Word,
    /// Region whose parts are being given back, plus one.
    pub(crate) reclaiming: Word,
    /// Free granules that are going back to the system: {first 32 | count 32}.
    pub(crate) trimming: Word,
    /// Changed now and then by a holder of the lock that works for long: it is not stopped.
    pub(crate) beat: Word,
    /// Granules handed out now, at most ever, and where the search for room begins.
    pub(crate) granules: Word,
    pub(crate) peak: Word,
    pub(crate) hint: Word,
    /// Granules that were given back in large runs since the last trim, and when the last of them was.
    pub(crate) idle: Word,
    pub(crate) idle_since: Word,
    /// The directory changed; waited on by `lookup`.
    pub(crate) names_changed: Half,
    _pad1: Half,
    pub(crate) tables: [TableState; TABLES],
    /// Writes in the journal; 0 when no change is under way.
    pub(crate) journal_len: Word,
    /// Each write: {offset in words 40, count of words 24}, and the value.
    pub(crate) journal: [[Word; 2]; JOURNAL],
    /// Counted before and after counters move to the totals, for those who sum up meanwhile.
    pub(crate) folds_begun: Word,
    pub(crate) folds_done: Word,
    /// What closed regions and detached threads have counted, by runtime.
    pub(crate) totals: [CounterWords; RUNTIMES],
}

/// Which table. The order is that of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Attachments = 0,
    Threads = 1,
    Entries = 2,
    EntryPages = 3,
    Regions = 4,
    Contexts = 5,
    Slots = 6,
    Blocks = 7,
    Chunks = 8,
    Names = 9,
}

pub(crate) const TABLES: usize = 10;

impl Table {
    pub(crate) const ALL: [Table; TABLES] = [
        Table::Attachments,
        Table::Threads,
        Table::Entries,
        Table::EntryPages,
        Table::Regions,
        Table::Contexts,
        Table::Slots,
        Table::Blocks,
        Table::Chunks,
        Table::Names,
    ];

    /// What the records are, in messages.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Table::Attachments => "attachments",
            Table::Threads => "threads",
            Table::Entries | Table::EntryPages => "live borrows",
            Table::Regions => "regions",
            Table::Contexts => "threads that use regions",
            Table::Slots | Table::Blocks => "buffers",
            Table::Chunks => "chunks of regions",
            Table::Names => "published names",
        }
    }

    /// Bytes of a record; a power of two, so that a granule holds a whole number of them.
    pub(crate) const fn record(self) -> u64 {
        match self {
            Table::Attachments | Table::Names => 128,
            Table::Threads => 256,
            Table::Entries | Table::Slots | Table::Chunks => 32,
            Table::EntryPages | Table::Blocks => 16,
            Table::Regions | Table::Contexts => 512,
        }
    }

    /// log2 of the records in an extent of one granule.
    pub(crate) const fn shift(self) -> u32 {
        (GRANULE / self.record()).trailing_zeros()
    }

    /// The most records in a segment of this size.
    const fn wanted(self, size: u64) -> u64 {
        match self {
            Table::Attachments => 1024,
            Table::Threads => 4096,
            Table::Entries => clamp(size / 1024, 1 << 12, 1 << 24),
            Table::EntryPages => Table::Entries.wanted(size) / ENTRIES_PER_PAGE as u64,
            Table::Regions => clamp(size / GRANULE, 128, 1 << 20),
            Table::Contexts => clamp(size / GRANULE * 2, 128, 1 << 18),
            Table::Slots => clamp(size / 64, 1 << 12, 1 << 26),
            Table::Blocks => Table::Slots.wanted(size) / SLOTS_PER_BLOCK as u64,
            Table::Chunks => clamp(size / GRANULE, 128, 1 << 20),
            Table::Names => 4096,
        }
    }
}

const fn clamp(value: u64, low: u64, high: u64) -> u64 {
    if value < low {
        low
    } else if value > high {
        high
    } else {
        value
    }
}

/// Where the fixed parts of a segment of a given size are. A function of the size alone, so that nothing of it has to
/// be read from the segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) size: u64,
    pub(crate) granules: u64,
    /// A bit a granule: handed out.
    pub(crate) used_bits: u64,
    /// A bit a granule: pages allocated, content unknown.
    pub(crate) committed_bits: u64,
    pub(crate) tables: [TableGeometry; TABLES],
    /// Granules that the header, the bits and the tables' extent lists take.
    pub(crate) fixed_granules: u64,
    pub(crate) fixed_bytes: u64,
}

/// Where a table's extents are listed: one 32-bit granule number for each, 0 if not there yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableGeometry {
    pub(crate) extents: u64,
    pub(crate) capacity: u32,
    /// log2 of the records in an extent of one granule.
    pub(crate) shift: u32,
}

impl TableGeometry {
    pub(crate) fn extent_count(&self) -> u32 {
        self.capacity.div_ceil(1 << self.shift)
    }
}

impl Geometry {
    pub(crate) fn new(size: u64) -> Geometry {
        let granules = size / GRANULE;
        let bitmap = granules.div_ceil(64) * 8;
        let used_bits = (size_of::<Header>() as u64).next_multiple_of(4096);
        let committed_bits = used_bits + bitmap;
        let mut at = committed_bits + bitmap;
        let mut tables = [TableGeometry::default(); TABLES];
        for table in &Table::ALL {
            let table = *table;
            let shift = table.shift();
            // Exact, so that the last page of entries and the last block have all their records.
            let capacity = table.wanted(size) as u32;
            tables[table as usize] = TableGeometry { extents: at, capacity, shift };
            at += (u64::from(tables[table as usize].extent_count()) * 4).next_multiple_of(64);
        }
        let fixed_granules = at.div_ceil(GRANULE);
        let fixed_bytes = fixed_granules * GRANULE;
        Geometry { size, granules, used_bits, committed_bits, tables, fixed_granules, fixed_bytes }
    }
}

/// An attachment: one copy of the library in one process.
#[repr(C)]
pub(crate) struct AttachmentRecord {
    /// {sequence 32 | runtime 8 | state 8}; state 1 is attached. The sequence grows with every new one.
    pub(crate) state: Word,
    pub(crate) pid: Word,
    pub(crate) start: Word,
    pub(crate) namespace: Word,
    pub(crate) boot: [Word; 2],
    pub(crate) label: [Word; 8],
    _pad: [Word; 2],
}

/// A thread of an attachment. Padded, so that no two threads share a line.
#[repr(C)]
pub(crate) struct ThreadRecord {
    /// {attachment plus one 16 | state 8}: 1 used by a thread, 2 waiting for the attachment's next thread.
    pub(crate) owner: Word,
    pub(crate) thread: Word,
    /// First page of ledger entries, plus one.
    pub(crate) pages: Word,
    /// First context of this record, plus one.
    pub(crate) contexts: Word,
    pub(crate) next: Word,
    _pad: [Word; 3],
    pub(crate) counters: CounterWords,
    _pad2: [Word; 3],
    /// 1 once others have ended borrows of this record by token, so that all claim those by exchange.
    pub(crate) claimed: Word,
    /// Ends of this record's borrows by threads without a record of their own: several threads write here.
    pub(crate) foreign: Word,
}

pub(crate) const ENTRIES_PER_PAGE: u32 = 64;
pub(crate) const SLOTS_PER_BLOCK: u32 = 256;

/// One borrow in the ledger. Its region is that of its slot, which has no other while the borrow lives. Aligned, so that
/// it lies on one line.
#[repr(C, align(32))]
pub(crate) struct Entry {
    /// {generation 40 | record 12 | owned 1, new 1, kind 2 | phase 8}.
    pub(crate) word: Word,
    pub(crate) handle: Word,
    /// {slot 32, as it differs from the index of the handle | since 32, a tick}.
    pub(crate) meta: Word,
}

/// The list link and owner of a page of entries.
#[repr(C)]
pub(crate) struct EntryPage {
    pub(crate) next: Word,
    /// The thread record, plus one; 0 on the free list.
    pub(crate) record: Word,
}

/// Classes of sizes: 52 up to 1 MiB, and one for slots whose bytes are a chunk of their own.
pub(crate) const CLASSES: usize = 52;
pub(crate) const CLASS_LARGE: usize = CLASSES;
/// Words for one 32-bit list head a class.
pub(crate) const HEAD_WORDS: usize = (CLASSES + 2) / 2;

/// A region.
#[repr(C)]
pub(crate) struct RegionRecord {
    /// {epoch 44 | waited 1 | status 3 | attachment 16}: the one word that every borrow looks at.
    pub(crate) control: Word,
    /// Generation of the region's handle.
    pub(crate) born: Word,
    /// In granules; 0 is none.
    pub(crate) limit: Word,
    _pad0: [Word; 5],
    /// Changed when a borrow ends while somebody waits.
    pub(crate) idle: Half,
    _pad1: Half,
    /// First chunk, and the first that is spare after a reset: those from there on are not in use. Plus one.
    pub(crate) chunks: Word,
    pub(crate) spare_chunks: Word,
    /// First and last block of slots, and the first spare one. Plus one.
    pub(crate) blocks: Word,
    pub(crate) last_block: Word,
    pub(crate) spare_blocks: Word,
    pub(crate) contexts: Word,
    /// Granules of its chunks, now and at most.
    pub(crate) granules: Word,
    pub(crate) peak: Word,
    /// Next on the free list, plus one.
    pub(crate) next: Word,
    /// Buffers and bytes that resets have dropped.
    pub(crate) dropped: Word,
    pub(crate) dropped_bytes: Word,
    /// Lists of freed slots that no thread has, by class.
    pub(crate) shared: [Word; HEAD_WORDS],
    pub(crate) name_len: Word,
    pub(crate) name: [Word; 8],
}

impl RegionRecord {
    /// Words from `chunks` up to the name: all 0 in a region that has nothing.
    pub(crate) const PARTS: u64 =
        ((std::mem::offset_of!(RegionRecord, name_len) - std::mem::offset_of!(RegionRecord, chunks)) / 8) as u64;
}

/// What one thread has of one region: where it allocates, and what it counts. Padded.
#[repr(C)]
pub(crate) struct Context {
    /// {op 32 | slot 32} while the thread allocates or frees; a closer waits for 0.
    pub(crate) busy: Word,
    /// The region and epoch that it belongs to, as a slot's owner word; 0 if it is free to be used.
    pub(crate) owner: Word,
    pub(crate) bump: Word,
    pub(crate) bump_end: Word,
    /// {next slot 32 | end 32} of its block.
    pub(crate) slots: Word,
    /// {thread record plus one 32 | runtime 8 | memory never used 1 at bit 40}: record 0 is an orphan.
    pub(crate) record: Word,
    /// Next context of the region, and of the thread record; plus one.
    pub(crate) next: Word,
    pub(crate) next_of_record: Word,
    pub(crate) counters: CounterWords,
    /// Lists of freed slots by class.
    pub(crate) heads: [Word; HEAD_WORDS],
    _pad: [Word; 10],
}

/// A buffer.
#[repr(C)]
pub(crate) struct Slot {
    /// {generation 32 | UNIQUE | FREE | RECOVERING | POISONED | FROZEN | SOLE | count 26, or under UNIQUE and SOLE the
    /// entry, or under FREE the context that freed it}.
    pub(crate) state: Word,
    /// {epoch 44 | region 20}.
    pub(crate) owner: Word,
    /// {offset 48 | flags 8 | class 8}.
    pub(crate) place: Word,
    /// {length 40 | chunk plus one 24}; of a free slot {depth 32 | next plus one 32}.
    pub(crate) length: Word,
}

/// The list link of a block of slots.
#[repr(C)]
pub(crate) struct Block {
    pub(crate) next: Word,
    _pad: Word,
}

/// A run of granules of a region.
#[repr(C)]
pub(crate) struct Chunk {
    pub(crate) next: Word,
    pub(crate) previous: Word,
    /// {first granule 32 | granules 32}.
    pub(crate) run: Word,
    /// {context plus one 32 | region plus one 32}: 0 on the free list; a context only while its thread allocates the
    /// pages of a large buffer.
    pub(crate) region: Word,
}

/// A published name.
#[repr(C)]
pub(crate) struct NameRecord {
    /// Bytes of the name; 0 if the record is free.
    pub(crate) length: Word,
    pub(crate) handle: Word,
    pub(crate) name: [Word; 8],
    _pad: [Word; 6],
}

const _: () = {
    assert!(size_of::<AttachmentRecord>() == 128);
    assert!(size_of::<ThreadRecord>() == 256);
    assert!(size_of::<Entry>() == 32);
    assert!(size_of::<EntryPage>() == 16);
    assert!(size_of::<RegionRecord>() <= 512);
    assert!(size_of::<Context>() == 512);
    assert!(size_of::<Slot>() == 32);
    assert!(size_of::<Block>() == 16);
    assert!(size_of::<Chunk>() == 32);
    assert!(size_of::<NameRecord>() == 128);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(target_family = "wasm"))]
    #[test]
    fn both_ways_to_a_checksum_give_the_same() {
        for words in [&[] as &[u64], &[0], &[u64::MAX, 1, 0x0123_4567_89ab_cdef]] {
            assert_eq!(crc32_by_bits(words), crc32(words));
        }
    }

    #[test]
    fn an_identity_with_any_bit_flipped_is_noticed() {
        let identity =
            Identity { layout_version: 1, byte_order: BYTE_ORDER, flags: 1, size: 1 << 30, seed: 5, id: 6, boot: 7 };
        let words = identity.to_words();
        assert_eq!(Identity::from_words(&words), Some((identity, true)));
        for bit in 0..IDENTITY_WORDS * 64 {
            let mut flipped = words;
            flipped[bit / 64] ^= 1 << (bit % 64);
            assert!(!matches!(Identity::from_words(&flipped), Some((_, true))), "bit {bit}");
        }
    }

    /// A record's size and alignment, and the place and size of each of its fields, of which none is left out.
    macro_rules! describe {
        ($text:ident, $($record:ident { $($field:ident),* })*) => { $(
            writeln!($text, "{} size {} align {}", stringify!($record), size_of::<$record>(), align_of::<$record>())?;
            let every = |record: &$record| {
                let $record { $($field: _),* } = record;
            };
            let _ = every;
            $({
                fn size<R, F>(_: fn(&R) -> &F) -> usize {
                    size_of::<F>()
                }
                let size = size(|record: &$record| &record.$field);
                writeln!($text, "  {} at {} size {size}", stringify!($field), std::mem::offset_of!($record, $field))?;
            })*
        )* };
    }

    fn description() -> Result<String, std::fmt::Error> {
        use std::fmt::Write;
        let mut text = String::new();
        describe! { text,
            Header {
                identity, ready, users, grown, _pad0, lock, closing, reclaiming, trimming, beat, granules, peak, hint,
                idle, idle_since, names_changed, _pad1, tables, journal_len, journal, folds_begun, folds_done, totals
            }
            TableState { used, free }
            AttachmentRecord { state, pid, start, namespace, boot, label, _pad }
            ThreadRecord { owner, thread, pages, contexts, next, _pad, counters, _pad2, claimed, foreign }
            Entry { word, handle, meta }
            EntryPage { next, record }
            RegionRecord {
                control, born, limit, _pad0, idle, _pad1, chunks, spare_chunks, blocks, last_block, spare_blocks,
                contexts, granules, peak, next, dropped, dropped_bytes, shared, name_len, name
            }
            Context {
                busy, owner, bump, bump_end, slots, record, next, next_of_record, counters, heads, _pad
            }
            Slot { state, owner, place, length }
            Block { next, _pad }
            Chunk { next, previous, run, region }
            NameRecord { length, handle, name, _pad }
        }
        for size in [MIN_SIZE, 100 << 20, (2 << 30) - GRANULE, DEFAULT_SIZE, MAX_SIZE] {
            let Geometry { size, granules, used_bits, committed_bits, tables, fixed_granules, fixed_bytes } =
                Geometry::new(size);
            writeln!(text, "segment of {size}: granules {granules}, fixed {fixed_granules} of {fixed_bytes} bytes")?;
            writeln!(text, "  bits at {used_bits} and {committed_bits}")?;
            for table in Table::ALL {
                let TableGeometry { extents, capacity, shift } = tables[table as usize];
                let record = table.record();
                writeln!(text, "  {table:?} of {record}: extents at {extents} of 1 << {shift}, {capacity} at most")?;
            }
        }
        Ok(text)
    }

    /// The same on 32 and on 64 bits, since the same text is compared there (`cargo xtask test rust wasm`).
    #[test]
    fn records_are_where_the_layout_says() {
        let (found, said) = (description().expect("text"), include_str!("../../../spec/segment.txt"));
        for (line, (found, said)) in found.lines().zip(said.lines()).enumerate() {
            assert_eq!(found, said, "line {}; all of it:\n{}", line + 1, description().expect("text"));
        }
        assert_eq!(found, said);
    }

    #[test]
    fn a_small_segment_has_room_beside_its_fixed_parts() {
        let geometry = Geometry::new(MIN_SIZE);
        assert!(geometry.fixed_granules + 2 * TABLES as u64 <= geometry.granules);
        assert!(Geometry::new(DEFAULT_SIZE).fixed_granules < 32);
    }
}
