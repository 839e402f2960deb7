//! Files that are no heap, or no longer one: an error or correct service, never a crash or a hang (H3, F5).

use std::path::Path;
use std::time::Duration;

use weaveheap_core::{BorrowKind, ErrorCode, Heap, Init, Inspector, RegionOptions};

use crate::second::Second;
use crate::support::{SharedHeap, TempDir, code, open};

/// Where a heap's file says what it is; all behind it is state.
const IDENTITY: usize = 80;

/// A heap with something in it, whose processes are gone.
fn image(folder: &TempDir) -> Vec<u8> {
    let path = folder.join("image");
    // SAFETY: one process, one protocol.
    let heap = unsafe { Heap::options().limit(2 << 20).create_path(&path) }.expect("a heap");
    let region = heap.create_region(&RegionOptions::new().name("kept")).expect("a region");
    let buffer = heap.alloc_from(region, b"contents", 64).expect("room");
    heap.alloc(region, 5000, 64, Init::Zeroed).expect("room");
    heap.publish("contents", buffer).expect("a free name");
    heap.detach().expect("nothing is borrowed");
    drop(heap);
    std::fs::read(&path).expect("ours")
}

/// Uses a file as a heap in every way. What comes back does not matter: that something comes back does.
fn use_in_every_way(path: &Path) -> Result<(), ErrorCode> {
    let short = Some(Duration::from_millis(1));
    if let Ok(inspector) = Inspector::open_path(path)
        && let Ok(snapshot) = inspector.snapshot()
    {
        for region in snapshot.regions.iter().take(4) {
            let _ = inspector.buffers(region.handle, 100);
            let _ = inspector.holders(region.handle);
        }
    }
    // SAFETY: nobody else uses the file.
    let heap = unsafe { Heap::options().open_path(path) }.map_err(|error| error.code())?;
    let _ = heap.check();
    let found = heap.lookup("contents");
    let _ = heap.lookup_wait("absent", short);
    if let Ok(snapshot) = heap.snapshot() {
        for region in snapshot.regions.iter().take(4) {
            let _ = heap.buffers(region.handle, 100);
            let _ = heap.wait_idle(region.handle, short);
            let _ = heap.alloc(region.handle, 1000, 64, Init::Zeroed).map(|buffer| heap.free(buffer));
        }
    }
    if let Ok(buffer) = found {
        if let Ok(mut lease) = heap.borrow(buffer, BorrowKind::Unique) {
            lease.as_mut_slice().expect("unique").fill(1);
        }
        let _ = heap
            .borrow(buffer, BorrowKind::Shared)
            .map(|lease| lease.as_slice().iter().map(|b| u64::from(*b)).sum::<u64>());
        let _ = heap.free(buffer);
    }
    let region = heap.create_region(&RegionOptions::new());
    if let Ok(region) = region {
        let _ = heap.alloc(region, 100_000, 64, Init::Zeroed);
        let _ = heap.close(region);
    }
    if let Ok(snapshot) = heap.snapshot() {
        for region in snapshot.regions.iter().take(4) {
            let _ = heap.reset(region.handle);
            let _ = heap.close(region.handle);
        }
    }
    let _ = heap.trim();
    let _ = heap.check();
    let _ = heap.detach();
    Ok(())
}

/// Uses this image as a heap, damaged in this many ways, in second processes, which must live through all of them, in
/// time. What `damage` says names the way.
fn survives(image: &[u8], ways: usize, damage: impl Fn(usize, &mut [u8]) -> String + Sync) {
    const PROCESSES: usize = 4;
    let start = || {
        let mut second = Second::start("images", &[]);
        assert_eq!(second.hear(), "ready");
        second
    };
    let work = |first: usize| {
        let (mut second, mut failed) = (start(), Vec::new());
        let folder = TempDir::new();
        let path = folder.join("damaged");
        for way in (first..ways).step_by(PROCESSES) {
            let mut damaged = image.to_vec();
            let what = damage(way, &mut damaged);
            write_sparse(&path, &damaged);
            second.tell(&path.to_string_lossy());
            if let Err(why) = second.hear_within(Duration::from_secs(30)) {
                failed.push(format!("{what}: the process {why}"));
                second = start();
            }
            std::fs::remove_file(&path).expect("ours");
        }
        second.finish();
        failed
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..PROCESSES).map(|first| scope.spawn(move || work(first))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(failed.is_empty(), "{} of {ways}:\n{}", failed.len(), failed.join("\n"));
}

/// Writes the pages that are not empty: most of a heap's file is not there.
fn write_sparse(path: &Path, image: &[u8]) {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = std::fs::File::create(path).expect("ours");
    file.set_len(image.len() as u64).expect("there is room");
    for (index, page) in image.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0)) {
        file.seek(SeekFrom::Start(index as u64 * 4096)).expect("ours");
        file.write_all(page).expect("there is room");
    }
}

