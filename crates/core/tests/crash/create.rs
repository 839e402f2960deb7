//! A process dies while it makes a heap: the file is a whole heap or is not there, and nothing else lies in the folder
//! (H4, C1).

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use weaveheap_core::{Heap, RegionOptions, kill_points};

use crate::actor::{die, open};
use crate::books::nothing_is_left;
use crate::second::{Second, say};
use crate::stage::{Folder, LIMIT};

/// The role of one that makes a heap and dies at this kill point.
pub fn create(arguments: &[&str]) {
    kill_points::die_at(arguments[1].parse().expect("a number"));
    // SAFETY: as in `open`.
    let heap = unsafe { Heap::options().limit(LIMIT).create_path(Path::new(arguments[0])) }.expect("a heap");
    heap.create_region(&RegionOptions::new()).expect("a region");
    kill_points::die_at(0);
    say("made");
    die();
}

#[test]
fn heap_is_whole_or_not_there() {
    let folder = Folder::new();
    let path = folder.path().join("heap");
    let mut found = [0, 0];
    for n in 1.. {
        let (said, status) = Second::start("create", &[&path.to_string_lossy(), &n.to_string()]).into_its_end();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "point {n}: {status}, after {said:?}");
        let files = folder.files();
        assert!(files.is_empty() || files == ["heap"], "point {n}: {files:?}");
        found[files.len()] += 1;
        if files.is_empty() {
            assert!(said.is_empty(), "point {n}");
            continue;
        }
        let heap = open(&path, "next");
        heap.check().unwrap_or_else(|error| panic!("point {n}: {error}"));
        let regions = heap.snapshot().expect("a snapshot").regions;
        regions.iter().for_each(|region| heap.close(region.handle).expect("nobody holds anything"));
        drop(heap);
        nothing_is_left(&path);
        Heap::remove_path(&path).expect("a heap");
        if !said.is_empty() {
            break;
        }
    }
    assert!(found.iter().all(|times| *times > 10), "{found:?}");
    println!("{} deaths before the heap was there, {} after", found[0], found[1]);
}
