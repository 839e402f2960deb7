'use strict';
// Regions: arenas whose buffers are freed together. The object of a region made in a private heap owns it (R7).

const { native, beside } = require('./native.js');
const { bytesOf } = require('./bytes_of.js');
const { handleToString } = require('./handle.js');
const { HeapBuffer } = require('./buffer.js');
const { dispose } = require('./scope.js');

/** Open regions of private heaps. What is held keeps the heap, so that it outlives its regions' objects. */
const owned = new FinalizationRegistry(({ heap, heapNumber, handle, name }) => {
  if (heap.detached || !native.regionCollect(heapNumber, handle)) return;
  const title = name ? `${handleToString(handle)} (${name})` : handleToString(handle);
  process.emitWarning(
    `Region ${title} of a private heap was collected while it was open, and is closed when idle. Close regions with ` +
      'close(), or with `using`.',
    { type: 'WeaveHeapWarning', code: 'WEAVEHEAP_REGION_COLLECTED' },
  );
});

class Region {
  #heap;
  #heapNumber;
  #handle;
  #owns;
  #ended = false;

  /** For the library: `heap.region()` and `heap.regionAt()` make regions. */
  constructor(heap, heapNumber, handle, owns, name) {
    this.#heap = heap;
    this.#heapNumber = heapNumber;
    this.#handle = handle;
    this.#owns = owns;
    if (owns) owned.register(this, { heap, heapNumber, handle, name }, this);
  }

  /** The handle: 64 bits that name the region in every process and thread. */
  get handle() {
    return this.#handle;
  }

  /** The heap; this object keeps it alive. */
  get heap() {
    return this.#heap;
  }

  /** Allocates a buffer of some bytes: zeroed and aligned to 64 unless asked otherwise. */
  alloc(length, { align, zeroed = true } = {}) {
    const handle = native.alloc(this.#heapNumber, this.#handle, length, align, zeroed === false);
    return new HeapBuffer(this, this.#heapNumber, handle, Number(length));
  }

  /** Allocates a copy of some bytes (an array, an ArrayBuffer), counted as `ingest`. */
  allocFrom(source, { align } = {}) {
    const bytes = bytesOf(source);
    if (bytes.buffer instanceof ArrayBuffer) {
      const handle = native.allocFrom(this.#heapNumber, this.#handle, bytes, align);
      return new HeapBuffer(this, this.#heapNumber, handle, bytes.length);
    }
    // Other threads may write to a SharedArrayBuffer meanwhile: only JavaScript may read it then.
    const buffer = this.alloc(bytes.length, { align, zeroed: false });
    buffer.withUnique((view) => view.bytes.set(bytes));
    native.countCopy(this.#heapNumber, buffer.handle, 'ingest', bytes.length);
    return buffer;
  }

  /** Allocates a string: the text as UTF-8, without a terminator. `InvalidUtf8` for a text with half a surrogate. */
  string(text) {
    const handle = native.allocText(this.#heapNumber, this.#handle, text);
    return new HeapBuffer(this, this.#heapNumber, handle, beside[0]);
  }

  /** The state and counters. */
  info() {
    return JSON.parse(native.regionInfo(this.#heapNumber, this.#handle));
  }

  /** The states of the region's buffers, at most so many. */
  buffers(limit = 1000) {
    return JSON.parse(native.regionBuffers(this.#heapNumber, this.#handle, limit));
  }

  /** Empties the region and keeps it. `Borrowed` while one of its buffers is borrowed. */
  reset() {
    native.regionReset(this.#heapNumber, this.#handle);
  }

  /** Frees the region and all in it. `Borrowed`, and nothing is changed, while one of its buffers is borrowed. */
  close() {
    try {
      native.regionClose(this.#heapNumber, this.#handle);
    } catch (error) {
      if (error.code === 'StaleHandle') this.#end();
      throw error;
    }
    this.#end();
  }

  /** Refuses new borrows and allocations at once; the last borrow to end, wherever it is, frees the region. */
  closeWhenIdle() {
    native.regionCloseWhenIdle(this.#heapNumber, this.#handle);
    this.#end();
  }

  /** A promise that no buffer of the region is borrowed: `Timeout` after so many milliseconds, for ever without. */
  async waitIdle({ timeout } = {}) {
    await native.regionWaitIdle(this.#heapNumber, this.#handle, timeout);
  }

  /** Closes the region, unless this object has closed it. */
  [dispose]() {
    if (!this.#ended) this.close();
  }

  #end() {
    this.#ended = true;
    if (this.#owns) owned.unregister(this);
  }
}

exports.Region = Region;
