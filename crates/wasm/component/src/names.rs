//! The names in a heap's directory, each of which is a line of reports until it is gone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use weaveheap_core::Heap;

use crate::room::Line;

/// Fewer names than these are not looked through for those that are gone.
const FEW: usize = 64;

/// The names of one heap, and so many at which those that are gone are looked for.
pub(crate) struct Names {
    lines: RefCell<BTreeMap<String, Line>>,
    most: Cell<usize>,
}

impl Names {
    pub(crate) fn new() -> Names {
        Names { lines: RefCell::new(BTreeMap::new()), most: Cell::new(FEW) }
    }

    /// Notes a name that was published.
    pub(crate) fn add(&self, heap: &Heap, name: String) {
        let mut lines = self.lines.borrow_mut();
        lines.insert(name, Line::new());
        if lines.len() >= self.most.get() {
            // A name goes with what it names, and nobody says so.
            lines.retain(|name, _| heap.lookup(name).is_ok());
            self.most.set(FEW.max(2 * lines.len()));
        }
    }

    /// Forgets a name that was taken out.
    pub(crate) fn remove(&self, name: &str) {
        self.lines.borrow_mut().remove(name);
    }
}
