//! The resource `heap`, and the functions about handles.

use std::rc::Rc;

use weaveheap_core::{
    Handle, Heap as Core, HeapOptions as CoreOptions, RegionOptions as CoreRegionOptions, Result, Runtime,
};

use crate::Component;
use crate::bindings::exports::weaveheap::heap::heap::{
    ByteBuffer, CheckReport, Guest, GuestHeap, Heap as Made, HeapOptions, Holder, Region, RegionOptions, Statistics,
};
use crate::borrow::{SharedBorrow, UniqueBorrow};
use crate::buffer::Buffer;
use crate::entry::{Held, call, freeing_call, report};
use crate::error::Answer;
use crate::info;
use crate::names::Names;
use crate::region::{Arena, Region as OwnRegion};
use crate::room;

impl Guest for Component {
    type Heap = Heap;
    type Region = OwnRegion;
    type ByteBuffer = Buffer;
    type SharedBorrow = SharedBorrow;
    type UniqueBorrow = UniqueBorrow;

    fn handle_text(handle: u64) -> Answer<String> {
        call(|| Ok(Handle::from_bits(handle).to_string()))
    }

    fn parse_handle(text: String) -> Answer<u64> {
        call(|| text.parse::<Handle>().map(Handle::to_bits))
    }
}

/// A private heap, and the names in its directory.
pub(crate) struct Heap(Held<Core>, Held<Names>);

fn create(options: HeapOptions) -> Result<Core> {
    crate::embedder::set();
    room::keep();
    let made = CoreOptions::new().runtime(Runtime::Wasm).label(options.label);
    match options.limit {
        Some(limit) => made.limit(limit),
        None => made,
    }
    .private()
}

impl GuestHeap for Heap {
    fn create(options: HeapOptions) -> Answer<Made> {
        call(|| create(options).map(|heap| Made::new(Heap(Held::new(heap), Held::new(Names::new())))))
    }

    fn id(&self) -> Answer<String> {
        call(|| Ok(self.0.id()))
    }

    fn limit(&self) -> Answer<u64> {
        call(|| Ok(self.0.limit()))
    }

    fn create_region(&self, options: RegionOptions) -> Answer<Region> {
        call(|| {
            let made = CoreRegionOptions::new().name(options.name);
            let made = match options.limit {
                Some(limit) => made.limit(limit),
                None => made,
            };
            let handle = self.0.create_region(&made)?;
            Ok(Region::new(OwnRegion::new(Arena::owned(&self.0, handle))))
        })
    }

    fn region_at(&self, handle: u64) -> Answer<Region> {
        call(|| {
            let handle = self.0.region_info(Handle::from_bits(handle))?.handle;
            Ok(Region::new(OwnRegion::new(Arena::referred(&self.0, handle))))
        })
    }

    fn buffer_at(&self, handle: u64) -> Answer<ByteBuffer> {
        call(|| {
            let found = self.0.buffer_info(Handle::from_bits(handle))?;
            let arena = Rc::new(Arena::referred(&self.0, found.region));
            Ok(ByteBuffer::new(Buffer::new(&arena, found.handle, found.length)))
        })
    }

    fn publish(&self, name: String, handle: u64) -> Answer<()> {
        call(|| {
            self.0.publish(&name, Handle::from_bits(handle))?;
            self.1.add(&self.0, name);
            Ok(())
        })
    }

    fn lookup(&self, name: String) -> Answer<u64> {
        call(|| self.0.lookup(&name).map(Handle::to_bits))
    }

    fn unpublish(&self, name: String) -> Answer<()> {
        freeing_call(|| {
            let done = self.0.unpublish(&name);
            self.1.remove(&name);
            done
        })
    }

    fn holders(&self, handle: u64) -> Answer<Vec<Holder>> {
        report(|| Ok(self.0.holders(Handle::from_bits(handle))?.into_iter().map(info::holder).collect()))
    }

    fn statistics(&self) -> Answer<Statistics> {
        report(|| self.0.snapshot().map(info::statistics))
    }

    fn check(&self) -> Answer<CheckReport> {
        report(|| {
            room::for_check(&self.0)?;
            self.0.check().map(info::report)
        })
    }

    fn detach(&self) -> Answer<()> {
        freeing_call(|| self.0.detach())
    }
}
