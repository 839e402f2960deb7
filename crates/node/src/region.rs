//! Regions (R1 to R7).

use weaveheap_core::RegionOptions;

use crate::border::{Call, Outcome};
use crate::value;
use crate::wait;

/// `regionCreate(heap, name, limit)`: its handle. In a private heap the object that gets it owns the region.
pub fn create(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let mut options = RegionOptions::new();
    if let Some(name) = call.optional_text(1, "name")? {
        options = options.name(name);
    }
    if let Some(limit) = call.optional_size(2, "limit")? {
        options = options.limit(limit);
    }
    let region = entry.heap.create_region(&options)?;
    if !entry.heap.is_shared() {
        call.addon.own_region(call.addon.heap_number(call)?, region);
    }
    value::bigint(call.env, region.to_bits())
}

/// `regionInfo(heap, region)`: as JSON.
pub fn info(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    value::json(call.env, &entry.heap.region_info(call.handle(1)?)?)
}

/// `regionBuffers(heap, region, limit)`: as JSON.
pub fn buffers(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let limit = usize::try_from(call.size(2, "limit")?).unwrap_or(usize::MAX);
    value::json(call.env, &entry.heap.buffers(call.handle(1)?, limit)?)
}

/// `regionReset(heap, region)`.
pub fn reset(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    entry.heap.reset(call.handle(1)?)?;
    value::undefined(call.env)
}

/// `regionClose(heap, region)`.
pub fn close(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let region = call.handle(1)?;
    entry.heap.close(region)?;
    call.addon.disown_region(call.addon.heap_number(call)?, region);
    value::undefined(call.env)
}

/// `regionCloseWhenIdle(heap, region)`.
pub fn close_when_idle(call: &Call) -> Outcome {
    let entry = call.addon.heap(call)?;
    let region = call.handle(1)?;
    entry.heap.close_when_idle(region)?;
    call.addon.disown_region(call.addon.heap_number(call)?, region);
    value::undefined(call.env)
}

/// `regionWaitIdle(heap, region, timeout)`: a promise.
pub fn wait_idle(call: &Call) -> Outcome {
    let heap = call.addon.heap(call)?.heap.clone();
    let region = call.handle(1)?;
    wait::start(call, call.timeout(2)?, move |slice| heap.wait_idle(region, slice).map(|()| None))
}

/// `regionCollect(heap, region)`: the region's object was collected. True if the region was open (R7).
pub fn collect(call: &Call) -> Outcome {
    let region = call.handle(1)?;
    call.addon.disown_region(call.addon.heap_number(call)?, region);
    let open = call.addon.heap(call).is_ok_and(|entry| entry.heap.collect_region(region));
    value::boolean(call.env, open)
}
