//! Opening arbitrary and mutated heap files, and then using them (H3): an error or correct service, never a crash, a
//! hang, or a touch of memory that is not the heap's.
#![no_main]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use weaveheap_core::{BorrowKind, Error, Handle, Heap, Init, Inspector, RegionOptions};

const PAGE: usize = 4096;
/// Words of the identity at the start of a file; the last one is the checksum of the others.
const IDENTITY: usize = 10;
/// Edits of one input, and uses.
const MOST: usize = 48;
/// Buffers and regions that one use goes through.
const SOME: usize = 8;
const SHORT: Option<Duration> = Some(Duration::from_micros(100));

#[derive(Arbitrary, Debug)]
struct Input {
    file: Source,
    edits: Vec<Edit>,
    /// Computes the checksum of the identity anew, so that edits of it are believed.
    seal: bool,
    cut: Option<u32>,
    uses: Vec<Use>,
}

#[derive(Arbitrary, Debug)]
enum Source {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes over the start of a heap.
    Over(Vec<u8>),
    /// A heap with something in it.
    Image(u8),
}

/// A change of one word.
#[derive(Arbitrary, Debug)]
struct Edit {
    at: Place,
    to: Value,
}

#[derive(Arbitrary, Debug)]
enum Place {
    /// One of the words that are not 0.
    Used(u16),
    /// One near such a word.
    Near(u16, i8),
    Any(u32),
}

#[derive(Arbitrary, Debug)]
enum Value {
    Word(u64),
    Small(u8),
    Flip(u8),
    Add(i8),
    High(u32),
    Low(u32),
    /// What another word in use holds.
    Of(u16),
}

#[derive(Arbitrary, Debug)]
enum Use {
    Check,
    Snapshot,
    Inspect,
    Lookup,
    Publish(u8),
    Unpublish,
    CreateRegion,
    Alloc(u8, u32),
    AllocFrom(u8, u16),
    Free(u8),
    Borrow(u8, bool),
    Release(u8),
    Freeze(u8),
    ClearPoison(u8),
    Holders(u8),
    Wait(u8),
    Reset(u8),
    Close(u8),
    CloseWhenIdle(u8),
    Trim,
    Reopen,
}

/// Words of a page.
const WORDS: usize = PAGE / 8;

/// A whole file as words: the pages that are not empty, for most are.
#[derive(Clone, Default)]
struct Image {
    pages: BTreeMap<usize, [u64; WORDS]>,
    words: usize,
}

impl Image {
    fn of(bytes: &[u8]) -> Image {
        let mut image = Image { pages: BTreeMap::new(), words: bytes.len().div_ceil(8) };
        for (index, page) in bytes.chunks(PAGE).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0)) {
            for (at, word) in page.chunks(8).enumerate() {
                let mut whole = [0; 8];
                whole[..word.len()].copy_from_slice(word);
                image.set(index * WORDS + at, u64::from_le_bytes(whole));
            }
        }
        image
    }

    fn get(&self, at: usize) -> u64 {
        self.pages.get(&(at / WORDS)).map_or(0, |page| page[at % WORDS])
    }

    fn set(&mut self, at: usize, word: u64) {
        self.pages.entry(at / WORDS).or_insert([0; WORDS])[at % WORDS] = word;
    }

    /// The words that are not 0.
    fn used(&self) -> Vec<usize> {
        let words =
            self.pages.iter().flat_map(|(index, page)| (0..WORDS).map(move |at| (index * WORDS + at, page[at])));
        words.filter(|(_, word)| *word != 0).map(|(at, _)| at).collect()
    }
}

/// What fills an image.
type Fill = fn(&Heap) -> Result<(), Error>;