/// The role of the second process of `survives`.
pub fn use_images() {
    use crate::second::{say, told};
    say("ready");
    while let Some(path) = told() {
        match use_in_every_way(Path::new(&path)) {
            Ok(()) => say("served"),
            Err(code) => say(code.name()),
        }
    }
}

fn opens_as(image: &[u8], folder: &TempDir) -> Result<(), ErrorCode> {
    let path = folder.join("opened");
    std::fs::write(&path, image).expect("ours");
    // SAFETY: nobody else uses the file.
    let opened = unsafe { Heap::options().open_path(&path) };
    // A heap that opens is sound.
    let opened = opened.and_then(|heap| heap.check()).map(drop).map_err(|error| error.code());
    std::fs::remove_file(&path).expect("ours");
    opened
}

#[test]
fn every_flipped_byte_of_the_identity_is_refused() {
    let folder = TempDir::new();
    let image = image(&folder);
    assert_eq!(opens_as(&image, &folder), Ok(()));
    for at in 0..IDENTITY {
        for mask in [0x01, 0x80, 0xff] {
            let mut flipped = image.clone();
            flipped[at] ^= mask;
            match opens_as(&flipped, &folder) {
                Err(ErrorCode::Incompatible | ErrorCode::Corrupt) => {}
                other => panic!("byte {at} ^ {mask:#x}: {other:?}"),
            }
        }
    }
    assert_eq!(opens_as(&image, &folder), Ok(()));
}

#[test]
fn another_layout_version_is_refused_naming_both() {
    let folder = TempDir::new();
    let mut other = image(&folder);
    // The version is the half word after the magic; the checksum is judged after what may differ between versions.
    other[8..12].copy_from_slice(&(weaveheap_core::LAYOUT_VERSION + 6).to_le_bytes());
    let path = folder.join("other");
    std::fs::write(&path, &other).expect("ours");
    // SAFETY: nobody else uses the file.
    let error = unsafe { Heap::options().open_path(&path) }.expect_err("another version");
    assert_eq!(error.code(), ErrorCode::Incompatible);
    let (ours, theirs) = (weaveheap_core::LAYOUT_VERSION.to_string(), (weaveheap_core::LAYOUT_VERSION + 6).to_string());
    let text = error.to_string();
    assert!(text.contains(&ours) && text.contains(&theirs), "{text}");
    assert_eq!(code(Inspector::open_path(&path).map(drop)), ErrorCode::Incompatible);
}

#[test]
fn every_flipped_byte_of_the_header_is_an_error_or_served() {
    let image = image(&TempDir::new());
    survives(&image, 4096 - IDENTITY, |way, image| {
        image[IDENTITY + way] ^= 0xff;
        format!("header byte {}", IDENTITY + way)
    });
}

#[test]
fn flipped_bytes_of_the_records_are_an_error_or_served() {
    let image = image(&TempDir::new());
    let places: Vec<usize> = (4096..image.len()).filter(|at| image[*at] != 0).collect();
    assert!(places.len() > 20, "the image holds records");
    // Every byte in use where there are few, and a spread of them where there are many; and bytes that are not in use.
    let step = places.len().div_ceil(1500);
    let used = places.iter().step_by(step).map(|at| (*at, 0xff));
    let low = places.iter().step_by(step).map(|at| (*at, 0x01));
    let unused = (4096..image.len()).step_by(image.len() / 300).map(|at| (at, 0x7f));
    let flips: Vec<(usize, u8)> = used.chain(low).chain(unused).collect();
    survives(&image, flips.len(), |way, image| {
        let (at, mask) = flips[way];
        image[at] ^= mask;
        format!("record byte {at} ^ {mask:#x}")
    });
}

