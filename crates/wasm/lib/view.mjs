// Views: the bytes of a borrow as typed arrays (V5). Memory moves when it grows, so that all arrays are derived from where
// it is now. A view owns its borrow and ends it once.

import { InvalidArgumentError, StaleViewError } from './error_codes.mjs';
import { dispose, warn } from './scope.mjs';

/** Views that are collected unreleased end their borrow. */
const dropped = new FinalizationRegistry((borrow) => {
  if (borrow.instance.stopped) return;
  try {
    borrow.end(true);
  } catch (error) {
    warn(`${error.code}: ${error.message}`, 'WEAVEHEAP_BYTES_CHANGED');
  }
});

/** Keeps a view while an array lives that it gave. */
const keeps = new WeakMap();

/**
 * Views that were made in this turn of the event loop, in which nothing is collected: most are released in it, and
 * need no finalizer. `watch` gives one to the others.
 */
const fresh = [];
let isWatchDue = false;

function add(view, borrow) {
  borrow.place = fresh.length;
  fresh.push({ view, borrow });
  if (isWatchDue) return;
  isWatchDue = true;
  queueMicrotask(watch);
}

function remove(view, borrow) {
  if (borrow.place < 0) {
    dropped.unregister(view);
    return;
  }
  const last = fresh.pop();
  if (last.borrow === borrow) return;
  last.borrow.place = borrow.place;
  fresh[borrow.place] = last;
}

function watch() {
  isWatchDue = false;
  for (const { view, borrow } of fresh.splice(0)) {
    borrow.place = -1;
    dropped.register(view, borrow, view);
    if (borrow.bytes !== undefined) keeps.set(borrow.bytes, view);
    borrow.bytes = undefined;
  }
}

/** What is left of a view when it is collected. */
class Borrow {
  constructor(instance, heapNumber, low, high, unique, verify) {
    this.instance = instance;
    this.heapNumber = heapNumber;
    this.low = low;
    this.high = high;
    instance.check(instance.native.begin(heapNumber, low, high, unique));
    this.address = instance.word(0);
    this.length = instance.word(1);
    this.tokenLow = instance.word(2);
    this.tokenHigh = instance.word(3);
    /** Where it is among the fresh ones; -1 once it is watched. */
    this.place = -1;
    /** Of a fresh one, the array that keeps the view. */
    this.bytes = undefined;
    this.sum = verify && !unique ? this.#checksum() : undefined;
  }

  #checksum() {
    return this.instance.native.checksum(this.address, this.length);
  }

  end(finalizer) {
    const { instance, heapNumber, low, high, sum } = this;
    const changed = sum !== undefined && this.#checksum() !== sum;
    const error = changed ? instance.error(instance.native.changed(heapNumber, low, high)) : undefined;
    instance.check(instance.native.end(heapNumber, low, high, this.tokenLow, this.tokenHigh, finalizer));
    instance.changed();
    if (changed) throw error;
  }
}

export class View {
  #buffer;
  #unique;
  #borrow;
  #bytes;
  #memory;
  #released = false;

  /** For the library: `buffer.borrowShared()` and `buffer.borrowUnique()` make views. */
  constructor(instance, heapNumber, buffer, low, high, unique, verify) {
    this.#borrow = new Borrow(instance, heapNumber, low, high, unique, verify);
    this.#buffer = buffer;
    this.#unique = unique;
    add(this, this.#borrow);
  }

  /** The buffer that is borrowed. */
  get buffer() {
    return this.#buffer;
  }

  /** `'shared'` or `'unique'`. */
  get kind() {
    return this.#unique ? 'unique' : 'shared';
  }

  /** False: the bytes are the heap's own. */
  get copied() {
    return false;
  }

  /** True once `release` was called. */
  get released() {
    return this.#released;
  }

  /** Bytes. */
  get length() {
    this.#check();
    return this.#borrow.length;
  }

  /** All the bytes. Write to them under a unique borrow only. Ask again after anything that may have grown memory. */
  get bytes() {
    const memory = this.#check();
    if (this.#memory !== memory) {
      const borrow = this.#borrow;
      this.#memory = memory;
      this.#bytes = new Uint8Array(memory, borrow.address, borrow.length);
      if (borrow.place < 0) keeps.set(this.#bytes, this);
      else borrow.bytes = this.#bytes;
    }
    return this.#bytes;
  }

  int8(offset, length) {
    return this.#typed(Int8Array, offset, length);
  }

  uint8(offset, length) {
    return this.#typed(Uint8Array, offset, length);
  }

  uint8Clamped(offset, length) {
    return this.#typed(Uint8ClampedArray, offset, length);
  }

  int16(offset, length) {
    return this.#typed(Int16Array, offset, length);
  }

  uint16(offset, length) {
    return this.#typed(Uint16Array, offset, length);
  }

  int32(offset, length) {
    return this.#typed(Int32Array, offset, length);
  }

  uint32(offset, length) {
    return this.#typed(Uint32Array, offset, length);
  }

  bigInt64(offset, length) {
    return this.#typed(BigInt64Array, offset, length);
  }

  bigUint64(offset, length) {
    return this.#typed(BigUint64Array, offset, length);
  }

  float32(offset, length) {
    return this.#typed(Float32Array, offset, length);
  }

  float64(offset, length) {
    return this.#typed(Float64Array, offset, length);
  }

  /** A `DataView` from a byte offset on, for some bytes. */
  dataView(offset = 0, length = undefined) {
    const memory = this.#check();
    const bytes = length ?? this.#borrow.length - offset;
    this.#checkRange(offset, bytes, 1);
    return this.#kept(new DataView(memory, this.#borrow.address + offset, bytes));
  }

  /** Ends the borrow. Again is harmless. Arrays that were kept show whatever is there from then on: forget them. */
  release() {
    if (this.#released) return;
    this.#released = true;
    this.#bytes = undefined;
    remove(this, this.#borrow);
    this.#borrow.end(false);
  }

  [dispose]() {
    this.release();
  }

  /** The memory as it is now. */
  #check() {
    if (this.#released) {
      throw new StaleViewError('The view was released. Borrow the buffer again and use the new view.');
    }
    return this.#borrow.instance.buffer;
  }

  #kept(array) {
    keeps.set(array, this);
    return array;
  }

  #checkRange(offset, count, size) {
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(count) || count < 0) {
      throw new InvalidArgumentError(
        `offset ${offset} and length ${count}: give a byte offset and a number of elements, both whole and from 0 on.`,
      );
    }
    const { length } = this.#borrow;
    if (offset + count * size > length) {
      throw new InvalidArgumentError(
        `${count} elements of ${size} bytes from offset ${offset} on end after the buffer's ${length} bytes.`,
      );
    }
  }

  #typed(Type, offset = 0, length = undefined) {
    const memory = this.#check();
    const size = Type.BYTES_PER_ELEMENT;
    const { address } = this.#borrow;
    const count = length ?? Math.floor((this.#borrow.length - offset) / size);
    this.#checkRange(offset, count, size);
    if (offset % size !== 0 || address % size !== 0) {
      throw new InvalidArgumentError(
        `${Type.name} needs an offset and a buffer that are aligned to ${size} bytes: the offset is ${offset}, the ` +
          `buffer is at ${address}. Allocate with { align: ${size} }, or use dataView().`,
      );
    }
    return this.#kept(new Type(memory, address + offset, count));
  }
}
