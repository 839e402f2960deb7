//! What the compiler refuses (V1, F6). Each refused program stands beside its sound twin, so that it is refused for
//! what it shows and for nothing else.
//!
//! # A view does not outlive its heap
//!
//! ```compile_fail,E0505
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.region(&RegionOptions::new()).unwrap();
//! let buffer = region.alloc(16).unwrap();
//! let view = buffer.borrow_shared().unwrap();
//! drop(heap);
//! assert_eq!(view[0], 0);
//! ```
//!
//! An owned lease does: it keeps the heap mapped.
//!
//! ```
//! use weaveheap_core::{BorrowKind, Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.create_region(&RegionOptions::new()).unwrap();
//! let buffer = heap.alloc_from(region, &[7; 16], 64).unwrap();
//! let lease = heap.borrow(buffer, BorrowKind::Shared).unwrap();
//! drop(heap);
//! assert_eq!(lease.as_slice()[0], 7);
//! ```
//!
//! # Two writable views of one buffer do not live together
//!
//! ```compile_fail,E0499
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.region(&RegionOptions::new()).unwrap();
//! let mut buffer = region.alloc(16).unwrap();
//! let mut one = buffer.borrow_unique().unwrap();
//! let mut two = buffer.borrow_unique().unwrap();
//! one[0] = 1;
//! two[0] = 2;
//! ```
//!
//! One after the other they do.
//!
//! ```
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.region(&RegionOptions::new()).unwrap();
//! let mut buffer = region.alloc(16).unwrap();
//! let mut one = buffer.borrow_unique().unwrap();
//! one[0] = 1;
//! drop(one);
//! let mut two = buffer.borrow_unique().unwrap();
//! two[0] = 2;
//! ```
//!
//! # Nothing is read while it is written
//!
//! ```compile_fail,E0502
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.region(&RegionOptions::new()).unwrap();
//! let mut buffer = region.alloc(16).unwrap();
//! let shared = buffer.borrow_shared().unwrap();
//! let mut unique = buffer.borrow_unique().unwrap();
//! unique[0] = shared[1];
//! ```
//!
//! A shared view is not written to.
//!
//! ```compile_fail,E0594
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.region(&RegionOptions::new()).unwrap();
//! let buffer = region.alloc(16).unwrap();
//! let mut shared = buffer.borrow_shared().unwrap();
//! shared[0] = 1;
//! ```
//!
//! Any number of shared ones live together.
//!
//! ```
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.region(&RegionOptions::new()).unwrap();
//! let buffer = region.alloc(16).unwrap();
//! let (one, two) = (buffer.borrow_shared().unwrap(), buffer.borrow_shared().unwrap());
//! assert_eq!(one[0], two[0]);
//! ```
//!
//! # A region is not closed or emptied under a view
//!
//! ```compile_fail,E0505
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.region(&RegionOptions::new()).unwrap();
//! let buffer = region.alloc(16).unwrap();
//! let view = buffer.borrow_shared().unwrap();
//! region.close().unwrap();
//! assert_eq!(view[0], 0);
//! ```
//!
//! ```compile_fail,E0502
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let mut region = heap.region(&RegionOptions::new()).unwrap();
//! let buffer = region.alloc(16).unwrap();
//! region.reset().unwrap();
//! assert_eq!(buffer.len(), 16);
//! ```
//!
//! After the last use of what is in it, it is.
//!
//! ```
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let mut region = heap.region(&RegionOptions::new()).unwrap();
//! let buffer = region.alloc(16).unwrap();
//! assert_eq!(buffer.borrow_shared().unwrap()[0], 0);
//! region.reset().unwrap();
//! region.close().map_err(|(_, error)| error).unwrap();
//! ```
//!
//! # A buffer that was freed is gone
//!
//! ```compile_fail,E0382
//! use weaveheap_core::{Heap, RegionOptions};
//! let heap = Heap::private().unwrap();
//! let region = heap.region(&RegionOptions::new()).unwrap();
//! let buffer = region.alloc(16).unwrap();
//! buffer.free().unwrap();
//! buffer.borrow_shared().unwrap();
//! ```
//!
//! # Sharing with other processes is a promise
//!
//! ```compile_fail,E0133
//! use weaveheap_core::Heap;
//! let heap = Heap::options().open("demo");
//! ```
