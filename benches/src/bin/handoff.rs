//! The measuring program for a handle from process to process and back, spinning, beside iceoryx2. A program of its own,
//! since what it links is large.
//!
//! The handle travels through one cache line of memory that both map, since any 64 bits that two programs share will
//! do. Who receives it borrows the buffer, looks at its first bytes, and ends. With iceoryx2 a sample travels, whose first
//! bytes are looked at too.

use std::fs::File;
use std::hint::{black_box, spin_loop};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use weaveheap_core::{BorrowKind, Handle, Heap, Init, RegionOptions};

use weaveheap_bench::harness::{Figures, Plan, Row, Taken, nanoseconds, preemptions};
use weaveheap_bench::scratch::{Scratch, Second, open};

/// The rows.
const ROWS: [Row; 2] = [("handoff_iceoryx2", by_iceoryx2), ("handoff_growth", growth)];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["role", "echo", heap, mail, service] => echo(Path::new(heap), Path::new(mail), service),
        ["rows", ..] => {
            let names: Vec<String> = words[1..].iter().filter(|word| !word.starts_with("--")).cloned().collect();
            Plan::new(words.iter().any(|word| word == "--quick")).rows(&ROWS, &names)
        }
        _ => bail!("what to do: rows"),
    }
}

/// Round trips in one round, and those before it until both sides are awake.
const TRIPS: usize = 500;
const AWAKE: usize = 50;
const SAMPLE: usize = 1 << 20;

/// A handle on its way in one direction: when `turn` changes, the next one is there.
#[repr(align(128))]
struct Mail {
    turn: AtomicU64,
    handle: AtomicU64,
}

/// Both directions, mapped from a file.
struct Mails(*const [Mail; 2]);

impl Mails {
    fn map(path: &Path) -> Result<Mails> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(size_of::<[Mail; 2]>() as u64)?;
        // SAFETY: a new mapping of a file of this program, as long as what is read of it; any bytes are valid `Mail`s,
        // which are changed atomically alone.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<[Mail; 2]>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        ensure!(address != libc::MAP_FAILED, "cannot map {}", path.display());
        Ok(Mails(address.cast()))
    }

    fn there(&self) -> &Mail {
        // SAFETY: mapped for as long as the process lives.
        unsafe { &(*self.0)[0] }
    }

    fn back(&self) -> &Mail {
        // SAFETY: as above.
        unsafe { &(*self.0)[1] }
    }
}

impl Mail {
    fn send(&self, handle: Handle) {
        self.handle.store(handle.to_bits(), Ordering::Relaxed);
        self.turn.store(self.turn.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Spins until there is a new one after `seen`.
    fn receive(&self, seen: &mut u64) -> Handle {
        until(|| {
            let turn = self.turn.load(Ordering::Acquire);
            (turn != *seen).then(|| {
                *seen = turn;
                Handle::from_bits(self.handle.load(Ordering::Relaxed))
            })
        })
    }
}

/// Spins until there is something. A partner that has died would be waited for in vain.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    const PATIENCE: Duration = Duration::from_secs(20);
    let start = Instant::now();
    loop {
        for _ in 0..1_000_000 {
            if let Some(found) = look() {
                return found;
            }
            spin_loop();
        }
        assert!(start.elapsed() < PATIENCE, "the other process does not answer");
    }
}

fn look(heap: &Heap, handle: Handle) {
    let lease = heap.borrow_raw(handle, BorrowKind::Shared).expect("nobody borrows it for writing");
    // SAFETY: the borrow is live, and every buffer has 8 bytes.
    black_box(unsafe { lease.pointer.cast::<u64>().read() });
    heap.end(lease.token).expect("it was begun");
}

/// One end of the two iceoryx2 services.
struct Samples {
    publisher: Publisher<ipc::Service, [u8], ()>,
    subscriber: Subscriber<ipc::Service, [u8], ()>,
}

impl Samples {
    fn new(name: &str, first: bool) -> Result<Samples> {
        let node = NodeBuilder::new().create::<ipc::Service>()?;
        let service = |direction: &str| -> Result<_> {
            let name = ServiceName::new(&format!("{name}-{direction}"))?;
            Ok(node.service_builder(&name).publish_subscribe::<[u8]>().open_or_create()?)
        };
        let (out, into) = if first { ("there", "back") } else { ("back", "there") };
        let publisher = service(out)?.publisher_builder().initial_max_slice_len(SAMPLE).create()?;
        let subscriber = service(into)?.subscriber_builder().create()?;
        Ok(Samples { publisher, subscriber })
    }

