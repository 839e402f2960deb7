//! The words of a segment in a model: plain memory, and beside it, for those words that threads race for, a loom atomic.
//!
//! Which words those are is found out, not declared. A word that one thread alone touches, or that nobody writes,
//! stays plain. One that several touch and somebody writes is given a loom cell, which costs loom no choice and tells
//! whether two accesses are unordered. Where it says so, and where one is an exchange, the word becomes a loom atomic with
//! all that loom knows of weak memory: fences may order two accesses in the one order of threads that cells are tried in. What is found out in one execution holds from the next on, and the exploration starts anew, since loom
//! wants all that threads share to be there before they start. So the words behind the heap's lock, counters and lists
//! of one thread cost nothing, and every race is still explored.
//!
//! Memory follows in the order of execution, so that plain code may read it once the threads have ended.
//!
//! Two things of loom 0.7 are mended here. It orders a store and an exchange of one word only by what happens before, and
//! would let an exchange that came earlier win in the end: so a store to a word that is exchanged, and that several
//! threads write, is an exchange. And it remembers only the last access to a word when it looks which steps are to be
//! tried in another order, so that a look by one thread hides that of another from a write that follows: so each
//! access also takes its turn on a second atomic, in one step with it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64 as Memory, Ordering};

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU64 as Modelled;
use loom::sync::{Condvar, Mutex};

use super::{switching, thread};

/// What is known of a word of the segment, by all executions so far.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// A bit for each thread that has touched it while others ran.
    threads: u8,
    /// A bit for each thread that has written it.
    writers: u8,
    exchanged: bool,
    raced: bool,
}

impl Known {
    fn is_shared(self) -> bool {
        self.writers != 0 && self.threads.count_ones() > 1
    }

    fn stores_are_exchanges(self) -> bool {
        self.exchanged && self.writers.count_ones() > 1
    }
}

/// A word that threads race for.
struct Raced {
    word: Modelled,
    turn: Modelled,
    stores_are_exchanges: bool,
}

impl Raced {
    fn load(&self, order: Ordering) -> u64 {
        switching(|| {
            let value = self.word.load(order);
            in_one_step(|| self.turn.fetch_add(1, Ordering::Relaxed));
            value
        })
    }

    fn write<T>(&self, f: impl FnOnce(&Modelled) -> T) -> T {
        switching(|| {
            self.turn.fetch_add(1, Ordering::Relaxed);
            in_one_step(|| f(&self.word))
        })
    }
}

/// Does the next step together with the last one.
fn in_one_step<T>(f: impl FnOnce() -> T) -> T {
    loom::stop_exploring();
    let result = f();
    loom::explore();
    result
}

/// What the executions of one model have found out.
#[derive(Default)]
pub(super) struct Plan {
    words: BTreeMap<u64, Known>,
    /// Lines of 64 bytes of buffers.
    lines: BTreeMap<u64, ()>,
}

impl Plan {
    /// Words that are loom atomics, and loom cells.
    pub(super) fn size(&self) -> (usize, usize) {
        let raced = self.words.values().filter(|known| known.raced).count();
        (raced, self.words.values().filter(|known| known.is_shared()).count() - raced)
    }
}

/// One execution's objects.
struct Execution {
    /// Where the segment is mapped, and its bytes.
    mappings: Vec<(usize, usize)>,
    atomics: HashMap<u64, Rc<Raced>>,
    cells: HashMap<u64, Rc<UnsafeCell<()>>>,
    lines: HashMap<u64, Rc<UnsafeCell<()>>>,
    sleepers: Rc<(Mutex<()>, Condvar)>,
    /// A bit for each attachment that counts as dead.
    dead: Rc<Modelled>,
}

thread_local! {
    static PLAN: RefCell<Plan> = RefCell::default();
    static EXECUTION: RefCell<Option<Execution>> = const { RefCell::new(None) };
    /// The values of this execution's words of the process.
    static OWNED: RefCell<Vec<u64>> = RefCell::default();
    static LEARNED: Cell<bool> = const { Cell::new(false) };
}

