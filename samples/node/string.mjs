// A string: text as UTF-8 in a region, read as bytes without a copy, or copied out as text, which is counted.
// Run it with `node string.mjs`, where the package `weaveheap` is installed.

import { Heap, handleToString } from 'weaveheap';

const heap = Heap.private();
const region = heap.region({ name: 'texts' });
const greeting = region.string('Grüße, 世界');
console.log(`${greeting.length} bytes`);

// A view decodes in place. Its bytes are the heap's own.
greeting.withShared((view) => console.log(new TextDecoder().decode(view.bytes)));

// `toString()` copies the text out, and the heap counts that.
const copied = `${greeting}`;
const { count, bytes } = heap.stats().counters.copies.export;
console.log(`${copied === 'Grüße, 世界' ? 'the same text' : 'another text'}, ${count} copy of ${bytes} bytes`);

// A name in the heap's directory leads others to it: threads of this process, or other processes of a shared heap.
heap.publish('greeting', greeting.handle);
const found = heap.buffer(heap.lookup('greeting'));
console.log(`found: ${found.equals(greeting)}, by a handle of kind ${handleToString(found.handle)[0]}`);

region.close();
heap.detach();