    fn send(&self) {
        let mut sample = self.publisher.loan_slice_uninit(SAMPLE).expect("a sample");
        sample.payload_mut()[..8].fill(std::mem::MaybeUninit::new(1));
        // SAFETY: bytes of shared memory are always some bytes, and only the first are looked at.
        let sample = unsafe { sample.assume_init() };
        sample.send().expect("a subscriber");
    }

    fn receive(&self) {
        let sample = until(|| self.subscriber.receive().expect("a working service"));
        black_box(sample.payload()[0]);
    }
}

/// The two processes: this one, which measures, and one that sends everything back.
struct Pair {
    heap: Heap,
    mails: Mails,
    seen: u64,
    samples: Samples,
    second: Option<Second>,
    _scratch: Scratch,
}

impl Pair {
    fn new(lengths: &[u64]) -> Result<(Pair, Vec<Handle>)> {
        set_log_level(LogLevel::Error);
        let scratch = Scratch::new()?;
        scratch.room(lengths.iter().sum::<u64>() + (64 << 20))?;
        let (heap, path) = scratch.heap("handoff")?;
        let region = heap.create_region(&RegionOptions::new())?;
        let handles = lengths.iter().map(|length| Ok(heap.alloc(region, *length, 64, Init::Zeroed)?));
        let handles = handles.collect::<Result<Vec<_>>>()?;
        let mail = scratch.join("mail");
        let mails = Mails::map(&mail)?;
        let service = format!("weaveheap-bench-{}", std::process::id());
        let samples = Samples::new(&service, true)?;
        let mut second = Second::start("echo", &[path.as_os_str(), mail.as_os_str(), service.as_ref()])?;
        ensure!(second.hear()? == "ready", "the other process failed");
        let seen = mails.back().turn.load(Ordering::Acquire);
        Ok((Pair { heap, mails, seen, samples, second: Some(second), _scratch: scratch }, handles))
    }

    fn second(&mut self) -> &mut Second {
        self.second.as_mut().expect("there until the pair is dropped")
    }

    /// A round: `trip` so many times, with the other process doing its part.
    fn round(&mut self, what: &str, mut trip: impl FnMut(&mut Pair)) -> Taken {
        self.second().tell(what).expect("the other process lives");
        (0..AWAKE).for_each(|_| trip(self));
        let taken = nanoseconds(TRIPS, || (0..TRIPS).for_each(|_| trip(self)));
        let there = self.second().hear().expect("the other process lives");
        if there == "undisturbed" { taken } else { taken.but_disturbed() }
    }

    fn heap_round(&mut self, handle: Handle) -> Taken {
        self.round("heap", |pair| {
            pair.mails.there().send(handle);
            let back = pair.mails.back().receive(&mut pair.seen);
            look(&pair.heap, back);
        })
    }

    fn samples_round(&mut self) -> Taken {
        self.round("samples", |pair| {
            pair.samples.send();
            pair.samples.receive();
        })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // It leaves in order, so that nothing of iceoryx2 is left behind.
        if let Some(second) = self.second.take() {
            second.finish();
        }
    }
}

fn by_iceoryx2(plan: &Plan) -> Result<Figures> {
    let (pair, handles) = Pair::new(&[SAMPLE as u64])?;
    let pair = std::cell::RefCell::new(pair);
    Ok(plan.in_turns(plan.many(), || pair.borrow_mut().heap_round(handles[0]), || pair.borrow_mut().samples_round()))
}

fn growth(plan: &Plan) -> Result<Figures> {
    let (pair, handles) = Pair::new(&[1 << 30, 64])?;
    let pair = std::cell::RefCell::new(pair);
    let round = |handle: Handle| pair.borrow_mut().heap_round(handle);
    Ok(plan.in_turns(plan.many(), || round(handles[0]), || round(handles[1])))
}

/// The role of who sends everything back.
fn echo(heap: &Path, mail: &Path, service: &str) -> Result<()> {
    set_log_level(LogLevel::Error);
    let heap = open(heap)?;
    let mails = Mails::map(mail)?;
    let samples = Samples::new(service, false)?;
    let mut seen = mails.there().turn.load(Ordering::Acquire);
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line?;
        let trip: &mut dyn FnMut() = match line.as_str() {
            "heap" => &mut || {
                let handle = mails.there().receive(&mut seen);
                look(&heap, handle);
                mails.back().send(handle);
            },
            "samples" => &mut || {
                samples.receive();
                samples.send();
            },
            other => bail!("what is {other}?"),
        };
        (0..AWAKE).for_each(|_| trip());
        let switches = preemptions();
        (0..TRIPS).for_each(|_| trip());
        println!("{}", if preemptions() == switches { "undisturbed" } else { "disturbed" });
    }
    Ok(())
}
