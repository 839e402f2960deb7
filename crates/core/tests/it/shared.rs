//! Shared heaps: the folder of names, limits of the system, memory given back, counters of several runtimes (H4, H5, H9,
//! N1).

use weaveheap_core::{BorrowKind, CopyReason, ErrorCode, Heap, Init, RegionOptions, Runtime};

use crate::second::Second;
use crate::support::{SharedHeap, TempDir, code, open};

/// A second process whose heaps live in this folder.
fn in_folder(folder: &std::path::Path) -> Second {
    let mut second = Second::start_in("obey", &[], &[("WEAVEHEAP_DIR", &folder.to_string_lossy())]);
    assert_eq!(second.hear(), "ready");
    second
}

fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).expect("it exists").mode() & 0o7777
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn folder_and_files_are_the_users_alone() {
    let temp = TempDir::new();
    let folder = temp.join("heaps");
    let mut second = in_folder(&folder);
    assert_eq!(second.ask("folder"), format!("ok {}", folder.display()));
    assert_eq!(second.ask("list"), "ok");
    assert_eq!(second.ask("open one"), "NotFound");
    assert_eq!(second.ask("create one"), "ok");
    assert_eq!(second.ask("create two.b"), "ok");
    assert_eq!((mode(&folder), mode(&folder.join("one"))), (0o700, 0o600));
    assert_eq!(second.ask("list"), "ok one,two.b");
    assert_eq!(second.ask("create one"), "AlreadyExists");
    assert_eq!(second.ask("open one"), "ok");
    assert_eq!(second.ask("remove one"), "ok");
    assert_eq!(second.ask("remove one"), "NotFound");
    assert_eq!(second.ask("list"), "ok two.b");
    let names: Vec<_> =
        std::fs::read_dir(&folder).expect("ours").map(|entry| entry.expect("ours").file_name()).collect();
    assert_eq!(names, ["two.b"], "nothing else is left in the folder");
    second.finish();
}

#[test]
fn folder_that_others_may_touch_is_refused() {
    let temp = TempDir::new();
    let folder = temp.join("heaps");
    std::fs::create_dir(&folder).expect("ours");
    let mut second = in_folder(&folder);
    for open_to_others in [0o755, 0o770, 0o707, 0o777, 0o1777] {
        set_mode(&folder, open_to_others);
        for order in ["create one", "open one", "remove one", "list"] {
            assert_eq!(second.ask(order), "Denied", "{order} with mode {open_to_others:o}");
        }
    }
    set_mode(&folder, 0o700);
    assert_eq!(second.ask("create one"), "ok");
    // A file that others may touch, too.
    set_mode(&folder.join("one"), 0o644);
    assert_eq!(second.ask("open one"), "Denied");
    set_mode(&folder.join("one"), 0o600);
    assert_eq!(second.ask("open one"), "ok");
    assert_eq!(second.ask("check"), "ok");
    second.finish();
}

#[test]
fn links_and_files_are_no_folder() {
    let temp = TempDir::new();
    let (real, link, file) = (temp.join("real"), temp.join("link"), temp.join("file"));
    std::fs::create_dir(&real).expect("ours");
    set_mode(&real, 0o700);
    std::os::unix::fs::symlink(&real, &link).expect("ours");
    std::fs::write(&file, "").expect("ours");
    for place in [&link, &file] {
        let mut second = in_folder(place);
        for order in ["create one", "open one", "remove one", "list"] {
            assert_eq!(second.ask(order), "Denied", "{order} in {}", place.display());
        }
        second.finish();
    }
    // A heap that is a link is not followed either, and removing it leaves what it points to.
    let mut second = in_folder(&real);
    assert_eq!(second.ask("create real"), "ok");
    std::os::unix::fs::symlink(real.join("real"), real.join("alias")).expect("ours");
    assert_eq!(second.ask("open alias"), "Denied");
    assert_eq!(second.ask("create alias"), "AlreadyExists");
    assert_eq!(second.ask("open real"), "ok");
    assert_eq!(second.ask("check"), "ok");
    second.finish();
}

#[test]
fn folder_of_another_user_is_refused() {
    // Root makes one; everybody else takes one that is root's.
    let temp = TempDir::new();
    let folder = temp.join("theirs");
    std::fs::create_dir(&folder).expect("ours");
    set_mode(&folder, 0o700);
    let theirs = match std::os::unix::fs::chown(&folder, Some(65534), Some(65534)) {
        Ok(()) => folder,
        Err(_) => std::path::PathBuf::from("/"),
    };
    let mut second = in_folder(&theirs);
    assert_eq!(second.ask("private"), "ok");
    for order in ["create one", "open one", "remove one", "list"] {
        assert_eq!(second.ask(order), "Denied", "{order}");
    }
    assert_eq!(second.ask("check"), "ok", "the heap that it has stands");
    second.finish();
}

