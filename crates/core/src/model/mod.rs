//! What the models of the protocol run on, in builds with `--cfg loom` alone: the core itself, its words and fences
//! taken over by loom. The models are in `tests/loom`; [decision 0012] says what they prove.
//!
//! A scene makes a heap, plainly and alone, then lets threads run [`together`], which loom does in every order and with
//! every value that weak memory allows, then looks at the heap, plainly again. It runs once for each of these.
//!
//! All threads of a scene are one thread of the system, so what the core keeps for each thread is kept by a number
//! here, which the set-up can speak for, too ([`as_thread`]).
//!
//! [decision 0012]: https://github.com/weaveheap/weaveheap/blob/main/docs/adr/0012-models-run-the-core.md

mod words;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LockResult, Once};
use std::time::Instant;

use crate::Heap;
pub use crate::fault::Fault;

pub(crate) use words::{AtomicU32, AtomicU64, Own, fence};

/// Words of a thread's stack: the core's changes lie on it.
const STACK: usize = 64 << 10;
/// Choices in one execution: more, and threads wait for each other without an end.
const BRANCHES: usize = 20_000;
/// Steps of a bounded wait. Each lets all other threads go on as far as they can, so one that runs out stands for a
/// thread that is waited for and waits itself.
const PATIENCE: u32 = 24;

thread_local! {
    static THREAD: Cell<usize> = const { Cell::new(0) };
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static EXECUTIONS: Cell<u64> = const { Cell::new(0) };
    static LOCALS: RefCell<HashMap<(usize, usize), Rc<dyn Any>>> = RefCell::default();
    /// The thread that dies, and the writes that it still makes.
    static DOOM: Cell<Option<(usize, u64)>> = const { Cell::new(None) };
    static BREAK: RefCell<Option<Break>> = const { RefCell::new(None) };
    /// A bit for each thread that has died, and for each attachment that counts as dead.
    static DEAD: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// Whether the marks and flags of the process are modelled in this scene.
    static MARKS: Cell<bool> = const { Cell::new(false) };
    /// A bit for each thread that is ending, as its language sees it.
    static ENDING: Cell<u64> = const { Cell::new(0) };
    /// Whether a thread has the heap's lock.
    static LOCKED: Cell<bool> = const { Cell::new(false) };
    /// Whether the attachments of the scene stand for processes, which may die.
    static PROCESSES: Cell<bool> = const { Cell::new(false) };
}

/// What others do in the midst of what a thread does, after so many writes.
struct Break {
    thread: usize,
    writes: u64,
    others: Box<dyn FnOnce()>,
}

/// The exploration has to begin anew, with what this execution has shown.
struct Again;
/// A thread dies here.
struct Death;

/// How far a scene is explored: how often a thread may lose the processor to another before it waits or ends.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// In the short run.
    pub short: Option<usize>,
    /// In the long run.
    pub long: Option<usize>,
}

impl Bound {
    /// All orders, in the short run already.
    pub const NONE: Bound = Bound { short: None, long: None };

    /// So many in the short run, and in the long run.
    pub const fn of(short: usize, long: usize) -> Bound {
        Bound { short: Some(short), long: Some(long) }
    }

    fn now(self) -> Option<usize> {
        if std::env::var_os("WEAVEHEAP_LONG").is_some_and(|value| value == "1") { self.long } else { self.short }
    }
}

/// Explores a scene, in which nothing may fail.
pub fn holds(bound: Bound, scene: impl Fn() + Send + Sync + 'static) {
    if let Err(message) = explore(None, bound, Arc::new(scene)) {
        panic!("the model fails: {message}");
    }
}

/// Explores a scene once for each point of a death: it is told after how many writes somebody dies, and says whether
/// that came before all was done.
pub fn holds_at_each_death(bound: Bound, scene: impl Fn(u64) -> bool + Send + Sync + 'static) {
    let deaths = at_each_death(None, bound, Arc::new(scene), |death, result| {
        if let Err(message) = result {
            panic!("the model fails at a death after {death} writes: {message}");
        }
        true
    });
    assert!(deaths > 0, "nobody dies in this scene");
}

/// As [`breaks`], at some point of a death.
pub fn breaks_at_a_death(fault: Fault, bound: Bound, scene: impl Fn(u64) -> bool + Send + Sync + 'static) {
    let mut found = None;
    at_each_death(Some(fault), bound, Arc::new(scene), |death, result| {
        found = result.err().map(|message| (death, message));
        found.is_none()
    });
    match found {
        None => panic!("the model holds without {fault:?}, so it does not show what that is for"),
        Some((death, message)) => {
            eprintln!("  found: after {death} writes: {}", message.lines().next().unwrap_or_default())
        }
    }
}

