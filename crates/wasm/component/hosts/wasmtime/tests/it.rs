//! The component in wasmtime. WEAVEHEAP_COMPONENT and WEAVEHEAP_COMPONENT_PLANTED name the built ones:
//! `cargo xtask test component` sets them.

use std::sync::OnceLock;

use wasmtime::component::ResourceAny;
use wasmtime::{Store, Trap};
use weaveheap_component_wasmtime::interface::{
    BorrowKind, BufferOptions, CopyCount, Counters, Guest, HeapOptions, RegionOptions, RegionState,
};
use weaveheap_component_wasmtime::{Compiled, Error, ErrorCode, Host, Instance};

const PLAIN: BufferOptions = BufferOptions { align: None, uninitialised: false };
const MUCH: usize = 1 << 30;

fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| Compiled::new(built("WEAVEHEAP_COMPONENT")).unwrap())
}

fn built(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: use `cargo xtask test component`"))
}

/// An instance with a heap and a region.
struct Case {
    instance: Instance,
    heap: ResourceAny,
    region: ResourceAny,
}

impl Case {
    fn new() -> Case {
        Case::of(compiled(), MUCH, Some(64 << 20))
    }

    fn of(compiled: &Compiled, memory: usize, limit: Option<u64>) -> Case {
        let mut instance = compiled.instance(memory).unwrap();
        let options = HeapOptions { limit, label: "test".to_owned() };
        let heap = instance.call(|api, store| api.heap().call_create(store, &options)).unwrap().unwrap();
        let options = RegionOptions { name: "region".to_owned(), limit: None };
        let region = instance.call(|api, store| api.heap().call_create_region(store, heap, &options)).unwrap().unwrap();
        Case { instance, heap, region }
    }

    /// What a call returns that neither traps nor is refused.
    fn ok<T>(&mut self, work: impl FnOnce(&Guest, &mut Store<Host>) -> wasmtime::Result<Result<T, Error>>) -> T {
        self.instance.call(work).expect("no trap").expect("no refusal")
    }

    /// The refusal of a call, which has this code.
    fn refused<T>(
        &mut self,
        code: ErrorCode,
        work: impl FnOnce(&Guest, &mut Store<Host>) -> wasmtime::Result<Result<T, Error>>,
    ) -> Error {
        match self.instance.call(work).expect("no trap") {
            Ok(_) => panic!("{code:?} was expected"),
            Err(error) => {
                assert_eq!(error.code, code, "{}", error.message);
                assert!(error.message.len() > 10);
                error
            }
        }
    }

    fn alloc(&mut self, length: u64) -> ResourceAny {
        let region = self.region;
        self.ok(|api, store| api.region().call_alloc(store, region, length, PLAIN))
    }

    fn alloc_from(&mut self, bytes: &[u8]) -> ResourceAny {
        let region = self.region;
        self.ok(|api, store| api.region().call_alloc_from(store, region, bytes))
    }

    fn shared(&mut self, buffer: ResourceAny) -> ResourceAny {
        self.ok(|api, store| api.byte_buffer().call_borrow_shared(store, buffer))
    }

    fn unique(&mut self, buffer: ResourceAny) -> ResourceAny {
        self.ok(|api, store| api.byte_buffer().call_borrow_unique(store, buffer))
    }

    fn handle(&mut self, buffer: ResourceAny) -> u64 {
        self.instance.call(|api, store| api.byte_buffer().call_handle(store, buffer)).unwrap()
    }

    fn drop(&mut self, resource: ResourceAny) {
        resource.resource_drop(&mut self.instance.store).unwrap();
    }

    /// Live borrows, by a walk over the whole heap.
    fn borrows(&mut self) -> u64 {
        let heap = self.heap;
        self.ok(|api, store| api.heap().call_check(store, heap)).borrows
    }
}

