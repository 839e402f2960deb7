// Regions: arenas whose buffers are freed together. The object of a region made in a private heap owns it (R7).

import { HeapBuffer } from './buffer.mjs';
import { bytesOf } from './bytes_of.mjs';
import { InvalidArgumentError, TimeoutError } from './error_codes.mjs';
import { checkText, optionalSize, sizeOf, timeoutOf } from './instance.mjs';
import { handleText } from './reading.mjs';
import { dispose } from './scope.mjs';
import { warn } from './warning.mjs';

const encoder = new TextEncoder();

/** Open regions. What is held keeps the heap, so that it outlives its regions' objects. */
const owned = new FinalizationRegistry(({ instance, heap, heapNumber, low, high, name }) => {
  if (instance.stopped || heap.detached || !instance.native.region_collect(heapNumber, low, high)) return;
  instance.changed();
  const handle = handleText(low, high);
  const title = name ? `${handle} (${name})` : handle;
  warn(
    `Region ${title} of a private heap was collected while it was open, and is closed when idle. Close regions with ` +
      'close(), or with `using`.',
    'WEAVEHEAP_REGION_COLLECTED',
  );
});

export class Region {
  #instance;
  #heap;
  #heapNumber;
  #low;
  #high;
  #owns;
  #verify;
  #ended = false;

  /** For the library: `heap.region()` and `heap.regionAt()` make regions. */
  constructor(instance, heap, heapNumber, low, high, owns, name) {
    this.#instance = instance;
    this.#heap = heap;
    this.#heapNumber = heapNumber;
    this.#low = low;
    this.#high = high;
    this.#owns = owns;
    this.#verify = heap.verify;
    if (owns) owned.register(this, { instance, heap, heapNumber, low, high, name }, this);
  }

  /** The handle: 64 bits that name the region. */
  get handle() {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** The heap; this object keeps it alive. */
  get heap() {
    return this.#heap;
  }

  /** Allocates a buffer of some bytes: zeroed and aligned to 64 unless asked otherwise. */
  alloc(length, { align, zeroed = true } = {}) {
    const instance = this.#instance;
    const bytes = sizeOf(length, 'length');
    const alignment = align === undefined || align === null ? 64 : sizeOf(align, 'align');
    instance.check(instance.native.alloc(this.#heapNumber, this.#low, this.#high, bytes, alignment, zeroed === false));
    return this.#made(bytes);
  }

  /** Allocates a copy of some bytes (an array, an ArrayBuffer), counted as `ingest`. */
  allocFrom(source, { align } = {}) {
    const instance = this.#instance;
    const bytes = bytesOf(source);
    const { byteOffset, length } = bytes;
    // Allocating may grow memory, and so detach an array of the heap's own.
    const own = instance.loaded && bytes.buffer === instance.buffer;
    return this.#copied(length, align, (target) => {
      target.set(own ? new Uint8Array(instance.buffer, byteOffset, length) : bytes);
    });
  }

  /** Allocates a string: the text as UTF-8, without a terminator. `InvalidUtf8` for a text with half a surrogate. */
  string(text) {
    if (typeof text !== 'string') throw new InvalidArgumentError('text is no string');
    checkText(text, 'text');
    return this.#copied(lengthOf(text), undefined, (target) => encoder.encodeInto(text, target));
  }

  /** The state and counters. */
  info() {
    this.#call('region_info');
    return this.#instance.data().region();
  }

  /** The states of the region's buffers, at most so many. */
  buffers(limit = 1000) {
    const instance = this.#instance;
    const most = sizeOf(limit, 'limit');
    instance.check(instance.native.region_buffers(this.#heapNumber, this.#low, this.#high, most));
    return instance.data().buffers();
  }

  /** Empties the region and keeps it. `Borrowed` while one of its buffers is borrowed. */
  reset() {
    this.#call('region_reset');
  }

  /** Frees the region and all in it. `Borrowed`, and nothing is changed, while one of its buffers is borrowed. */
  close() {
    try {
      this.#call('region_close');
    } catch (error) {
      if (error.code === 'StaleHandle') this.#end();
      throw error;
    }
    this.#end();
  }

  /** Refuses new borrows and allocations at once; the last borrow to end frees the region. */
  closeWhenIdle() {
    this.#call('region_close_when_idle');
    this.#end();
  }

  /** A promise that no buffer of the region is borrowed: `Timeout` after so many milliseconds, for ever without. */
  async waitIdle({ timeout } = {}) {
    const instance = this.#instance;
    const look = () => instance.native.region_idle(this.#heapNumber, this.#low, this.#high);
    const attempt = () => {
      const number = look();
      if (number === TimeoutError.number) return undefined;
      instance.check(number);
      return {};
    };
    await instance.wait(timeoutOf(timeout), attempt, () => instance.error(look()));
  }

  /** Closes the region, unless this object has closed it. */
  [dispose]() {
    if (!this.#ended) this.close();
  }

  #call(name) {
    this.#instance.check(this.#instance.native[name](this.#heapNumber, this.#low, this.#high));
  }

  #made(length) {
    const instance = this.#instance;
    return new HeapBuffer(instance, this, this.#heapNumber, instance.word(0), instance.word(1), length, this.#verify);
  }

  /** A new buffer that JavaScript fills before anyone knows of it: one copy, which is counted. */
  #copied(length, align, fill) {
    const instance = this.#instance;
    const alignment = align === undefined || align === null ? 64 : sizeOf(align, 'align');
    instance.check(instance.native.alloc_for_copy(this.#heapNumber, this.#low, this.#high, length, alignment));
    const buffer = this.#made(length);
    const [low, high] = [instance.word(0), instance.word(1)];
    fill(new Uint8Array(instance.buffer, instance.word(2), length));
    instance.check(instance.native.count_copy(this.#heapNumber, low, high, length));
    return buffer;
  }

  #end() {
    this.#ended = true;
    if (this.#owns) owned.unregister(this);
    this.#instance.changed();
  }
}

/** The bytes of a text as UTF-8. */
function lengthOf(text) {
  let length = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    // Each half of a pair has two of its four bytes.
    length += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return length;
}
