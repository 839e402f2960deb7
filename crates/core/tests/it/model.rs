//! Programs of operations, run on a heap and on plain maps side by side: they must agree in every answer, and the heap
//! passes `check` after each operation (R1 to R4, K1, K4, B1, C3, N1).

use std::collections::BTreeMap;

use proptest::prelude::*;
use weaveheap_core::{BorrowKind, Error, ErrorCode, Handle, Heap, Init, Lease, RegionOptions};

use crate::support::heaps;

/// One operation. Numbers choose among what there is, live or not.
#[derive(Clone, Debug)]
enum Operation {
    CreateRegion,
    Alloc(usize, u64, u32),
    Free(usize),
    Borrow(usize, bool),
    End(usize),
    Write(usize, u8),
    Freeze(usize),
    Reset(usize),
    Close(usize),
    CloseWhenIdle(usize),
    Publish(usize, u8),
    Unpublish(u8),
    Lookup(u8),
}

fn operation() -> impl Strategy<Value = Operation> {
    let length = prop_oneof![4 => 0_u64..300, 2 => 0_u64..20_000, 1 => 0_u64..300_000];
    prop_oneof![
        2 => Just(Operation::CreateRegion),
        8 => (any::<usize>(), length, 0_u32..13).prop_map(|(region, length, align)| Operation::Alloc(region, length, align)),
        3 => any::<usize>().prop_map(Operation::Free),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(buffer, unique)| Operation::Borrow(buffer, unique)),
        6 => any::<usize>().prop_map(Operation::End),
        4 => (any::<usize>(), any::<u8>()).prop_map(|(lease, byte)| Operation::Write(lease, byte)),
        1 => any::<usize>().prop_map(Operation::Freeze),
        1 => any::<usize>().prop_map(Operation::Reset),
        1 => any::<usize>().prop_map(Operation::Close),
        1 => any::<usize>().prop_map(Operation::CloseWhenIdle),
        1 => (any::<usize>(), 0_u8..4).prop_map(|(buffer, name)| Operation::Publish(buffer, name)),
        1 => (0_u8..4).prop_map(Operation::Unpublish),
        1 => (0_u8..4).prop_map(Operation::Lookup),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Open,
    Draining,
    Gone,
}

struct Buffer {
    region: usize,
    live: bool,
    frozen: bool,
    content: Vec<u8>,
}

struct Held {
    buffer: usize,
    unique: bool,
}

/// The plain model: vectors that are only added to, and a map of names.
#[derive(Default)]
struct Model {
    regions: Vec<Life>,
    buffers: Vec<Buffer>,
    held: Vec<Option<Held>>,
    names: BTreeMap<u8, usize>,
    allocations: u64,
    frees: u64,
    begun: u64,
}

impl Model {
    fn usable(&self, buffer: usize) -> bool {
        self.buffers[buffer].live && self.regions[self.buffers[buffer].region] == Life::Open
    }

    fn holders(&self, buffer: usize) -> (usize, bool) {
        let held: Vec<&Held> = self.held.iter().flatten().filter(|held| held.buffer == buffer).collect();
        (held.len(), held.iter().any(|held| held.unique))
    }

    fn borrowed(&self, region: usize) -> bool {
        self.held.iter().flatten().any(|held| self.buffers[held.buffer].region == region)
    }

    fn alloc(&mut self, region: usize, length: u64) -> Result<(), ErrorCode> {
        if self.regions[region] != Life::Open {
            return Err(ErrorCode::StaleHandle);
        }
        self.buffers.push(Buffer { region, live: true, frozen: false, content: vec![0; length as usize] });
        self.allocations += 1;
        Ok(())
    }

    fn free(&mut self, buffer: usize) -> Result<(), ErrorCode> {
        if !self.usable(buffer) {
            return Err(ErrorCode::StaleHandle);
        }
        if self.holders(buffer).0 > 0 {
            return Err(ErrorCode::Borrowed);
        }
        self.buffers[buffer].live = false;
        self.frees += 1;
        Ok(())
    }

    fn borrow(&mut self, buffer: usize, unique: bool) -> Result<(), ErrorCode> {
        if !self.usable(buffer) {
            return Err(ErrorCode::StaleHandle);
        }
        if unique && self.buffers[buffer].frozen {
            return Err(ErrorCode::Denied);
        }
        let (count, alone) = self.holders(buffer);
        if alone || unique && count > 0 {
            return Err(ErrorCode::BorrowConflict);
        }
        self.begun += 1;
        self.held.push(Some(Held { buffer, unique }));
        Ok(())
    }