#[test]
fn bytes_go_in_are_changed_and_come_out() {
    let mut case = Case::new();
    let buffer = case.alloc(10);
    let writing = case.unique(buffer);
    case.ok(|api, store| api.unique_borrow().call_write(store, writing, 2, b"weave"));
    case.ok(|api, store| api.unique_borrow().call_fill(store, writing, 8, 2, 9));
    case.refused(ErrorCode::InvalidArgument, |api, store| api.unique_borrow().call_write(store, writing, 6, b"weave"));
    case.drop(writing);
    let reading = case.shared(buffer);
    let bytes = case.ok(|api, store| api.shared_borrow().call_read(store, reading, 0, 100));
    assert_eq!(bytes, b"\0\0weave\0\x09\x09");
    let bytes = case.ok(|api, store| api.shared_borrow().call_read(store, reading, 3, 2));
    assert_eq!(bytes, b"ea");
    case.refused(ErrorCode::InvalidArgument, |api, store| api.shared_borrow().call_read(store, reading, 11, 0));
    case.drop(reading);
    assert_eq!(case.borrows(), 0);
}

#[test]
fn bytes_go_from_buffer_to_buffer() {
    let mut case = Case::new();
    let (source, target) = (case.alloc_from(b"0123456789"), case.alloc(4));
    let (from, to) = (case.shared(source), case.unique(target));
    case.ok(|api, store| api.unique_borrow().call_copy_from(store, to, 1, from, 7, 3));
    let bytes = case.ok(|api, store| api.unique_borrow().call_read(store, to, 0, 4));
    assert_eq!(bytes, b"\x00789");
    case.refused(ErrorCode::InvalidArgument, |api, store| api.unique_borrow().call_copy_from(store, to, 0, from, 8, 3));
}

#[test]
fn strings_are_buffers_of_utf8() {
    let mut case = Case::new();
    let region = case.region;
    for text in ["", "Gewölbe", "🧵 thread", "a\0b"] {
        let buffer = case.ok(|api, store| api.region().call_alloc_string(store, region, text));
        let reading = case.shared(buffer);
        assert_eq!(case.ok(|api, store| api.shared_borrow().call_text(store, reading)), text);
    }
    let broken = case.alloc_from(b"a\xff");
    let reading = case.shared(broken);
    let refusal = case.refused(ErrorCode::InvalidUtf8, |api, store| api.shared_borrow().call_text(store, reading));
    assert!(refusal.message.contains("offset 1"), "{}", refusal.message);
}

#[test]
fn shared_and_unique_borrows_exclude_each_other() {
    let mut case = Case::new();
    let (heap, region) = (case.heap, case.region);
    let buffer = case.alloc(8);
    let handle = case.handle(buffer);
    let (one, two) = (case.shared(buffer), case.shared(buffer));
    let refusal =
        case.refused(ErrorCode::BorrowConflict, |api, store| api.byte_buffer().call_borrow_unique(store, buffer));
    assert_eq!(refusal.about, handle);
    let holders = case.ok(|api, store| api.heap().call_holders(store, heap, refusal.about));
    let seen: Vec<_> = holders.iter().map(|holder| (holder.kind, holder.label.as_str(), holder.buffer)).collect();
    assert_eq!(seen, [(BorrowKind::Shared, "test", handle); 2]);
    case.refused(ErrorCode::Borrowed, |api, store| api.byte_buffer().call_free(store, buffer));
    case.refused(ErrorCode::Borrowed, |api, store| api.region().call_reset(store, region));
    case.refused(ErrorCode::Borrowed, |api, store| api.region().call_close(store, region));
    case.refused(ErrorCode::Borrowed, |api, store| api.heap().call_detach(store, heap));
    case.drop(one);
    case.ok(|api, store| api.shared_borrow().call_end(store, two));
    let writing = case.unique(buffer);
    case.refused(ErrorCode::BorrowConflict, |api, store| api.byte_buffer().call_borrow_shared(store, buffer));
    case.drop(writing);
    case.ok(|api, store| api.region().call_close(store, region));
    case.refused(ErrorCode::StaleHandle, |api, store| api.byte_buffer().call_borrow_shared(store, buffer));
    assert_eq!(case.borrows(), 0);
}