#[test]
fn truncated_files_are_refused() {
    let folder = TempDir::new();
    let image = image(&folder);
    let lengths =
        [0, 1, 7, 8, 16, 79, 80, 81, 4095, 4096, 4097, 65536, image.len() / 2, image.len() - 4096, image.len() - 1];
    for length in lengths {
        match opens_as(&image[..length], &folder) {
            Err(ErrorCode::Incompatible | ErrorCode::Corrupt) => {}
            other => panic!("{length} bytes of {}: {other:?}", image.len()),
        }
    }
    let longer = [image.clone(), vec![0; 4096]].concat();
    assert!(matches!(opens_as(&longer, &folder), Err(ErrorCode::Incompatible | ErrorCode::Corrupt)));
    assert_eq!(opens_as(&image, &folder), Ok(()));
}

/// A plain generator of numbers: the same in every run.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn random_bytes_are_refused_or_served() {
    let folder = TempDir::new();
    let image = image(&folder);
    for length in [1, 80, 4096, 70_000] {
        let mut random = numbers(length);
        let noise: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        assert!(matches!(opens_as(&noise, &folder), Err(ErrorCode::Incompatible | ErrorCode::Corrupt)));
    }
    // A sound identity before noise, and noise thrown into a sound heap.
    survives(&image, 400, |way, spoilt| {
        let mut random = numbers(way as u64 + 1);
        match way % 8 {
            0 => spoilt[IDENTITY..].iter_mut().for_each(|byte| *byte = random() as u8),
            1 => spoilt[4096..].fill(random() as u8),
            _ => (0..20).for_each(|_| {
                let at = IDENTITY + random() as usize % (spoilt.len() - IDENTITY - 8);
                // Whole words of noise, and small numbers, which pass for indices.
                let word = if way.is_multiple_of(2) { random() } else { random() % 300 };
                spoilt[at / 8 * 8..at / 8 * 8 + 8].copy_from_slice(&word.to_le_bytes());
            }),
        }
        format!("noise {way}")
    });
}

#[test]
fn file_cut_short_under_an_attached_process_does_not_kill_the_next() {
    let shared = SharedHeap::new();
    let file = std::fs::OpenOptions::new().write(true).open(&shared.path).expect("ours");
    let length = file.metadata().expect("ours").len();
    file.set_len(length / 2).expect("ours");
    // SAFETY: nobody else uses the file.
    let opened = unsafe { Heap::options().open_path(&shared.path) };
    assert!(matches!(code(opened), ErrorCode::Incompatible | ErrorCode::Corrupt));
    file.set_len(length).expect("ours");
    let again = open(&shared.path);
    again.check().expect("a sound heap");
    again.detach().expect("nothing is borrowed");
}

#[test]
fn things_that_are_no_files_are_refused() {
    let folder = TempDir::new();
    assert_eq!(code(Inspector::open_path(&folder.join("absent")).map(drop)), ErrorCode::NotFound);
    // SAFETY: there is no heap.
    assert_eq!(code(unsafe { Heap::options().open_path(folder.path()) }), ErrorCode::Incompatible);
    assert_eq!(code(Heap::remove_path(folder.path())), ErrorCode::Incompatible);
    // SAFETY: as above.
    assert_eq!(code(unsafe { Heap::options().open_path(Path::new("")) }), ErrorCode::InvalidArgument);
    // SAFETY: as above.
    let device = unsafe { Heap::options().open_path(Path::new("/dev/zero")) };
    assert_eq!(code(device), ErrorCode::Incompatible);
    crate::system::make_pipe(&folder.join("pipe"));
    // SAFETY: as above.
    let pipe = unsafe { Heap::options().open_path(&folder.join("pipe")) };
    assert_eq!(code(pipe), ErrorCode::Incompatible);
}
