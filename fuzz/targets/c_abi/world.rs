//! Makes calls, and keeps what they gave.

use std::ffi::{CString, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

use weaveheap::abi::*;
use weaveheap::borrow::*;
use weaveheap::buffer::*;
use weaveheap::directory::*;
use weaveheap::error::*;
use weaveheap::handle::*;
use weaveheap::heap::*;
use weaveheap::inspect::*;
use weaveheap::log::*;
use weaveheap::region::*;
use weaveheap::release::*;
use weaveheap::string::*;

use crate::call::{Bits, Call, Function};
use crate::judge::*;

/// Objects of one kind.
const MOST: usize = 6;
/// Bytes of a large buffer. What is beyond any memory is asked for as it is.
const LARGE: u64 = 2 << 20;
const BEYOND: u64 = 1 << 40;

/// A borrow's bytes.
struct View {
    token: u64,
    data: *mut u8,
    length: usize,
    unique: bool,
}

/// What the calls gave, live or not.
#[derive(Default)]
#[allow(clippy::vec_box, reason = "the library gives each in a box of its own, and takes it back in that")]
pub struct World {
    heaps: Vec<Box<CHeap>>,
    /// Of all heaps that ever were.
    ids: Vec<String>,
    regions: Vec<u64>,
    buffers: Vec<u64>,
    /// Of all borrows that ever were.
    tokens: Vec<u64>,
    views: Vec<View>,
    inspectors: Vec<Box<CInspector>>,
    callbacks: Vec<u64>,
}

static LOGGED: AtomicU64 = AtomicU64::new(0);

/// A callback that reads all it is given.
extern "C" fn logged(context: *mut c_void, record: *const CLogRecord) {
    assert!(!context.is_null() && !record.is_null());
    // SAFETY: the record is good during the call.
    let record = unsafe { &*record };
    let length = text(record.message).len() + text(record.target).len();
    LOGGED.fetch_add(length as u64, Ordering::Relaxed);
}

fn pick<T>(list: &[T], number: u8) -> Option<&T> {
    list.get(usize::from(number).checked_rem(list.len())?)
}

fn bits(made: &[u64], regions: &[u64], given: Bits) -> u64 {
    match given {
        Bits::Made(number) => pick(made, number).copied().unwrap_or_default(),
        Bits::Region(number) => pick(regions, number).copied().unwrap_or_default(),
        Bits::Forged(number, xor) => pick(made, number).copied().unwrap_or_default() ^ xor,
        Bits::Any(bits) => bits,
    }
}

fn length(length: u64) -> u64 {
    if length < BEYOND { length % LARGE } else { length }
}

impl World {
    /// A world with a private heap, a region and a buffer, so that first calls mean something.
    pub fn new() -> World {
        let mut world = World::default();
        let options = CHeapOptions {
            struct_size: size_of::<CHeapOptions>(),
            limit: 64 << 20,
            runtime: 0,
            inspect: 0,
            verify: 0,
            label: std::ptr::null(),
        };
        // SAFETY: the options are of their size.
        let heap = unsafe { weaveheap_heap_private(&options, None) }.expect("a heap");
        // SAFETY: null names are allowed.
        let region = unsafe { weaveheap_region_create(Some(&heap), std::ptr::null(), 0, None) };
        let buffer = weaveheap_buffer_alloc(Some(&heap), region, 100, 64, 0, None);
        assert!(region != 0 && buffer != 0);
        world.regions.push(region);
        world.buffers.push(buffer);
        world.keep(Some(heap));
        world
    }

    fn keep(&mut self, heap: Option<Box<CHeap>>) {
        let Some(heap) = heap else { return };
        // A heap that was attached by an object of a detached one has no id any more.
        self.ids.extend(string(true, |err| weaveheap_heap_id(Some(&heap), err)));
        match self.heaps.len() < MOST {
            true => self.heaps.push(heap),
            false => weaveheap_heap_release(Some(heap)),
        }
    }

    fn began(&mut self, token: u64, data: *mut u8, length: usize, unique: bool) {
        assert!(!data.is_null() && token != 0);
        self.tokens.push(token);
        self.views.push(View { token, data, length, unique });
    }

    fn end(&mut self, heap: Option<u8>, err: bool, token: u64) {
        let heap = heap.and_then(|number| pick(&self.heaps, number)).map(|heap| &**heap);
        if done(err, |err| weaveheap_borrow_end(heap, token, err)) {
            let before = self.views.len();
            // Two heaps may have given the same token: then neither view is used any more.
            self.views.retain(|view| view.token != token);
            assert!(self.views.len() < before || self.tokens.contains(&token), "a token ended that nobody was given");
        }
    }

    /// Makes one call.
    pub fn make(&mut self, call: &Call) {
        let heap = call.heap.and_then(|number| pick(&self.heaps, number)).map(|heap| &**heap);
        let err = call.err;
        let region = |given| bits(&self.regions, &self.buffers, given);
        let buffer = |given| bits(&self.buffers, &self.regions, given);
        match &call.function {
            Function::BorrowEnd(given) => {
                let token = bits(&self.tokens, &self.buffers, *given);
                self.end(call.heap, err, token);
            }
            Function::BorrowEndMade(number) => {
                let Some(token) = pick(&self.tokens, *number).copied() else { return };
                self.end(call.heap, err, token);
            }
            Function::HeapPrivate(options) => {
                // SAFETY: the options are of their size.
                let heap = with_options(options, |o| object(err, |err| unsafe { weaveheap_heap_private(o, err) }));
                self.keep(heap);
            }
            Function::HeapCreate(text, options) => {
                let name = name(text);
                let create = |o| {
                    object(err, |err| {
                        // SAFETY: a string or null, options of their size; this process follows the protocol.
                        unsafe { weaveheap_heap_create(pointer(&name), o, err) }
                    })
                };
                let heap = with_options(options, create);
                self.keep(heap);
            }
            Function::HeapCreatePath(text, options) => {
                let path = path(text);
                let create = |o| {
                    object(err, |err| {
                        // SAFETY: as above.
                        unsafe { weaveheap_heap_create_path(pointer(&path), o, err) }
                    })
                };
                let heap = with_options(options, create);
                self.keep(heap);
            }
            Function::HeapOpen(text, options) => {
                let name = name(text);
                let open = |o| {
                    object(err, |err| {
                        // SAFETY: as above.
                        unsafe { weaveheap_heap_open(pointer(&name), o, err) }
                    })
                };
                let heap = with_options(options, open);
                self.keep(heap);
            }
            Function::HeapOpenPath(text, options) => {
                let path = path(text);
                let open = |o| {
                    object(err, |err| {
                        // SAFETY: as above.
                        unsafe { weaveheap_heap_open_path(pointer(&path), o, err) }
                    })
                };
                let heap = with_options(options, open);
                self.keep(heap);
            }
            Function::HeapAttach(number, options) => {
                let base = number.and_then(|number| pick(&self.heaps, number));
                let base = base.map_or(std::ptr::null_mut(), |heap| weaveheap_heap_base(Some(heap), None));
                let attach = |o| {
                    object(err, |err| {
                        // SAFETY: null, or the base of a heap that is attached.
                        unsafe { weaveheap_heap_attach(base, o, err) }
                    })
                };
                let heap = with_options(options, attach);
                self.keep(heap);
            }
            Function::HeapById(text, known) => {
                let known = self.ids.last().filter(|_| *known).and_then(|id| CString::new(id.as_str()).ok());
                let id = known.or_else(|| name(text));
                // SAFETY: a string or null.
                let heap = object(err, |err| unsafe { weaveheap_heap_by_id(pointer(&id), err) });
                self.keep(heap);
            }
            Function::HeapRelease => {
                let Some(index) = call.heap.and_then(|n| usize::from(n).checked_rem(self.heaps.len())) else {
                    return weaveheap_heap_release(None);
                };
                weaveheap_heap_release(Some(self.heaps.swap_remove(index)));
            }
            Function::RegionCreate(text, limit) => {
                let name = name(text);
                // SAFETY: a string or null.
                let made = made(err, |err| unsafe { weaveheap_region_create(heap, pointer(&name), *limit, err) });
                self.regions.extend(made);
            }
            Function::BufferAlloc(given, bytes, align, init) => {
                let (region, init) = (region(*given), u32::from(*init));
                let made = made(err, |err| weaveheap_buffer_alloc(heap, region, length(*bytes), *align, init, err));
                self.buffers.extend(made);
            }
            Function::BufferAllocUsual(given, length, align) => {
                let (region, align) = (region(*given), 1 << (align % 13));
                let made = made(err, |err| weaveheap_buffer_alloc(heap, region, (*length).into(), align, 0, err));
                self.buffers.extend(made);
            }
            Function::BufferAllocFrom(given, content, align) => {
                let region = region(*given);
                let made = bytes(content, |data, length| {
                    // SAFETY: as many bytes, or null, or a length that is refused.
                    made(err, |err| unsafe { weaveheap_buffer_alloc_from(heap, region, data, length, *align, err) })
                });
                self.buffers.extend(made);
            }
            Function::StringAlloc(given, content) => {
                let region = region(*given);
                let made = bytes(content, |data, length| {
                    // SAFETY: as above.
                    made(err, |err| unsafe { weaveheap_string_alloc(heap, region, data.cast(), length, err) })
                });
                self.buffers.extend(made);
            }
            Function::BorrowShared(given, null) => {
                let mut view = MaybeUninit::<CView>::uninit();
                let buffer = buffer(*given);
                let out = (!null).then_some(&mut view);
                if done(err, |err| weaveheap_borrow_shared(heap, buffer, out, err)) {
                    // SAFETY: it is filled on success.
                    let view = unsafe { view.assume_init() };
                    self.began(view.token, view.data.cast_mut(), view.length, false);
                }
            }
            Function::BorrowUnique(given, null) => {
                let mut view = MaybeUninit::<CViewMut>::uninit();
                let buffer = buffer(*given);
                let out = (!null).then_some(&mut view);
                if done(err, |err| weaveheap_borrow_unique(heap, buffer, out, err)) {
                    // SAFETY: as above.
                    let view = unsafe { view.assume_init() };
                    self.began(view.token, view.data, view.length, true);
                }
            }
            Function::StringBorrow(given, null) => {
                let mut view = MaybeUninit::<CStringView>::uninit();
                let buffer = buffer(*given);
                let out = (!null).then_some(&mut view);
                if done(err, |err| weaveheap_string_borrow(heap, buffer, out, err)) {
                    // SAFETY: as above.
                    let view = unsafe { view.assume_init() };
                    // SAFETY: the borrow is live.
                    let words = unsafe { std::slice::from_raw_parts(view.data.cast::<u8>(), view.length) };
                    assert!(std::str::from_utf8(words).is_ok());
                    self.began(view.token, view.data.cast_mut().cast(), view.length, false);
                }
            }
            Function::Use(number, byte) => {
                let Some(view) = pick(&self.views, *number) else { return };
                if view.unique {
                    // SAFETY: the borrow is live and unique.
                    unsafe { std::slice::from_raw_parts_mut(view.data, view.length) }.fill(*byte);
                } else {
                    // SAFETY: the borrow is live, and nobody writes meanwhile.
                    let bytes = unsafe { std::slice::from_raw_parts(view.data, view.length) };
                    std::hint::black_box(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>());
                }
            }
            Function::Lookup(text) => {
                let name = name(text);
                // SAFETY: a string or null.
                let found = made(err, |err| unsafe { weaveheap_directory_lookup(heap, pointer(&name), err) });
                self.buffers.extend(found);
            }
            Function::InspectorOpen(text) => {
                let name = name(text);
                // SAFETY: a string or null.
                let opened = object(err, |err| unsafe { weaveheap_inspector_open(pointer(&name), err) });
                self.keep_inspector(opened);
            }
            Function::InspectorOpenPath(text) => {
                let path = path(text);
                // SAFETY: as above.
                let opened = object(err, |err| unsafe { weaveheap_inspector_open_path(pointer(&path), err) });
                self.keep_inspector(opened);
            }
            Function::InspectorOfProcess(process, index) => {
                // Ours, or one that no system has.
                let process = process.map_or(std::process::id(), |process| process | 1 << 30);
                let index = *index as usize;
                let opened = object(err, |err| weaveheap_inspector_of_process(process, index, err));
                self.keep_inspector(opened);
            }
            Function::InspectorRelease(number) => {
                let index = number.and_then(|n| usize::from(n).checked_rem(self.inspectors.len()));
                weaveheap_inspector_release(index.map(|index| self.inspectors.swap_remove(index)));
            }
            Function::LogRegister(null, level) => {
                if self.callbacks.len() < MOST {
                    let callback = (!null).then_some(logged as extern "C" fn(*mut c_void, *const CLogRecord));
                    let context = (&raw const LOGGED).cast_mut().cast::<c_void>();
                    let id = made(err, |err| weaveheap_log_register(callback, context, *level, err));
                    self.callbacks.extend(id);
                }
            }
            Function::LogUnregister(number, id) => {
                let known = number.and_then(|number| pick(&self.callbacks, number)).copied();
                let id = known.unwrap_or(*id);
                if done(err, |err| weaveheap_log_unregister(id, err)) {
                    self.callbacks.retain(|known| *known != id);
                }
            }
            _ => self.ask(call),
        }
    }

    fn keep_inspector(&mut self, inspector: Option<Box<CInspector>>) {
        let Some(inspector) = inspector else { return };
        match self.inspectors.len() < MOST {
            true => self.inspectors.push(inspector),
            false => weaveheap_inspector_release(Some(inspector)),
        }
    }

    /// Makes a call that gives nothing to keep.
    fn ask(&self, call: &Call) {
        let heap = call.heap.and_then(|number| pick(&self.heaps, number)).map(|heap| &**heap);
        let err = call.err;
        let region = |given| bits(&self.regions, &self.buffers, given);
        let buffer = |given| bits(&self.buffers, &self.regions, given);
        let inspector =
            |number: Option<u8>| number.and_then(|number| pick(&self.inspectors, number)).map(|inspector| &**inspector);
        match &call.function {
            Function::HeapId => drop(string(err, |err| weaveheap_heap_id(heap, err))),
            Function::HeapPath => drop(string(err, |err| weaveheap_heap_path(heap, err))),
            Function::HeapInfo(size) => {
                // SAFETY: the struct has the size that it says.
                filled(*size, |info| done(err, |err| unsafe { weaveheap_heap_info(heap, info, err) }));
            }
            Function::HeapDetach => drop(done(err, |err| weaveheap_heap_detach(heap, err))),
            Function::HeapRemove(text) => {
                let name = name(text);
                // SAFETY: a string or null.
                done(err, |err| unsafe { weaveheap_heap_remove(pointer(&name), err) });
            }
            Function::HeapRemovePath(text) => {
                let path = path(text);
                // SAFETY: a string or null.
                done(err, |err| unsafe { weaveheap_heap_remove_path(pointer(&path), err) });
            }
            Function::HeapList => {
                string(err, |err| weaveheap_heap_list_json(err));
                string(err, |err| weaveheap_heap_folder(err));
            }
            Function::HeapCheck(size) => {
                let given = !matches!(size, crate::call::Size::Null);
                // SAFETY: the struct has the size that it says.
                filled(*size, |report| done(err, |err| unsafe { weaveheap_heap_check(heap, report, err) }) && given);
            }
            Function::HeapTrim => drop(made(err, |err| weaveheap_heap_trim(heap, err))),
            Function::HeapStats => drop(string(err, |err| weaveheap_heap_stats_json(heap, err))),
            Function::HeapHolders(given) => {
                string(err, |err| weaveheap_heap_holders_json(heap, buffer(*given), err));
            }
            Function::HeapCounters(size) => {
                // SAFETY: the struct has the size that it says.
                filled(*size, |counters| done(err, |err| unsafe { weaveheap_heap_counters(heap, counters, err) }));
            }
            Function::RegionReset(given) => drop(done(err, |err| weaveheap_region_reset(heap, region(*given), err))),
            Function::RegionClose(given) => drop(done(err, |err| weaveheap_region_close(heap, region(*given), err))),
            Function::RegionCloseWhenIdle(given) => {
                done(err, |err| weaveheap_region_close_when_idle(heap, region(*given), err));
            }
            Function::RegionCollect(given) => {
                judged(err, |err| weaveheap_region_collect(heap, region(*given), err));
            }
            Function::RegionWaitIdle(given, timeout) => {
                done(err, |err| weaveheap_region_wait_idle(heap, region(*given), seconds(*timeout), err));
            }
            Function::RegionInfo(given, size) => {
                let region = region(*given);
                // SAFETY: the struct has the size that it says.
                filled(*size, |info| done(err, |err| unsafe { weaveheap_region_info(heap, region, info, err) }));
            }
            Function::RegionName(given) => drop(string(err, |err| weaveheap_region_name(heap, region(*given), err))),
            Function::RegionBuffers(given, capacity, length) => {
                let region = region(*given);
                let mut handles = vec![MaybeUninit::<u64>::uninit(); capacity.unwrap_or_default().into()];
                let (place, capacity) = match capacity {
                    Some(_) => (handles.as_mut_ptr(), handles.len()),
                    None => (std::ptr::null_mut(), *length as usize),
                };
                // SAFETY: an array of that capacity, or null.
                let written = made(err, |err| unsafe { weaveheap_region_buffers(heap, region, place, capacity, err) });
                assert!(written.unwrap_or_default() <= handles.len());
            }
            Function::RegionCounters(given, size) => {
                let region = region(*given);
                filled(*size, |counters| {
                    // SAFETY: the struct has the size that it says.
                    done(err, |err| unsafe { weaveheap_region_counters(heap, region, counters, err) })
                });
            }
            Function::BufferFree(given) => drop(done(err, |err| weaveheap_buffer_free(heap, buffer(*given), err))),
            Function::BufferFreeze(given) => drop(done(err, |err| weaveheap_buffer_freeze(heap, buffer(*given), err))),
            Function::BufferClearPoison(given) => {
                done(err, |err| weaveheap_buffer_clear_poison(heap, buffer(*given), err));
            }
            Function::BufferInfo(given, size) => {
                let buffer = buffer(*given);
                // SAFETY: the struct has the size that it says.
                filled(*size, |info| done(err, |err| unsafe { weaveheap_buffer_info(heap, buffer, info, err) }));
            }
            Function::BufferLength(given) => drop(made(err, |err| weaveheap_buffer_length(heap, buffer(*given), err))),
            Function::BufferExport(given, null) => {
                let mut length = MaybeUninit::new(usize::MAX);
                let out = (!null).then_some(&mut length);
                let (block, code) = judged(err, |err| weaveheap_buffer_export(heap, buffer(*given), out, err));
                // SAFETY: it was initialised.
                let length = unsafe { length.assume_init() };
                assert!(code.is_none_or(|code| (code == 0) != block.is_null()));
                assert!(block.is_null() == (length == usize::MAX), "a block without a length");
                if !block.is_null() {
                    // SAFETY: the library gave both.
                    unsafe { weaveheap_free_bytes(block, length) };
                }
            }
            Function::BufferCountCopy(given, reason, bytes) => {
                done(err, |err| weaveheap_buffer_count_copy(heap, buffer(*given), *reason, *bytes, err));
            }
            Function::BufferCountView(given) => {
                done(err, |err| weaveheap_buffer_count_view(heap, buffer(*given), err));
            }
            Function::BufferCountFinalized(given) => {
                done(err, |err| weaveheap_buffer_count_finalized(heap, buffer(*given), err));
            }
            Function::StringValidate(given) => {
                done(err, |err| weaveheap_string_validate(heap, buffer(*given), err));
            }
            Function::Publish(text, given) => {
                let (name, handle) = (name(text), buffer(*given));
                // SAFETY: a string or null.
                done(err, |err| unsafe { weaveheap_directory_publish(heap, pointer(&name), handle, err) });
            }
            Function::LookupWait(text, timeout) => {
                let (name, seconds) = (name(text), seconds(*timeout));
                // SAFETY: a string or null.
                made(err, |err| unsafe { weaveheap_directory_lookup_wait(heap, pointer(&name), seconds, err) });
            }
            Function::Unpublish(text) => {
                let name = name(text);
                // SAFETY: a string or null.
                done(err, |err| unsafe { weaveheap_directory_unpublish(heap, pointer(&name), err) });
            }
            Function::InspectorStats(n) => drop(string(err, |err| weaveheap_inspector_stats_json(inspector(*n), err))),
            Function::InspectorHolders(n, given) => {
                string(err, |err| weaveheap_inspector_holders_json(inspector(*n), buffer(*given), err));
            }
            Function::InspectorBuffers(n, given, limit) => {
                let (region, limit) = (region(*given), *limit as usize);
                string(err, |err| weaveheap_inspector_buffers_json(inspector(*n), region, limit, err));
            }
            Function::HandleToText(given) => {
                let handle = buffer(*given);
                let text = string(err, |err| weaveheap_handle_to_text(handle, err)).expect("every handle has a text");
                let text = CString::new(text).expect("no NUL");
                // SAFETY: a string. Handles with generation 0 name nothing and have no text that is taken.
                let back = unsafe { weaveheap_handle_from_text(text.as_ptr(), None) };
                assert!(back == handle || handle >> 32 == 0, "{text:?} is {back:#x}, not {handle:#x}");
            }
            Function::HandleFromText(text) => {
                let text = name(text);
                // SAFETY: a string or null.
                made(err, |err| unsafe { weaveheap_handle_from_text(pointer(&text), err) });
            }
            Function::ErrorWords(code) => {
                let words =
                    [weaveheap_error_name(*code), weaveheap_error_meaning(*code), weaveheap_error_remedy(*code)];
                assert!(words.iter().all(|one| one.is_null() == words[0].is_null()));
                words.iter().filter(|words| !words.is_null()).for_each(|words| assert!(!text(*words).is_empty()));
            }
            Function::ErrorNumber(text) => {
                let name = name(text);
                // SAFETY: a string or null.
                assert!(unsafe { weaveheap_error_number(pointer(&name)) } >= -1);
            }
            Function::LastHolders => drop(string(err, |err| weaveheap_error_last_holders_json(err))),
            Function::AbiCheck(version) => {
                let fits = done(err, |err| weaveheap_abi_check(*version, err));
                assert!(fits || *version != weaveheap_abi_version());
            }
            other => unreachable!("{other:?} gives something to keep"),
        }
    }

    /// Checks all heaps, and lets go of everything.
    pub fn finish(mut self) {
        self.views.clear();
        for inspector in self.inspectors.drain(..) {
            weaveheap_inspector_release(Some(inspector));
        }
        for id in self.callbacks.drain(..) {
            assert!(done(true, |err| weaveheap_log_unregister(id, err)));
        }
        for heap in &self.heaps {
            self.close(heap);
        }
        self.heaps.drain(..).for_each(|heap| weaveheap_heap_release(Some(heap)));
        // Objects may have been released under borrows, which keep their attachment.
        for id in &self.ids {
            let id = CString::new(id.as_str()).expect("no NUL");
            for _ in 0..MOST {
                // SAFETY: a string.
                let Some(heap) = (unsafe { weaveheap_heap_by_id(id.as_ptr(), None) }) else { break };
                self.close(&heap);
                weaveheap_heap_release(Some(heap));
            }
        }
        for folder in [weaveheap_fuzz::folder().clone(), weaveheap_fuzz::folder().join("names")] {
            for entry in std::fs::read_dir(folder).expect("ours").flatten() {
                // The folder of names is no file, and stays.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Ends all borrows of a heap's attachment, and checks the heap.
    fn close(&self, heap: &CHeap) {
        for token in &self.tokens {
            weaveheap_borrow_end(Some(heap), *token, None);
        }
        // SAFETY: null reports are allowed.
        let (code, _) = judged(true, |err| unsafe { weaveheap_heap_check(Some(heap), std::ptr::null_mut(), err) });
        let not_attached = weaveheap_core::ErrorCode::NotAttached.number();
        assert!(code == 0 || code == not_attached, "check says {code}");
    }
}
