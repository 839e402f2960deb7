//! What a second process does: it obeys lines and answers each with one line, `ok` with what it found or the error's
//! code. The tests that start it are in the modules of their nouns.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use weaveheap_core::{BorrowKind, Error, ErrorCode, Handle, Heap, Init, Lease, RegionOptions};

use crate::second::{Second, say, told};

/// Started by the tests as a process of its own. In an ordinary run it shows that a role that nobody knows fails, so
/// that no test can pass by talking to a process that does nothing.
#[test]
fn second_process() {
    let Ok(role) = std::env::var("WEAVEHEAP_TEST_ROLE") else {
        let status = Second::start("no such role", &[]).status();
        return assert_eq!(status.code(), Some(2));
    };
    let arguments = std::env::var("WEAVEHEAP_TEST_ARGUMENTS").unwrap_or_default();
    let arguments: Vec<&str> = arguments.lines().collect();
    match role.as_str() {
        "obey" => obey(arguments.first().map(Path::new)),
        "count" => count(Path::new(arguments[0]), arguments[1].parse().expect("a number")),
        "images" => crate::file::use_images(),
        "create" => create(Path::new(arguments[0])),
        "churn" => churn(Path::new(arguments[0])),
        "fault" => crate::planted::commit(arguments[0]),
        _ => std::process::exit(2),
    }
    std::process::exit(0);
}

struct Obeying {
    heap: Option<Heap>,
    leases: BTreeMap<u64, Lease>,
    next: u64,
}

/// Attaches to the heap in this file, if there is one, and does what it is told until it is told no more.
fn obey(path: Option<&Path>) {
    // SAFETY: both processes follow the protocol.
    let heap = path.map(|path| unsafe { Heap::options().label("second").open_path(path) }.expect("the heap opens"));
    let mut state = Obeying { heap, leases: BTreeMap::new(), next: 0 };
    say("ready");
    while let Some(line) = told() {
        let words: Vec<&str> = line.split(' ').collect();
        match state.obey(&words) {
            Ok(answer) if answer.is_empty() => say("ok"),
            Ok(answer) => say(&format!("ok {answer}")),
            Err(error) => say(error.code().name()),
        }
    }
}

impl Obeying {
    fn heap(&self) -> &Heap {
        self.heap.as_ref().expect("a heap")
    }

    fn obey(&mut self, words: &[&str]) -> Result<String, Error> {
        let handle = |index: usize| words[index].parse::<Handle>();
        let milliseconds = |index: usize| Duration::from_millis(words[index].parse().expect("a number"));
        let done = String::new();
        match words[0] {
            "shared" | "unique" => {
                let kind = if words[0] == "shared" { BorrowKind::Shared } else { BorrowKind::Unique };
                let lease = self.heap().borrow(handle(1)?, kind)?;
                self.next += 1;
                self.leases.insert(self.next, lease);
                return Ok(self.next.to_string());
            }
            "read" => {
                let lease = &self.leases[&words[1].parse().expect("a number")];
                let length: usize = words[2].parse().expect("a number");
                return Ok(String::from_utf8_lossy(&lease.as_slice()[..length]).into_owned());
            }
            "write" => {
                let lease = self.leases.get_mut(&words[1].parse().expect("a number")).expect("a lease");
                let bytes = lease.as_mut_slice().expect("a unique lease");
                bytes[..words[2].len()].copy_from_slice(words[2].as_bytes());
            }
            "end" => drop(self.leases.remove(&words[1].parse().expect("a number"))),
            "region" => return Ok(self.heap().create_region(&RegionOptions::new())?.to_string()),
            "alloc" => {
                let length = words[2].parse().expect("a number");
                return Ok(self.heap().alloc(handle(1)?, length, 64, Init::Zeroed)?.to_string());
            }
            "free" => self.heap().free(handle(1)?)?,
            "close" => self.heap().close(handle(1)?)?,
            "close_when_idle" => self.heap().close_when_idle(handle(1)?)?,
            "wait_idle" => self.heap().wait_idle(handle(1)?, Some(milliseconds(2)))?,
            "publish" => self.heap().publish(words[1], handle(2)?)?,
            "lookup" => return Ok(self.heap().lookup(words[1])?.to_string()),
            "lookup_wait" => return Ok(self.heap().lookup_wait(words[1], Some(milliseconds(2)))?.to_string()),
            "check" => {
                self.heap().check()?;
            }
            "detach" => self.heap().detach()?,
            "create" => {
                // SAFETY: as in `obey`.
                self.heap = Some(unsafe { Heap::options().create(words[1]) }?);
            }
            "open" => {
                // SAFETY: as in `obey`.
                self.heap = Some(unsafe { Heap::options().open(words[1]) }?);
            }
            "remove" => Heap::remove(words[1])?,
            "list" => {
                let names: Vec<String> = Heap::list()?.into_iter().map(|entry| entry.name).collect();
                return Ok(names.join(","));
            }
            "folder" => return Ok(Heap::folder().display().to_string()),
            "private" => {
                let inspect = words.get(1) == Some(&"inspect");
                self.heap = Some(Heap::options().inspect(inspect).label("second").private()?);
            }
            "limit" => return Ok(self.heap().limit().to_string()),
            "id" => return Ok(self.heap().id()),
            "address_space" => crate::system::limit_address_space(words[1].parse().expect("a number")),
            "small_folder" => crate::system::mount_small_folder(Path::new(words[1])),
            "fork" => {
                let heap = self.heap().clone();
                return Ok(crate::system::use_in_forked_child(&heap, handle(1)?, &mut self.leases));
            }
            other => panic!("no order is called {other}"),
        }
        Ok(done)
    }
}