#[test]
fn nobody_opens_a_heap_half_made() {
    let temp = TempDir::new();
    let path = temp.join("heap");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let opener = scope.spawn(|| {
            let mut opened = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // SAFETY: both threads follow the protocol.
                match unsafe { Heap::options().open_path(&path) } {
                    Ok(heap) => {
                        heap.check().expect("whole from the first moment");
                        opened += 1;
                    }
                    Err(error) => assert_eq!(error.code(), ErrorCode::NotFound, "{error}"),
                }
            }
            opened
        });
        for _ in 0..300 {
            // SAFETY: as above.
            let heap = unsafe { Heap::options().limit(4 << 20).create_path(&path) }.expect("it is not there");
            std::thread::yield_now();
            Heap::remove_path(&path).expect("it is there");
            heap.check().expect("removed, and attached as before");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(opener.join().expect("no panic") > 0, "the opener never met a heap");
    });
}

#[test]
fn one_of_many_creators_wins() {
    let temp = TempDir::new();
    for round in 0..20 {
        let path = temp.join(&format!("heap{round}"));
        let results: Vec<Result<Heap, ErrorCode>> = std::thread::scope(|scope| {
            // SAFETY: all threads follow the protocol.
            let create = || unsafe { Heap::options().limit(4 << 20).create_path(&path) }.map_err(|error| error.code());
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(results.iter().flat_map(|result| result.as_ref().err()).all(|code| *code == ErrorCode::AlreadyExists));
    }
}

#[test]
fn dropped_shared_heap_with_a_view_is_still_held_for_others() {
    let shared = SharedHeap::new();
    let region = shared.heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = shared.heap.alloc(region, 64, 64, Init::Zeroed).expect("a buffer");
    let other = open(&shared.path);
    let lease = shared.heap.borrow(buffer, BorrowKind::Shared).expect("a borrow");
    let SharedHeap { heap, .. } = shared;
    drop(heap);
    assert_eq!(code(other.free(buffer)), ErrorCode::Borrowed);
    assert_eq!(other.holders(buffer).expect("live").len(), 1);
    lease.end();
    other.free(buffer).expect("the view has ended");
}

#[test]
fn heap_is_smaller_where_the_system_gives_less() {
    let mut second = Second::start("obey", &[]);
    assert_eq!(second.hear(), "ready");
    let four = 4_u64 << 30;
    assert_eq!(second.ask(&format!("address_space {four}")), "ok");
    assert_eq!(second.ask("private"), "ok");
    let limit: u64 = second.ask("limit")["ok ".len()..].parse().expect("a number");
    assert!((1 << 28..four).contains(&limit), "{limit}");
    assert_eq!(second.ask("check"), "ok");
    second.finish();
}

#[test]
fn full_folder_is_out_of_memory_and_the_heap_stays_sound() {
    let temp = TempDir::new();
    let mut second = in_folder(temp.path());
    assert_eq!(second.ask(&format!("small_folder {}", temp.path().display())), "ok");
    assert_eq!(second.ask("create full"), "ok");
    let region = second.ask("region")["ok ".len()..].to_owned();
    let mut buffers = Vec::new();
    // 2 MiB of room: 100 KiB at a time until it is full, which no write into a view may be the first to learn.
    let refused = loop {
        let answer = second.ask(&format!("alloc {region} 100000"));
        match answer.strip_prefix("ok ") {
            Some(buffer) => {
                let view = second.ask(&format!("unique {buffer}"))["ok ".len()..].to_owned();
                assert_eq!(second.ask(&format!("write {view} {}", "x".repeat(1000))), "ok");
                assert_eq!(second.ask(&format!("end {view}")), "ok");
                buffers.push(buffer.to_owned());
                assert!(buffers.len() < 30, "2 MiB hold no 3 MB");
            }
            None => break answer,
        }
    };
    assert_eq!(refused, "OutOfMemory");
    assert!(buffers.len() > 3, "only {} buffers found room", buffers.len());
    assert_eq!(second.ask("check"), "ok");
    // Freed room is room again, and what is there can be used.
    assert_eq!(second.ask(&format!("free {}", buffers[0])), "ok");
    assert!(second.ask(&format!("alloc {region} 100000")).starts_with("ok "));
    assert_eq!(second.ask(&format!("close {region}")), "ok");
    let region = second.ask("region")["ok ".len()..].to_owned();
    assert!(second.ask(&format!("alloc {region} 100000")).starts_with("ok "));
    assert_eq!(second.ask("check"), "ok");
    // A second heap finds no room, and nothing of it is left.
    let refused = second.ask("create second");
    assert!(refused == "OutOfMemory" || refused == "ok", "{refused}");
    assert_eq!(second.ask("list"), if refused == "ok" { "ok full,second" } else { "ok full" });
    second.finish();
}

#[test]
fn trim_gives_memory_back_to_the_system() {
    let shared = SharedHeap::new();
    let heap = &shared.heap;
    let length = 64_u64 << 20;
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = heap.alloc(region, length, 64, Init::Zeroed).expect("a buffer");
    let mut lease = heap.borrow(buffer, BorrowKind::Unique).expect("live");
    lease.as_mut_slice().expect("unique").fill(7);
    drop(lease);
    heap.close(region).expect("nothing is borrowed");
    let given = heap.trim().expect("attached");
    assert!(given >= length, "{given} bytes given back of {length}");
    assert_eq!(heap.trim().expect("attached"), 0, "there is nothing more to give");
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&shared.path).expect("it is there"));
    assert!(blocks * 512 < length / 2, "the file still holds {blocks} blocks");
    heap.check().expect("a sound heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = heap.alloc(region, length, 64, Init::Zeroed).expect("the room is there again");
    assert!(heap.borrow(buffer, BorrowKind::Shared).expect("live").as_slice().iter().all(|byte| *byte == 0));
}

#[test]
fn trim_gives_back_what_a_dead_process_had_allocated_and_nobody_knows_of() {
    const MIB: u64 = 1 << 20;
    let allocated = |path: &std::path::Path| {
        std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(path).expect("a file")) * 512
    };
    let shared = SharedHeap::new();
    let heap = &shared.heap;
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let first = heap.alloc(region, 4 * MIB, 64, Init::Zeroed).expect("a buffer");
    let second = heap.alloc(region, 4 * MIB, 64, Init::Zeroed).expect("a buffer");
    let [first_at, second_at] = [first, second].map(|buffer| heap.buffer_info(buffer).expect("it lives").offset);
    heap.free(first).expect("nothing is borrowed");
    heap.trim().expect("attached");
    let before = allocated(&shared.path);
    // Who dies between allocating pages in the file and writing it down leaves this: between buffers, and at the end.
    crate::system::allocate(&shared.path, first_at, 4 * MIB);
    crate::system::allocate(&shared.path, second_at.max(first_at) + 64 * MIB, 32 * MIB);
    assert!(allocated(&shared.path) >= before + 36 * MIB);
    heap.trim().expect("attached");
    assert!(allocated(&shared.path) < before + MIB, "the file still holds what is nobody's");
    assert_eq!(heap.buffer_info(second).expect("it lives").offset, second_at);
    heap.check().expect("a sound heap");
}