/// Returns the points of a death.
fn at_each_death(
    fault: Option<Fault>,
    bound: Bound,
    scene: Arc<dyn Fn(u64) -> bool + Send + Sync>,
    mut each: impl FnMut(u64, Result<(), String>) -> bool,
) -> u64 {
    let (started, mut executions, mut death) = (Instant::now(), 0, 0);
    loop {
        let died = Arc::new(AtomicBool::new(true));
        let (scene, dies) = (Arc::clone(&scene), Arc::clone(&died));
        let (result, took) = search(fault, bound, Arc::new(move || dies.store(scene(death), Ordering::Relaxed)));
        executions += took;
        // A scene that fails has not come to say whether somebody died.
        if !each(death, result) || !died.load(Ordering::Relaxed) {
            report(fault, executions, started);
            return death;
        }
        death += 1;
    }
}

/// Explores a scene with a fault planted, which must make it fail.
pub fn breaks(fault: Fault, bound: Bound, scene: impl Fn() + Send + Sync + 'static) {
    match explore(Some(fault), bound, Arc::new(scene)) {
        Ok(()) => panic!("the model holds without {fault:?}, so it does not show what that is for"),
        Err(message) => eprintln!("  found: {}", message.lines().next().unwrap_or_default()),
    }
}

fn explore(fault: Option<Fault>, bound: Bound, scene: Arc<dyn Fn() + Send + Sync>) -> Result<(), String> {
    let started = Instant::now();
    let (result, executions) = search(fault, bound, scene);
    report(fault, executions, started);
    result
}

/// What an exploration took, for who chooses the bounds.
fn report(fault: Option<Fault>, executions: u64, started: Instant) {
    let fault = fault.map_or(String::new(), |fault| format!(" without {fault:?}"));
    let (atomics, cells) = words::plan(|plan| plan.size());
    eprintln!(
        "  {}{fault}: {executions} executions, {atomics} words raced for, {cells} shared, {:.1} s",
        std::thread::current().name().unwrap_or("model"),
        started.elapsed().as_secs_f64()
    );
}

/// Explores a scene; also returns in how many executions, those from which it had to begin anew included.
fn search(fault: Option<Fault>, bound: Bound, scene: Arc<dyn Fn() + Send + Sync>) -> (Result<(), String>, u64) {
    quiet_hook();
    words::forget();
    FAULT.set(fault);
    EXECUTIONS.set(0);
    let result = loop {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = bound.now();
        builder.max_branches = BRANCHES;
        let scene = Arc::clone(&scene);
        let turn = || catch_unwind(AssertUnwindSafe(|| builder.check(move || execution(Arc::clone(&scene)))));
        let result = if fault.is_some() { quietly(turn) } else { turn() };
        RUNNING.set(false);
        words::stop();
        // What an execution that broke off has left is not looked at again: its threads' stacks are gone.
        std::mem::forget(LOCALS.take());
        match result {
            Ok(()) => break Ok(()),
            Err(payload) if words::learned() || payload.is::<Again>() => {}
            Err(payload) => break Err(message(payload.as_ref())),
        }
    };
    (result, EXECUTIONS.get())
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// One execution: a thread with room on its stack does it.
fn execution(scene: Arc<dyn Fn() + Send + Sync>) {
    EXECUTIONS.set(EXECUTIONS.get() + 1);
    words::begin();
    THREAD.set(0);
    DOOM.set(None);
    BREAK.set(None);
    DEAD.set((0, 0));
    PROCESSES.set(false);
    LOCKED.set(false);
    MARKS.set(false);
    ENDING.set(0);
    let main = move || {
        scene();
        drop(LOCALS.take());
        if words::learned() {
            resume_unwind(Box::new(Again));
        }
    };
    spawn(0, main).join().expect("loom ends at the first panic");
}

fn spawn(number: usize, f: impl FnOnce() + 'static) -> loom::thread::JoinHandle<()> {
    // Loom's builder asks for `Send`, though all its threads are one.
    struct AnyThread<F>(F);
    // SAFETY: the threads of a model are generators on one thread of the system, which they never leave.
    unsafe impl<F> Send for AnyThread<F> {}
    impl<F: FnOnce()> AnyThread<F> {
        fn call(self) {
            (self.0)();
        }
    }
    let f = AnyThread(f);
    let thread = loom::thread::Builder::new().stack_size(STACK).spawn(move || {
        THREAD.set(number);
        f.call();
    });
    thread.expect("a thread of loom")
}

/// Says nothing of panics that are caught and looked at here.
fn quiet_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() && !words::learned() {
                default(info);
            }
        }));
    });
}