    fn end(&mut self, lease: usize) {
        let Some(held) = self.held[lease].take() else { return };
        let region = self.buffers[held.buffer].region;
        if self.regions[region] == Life::Draining && !self.borrowed(region) {
            self.regions[region] = Life::Gone;
        }
    }

    fn freeze(&mut self, buffer: usize) -> Result<(), ErrorCode> {
        if !self.usable(buffer) {
            return Err(ErrorCode::StaleHandle);
        }
        if self.holders(buffer).1 {
            return Err(ErrorCode::BorrowConflict);
        }
        self.buffers[buffer].frozen = true;
        Ok(())
    }

    /// `reset` and `close`: what they refuse is the same.
    fn empty(&mut self, region: usize, keep: bool) -> Result<(), ErrorCode> {
        if self.regions[region] != Life::Open {
            return Err(ErrorCode::StaleHandle);
        }
        if self.borrowed(region) {
            return Err(ErrorCode::Borrowed);
        }
        self.buffers.iter_mut().filter(|buffer| buffer.region == region).for_each(|buffer| buffer.live = false);
        if !keep {
            self.regions[region] = Life::Gone;
        }
        Ok(())
    }

    fn close_when_idle(&mut self, region: usize) -> Result<(), ErrorCode> {
        if self.regions[region] != Life::Open {
            return Err(ErrorCode::StaleHandle);
        }
        self.regions[region] = if self.borrowed(region) { Life::Draining } else { Life::Gone };
        Ok(())
    }

    fn named(&self, name: u8) -> Option<usize> {
        self.names.get(&name).copied().filter(|buffer| self.usable(*buffer))
    }
}

/// The heap, and what its handles are in the model's order.
struct Real {
    heap: Heap,
    regions: Vec<Handle>,
    buffers: Vec<Handle>,
    leases: Vec<Option<Lease>>,
}

fn pick(number: usize, of: usize) -> Option<usize> {
    (of > 0).then(|| number % of)
}

fn agree<T>(what: &str, real: Result<T, Error>, model: Result<(), ErrorCode>) -> Option<T> {
    match (real, model) {
        (Ok(value), Ok(())) => Some(value),
        (Err(error), Err(code)) if error.code() == code => None,
        (real, model) => {
            let real = real.map(drop).map_err(|error| error.to_string());
            panic!("{what}: the heap says {real:?}, the model {:?}", model.map_err(ErrorCode::name))
        }
    }
}

fn step(operation: &Operation, model: &mut Model, real: &mut Real) {
    let heap = &real.heap;
    let region = |number: usize| pick(number, real.regions.len());
    let buffer = |number: usize| pick(number, real.buffers.len());
    match *operation {
        Operation::CreateRegion => {
            real.regions.push(heap.create_region(&RegionOptions::new()).expect("there is room"));
            model.regions.push(Life::Open);
        }
        Operation::Alloc(number, length, align) => {
            let Some(region) = region(number) else { return };
            let made = heap.alloc(real.regions[region], length, 1 << align, Init::Zeroed);
            real.buffers.extend(agree("alloc", made, model.alloc(region, length)));
        }
        Operation::Free(number) => {
            let Some(buffer) = buffer(number) else { return };
            agree("free", heap.free(real.buffers[buffer]), model.free(buffer));
        }
        Operation::Borrow(number, unique) => {
            let Some(buffer) = buffer(number) else { return };
            let kind = if unique { BorrowKind::Unique } else { BorrowKind::Shared };
            let lease = agree("borrow", heap.borrow(real.buffers[buffer], kind), model.borrow(buffer, unique));
            if let Some(lease) = lease {
                assert_eq!(lease.as_slice(), model.buffers[buffer].content, "bytes of {}", real.buffers[buffer]);
                real.leases.push(Some(lease));
            }
        }
        Operation::End(number) => {
            let Some(lease) = pick(number, real.leases.len()) else { return };
            real.leases[lease] = None;
            model.end(lease);
        }
        Operation::Write(number, byte) => {
            let Some(index) = pick(number, real.leases.len()) else { return };
            let (Some(lease), Some(held)) = (&mut real.leases[index], &model.held[index]) else { return };
            if let Some(bytes) = lease.as_mut_slice() {
                assert!(held.unique);
                bytes.fill(byte);
                model.buffers[held.buffer].content.fill(byte);
            }
        }
        Operation::Freeze(number) => {
            let Some(buffer) = buffer(number) else { return };
            agree("freeze", heap.freeze(real.buffers[buffer]), model.freeze(buffer));
        }
        Operation::Reset(number) => {
            let Some(region) = region(number) else { return };
            agree("reset", heap.reset(real.regions[region]), model.empty(region, true));
        }
        Operation::Close(number) => {
            let Some(region) = region(number) else { return };
            agree("close", heap.close(real.regions[region]), model.empty(region, false));
        }
        Operation::CloseWhenIdle(number) => {
            let Some(region) = region(number) else { return };
            agree("close_when_idle", heap.close_when_idle(real.regions[region]), model.close_when_idle(region));
        }
        Operation::Publish(number, name) => {
            let Some(buffer) = buffer(number) else { return };
            let expected = match (model.usable(buffer), model.named(name)) {
                (false, _) => Err(ErrorCode::StaleHandle),
                (true, Some(_)) => Err(ErrorCode::AlreadyExists),
                (true, None) => Ok(()),
            };
            if agree("publish", heap.publish(&format!("n{name}"), real.buffers[buffer]), expected).is_some() {
                model.names.insert(name, buffer);
            }
        }
        Operation::Unpublish(name) => {
            // What happens to the name of a stale handle is the heap's own affair; it is free for the next either way.
            let live = model.named(name).is_some();
            let result = heap.unpublish(&format!("n{name}"));
            if live {
                agree("unpublish", result, Ok(()));
            }
            model.names.remove(&name);
        }
        Operation::Lookup(name) => {
            if let Some(buffer) = model.named(name) {
                assert_eq!(heap.lookup(&format!("n{name}")).expect("published"), real.buffers[buffer]);
            }
        }
    }
}