#[test]
fn runtimes_are_counted_apart() {
    let first = SharedHeap::with(Heap::options().limit(1 << 26).runtime(Runtime::Rust));
    // SAFETY: one process, one protocol.
    let second = unsafe { Heap::options().runtime(Runtime::Node).open_path(&first.path) }.expect("it is there");
    let region = first.heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = first.heap.alloc_from(region, b"12345", 1).expect("a buffer");
    let lease = second.borrow(buffer, BorrowKind::Shared).expect("live");
    lease.count_view();
    lease.count_copy(CopyReason::NoExternalBuffers, 5);
    lease.end_by_finalizer();
    second.count_copy(buffer, CopyReason::Export, 3);
    let snapshot = first.heap.snapshot().expect("a snapshot");
    let of =
        |runtime| &snapshot.runtimes.iter().find(|entry| entry.runtime == runtime).expect("it has worked").counters;
    let (rust, node) = (of(Runtime::Rust), of(Runtime::Node));
    assert_eq!((rust.allocations, rust.copies.ingest.bytes), (1, 5));
    assert_eq!((node.allocations, node.borrows_begun, node.borrows_ended), (0, 1, 1));
    assert_eq!((node.views, node.finalized), (1, 1));
    assert_eq!((node.copies.no_external_buffers.count, node.copies.export.bytes), (1, 3));
    assert_eq!((snapshot.counters.copies_total(), snapshot.counters.bytes_copied_total()), (3, 13));
    let region_counters = &snapshot.regions[0].counters;
    assert_eq!((region_counters.views, region_counters.finalized, region_counters.copies.export.count), (1, 1, 1));
    // What a detached attachment has counted stays.
    second.detach().expect("nothing is borrowed");
    let later = first.heap.snapshot().expect("a snapshot");
    assert_eq!((&later.counters, later.runtimes.len()), (&snapshot.counters, 2));
}