fn quietly<T>(f: impl FnOnce() -> T) -> T {
    let before = QUIET.replace(true);
    let result = f();
    QUIET.set(before);
    result
}

/// The number of the thread that runs; that of the scene itself is 0.
fn thread() -> usize {
    THREAD.get()
}

/// Does what may let another thread run.
fn switching<T>(f: impl FnOnce() -> T) -> T {
    struct Back(usize);
    impl Drop for Back {
        fn drop(&mut self) {
            THREAD.set(self.0);
        }
    }
    let _back = Back(THREAD.get());
    f()
}

/// Does something, before threads run together, as the thread with this number: it finds its record, its contexts and
/// its free ledger entries when it runs.
pub fn as_thread<T>(number: usize, f: impl FnOnce() -> T) -> T {
    switching(|| {
        THREAD.set(number);
        f()
    })
}

/// Runs threads, numbered from 1, together; all of them are over when this returns. The heaps are attachments of one.
pub fn together<const N: usize>(heaps: &[&Heap], threads: [Box<dyn FnOnce()>; N]) {
    let mappings = heaps.iter().map(|heap| (heap.base().addr(), heap.limit() as usize)).collect();
    words::start(mappings, DEAD.get().1);
    RUNNING.set(true);
    switching(|| {
        let mut threads = threads.into_iter().zip(1..);
        // The first runs here, once the others are there: loom has few threads.
        let first = threads.next();
        let others: Vec<_> = threads.map(|(f, number)| spawn(number, f)).collect();
        if let Some((f, number)) = first {
            THREAD.set(number);
            f();
        }
        for other in others {
            other.join().expect("loom ends at the first panic");
        }
    });
    RUNNING.set(false);
    words::stop();
}

/// The thread that runs ends here, as its language sees it: what it has in the heap is the next one's.
pub fn end_thread() {
    let number = thread();
    let keys: Vec<_> = LOCALS.with_borrow(|locals| locals.keys().copied().filter(|key| key.1 == number).collect());
    for key in keys {
        let local = LOCALS.with_borrow_mut(|locals| locals.remove(&key));
        drop(local);
    }
}

/// A thread takes the heap's lock, from a dead holder or not: none that lives has it.
pub(crate) fn takes_the_lock(stolen: bool) {
    assert!(!LOCKED.replace(true) || stolen, "two threads have the heap's lock");
}

pub(crate) fn leaves_the_lock() {
    LOCKED.set(false);
}

/// The attachments of this scene stand for processes, which may die. Said before its heap is made.
pub fn of_processes() {
    PROCESSES.set(true);
}

/// Attaches to a heap as another process that may die.
pub fn attach(heap: &Heap) -> Heap {
    // SAFETY: the heap is attached, and a private one is used where it is.
    unsafe { Heap::options().attach(heap.base()) }.expect("room for another attachment")
}

/// Whether the attachments of this scene stand for processes.
pub(crate) fn has_processes() -> bool {
    PROCESSES.get()
}

/// Does something that ends after so many writes, as by a death; true if it did not come to its end.
pub fn dies_after(writes: u64, f: impl FnOnce()) -> bool {
    DOOM.set(Some((thread(), writes)));
    let result = catch_unwind(AssertUnwindSafe(f));
    DOOM.set(None);
    match result {
        Ok(()) => false,
        Err(payload) if payload.is::<Death>() => true,
        Err(payload) => resume_unwind(payload),
    }
}

/// Does something, in whose midst, after so many writes, comes what others do.
pub fn interrupted(writes: u64, others: impl FnOnce() + 'static, f: impl FnOnce()) {
    BREAK.set(Some(Break { thread: thread(), writes, others: Box::new(others) }));
    f();
    BREAK.set(None);
}

/// From here on this attachment is one of a dead process.
pub fn declare_dead(heap: &Heap) {
    let index = heap.attachment.index;
    let (threads, attachments) = DEAD.get();
    DEAD.set((threads, attachments | 1 << index));
    words::declare_dead(index);
}

/// Whether the process of an attachment counts as dead.
pub(crate) fn is_dead(attachment: u16) -> bool {
    attachment < 64 && words::dead(DEAD.get().1) >> attachment & 1 != 0
}

