// Views: the bytes of a borrow as typed arrays (V5). Memory moves when it grows, so that all arrays are derived from where
// it is now. A view owns its borrow and ends it once.

import { StaleViewError } from './error_codes.mjs';
import { dispose } from './scope.mjs';
import { TypedArrays, given, place } from './typed_arrays.mjs';
import { warn } from './warning.mjs';

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

export class View extends TypedArrays {
  #buffer;
  #unique;
  #borrow;
  #bytes;
  #memory;
  #released = false;

  /** For the library: `buffer.borrowShared()` and `buffer.borrowUnique()` make views. */
  constructor(instance, heapNumber, buffer, low, high, unique, verify) {
    super();
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

  [place]() {
    const memory = this.#check();
    const { address: start, length } = this.#borrow;
    // The lowest bit of an address.
    return { memory, start, length, alignment: (start & -start) >>> 0 };
  }

  [given](array) {
    keeps.set(array, this);
    return array;
  }
}
