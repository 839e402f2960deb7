//! What the library keeps for one environment (the main thread's or a worker's): its heaps, its live views, the waits
//! that are under way. When the environment ends, nothing stays borrowed (worker termination included).
//!
//! All of it belongs to the environment's thread. What a view points at stays mapped while the environment lives,
//! because a native operation that was under way when the view was released may still write there (V4). The last heaps
//! that were detached are kept for that, as mappings alone: they are attached no more.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::c_void;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};

use napi::sys;
use slotmap::{DefaultKey, SlotMap};
use weaveheap_core::{Error, ErrorCode, Handle, Heap};

use crate::border::{Call, Outcome, guard};
use crate::error::invalid;
use crate::lend::Lender;
use crate::value::{self, ok};
use crate::view::View;
use crate::wait::Wait;

/// How many JavaScript heap objects of this process use an attachment, by its base address. The last one to be
/// dropped ends it.
static OBJECTS: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

/// Numbers that a function gives beside its result, written where JavaScript reads them without a call: a bigint and
/// three numbers.
pub const SCRATCH_BYTES: usize = 32;

/// How many heaps stay mapped after they were detached. Each is up to 64 GiB of address space and an open file.
const PINS: usize = 128;

/// One JavaScript heap object.
pub struct HeapEntry {
    /// The heap.
    pub heap: Heap,
    /// True if the object made or opened the attachment; false if it refers to one of this process (`Heap.byId`).
    pub owner: bool,
    /// True if shared borrows are checksummed.
    pub verify: bool,
    /// True once memory of the heap was shown to JavaScript.
    pub viewed: Cell<bool>,
    /// Views of this object that live.
    pub views: Cell<usize>,
    dropped: Cell<bool>,
    base: usize,
}

impl HeapEntry {
    fn new(heap: Heap, owner: bool) -> HeapEntry {
        let base = heap.base() as usize;
        let mut objects = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
        *objects.get_or_insert_default().entry(base).or_insert(0) += 1;
        let verify = heap.verify();
        HeapEntry {
            heap,
            owner,
            verify,
            viewed: Cell::new(false),
            views: Cell::new(0),
            dropped: Cell::new(false),
            base,
        }
    }
}

impl Drop for HeapEntry {
    fn drop(&mut self) {
        let mut objects = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = objects.as_mut().and_then(|objects| objects.get_mut(&self.base)) else { return };
        *count -= 1;
        if *count == 0 {
            if let Some(objects) = objects.as_mut() {
                objects.remove(&self.base);
            }
            // The attachment ends now, though the mapping may stay for its pins. A refusal means that views of other
            // owners live: then it ends with the last of them.
            let _ = self.heap.detach();
        }
    }
}

/// The state of the library in one environment.
pub struct Addon {
    this: Weak<Addon>,
    heaps: RefCell<Vec<Option<Rc<HeapEntry>>>>,
    /// Live views by the key that JavaScript holds.
    pub views: RefCell<SlotMap<DefaultKey, Rc<View>>>,
    /// Regions of private heaps that were made here and are open: their objects own them (R7).
    owned_regions: RefCell<HashSet<(usize, u64)>>,
    pins: RefCell<VecDeque<Heap>>,
    waits: RefCell<Vec<Arc<Wait>>>,
    scratch: Cell<*mut u8>,
    make_error: Cell<sys::napi_ref>,
    warn: Cell<sys::napi_ref>,
    /// The longest view that this Node can make, in bytes.
    pub max_view: Cell<u64>,
    /// True if views are to be copies, as where external buffers are forbidden.
    pub copies_only: Cell<bool>,
    /// True if large views may be made through V8's own interface.
    pub may_lend: Cell<bool>,
    /// What makes them.
    pub lender: Lender,
}

impl Addon {
    /// Makes the state of an environment. The environment owns it.
    pub fn install(env: sys::napi_env) -> napi::Result<*const Addon> {
        let addon = Rc::new_cyclic(|this| Addon {
            this: this.clone(),
            heaps: RefCell::default(),
            views: RefCell::default(),
            owned_regions: RefCell::default(),
            pins: RefCell::default(),
            waits: RefCell::default(),
            scratch: Cell::new(ptr::null_mut()),
            make_error: Cell::new(ptr::null_mut()),
            warn: Cell::new(ptr::null_mut()),
            max_view: Cell::new(0),
            copies_only: Cell::new(false),
            may_lend: Cell::new(false),
            lender: Lender::default(),
        });
        let pointer = Rc::into_raw(addon);
        // SAFETY: the environment is the one that loads the library. The hook runs before the environment's data is
        // released, and both run on its thread.
        let status = unsafe {
            match sys::napi_set_instance_data(env, pointer.cast_mut().cast(), Some(release), ptr::null_mut()) {
                sys::Status::napi_ok => sys::napi_add_env_cleanup_hook(env, Some(clean_up), pointer.cast_mut().cast()),
                status => status,
            }
        };
        match status {
            sys::Status::napi_ok => Ok(pointer),
            status => Err(napi::Error::from_reason(format!("cannot keep the library's state: N-API status {status}"))),
        }
    }

