//! Who is dead is not mistaken: a forked child that outlives its parent, a process id that is used again, other PID
//! namespaces on the same file (C1, H7). A holder that cannot be shown to be dead is alive.

use std::path::Path;
use std::time::{Duration, Instant};

use weaveheap_core::{BorrowKind, Handle, Heap, Init, RegionOptions};

use crate::actor::open;
use crate::second::{Second, say, told};
use crate::stage::{Folder, LIMIT};

/// A heap with one published buffer.
struct One {
    _folder: Folder,
    path: String,
    heap: Heap,
    buffer: Handle,
}

fn one() -> One {
    let folder = Folder::new();
    let path = folder.path().join("heap");
    // SAFETY: as in `open`.
    let heap = unsafe { Heap::options().limit(LIMIT).create_path(&path) }.expect("a heap");
    let region = heap.create_region(&RegionOptions::new()).expect("a region");
    let buffer = heap.alloc(region, 64, 64, Init::Zeroed).expect("a buffer");
    heap.publish("buffer", buffer).expect("a free name");
    One { _folder: folder, path: path.to_string_lossy().into_owned(), heap, buffer }
}

/// What a shared borrow of the buffer gives now.
fn meet(heap: &Heap, buffer: Handle) -> String {
    match heap.borrow(buffer, BorrowKind::Shared) {
        Ok(_) => "free".to_owned(),
        Err(error) => error.code().name().to_owned(),
    }
}