/// Recovers what the dead hold, as whoever meets them does.
pub fn recover(heap: &Heap) -> crate::Result<()> {
    crate::recovery::recover_dead(&heap.attachment)
}

/// Words of the process by which `detach` knows who is at work are modelled in this scene, as those of the segment are.
/// Each operation has a fence more then, which could hide what other scenes are to find.
pub fn models_marks() {
    MARKS.set(true);
}

pub(crate) fn has_marks() -> bool {
    MARKS.get()
}

/// What stands between a mark of an operation and what it looks at next.
pub(crate) fn mark_fence() {
    if MARKS.get() && RUNNING.get() {
        crate::sync::light(true);
    }
}

/// From here on what a language keeps for this thread is gone, while it still ends what it holds.
pub fn is_ending(number: usize) {
    ENDING.set(ENDING.get() | 1 << number);
}

/// Bytes of a buffer are read. Two threads that touch the same bytes in no order, one of them writing, end the model.
pub fn read(pointer: *const u8, length: usize) {
    words::touch(pointer.addr(), length, false);
}

/// Bytes of a buffer are written, as [`read`].
pub fn write(pointer: *const u8, length: usize) {
    words::touch(pointer.addr(), length, true);
}

/// Whether a region has not been freed, though it may drain; without the counters that its information brings.
pub fn has_region(heap: &Heap, region: crate::Handle) -> bool {
    heap.attachment.region_record(region).is_some()
}

/// Where a buffer's bytes are, for the thread that allocated it and has shown it to nobody.
pub fn bytes_of(heap: &Heap, buffer: crate::Handle) -> (*const u8, usize) {
    crate::alloc::bytes_of(&heap.attachment, buffer)
}

/// The next allocation of this buffer's slot is its last: its generations are used up.
pub fn wear_out(heap: &Heap, buffer: crate::Handle) -> crate::Handle {
    crate::alloc::wear_out(&heap.attachment, buffer)
}

pub(crate) fn planted(fault: Fault) -> bool {
    (RUNNING.get() || DOOM.get().is_some()) && FAULT.get() == Some(fault)
}

/// A step of a bounded wait: false where no threads run together. One that runs out ends the model: somebody waits for a
/// thread that waits for him.
pub(crate) fn wait(step: u32) -> bool {
    if !RUNNING.get() || std::thread::panicking() {
        return false;
    }
    assert!(step < PATIENCE, "a bounded wait runs out: does it wait for a thread that waits for it?");
    switching(loom::thread::yield_now);
    true
}

/// Whether the thread that runs has died, so that nothing it still does on its way out is done; before a write, also
/// whether it dies here.
fn is_dying() -> bool {
    let (number, (threads, attachments)) = (thread(), DEAD.get());
    if threads >> number & 1 != 0 {
        return true;
    }
    let due = BREAK.with_borrow_mut(|due| match due {
        Some(Break { thread, writes: 0, .. }) if *thread == number => due.take(),
        Some(Break { thread, writes, .. }) if *thread == number => {
            *writes -= 1;
            None
        }
        _ => None,
    });
    if let Some(due) = due {
        (due.others)();
    }
    match DOOM.get() {
        Some((doomed, 0)) if doomed == number => {
            DEAD.set((threads | 1 << number, attachments));
            resume_unwind(Box::new(Death))
        }
        Some((doomed, writes)) if doomed == number => DOOM.set(Some((doomed, writes - 1))),
        _ => {}
    }
    false
}

/// A variable of each thread of a model.
pub(crate) struct Local<T>(fn() -> T);

impl<T: 'static> Local<T> {
    pub(crate) const fn new(init: fn() -> T) -> Local<T> {
        Local(init)
    }

    pub(crate) fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, Ending> {
        if ENDING.get() >> thread() & 1 != 0 { Err(Ending) } else { Ok(self.with(f)) }
    }

    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let key = (std::ptr::from_ref(self).addr(), thread());
        let local =
            LOCALS.with_borrow_mut(|locals| Rc::clone(locals.entry(key).or_insert_with(|| Rc::new((self.0)()))));
        let local = local.downcast::<T>().expect("each variable has one type");
        f(&local)
    }
}

/// The thread's variables are gone.
pub(crate) struct Ending;

/// A mutex of this process.
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(T::default()))
    }
}

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> LockResult<loom::sync::MutexGuard<'_, T>> {
        switching(|| self.0.lock())
    }

    pub(crate) fn get_mut(&mut self) -> LockResult<&mut T> {
        self.0.get_mut()
    }
}