    /// The state of the environment that calls back from outside a function.
    ///
    /// # Safety
    /// Called on the thread of `env`, and the reference is not kept.
    pub unsafe fn of<'a>(env: sys::napi_env) -> Option<&'a Addon> {
        let mut data = ptr::null_mut();
        // SAFETY: the caller's promise; what is stored is what `install` stored.
        unsafe {
            let status = sys::napi_get_instance_data(env, &mut data);
            if status == sys::Status::napi_ok { data.cast::<Addon>().as_ref() } else { None }
        }
    }

    /// A reference that does not keep the state.
    pub fn downgrade(&self) -> Weak<Addon> {
        self.this.clone()
    }

    /// Keeps a heap for a JavaScript object, and returns the number that the object calls it by.
    pub fn add_heap(&self, heap: Heap, owner: bool) -> usize {
        let entry = Rc::new(HeapEntry::new(heap, owner));
        let mut heaps = self.heaps.borrow_mut();
        heaps.push(Some(entry));
        heaps.len() - 1
    }

    /// The heap with the number in the first argument; `NotAttached` if its object has detached.
    pub fn heap(&self, call: &Call) -> Outcome<Rc<HeapEntry>> {
        self.heap_numbered(self.heap_number(call)?)
    }

    /// The number in the first argument.
    pub fn heap_number(&self, call: &Call) -> Outcome<usize> {
        call.float(0).map(|number| number as usize).ok_or_else(|| invalid("this is no heap"))
    }

    fn heap_numbered(&self, number: usize) -> Outcome<Rc<HeapEntry>> {
        match self.heaps.borrow().get(number) {
            Some(Some(entry)) => Ok(Rc::clone(entry)),
            Some(None) => Err(Error::new(ErrorCode::NotAttached).into()),
            None => Err(invalid("this is no heap")),
        }
    }

    /// Forgets the heap of an object that has detached. If its memory was shown to JavaScript, it stays mapped.
    pub fn forget_heap(&self, number: usize) {
        let entry = self.heaps.borrow_mut().get_mut(number).and_then(Option::take);
        let Some(entry) = entry else { return };
        self.owned_regions.borrow_mut().retain(|(heap, _)| *heap != number);
        if entry.viewed.get() {
            self.pin(entry.heap.clone());
        }
    }

    /// Keeps a detached heap mapped that was shown to JavaScript, and unmaps the oldest one above the bound.
    fn pin(&self, heap: Heap) {
        let mut pins = self.pins.borrow_mut();
        pins.push_back(heap);
        if pins.len() > PINS {
            pins.pop_front();
        }
    }

    /// The process has no address space for one more heap: unmaps the older half of those that only stay mapped for operations
    /// that may be under way. False if there are none.
    pub fn make_room(&self) -> bool {
        let mut pins = self.pins.borrow_mut();
        let older = pins.len().div_ceil(2);
        pins.drain(..older).count() > 0
    }

    /// The heap object was collected. The heap is forgotten, at once or when its last view ends (H9).
    pub fn drop_heap(&self, number: usize) {
        let Ok(entry) = self.heap_numbered(number) else { return };
        entry.dropped.set(true);
        if entry.views.get() == 0 {
            self.forget_heap(number);
        }
    }

    /// A view of this heap object has ended.
    pub fn view_ended(&self, entry: &Rc<HeapEntry>) {
        entry.views.set(entry.views.get().saturating_sub(1));
        if entry.dropped.get() && entry.views.get() == 0 {
            let number =
                self.heaps.borrow().iter().position(|slot| slot.as_ref().is_some_and(|e| Rc::ptr_eq(e, entry)));
            if let Some(number) = number {
                self.forget_heap(number);
            }
        }
    }

    /// Notes that an object made here owns this region.
    pub fn own_region(&self, heap: usize, region: Handle) {
        self.owned_regions.borrow_mut().insert((heap, region.to_bits()));
    }