/// What it gives once the system has noticed a death.
fn meet_the_dead(heap: &Heap, buffer: Handle) -> String {
    let start = Instant::now();
    loop {
        let met = meet(heap, buffer);
        if met != "BorrowConflict" || start.elapsed() > Duration::from_secs(10) {
            return met;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The role of one that holds the buffer until it is told something or killed; with `fork` it has a child by then, which
/// lives on and has all that its parent had open.
pub fn hold(arguments: &[&str]) {
    let heap = open(Path::new(arguments[0]), "holder");
    let buffer = heap.lookup("buffer").expect("published");
    let lease = heap.borrow(buffer, BorrowKind::Unique).expect("nobody holds it");
    if arguments.get(1) == Some(&"fork") {
        // SAFETY: the child sleeps and does nothing else.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                // SAFETY: a plain system call.
                unsafe { libc::pause() };
            }
        }
        say(&format!("holding {child}"));
    } else {
        say("holding 0");
    }
    told();
    lease.end();
    drop(heap);
    say("over");
}

/// The role of one that is there.
pub fn idle() {
    say("idle");
    told();
}

#[test]
fn forked_child_that_outlives_its_parent_holds_nothing() {
    let one = one();
    let mut holder = Second::start("hold", &[&one.path, "fork"]);
    let said = holder.hear().expect("it holds");
    let child: i32 = said.strip_prefix("holding ").expect("a process").parse().expect("a number");
    assert_eq!(meet(&one.heap, one.buffer), "BorrowConflict");
    holder.kill();
    assert_eq!(meet_the_dead(&one.heap, one.buffer), "Poisoned");
    // The child lives yet, with its parent's lock on the file.
    // SAFETY: plain system calls on a process that this test has let be made.
    assert_eq!(unsafe { libc::kill(child, 0) }, 0);
    one.heap.clear_poison(one.buffer).expect("poisoned");
    let mut next = Second::start("hold", &[&one.path]);
    assert_eq!(next.hear().as_deref(), Some("holding 0"));
    assert_eq!(next.ask("let go"), "over");
    // SAFETY: as above.
    unsafe { libc::kill(child, libc::SIGKILL) };
    assert_eq!(meet_the_dead(&one.heap, one.buffer), "free");
    one.heap.check().expect("a sound heap");
    assert_eq!(one.heap.snapshot().expect("a snapshot").attachments.len(), 1);
}

/// Needs the right to make PID namespaces.
mod namespaces {
    use super::*;

    const MOUNTED: &[&str] = &["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

    #[test]
    fn holder_in_another_namespace_is_alive_until_it_dies() {
        let one = one();
        let mut holder = Second::start_under(MOUNTED, "hold", &[&one.path]);
        assert_eq!(holder.hear().as_deref(), Some("holding 0"));
        assert_eq!(meet(&one.heap, one.buffer), "BorrowConflict");
        one.heap.check().expect("a sound heap");
        let holders = one.heap.holders(one.buffer).expect("live");
        assert_eq!((holders.len(), holders[0].process, holders[0].alive), (1, 1, true));
        holder.kill();
        assert_eq!(meet_the_dead(&one.heap, one.buffer), "Poisoned");
        one.heap.check().expect("a sound heap");
    }

    #[test]
    fn holder_that_another_namespace_does_not_show_is_alive_until_it_dies() {
        let one = one();
        let mut holder = Second::start("hold", &[&one.path]);
        assert_eq!(holder.hear().as_deref(), Some("holding 0"));
        let mut inner = Second::start_under(MOUNTED, "meet", &[&one.path]);
        assert_eq!(inner.hear().as_deref(), Some("BorrowConflict"));
        assert_eq!(inner.ask("again"), "BorrowConflict");
        assert_eq!(meet(&one.heap, one.buffer), "BorrowConflict");
        holder.kill();
        assert_eq!(inner.ask("the dead"), "Poisoned");
        one.heap.check().expect("a sound heap");
    }

    #[test]
    fn process_id_that_is_used_again_is_another_process() {
        let one = one();
        let mut inner = Second::start_under(MOUNTED, "reuse", &[&one.path]);
        assert_eq!(inner.hear().as_deref(), Some("Poisoned"));
        one.heap.check().expect("a sound heap");
    }

    #[test]
    fn holder_whose_number_another_namespace_shows_as_dead_is_alive() {
        let one = one();
        let mut middle = Second::start_under(MOUNTED, "middle", &[&one.path]);
        assert_eq!(middle.hear().as_deref(), Some("BorrowConflict BorrowConflict BorrowConflict Poisoned"));
        one.heap.check().expect("a sound heap");
    }

    #[test]
    fn forked_child_with_its_parents_number_is_not_attached() {
        let one = one();
        let mut inner = Second::start_under(MOUNTED, "same_number", &[&one.path]);
        assert_eq!(inner.hear().as_deref(), Some("NotAttached NotAttached NotAttached 1 1"));
        assert_eq!(inner.hear().as_deref(), Some("the parent has its borrow"));
        one.heap.check().expect("a sound heap");
    }
}

/// The role of one that meets what others hold, each time that it is told to.
pub fn meets(arguments: &[&str]) {
    let heap = open(Path::new(arguments[0]), "meeting");
    let buffer = heap.lookup("buffer").expect("published");
    say(&meet(&heap, buffer));
    while let Some(line) = told() {
        heap.check().expect("a sound heap");
        say(&if line == "the dead" { meet_the_dead(&heap, buffer) } else { meet(&heap, buffer) });
    }
}

/// Starts a process that gets this number, which nobody has in this namespace.
fn start_with_number(number: u32, role: &str, arguments: &[&str]) -> Second {
    for _ in 0..50 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).expect("the right to choose numbers");
        let second = Second::start(role, arguments);
        if second.id() == number {
            return second;
        }
    }
    panic!("no process got the number {number}");
}

/// The first process of a namespace: one of it dies with the buffer, its child lives on with its lock, and another process
/// gets its number.
pub fn reuse(arguments: &[&str]) {
    let mut holder = Second::start("hold", &[arguments[0], "fork"]);
    assert!(holder.hear().expect("it holds").starts_with("holding"));
    let number = holder.id();
    holder.kill();
    // Start times are told to a hundredth of a second.
    std::thread::sleep(Duration::from_millis(50));
    let mut other = start_with_number(number, "idle", &[]);
    assert_eq!(other.hear().as_deref(), Some("idle"));
    let heap = open(Path::new(arguments[0]), "meeting");
    say(&meet_the_dead(&heap, heap.lookup("buffer").expect("published")));
}

