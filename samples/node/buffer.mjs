// A buffer: allocated in a region, written under a unique borrow, read under a shared one, freed with its region.
// Run it with `node buffer.mjs`, where the package `weaveheap` is installed.

import { Heap } from 'weaveheap';

const heap = Heap.private();
const region = heap.region({ name: 'sample' });
const buffer = region.alloc(4 * Float64Array.BYTES_PER_ELEMENT);

// Writing needs a unique borrow: alone, for as long as the function runs.
buffer.withUnique((view) => view.float64().set([1.5, 2.5, 3.5, 4.5]));

// Reading is shared with any number of others. The view is the memory itself, not a copy of it.
const view = buffer.borrowShared();
const sum = view.float64().reduce((a, b) => a + b, 0);
console.log(`sum of ${view.float64().length} numbers: ${sum}`);

// While anyone reads, nobody writes, and nobody frees. The error knows who is in the way.
try {
  region.close();
} catch (error) {
  console.log(`${error.code}: held by ${error.holders[0].runtime} (${error.holders[0].kind})`);
}

// A released view shows nothing, and its region can go.
const { bytes } = view;
view.release();
console.log(`kept array after release: ${bytes.length} bytes`);
region.close();

// The handle is a number that is checked at every use: it says so when what it named is gone.
try {
  heap.buffer(buffer.handle);
} catch (error) {
  console.log(`${error.code} after close`);
}
heap.detach();