    /// Notes that a region is closed, or closes by itself.
    pub fn disown_region(&self, heap: usize, region: Handle) {
        self.owned_regions.borrow_mut().remove(&(heap, region.to_bits()));
    }

    /// Keeps a wait until it is over or the environment ends.
    pub fn add_wait(&self, wait: Arc<Wait>) {
        let mut waits = self.waits.borrow_mut();
        waits.retain(|wait| !wait.is_over());
        waits.push(wait);
    }

    /// Gives JavaScript a bigint and three numbers beside the result of the call.
    pub fn give(&self, bits: u64, numbers: [f64; 3]) {
        let scratch = self.scratch.get();
        if scratch.is_null() {
            return;
        }
        // SAFETY: `init` took an array of `SCRATCH_BYTES` bytes and keeps it alive; nothing else writes to it, and
        // JavaScript does not run meanwhile. The writes need no alignment.
        unsafe {
            scratch.cast::<u64>().write_unaligned(bits);
            scratch.add(8).cast::<[f64; 3]>().write_unaligned(numbers);
        }
    }

    /// The JavaScript function that makes error objects.
    pub fn make_error(&self, env: sys::napi_env) -> Option<sys::napi_value> {
        referenced(env, self.make_error.get())
    }

    /// Gives a warning to `process.emitWarning`. Nothing happens when JavaScript cannot run any more.
    pub fn warn(&self, env: sys::napi_env, message: &str) {
        let Some(function) = referenced(env, self.warn.get()) else { return };
        let (Ok(this), Ok(text)) = (value::undefined(env), value::string(env, message)) else { return };
        // SAFETY: all values are of this environment.
        let status = unsafe { sys::napi_call_function(env, this, function, 1, &text, ptr::null_mut()) };
        if status != sys::Status::napi_ok {
            value::clear_exception(env);
        }
    }

    /// Ends all that the environment holds.
    fn clear(&self) {
        self.lender.close();
        for wait in self.waits.take() {
            wait.cancel();
        }
        // Ending a view takes it out of the table, so the table is not held meanwhile.
        let views: Vec<Rc<View>> = self.views.borrow().values().cloned().collect();
        for view in views {
            view.end_at_exit();
        }
        self.views.borrow_mut().clear();
        for (heap, region) in self.owned_regions.take() {
            if let Ok(entry) = self.heap_numbered(heap) {
                entry.heap.collect_region(Handle::from_bits(region));
            }
        }
        self.heaps.take();
        self.pins.take();
    }
}

fn referenced(env: sys::napi_env, reference: sys::napi_ref) -> Option<sys::napi_value> {
    if reference.is_null() {
        return None;
    }
    let mut result = ptr::null_mut();
    // SAFETY: the reference was made by `init` in this environment.
    let status = unsafe { sys::napi_get_reference_value(env, reference, &mut result) };
    (status == sys::Status::napi_ok && !result.is_null()).then_some(result)
}

unsafe extern "C" fn clean_up(data: *mut c_void) {
    guard(|| {
        // SAFETY: `install` gave this pointer, and `release` comes after the hooks.
        let addon = unsafe { &*data.cast::<Addon>() };
        addon.clear();
    });
}

unsafe extern "C" fn release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    guard(|| {
        // SAFETY: `install` made this pointer from an `Rc`, and Node releases it once.
        drop(unsafe { Rc::from_raw(data.cast::<Addon>()) });
    });
}

/// `init(scratch, makeError, warn, maxView, copiesOnly, mayLend)`: what JavaScript lends the library, once for each environment.
pub fn init(call: &Call) -> Outcome {
    let scratch = call.bytes(0)?;
    if scratch.len() != SCRATCH_BYTES || !call.addon.scratch.get().is_null() {
        return Err(invalid("the library is set up once, with an array of 32 bytes"));
    }
    let reference = |position: usize| -> Outcome<sys::napi_ref> {
        let mut result = ptr::null_mut();
        // SAFETY: the value is an argument of this call.
        ok(unsafe { sys::napi_create_reference(call.env, call.argument(position), 1, &mut result) }, "init")?;
        Ok(result)
    };
    // The reference is what keeps the array's memory.
    reference(0)?;
    call.addon.scratch.set(scratch.as_ptr().cast_mut());
    call.addon.make_error.set(reference(1)?);
    call.addon.warn.set(reference(2)?);
    call.addon.max_view.set(call.size(3, "maxView")?);
    call.addon.copies_only.set(call.flag(4));
    call.addon.may_lend.set(call.flag(5));
    value::undefined(call.env)
}