/// The first process of a namespace in which a process dies, and another one gets its number, while the holder in a
/// namespace further in has that number there.
pub fn middle(arguments: &[&str]) {
    const NUMBER: u32 = 3000;
    // The `/proc` of this namespace shows other processes under the inner one's numbers.
    let wrapper = ["unshare", "--pid", "--fork", "--kill-child"];
    let mut namesake = start_with_number(NUMBER, "idle", &[]);
    assert_eq!(namesake.hear().as_deref(), Some("idle"));
    let mut inner = Second::start_under(&wrapper, "namesake", &[arguments[0], &NUMBER.to_string()]);
    let both = inner.hear().expect("it meets the holder");
    namesake.kill();
    let none = inner.ask("again");
    std::thread::sleep(Duration::from_millis(50));
    let mut namesake = start_with_number(NUMBER, "idle", &[]);
    assert_eq!(namesake.hear().as_deref(), Some("idle"));
    let other = inner.ask("again");
    say(&format!("{both} {none} {other} {}", inner.ask("kill")));
}

/// The first process of a namespace that sees the `/proc` of another one: a holder here has the number of a process
/// there.
pub fn namesake(arguments: &[&str]) {
    let mut holder = start_with_number(arguments[1].parse().expect("a number"), "hold", &[arguments[0]]);
    assert_eq!(holder.hear().as_deref(), Some("holding 0"));
    let heap = open(Path::new(arguments[0]), "meeting");
    let buffer = heap.lookup("buffer").expect("published");
    say(&meet(&heap, buffer));
    while told().is_some_and(|line| line == "again") {
        heap.check().expect("a sound heap");
        say(&meet(&heap, buffer));
    }
    holder.kill();
    say(&meet_the_dead(&heap, buffer));
}

/// The first process of a namespace has a forked child that is the first process of another: both have the number 1.
pub fn same_number(arguments: &[&str]) {
    let heap = open(Path::new(arguments[0]), "parent");
    let buffer = heap.lookup("buffer").expect("published");
    let lease = heap.borrow(buffer, BorrowKind::Unique).expect("nobody holds it");
    let mut ends = [0; 2];
    // SAFETY: two descriptors have room there.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
    // SAFETY: a fork without a stack of its own, into a new namespace; the child calls the heap, writes, and ends.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        let code = |result: weaveheap_core::Result<()>| match result {
            Ok(()) => "done".to_owned(),
            Err(error) => error.code().name().to_owned(),
        };
        let borrow = code(heap.borrow(buffer, BorrowKind::Shared).map(drop));
        let free = code(heap.free(buffer));
        let region = code(heap.create_region(&RegionOptions::new()).map(drop));
        lease.end();
        drop(heap);
        let said = format!("{borrow} {free} {region} {}", std::process::id());
        // SAFETY: the bytes are there; the child must not run what its parent's harness has registered.
        unsafe {
            libc::write(ends[1], said.as_ptr().cast(), said.len());
            libc::_exit(0);
        }
    }
    let mut said = [0_u8; 200];
    // SAFETY: as many bytes have room there.
    let length = unsafe { libc::read(ends[0], said.as_mut_ptr().cast(), said.len()) };
    let said = String::from_utf8_lossy(&said[..usize::try_from(length).expect("an answer")]).into_owned();
    say(&format!("{said} {}", std::process::id()));
    let holders = heap.holders(buffer).expect("live");
    assert_eq!((holders.len(), holders[0].token), (1, lease.token()));
    lease.end();
    heap.check().expect("a sound heap");
    say("the parent has its borrow");
}
