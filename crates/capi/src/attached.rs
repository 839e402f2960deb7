//! Which heap objects share an attachment, and attachments whose objects are all released while borrows still live.
//!
//! A token outlives the object that it was got through (H9). So the last object's attachment is kept here until its borrows
//! have ended: `weaveheap_heap_by_id` finds it, and every release looks whether one can go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use weaveheap_core::{ErrorCode, Heap, Result};

use crate::heap::CHeap;

/// One attachment, shared by its objects.
pub(crate) struct Share {
    heap: Heap,
}

struct Shares {
    all: Vec<Weak<Share>>,
    /// Those without an object, kept for their borrows.
    kept: Vec<Arc<Share>>,
}

fn shares() -> MutexGuard<'static, Shares> {
    static SHARES: Mutex<Shares> = Mutex::new(Shares { all: Vec::new(), kept: Vec::new() });
    SHARES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first object of a new attachment.
pub(crate) fn first_object(heap: Heap) -> Option<Box<CHeap>> {
    let share = Arc::new(Share { heap: heap.clone() });
    shares().all.push(Arc::downgrade(&share));
    Some(Box::new(CHeap(heap, Some(share))))
}

/// One more object of the attachment to the heap with this id.
pub(crate) fn another_object(id: &str) -> Result<Option<Box<CHeap>>> {
    let known = shares().all.iter().filter_map(Weak::upgrade).find(|share| share.heap.id() == id);
    let heap = match &known {
        Some(share) if !share.heap.is_detached() => share.heap.clone(),
        // An attachment that Rust code of this process made; it says when it ends.
        _ => return Ok(Some(Box::new(CHeap(Heap::by_id(id)?, None)))),
    };
    Ok(Some(Box::new(CHeap(heap, known))))
}

/// Gives an object back. Without borrows its attachment ends with the last object.
pub(crate) fn release(object: CHeap) {
    let CHeap(heap, share) = object;
    drop(heap);
    let mut shares = shares();
    // Every other share of it is an object's, or is in `kept`: new ones are made under the lock.
    match share {
        Some(share) if Arc::strong_count(&share) == 1 => shares.kept.push(share),
        shared_with_others => drop(shared_with_others),
    }
    let mut ended = Vec::new();
    let mut index = 0;
    while let Some(share) = shares.kept.get(index) {
        if Arc::strong_count(share) > 1 || is_borrowed(&share.heap) {
            index += 1;
        } else {
            ended.push(shares.kept.swap_remove(index));
        }
    }
    drop(shares);
    // Unmapping takes time, and needs no lock.
    drop(ended);
    self::shares().all.retain(|share| share.strong_count() > 0);
}

/// Ends the attachment unless borrows of it live.
fn is_borrowed(heap: &Heap) -> bool {
    heap.detach().is_err_and(|error| error.code() == ErrorCode::Borrowed)
}