/// Heaps in states that differ; their processes are gone, or still there (borrows of one that did not detach).
fn images() -> &'static [(Image, Vec<usize>)] {
    static IMAGES: OnceLock<Vec<(Image, Vec<usize>)>> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let fills: [Fill; 4] = [
            |_| Ok(()),
            |heap| {
                let region = heap.create_region(&RegionOptions::new().name("kept").limit(1 << 20))?;
                let buffer = heap.alloc_from(region, b"contents", 64)?;
                heap.alloc(region, 5000, 4096, Init::Zeroed)?;
                heap.publish("contents", buffer)
            },
            |heap| {
                for index in 0..3 {
                    let region = heap.create_region(&RegionOptions::new())?;
                    let buffers: Vec<Handle> =
                        (0..40).map(|n| heap.alloc(region, n * 50, 64, Init::Zeroed)).collect::<Result<_, _>>()?;
                    buffers.iter().step_by(3).try_for_each(|buffer| heap.free(*buffer))?;
                    heap.freeze(buffers[1])?;
                    heap.publish(&format!("r{index}"), region)?;
                    if index == 1 {
                        heap.reset(region)?;
                    }
                    if index == 2 {
                        heap.close(region)?;
                    }
                }
                Ok(())
            },
            |heap| {
                let region = heap.create_region(&RegionOptions::new())?;
                let draining = heap.create_region(&RegionOptions::new())?;
                for (region, kind) in [(region, BorrowKind::Shared), (draining, BorrowKind::Unique)] {
                    for length in [10, 3000, 2 << 20] {
                        let buffer = heap.alloc(region, length, 64, Init::Zeroed)?;
                        heap.borrow_raw(buffer, kind)?;
                    }
                }
                heap.close_when_idle(draining)
            },
        ];
        fills.iter().map(image).collect()
    })
}

fn image(fill: &Fill) -> (Image, Vec<usize>) {
    let path = weaveheap_fuzz::folder().join("image");
    // SAFETY: this process alone uses the file.
    let heap = unsafe { Heap::options().limit(8 << 20).create_path(&path) }.expect("a shared heap");
    fill(&heap).expect("an image");
    // Read while it is attached: the image shows a holder, which is dead where no process holds its lock.
    let bytes = std::fs::read(&path).expect("ours");
    Heap::remove_path(&path).expect("ours");
    let image = Image::of(&bytes);
    let used = image.used();
    (image, used)
}

/// Writes the file that an input describes.
fn make(input: &Input, path: &Path) {
    let chosen = |number: usize| &images()[number % images().len()];
    let (mut image, used) = match &input.file {
        Source::Bytes(bytes) => (Image::of(bytes), [].as_slice()),
        Source::Over(bytes) => {
            let (image, used) = chosen(1);
            let (mut image, over) = (image.clone(), Image::of(bytes));
            (0..over.words).for_each(|at| image.set(at, over.get(at)));
            (image, used.as_slice())
        }
        Source::Image(number) => {
            let (image, used) = chosen((*number).into());
            (image.clone(), used.as_slice())
        }
    };
    edit(&mut image, used, &input.edits);
    if input.seal && image.words >= IDENTITY {
        let mut hasher = crc32fast::Hasher::new();
        (0..IDENTITY - 1).for_each(|at| hasher.update(&image.get(at).to_le_bytes()));
        image.set(IDENTITY - 1, u64::from(hasher.finalize()) | 1 << 32);
    }
    let length = image.words * 8;
    let length = input.cut.map_or(length, |cut| cut as usize % (length + 2 * PAGE));
    let file = File::create(path).expect("ours");
    for (index, page) in &image.pages {
        let bytes: Vec<u8> = page.iter().flat_map(|word| word.to_le_bytes()).collect();
        let start = index * PAGE;
        let bytes = &bytes[..length.saturating_sub(start).min(PAGE)];
        file.write_all_at(bytes, start as u64).expect("there is room");
    }
    file.set_len(length as u64).expect("there is room");
}

fn edit(image: &mut Image, used: &[usize], edits: &[Edit]) {
    let count = image.words;
    if count == 0 {
        return;
    }
    let nth = |n: u16| used.get(usize::from(n) % used.len().max(1)).copied().unwrap_or_default();
    for edit in edits.iter().take(MOST) {
        let at = match edit.at {
            Place::Used(n) => nth(n),
            Place::Near(n, by) => nth(n).wrapping_add_signed(isize::from(by)) % count,
            Place::Any(at) => at as usize % count,
        };
        let old = image.get(at);
        let new = match edit.to {
            Value::Word(word) => word,
            Value::Small(small) => small.into(),
            Value::Flip(bit) => old ^ 1 << (bit % 64),
            Value::Add(by) => old.wrapping_add_signed(by.into()),
            Value::High(high) => old & 0xffff_ffff | u64::from(high) << 32,
            Value::Low(low) => old & !0xffff_ffff | u64::from(low),
            Value::Of(n) => image.get(nth(n)),
        };
        image.set(at, new);
    }
}

/// What a program finds in a heap.
#[derive(Default)]
struct Found {
    regions: Vec<Handle>,
    buffers: Vec<Handle>,
}