#[test]
fn forged_and_foreign_handles_are_stale() {
    let mut case = Case::new();
    let heap = case.heap;
    let buffer = case.alloc(8);
    let handle = case.handle(buffer);
    let mut other = Case::new();
    let foreign = other.alloc(8);
    let foreign = other.handle(foreign);
    for forged in [0, handle ^ (2 << 32), handle ^ 1, foreign] {
        case.refused(ErrorCode::StaleHandle, |api, store| api.heap().call_buffer_at(store, heap, forged));
    }
    case.ok(|api, store| api.heap().call_publish(store, heap, "a.name", handle));
    assert_eq!(case.ok(|api, store| api.heap().call_lookup(store, heap, "a.name")), handle);
    let text = case.ok(|api, store| api.call_handle_text(store, handle));
    assert_eq!(case.ok(|api, store| api.call_parse_handle(store, &text)), handle);
}

#[test]
fn a_resource_that_was_dropped_is_an_error_of_the_host_and_no_trap() {
    let mut case = Case::new();
    let buffer = case.alloc(8);
    let reading = case.shared(buffer);
    case.drop(reading);
    let gone = case.instance.call(|api, store| api.shared_borrow().call_read(store, reading, 0, 1)).unwrap_err();
    assert!(gone.downcast_ref::<Trap>().is_none(), "{gone:?}");
    assert!(reading.resource_drop(&mut case.instance.store).is_err());
    // Given away by `end`.
    let writing = case.unique(buffer);
    case.ok(|api, store| api.unique_borrow().call_end(store, writing));
    assert!(case.instance.call(|api, store| api.unique_borrow().call_end(store, writing)).is_err());
    // The instance is as good as before.
    assert_eq!(case.borrows(), 0);
    let writing = case.unique(buffer);
    case.drop(writing);
}

#[test]
fn dropping_the_owner_of_a_region_closes_it_when_nothing_of_it_is_used() {
    let mut case = Case::new();
    let (heap, region) = (case.heap, case.region);
    let buffer = case.alloc(8);
    let reading = case.shared(buffer);
    case.drop(region);
    let state = |case: &mut Case| {
        let statistics = case.ok(|api, store| api.heap().call_statistics(store, heap));
        (statistics.regions.first().map(|region| region.state), statistics.counters.regions_collected)
    };
    assert_eq!(state(&mut case), (Some(RegionState::Open), 0));
    case.drop(buffer);
    assert_eq!(state(&mut case), (Some(RegionState::Draining), 1));
    case.drop(reading);
    assert_eq!(state(&mut case), (None, 1));
}

#[test]
fn counters_say_what_was_done() {
    let mut case = Case::new();
    let heap = case.heap;
    let buffer = case.alloc_from(&[0; 1000]);
    let writing = case.unique(buffer);
    case.ok(|api, store| api.unique_borrow().call_write(store, writing, 0, &[1; 100]));
    case.ok(|api, store| api.unique_borrow().call_read(store, writing, 0, 10));
    case.refused(ErrorCode::BorrowConflict, |api, store| api.byte_buffer().call_borrow_shared(store, buffer));
    case.refused(ErrorCode::StaleHandle, |api, store| api.heap().call_buffer_at(store, heap, 0));
    case.drop(writing);
    case.ok(|api, store| api.byte_buffer().call_free(store, buffer));
    let counters = case.ok(|api, store| api.heap().call_statistics(store, heap)).counters;
    let expected = Counters {
        allocations: 1,
        frees: 1,
        bytes_allocated: 1000,
        bytes_freed: 1000,
        // `alloc-from` borrows the new buffer to write to it.
        borrows_begun: 2,
        borrows_ended: 2,
        conflicts: 1,
        stale: 1,
        regions_collected: 0,
        ingest: CopyCount { count: 2, bytes: 1100 },
        export: CopyCount { count: 1, bytes: 10 },
    };
    // The types have no `==` of their own.
    assert_eq!(format!("{counters:?}"), format!("{expected:?}"));
}