/// Begins a model of its own.
pub(super) fn forget() {
    PLAN.take();
    EXECUTION.take();
    LEARNED.set(false);
}

/// Whether this execution has met what it was not prepared for.
pub(super) fn learned() -> bool {
    LEARNED.get()
}

pub(super) fn plan<T>(f: impl FnOnce(&mut Plan) -> T) -> T {
    PLAN.with_borrow_mut(f)
}

/// Begins an execution.
pub(super) fn begin() {
    EXECUTION.take();
    OWNED.take();
    LEARNED.set(false);
}

/// Offsets from here on are those of words of the process, by the order in which they are made.
const OWN: u64 = 1 << 60;

/// The words of these mappings of one segment are shared by threads from here on.
pub(super) fn start(mappings: Vec<(usize, usize)>, dead: u64) {
    let value = |offset: u64| {
        if offset >= OWN {
            return OWNED.with_borrow(|own| own.get((offset - OWN) as usize).copied().unwrap_or_default());
        }
        // SAFETY: the offset was that of a word in an earlier execution, and every execution makes the same heap.
        unsafe { &*((mappings[0].0 + offset as usize) as *const Memory) }.load(Ordering::Relaxed)
    };
    let (mut atomics, mut cells) = (HashMap::new(), HashMap::new());
    let lines = plan(|plan| {
        for (offset, known) in &plan.words {
            if known.raced {
                let (word, turn) = (Modelled::new(value(*offset)), Modelled::new(0));
                let raced = Raced { word, turn, stores_are_exchanges: known.stores_are_exchanges() };
                atomics.insert(*offset, Rc::new(raced));
            } else if known.is_shared() {
                cells.insert(*offset, Rc::new(UnsafeCell::new(())));
            }
        }
        plan.lines.keys().map(|line| (*line, Rc::new(UnsafeCell::new(())))).collect()
    });
    let sleepers = Rc::new((Mutex::new(()), Condvar::new()));
    let dead = Rc::new(Modelled::new(dead));
    EXECUTION.set(Some(Execution { mappings, atomics, cells, lines, sleepers, dead }));
}

/// The words are plain again; all threads but this one have ended.
pub(super) fn stop() {
    EXECUTION.take();
}

fn execution<T>(f: impl FnOnce(&mut Execution) -> T) -> Option<T> {
    if std::thread::panicking() {
        return None;
    }
    EXECUTION.with_borrow_mut(|execution| execution.as_mut().map(f))
}

fn offset_of(address: usize) -> Option<u64> {
    execution(|execution| {
        let here = |(base, size): &&(usize, usize)| (*base..*base + *size).contains(&address);
        execution.mappings.iter().find(here).map(|(base, _)| (address - base) as u64)
    })
    .flatten()
}

/// The attachments that count as dead; those given, before threads run together.
pub(super) fn dead(before: u64) -> u64 {
    match execution(|execution| Rc::clone(&execution.dead)) {
        Some(dead) => switching(|| dead.load(Ordering::Acquire)),
        None => before,
    }
}