/// Borrows, allocates and frees for ever: it is killed at whatever instruction it is.
fn churn(path: &Path) {
    // SAFETY: as in `obey`.
    let heap = unsafe { Heap::options().open_path(path) }.expect("the heap opens");
    let region = heap.lookup("region").expect("the region");
    let buffers = ["b0", "b1", "b2"].map(|name| heap.lookup(name).expect("the buffer"));
    say("ready");
    let mut turn = 0_usize;
    loop {
        turn += 1;
        let kind = if turn.is_multiple_of(3) { BorrowKind::Unique } else { BorrowKind::Shared };
        let first = heap.borrow(buffers[turn % 3], kind);
        let second = heap.borrow(buffers[(turn / 3) % 3], BorrowKind::Shared);
        // Refusals are expected: others hold what this one wants.
        if let Ok(buffer) = heap.alloc(region, (turn % 5000) as u64, 64, Init::Uninit) {
            drop((first, second));
            let _ = heap.free(buffer);
        }
        if turn.is_multiple_of(64)
            && let Ok(own) = heap.create_region(&RegionOptions::new())
        {
            let _ = heap.alloc(own, 100, 64, Init::Zeroed);
            let _ = heap.close(own);
        }
    }
}

/// Makes heaps and removes them for ever.
fn create(folder: &Path) {
    say("ready");
    for number in 0_u64.. {
        let path = folder.join(format!("heap{number}"));
        // SAFETY: as in `obey`.
        drop(unsafe { Heap::options().limit(4 << 20).create_path(&path) }.expect("a new name"));
        Heap::remove_path(&path).expect("it is there");
    }
}

/// Adds one to the number in the buffer `count` this many times, under unique borrows.
fn count(path: &Path, turns: u64) {
    // SAFETY: as in `obey`.
    let heap = unsafe { Heap::options().open_path(path) }.expect("the heap opens");
    let buffer = heap.lookup("count").expect("the buffer");
    say("ready");
    count_up(&heap, buffer, turns);
    say("done");
    // Ends when it is told to, still attached.
    let _ = told();
}

/// What `count` does, for both processes.
pub fn count_up(heap: &Heap, buffer: Handle, turns: u64) {
    for _ in 0..turns {
        let mut lease = loop {
            match heap.borrow(buffer, BorrowKind::Unique) {
                Ok(lease) => break lease,
                Err(error) => assert_eq!(error.code(), ErrorCode::BorrowConflict, "{error}"),
            }
            std::thread::yield_now();
        };
        let bytes = lease.as_mut_slice().expect("unique");
        let number = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) + 1;
        bytes[..8].copy_from_slice(&number.to_le_bytes());
    }
}