#[test]
fn memory_that_cannot_grow_is_out_of_memory_and_the_heap_goes_on() {
    let mut case = Case::of(compiled(), 8 << 20, None);
    let (heap, region) = (case.heap, case.region);
    for piece in [1 << 20, 1 << 16, 1 << 10, 1] {
        let refusal = loop {
            match case.instance.call(|api, store| api.region().call_alloc(store, region, piece, PLAIN)).unwrap() {
                Ok(buffer) => case.drop(buffer),
                Err(error) => break error,
            }
        };
        assert_eq!(refusal.code, ErrorCode::OutOfMemory, "{}", refusal.message);
        case.ok(|api, store| api.heap().call_check(store, heap));
    }
    let live = case.ok(|api, store| api.heap().call_statistics(store, heap)).bytes_live;
    assert!(live > 3 << 20, "{live}");
    case.ok(|api, store| api.region().call_reset(store, region));
    let buffer = case.alloc(1 << 20);
    let writing = case.unique(buffer);
    case.ok(|api, store| api.unique_borrow().call_fill(store, writing, 0, 1 << 20, 7));
    let end = case.ok(|api, store| api.unique_borrow().call_read(store, writing, (1 << 20) - 2, 9));
    assert_eq!(end, [7, 7]);
}

#[test]
fn after_a_panic_wasmtime_lets_no_call_in_and_a_new_instance_works() {
    let planted = Compiled::new(built("WEAVEHEAP_COMPONENT_PLANTED")).unwrap();
    let mut case = Case::of(&planted, MUCH, None);
    let heap = case.heap;
    let buffer = case.alloc(8);
    let panics = case.instance.raw.get_typed_func::<(), ()>(&mut case.instance.store, "planted-panic").unwrap();
    let trap = panics.call(&mut case.instance.store, ()).unwrap_err();
    assert_eq!(trap.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached), "{trap:?}");
    let later = [
        case.instance.call(|api, store| api.heap().call_check(store, heap)).map(drop),
        case.instance.call(|api, store| api.byte_buffer().call_borrow_shared(store, buffer)).map(drop),
        case.instance.call(|api, store| api.call_handle_text(store, 0)).map(drop),
    ];
    for call in later {
        let refusal = call.unwrap_err();
        assert_eq!(refusal.downcast_ref::<Trap>(), Some(&Trap::CannotEnterComponent), "{refusal:?}");
    }
    let mut fresh = Case::of(&planted, MUCH, None);
    let buffer = fresh.alloc(8);
    fresh.unique(buffer);
    assert_eq!(fresh.borrows(), 1);
}

#[test]
fn a_list_without_memory_for_it_is_a_trap_and_one_in_pieces_is_not() {
    let mut case = Case::of(compiled(), 8 << 20, Some(4 << 20));
    let heap = case.heap;
    let buffer = case.alloc(1 << 20);
    let writing = case.unique(buffer);
    for at in 0..16 {
        let piece = vec![at as u8; 64 << 10];
        case.ok(|api, store| api.unique_borrow().call_write(store, writing, at << 16, &piece));
    }
    let list = vec![0; 16 << 20];
    let trap = case.instance.call(|api, store| api.unique_borrow().call_write(store, writing, 0, &list)).unwrap_err();
    assert_eq!(trap.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached), "{trap:?}");
    assert!(case.instance.call(|api, store| api.heap().call_check(store, heap)).is_err());
}

#[test]
fn a_resource_of_another_instance_is_an_error_of_the_host() {
    let (mut case, mut other) = (Case::new(), Case::new());
    let foreign = other.alloc_from(b"1234");
    let foreign = other.shared(foreign);
    let target = case.alloc(4);
    let to = case.unique(target);
    let refused = case.instance.call(|api, store| api.unique_borrow().call_copy_from(store, to, 0, foreign, 0, 4));
    let error = refused.unwrap_err();
    assert!(error.downcast_ref::<Trap>().is_none(), "{error:?}");
    let bytes = case.ok(|api, store| api.unique_borrow().call_read(store, to, 0, 4));
    assert_eq!(bytes, [0; 4]);
}