fn compare(model: &Model, heap: &Heap, buffers: &[Handle]) {
    let report = heap.check().expect("a sound heap");
    let draining = |buffer: &Buffer| buffer.live && model.regions[buffer.region] != Life::Gone;
    let live = model.buffers.iter().filter(|buffer| draining(buffer)).count();
    let held = model.held.iter().flatten().count();
    let open = model.regions.iter().filter(|life| **life != Life::Gone).count();
    assert_eq!((report.regions, report.buffers, report.borrows), (open as u64, live as u64, held as u64));
    let snapshot = heap.snapshot().expect("a snapshot");
    assert_eq!((snapshot.regions.len(), snapshot.borrows.len()), (open, held));
    assert_eq!(snapshot.regions.iter().map(|region| region.buffers).sum::<u64>(), live as u64);
    let bytes: usize = model.buffers.iter().filter(|buffer| draining(buffer)).map(|buffer| buffer.content.len()).sum();
    assert_eq!(snapshot.heap.bytes_live, bytes as u64);
    let counters = snapshot.counters;
    assert_eq!((counters.allocations, counters.frees), (model.allocations, model.frees));
    assert_eq!((counters.borrows_begun, counters.borrows_ended), (model.begun, model.begun - held as u64));
    for (index, handle) in buffers.iter().enumerate() {
        match heap.buffer_info(*handle) {
            Ok(info) => {
                let (count, unique) = model.holders(index);
                assert_eq!((info.unique, info.shared as usize), (unique, if unique { 0 } else { count }), "{handle}");
                assert_eq!(info.length, model.buffers[index].content.len() as u64, "{handle}");
            }
            Err(error) => {
                assert!(!model.usable(index), "{handle} is live: {error}");
                assert_eq!(error.code(), ErrorCode::StaleHandle);
            }
        }
    }
}

fn run(program: &[Operation], heap: Heap) {
    let mut model = Model::default();
    let mut real = Real { heap, regions: Vec::new(), buffers: Vec::new(), leases: Vec::new() };
    for operation in program {
        step(operation, &mut model, &mut real);
        compare(&model, &real.heap, &real.buffers);
    }
    real.leases.clear();
    for (index, life) in model.regions.iter().enumerate() {
        if *life == Life::Open {
            real.heap.close(real.regions[index]).expect("nothing is borrowed any more");
        }
    }
    let report = real.heap.check().expect("a sound heap");
    assert_eq!((report.regions, report.buffers, report.borrows), (0, 0, 0));
    assert_eq!(real.heap.snapshot().expect("a snapshot").heap.bytes_live, 0);
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn private_heap_agrees_with_a_plain_model(program in prop::collection::vec(operation(), 1..120)) {
        run(&program, Heap::options().limit(256 << 20).private().expect("a heap"));
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn both_kinds_of_heap_agree_with_a_plain_model(program in prop::collection::vec(operation(), 1..60)) {
        for (heap, _folder) in heaps() {
            run(&program, heap);
        }
    }
}