impl Found {
    fn look(&mut self, heap: &Heap) {
        let Ok(snapshot) = heap.snapshot() else { return };
        for region in snapshot.regions.iter().take(SOME) {
            self.regions.push(region.handle);
            let buffers = heap.buffers(region.handle, SOME).unwrap_or_default();
            self.buffers.extend(buffers.iter().map(|info| info.handle));
        }
        self.buffers.extend(snapshot.names.iter().take(SOME).map(|info| info.handle));
    }
}

fn pick(handles: &[Handle], number: u8) -> Handle {
    if handles.is_empty() { Handle::NULL } else { handles[usize::from(number) % handles.len()] }
}

/// Errors are answers; what they say is made, too, for it is gathered then.
fn said<T>(result: Result<T, Error>) -> Option<T> {
    result.map_err(|error| (error.to_string(), error.holders())).ok()
}

fn inspect(path: &Path) {
    let Some(inspector) = said(Inspector::open_path(path)) else { return };
    let _ = said(inspector.check());
    let Some(snapshot) = said(inspector.snapshot()) else { return };
    for region in snapshot.regions.iter().take(SOME) {
        let _ = said(inspector.buffers(region.handle, 100));
        let _ = said(inspector.holders(region.handle));
    }
}

fn open(path: &Path) -> Option<Heap> {
    // SAFETY: this process alone uses the file.
    said(unsafe { Heap::options().open_path(path) })
}

fn use_heap(path: &Path, uses: &[Use]) {
    let Some(mut heap) = open(path) else { return };
    let mut found = Found::default();
    found.look(&heap);
    let mut leases = Vec::new();
    for used in uses.iter().take(MOST) {
        let region = |number| pick(&found.regions, number);
        let buffer = |number| pick(&found.buffers, number);
        match *used {
            Use::Check => drop(said(heap.check())),
            Use::Snapshot => found.look(&heap),
            Use::Inspect => inspect(path),
            Use::Lookup => {
                found.buffers.extend(said(heap.lookup("contents")));
                let _ = said(heap.lookup_wait("absent", SHORT));
            }
            Use::Publish(n) => drop(said(heap.publish("new", buffer(n)))),
            Use::Unpublish => drop(said(heap.unpublish("contents"))),
            Use::CreateRegion => found.regions.extend(said(heap.create_region(&RegionOptions::new().name("new")))),
            Use::Alloc(n, length) => {
                let length = u64::from(length) % (3 << 20);
                let made = heap.alloc(region(n), length, 1 << (length % 13), Init::Zeroed);
                found.buffers.extend(said(made));
            }
            Use::AllocFrom(n, length) => {
                let bytes = vec![7; usize::from(length)];
                found.buffers.extend(said(heap.alloc_from(region(n), &bytes, 64)));
            }
            Use::Free(n) => drop(said(heap.free(buffer(n)))),
            Use::Borrow(n, unique) => {
                let kind = if unique { BorrowKind::Unique } else { BorrowKind::Shared };
                let Some(mut lease) = said(heap.borrow(buffer(n), kind)) else { continue };
                match lease.as_mut_slice() {
                    Some(bytes) => bytes.fill(n),
                    None => drop(std::hint::black_box(lease.as_slice().iter().map(|b| u64::from(*b)).sum::<u64>())),
                }
                leases.push(lease);
            }
            Use::Release(n) => {
                if !leases.is_empty() {
                    drop(leases.swap_remove(usize::from(n) % leases.len()));
                }
            }
            Use::Freeze(n) => drop(said(heap.freeze(buffer(n)))),
            Use::ClearPoison(n) => drop(said(heap.clear_poison(buffer(n)))),
            Use::Holders(n) => drop(said(heap.holders(buffer(n)))),
            Use::Wait(n) => drop(said(heap.wait_idle(region(n), SHORT))),
            Use::Reset(n) => drop(said(heap.reset(region(n)))),
            Use::Close(n) => drop(said(heap.close(region(n)))),
            Use::CloseWhenIdle(n) => drop(said(heap.close_when_idle(region(n)))),
            Use::Trim => drop(said(heap.trim())),
            Use::Reopen => {
                leases.clear();
                let _ = said(heap.detach());
                let Some(opened) = open(path) else { return };
                heap = opened;
            }
        }
    }
    drop(leases);
    let _ = said(heap.check());
    let _ = said(heap.detach());
}

fuzz_target!(|input: Input| {
    let path = weaveheap_fuzz::folder().join("file");
    make(&input, &path);
    inspect(&path);
    use_heap(&path, &input.uses);
    std::fs::remove_file(&path).expect("ours");
});