/// A death while others run: the system shows it after all that the dead one did.
pub(super) fn declare_dead(attachment: u16) {
    if let Some(dead) = execution(|execution| Rc::clone(&execution.dead)) {
        switching(|| dead.fetch_or(1 << attachment, Ordering::AcqRel));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Store,
    Exchange,
}

/// The loom atomic of the word at this address, if it has one; its cell is told of the access.
fn modelled(address: usize, access: Access) -> Option<Rc<Raced>> {
    modelled_at(offset_of(address)?, access)
}

fn modelled_at(offset: u64, access: Access) -> Option<Rc<Raced>> {
    let atomic = execution(|execution| execution.atomics.get(&offset).cloned()).flatten();
    let cell = execution(|execution| execution.cells.get(&offset).cloned()).flatten();
    let known = plan(|plan| {
        let known = plan.words.entry(offset).or_default();
        known.threads |= 1 << thread();
        if access != Access::Read {
            known.writers |= 1 << thread();
        }
        known.exchanged |= access == Access::Exchange;
        known.raced |= known.exchanged && known.is_shared();
        *known
    });
    if let Some(atomic) = atomic {
        LEARNED.set(LEARNED.get() || known.stores_are_exchanges() != atomic.stores_are_exchanges);
        return Some(atomic);
    }
    if let Some(cell) = cell {
        // What was learned just now may order the two: then the next execution tells.
        if !LEARNED.get() && races(&cell, access != Access::Read) {
            plan(|plan| plan.words.entry(offset).or_default().raced = true);
            execution(|execution| execution.cells.remove(&offset));
            LEARNED.set(true);
        }
    } else if known.is_shared() {
        LEARNED.set(true);
    }
    LEARNED.set(LEARNED.get() || known.raced);
    None
}

/// Tells a cell of an access; whether it is unordered with another.
fn races(cell: &UnsafeCell<()>, write: bool) -> bool {
    let touched = super::quietly(|| {
        catch_unwind(AssertUnwindSafe(|| if write { cell.with_mut(|_| ()) } else { cell.with(|_| ()) }))
    });
    touched.is_err()
}

/// Touches the bytes of a buffer: two that are not ordered, one of them a write, end the model.
pub(super) fn touch(address: usize, length: usize, write: bool) {
    let Some(first) = offset_of(address) else { return };
    for line in first / 64..(first + length as u64).div_ceil(64) {
        match execution(|execution| execution.lines.get(&line).cloned()).flatten() {
            Some(cell) => {
                let raced = races(&cell, write);
                let how = if write { "written" } else { "read" };
                assert!(!raced, "bytes are {how} while another thread may use them (line {line:#x})");
            }
            None => {
                plan(|plan| plan.lines.insert(line, ()));
                LEARNED.set(true);
            }
        }
    }
}

/// One word of a record: what `sync` takes for the atomic type of the standard library in builds for models.
#[repr(transparent)]
pub(crate) struct AtomicU64(Memory);

impl AtomicU64 {
    pub(crate) const fn new(value: u64) -> AtomicU64 {
        AtomicU64(Memory::new(value))
    }

    fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        match modelled(self.address(), Access::Read) {
            Some(raced) => raced.load(order),
            None => self.0.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        if super::is_dying() {
            return;
        }
        if let Some(raced) = modelled(self.address(), Access::Store) {
            raced.write(|word| match raced.stores_are_exchanges {
                true => drop(word.swap(value, order)),
                false => word.store(value, order),
            });
        }
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn fetch_add(&self, n: u64, order: Ordering) -> u64 {
        if super::is_dying() {
            return self.0.load(Ordering::Relaxed);
        }
        match modelled(self.address(), Access::Exchange) {
            Some(raced) => {
                let old = raced.write(|word| word.fetch_add(n, order));
                self.0.store(old.wrapping_add(n), Ordering::Relaxed);
                old
            }
            None => self.0.fetch_add(n, Ordering::Relaxed),
        }
    }

    pub(crate) fn fetch_sub(&self, n: u64, order: Ordering) -> u64 {
        self.fetch_add(n.wrapping_neg(), order)
    }

    pub(crate) fn compare_exchange(&self, current: u64, new: u64, yes: Ordering, no: Ordering) -> Result<u64, u64> {
        if super::is_dying() {
            return Ok(current);
        }
        match modelled(self.address(), Access::Exchange) {
            Some(raced) => {
                let result = raced.write(|word| word.compare_exchange(current, new, yes, no));
                if result.is_ok() {
                    self.0.store(new, Ordering::Relaxed);
                }
                result
            }
            None => self.0.compare_exchange(current, new, Ordering::Relaxed, Ordering::Relaxed),
        }
    }
}

/// Half of a word, which is modelled as a part of the whole one.
#[repr(transparent)]
pub(crate) struct AtomicU32(std::sync::atomic::AtomicU32);

impl AtomicU32 {
    /// The word that this is a part of, and the bits below it.
    fn whole(&self) -> (&AtomicU64, u32) {
        let address = self.0.as_ptr().addr();
        let high = address & 4 != 0;
        // SAFETY: halves are only in segments, whose mappings begin and end at a page, and whose words are atomic.
        let word = unsafe { &*self.0.as_ptr().byte_sub(address & 4).cast::<AtomicU64>() };
        (word, if high == cfg!(target_endian = "little") { 32 } else { 0 })
    }

    pub(crate) fn load(&self, order: Ordering) -> u32 {
        let (word, shift) = self.whole();
        (word.load(order) >> shift) as u32
    }

    pub(crate) fn fetch_add(&self, n: u32, order: Ordering) -> u32 {
        let (word, shift) = self.whole();
        (word.fetch_add(u64::from(n) << shift, order) >> shift) as u32
    }

    pub(crate) fn as_ptr(&self) -> *const u32 {
        self.0.as_ptr()
    }

    /// Sleeps while the half has this value, until it is woken: a wake that is missed is a deadlock, which loom finds.
    /// False if no threads run together.
    pub(crate) fn sleep_while(&self, value: u32) -> bool {
        let Some(sleepers) = execution(|execution| Rc::clone(&execution.sleepers)) else { return false };
        switching(|| {
            let guard = sleepers.0.lock().expect("no thread dies while it goes to sleep");
            if self.load(Ordering::Relaxed) == value {
                drop(sleepers.1.wait(guard).expect("as above"));
            }
        });
        true
    }

    pub(crate) fn wake_all(&self) {
        if let Some(sleepers) = execution(|execution| Rc::clone(&execution.sleepers)) {
            switching(|| {
                let guard = sleepers.0.lock().expect("no thread dies while it goes to sleep");
                sleepers.1.notify_all();
                drop(guard);
            });
        }
    }
}

/// A word of the process, not of the segment: what `sync` makes its marks and flags of in builds for models. It is modelled
/// in scenes with marks alone, since every operation raises one.
pub(crate) struct Own(usize);

impl Default for Own {
    fn default() -> Own {
        Own::new(0)
    }
}

impl Own {
    pub(crate) fn new(value: u32) -> Own {
        OWNED.with_borrow_mut(|own| {
            own.push(value.into());
            Own(own.len() - 1)
        })
    }

    fn modelled(&self, access: Access) -> Option<Rc<Raced>> {
        if !super::has_marks() {
            return None;
        }
        execution(|_| ())?;
        modelled_at(OWN + self.0 as u64, access)
    }

    fn plain(&self) -> u64 {
        OWNED.with_borrow(|own| own.get(self.0).copied().unwrap_or_default())
    }

    fn set_plain(&self, value: u64) {
        OWNED.with_borrow_mut(|own| own.get_mut(self.0).map(|own| *own = value));
    }

    pub(crate) fn load(&self, order: Ordering) -> u32 {
        self.modelled(Access::Read).map_or_else(|| self.plain(), |raced| raced.load(order)) as u32
    }

    pub(crate) fn store(&self, value: u32, order: Ordering) {
        if let Some(raced) = self.modelled(Access::Store) {
            raced.write(|word| match raced.stores_are_exchanges {
                true => drop(word.swap(value.into(), order)),
                false => word.store(value.into(), order),
            });
        }
        self.set_plain(value.into());
    }

    fn exchange(&self, modelled: impl FnOnce(&Modelled) -> u64, next: impl FnOnce(u64) -> u64) -> u32 {
        let old = match self.modelled(Access::Exchange) {
            Some(raced) => raced.write(modelled),
            None => self.plain(),
        };
        self.set_plain(next(old));
        old as u32
    }

    pub(crate) fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.exchange(|word| word.swap(value.into(), order), |_| value.into())
    }

    pub(crate) fn fetch_add(&self, n: u32, order: Ordering) -> u32 {
        self.exchange(|word| word.fetch_add(n.into(), order), |old| old + u64::from(n))
    }

    pub(crate) fn fetch_sub(&self, n: u32, order: Ordering) -> u32 {
        self.exchange(|word| word.fetch_sub(n.into(), order), |old| old - u64::from(n))
    }
}

/// A fence of this ordering.
pub(crate) fn fence(order: Ordering) {
    if execution(|_| ()).is_some() {
        switching(|| loom::sync::atomic::fence(order));
    } else {
        std::sync::atomic::fence(order);
    }
}
