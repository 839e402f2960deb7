'use strict';
// Views: the bytes of a borrow as typed arrays (V4). A view owns its borrow and ends it once.

const { markAsUntransferable } = require('node:worker_threads');
const { native, besideBits, beside, errors } = require('./native.js');
const { dispose } = require('./scope.js');
const { TypedArrays, place } = require('./typed_arrays.js');

/** How the native half made an array, where it is not simply external. */
const COPY = 1;
const LENT = 2;

/** Views that are copies: collected unreleased, they are written back and their borrow ends. */
const copies = new FinalizationRegistry((key) => {
  try {
    native.endCopy(key);
  } catch (error) {
    process.emitWarning(error.message, { type: 'WeaveHeapWarning', code: 'WEAVEHEAP_BYTES_CHANGED' });
  }
});

class View extends TypedArrays {
  #buffer;
  #unique;
  #array;
  #key;
  #length;
  #alignment;
  #copied;
  #bytes;
  #released = false;

  /** For the library: `buffer.borrowShared()` and `buffer.borrowUnique()` make views. */
  constructor(heapNumber, buffer, unique) {
    super();
    this.#array = native.borrow(heapNumber, buffer.handle, unique);
    this.#key = besideBits[0];
    [this.#length, this.#alignment] = beside;
    this.#copied = beside[2] === COPY;
    if (beside[2] === LENT) {
      // Another thread must not get it: the memory stays only as long as this one's environment.
      markAsUntransferable(this.#array);
      native.unlock(this.#array);
    }
    this.#buffer = buffer;
    this.#unique = unique;
    if (this.#copied) copies.register(this, this.#key, this);
  }

  /** The buffer that is borrowed. */
  get buffer() {
    return this.#buffer;
  }

  /** `'shared'` or `'unique'`. */
  get kind() {
    return this.#unique ? 'unique' : 'shared';
  }

  /** True if this runtime forbids external buffers, so that the bytes are a copy. */
  get copied() {
    return this.#copied;
  }

  /** True once `release` was called. */
  get released() {
    return this.#released;
  }

  /** Bytes. */
  get length() {
    this.#check();
    return this.#length;
  }

  /** All the bytes. Write to them under a unique borrow only. */
  get bytes() {
    this.#check();
    return (this.#bytes ??= new Uint8Array(this.#array));
  }

  /**
   * Ends the borrow and detaches the memory: every array over it has length 0 from then on. Again is harmless. If the
   * memory was transferred elsewhere, the borrow lives until it is collected there.
   */
  release() {
    if (this.#released) return;
    this.#released = true;
    this.#bytes = undefined;
    if (this.#copied) copies.unregister(this);
    native.end(this.#key, this.#array);
  }

  [dispose]() {
    this.release();
  }

  #check() {
    if (this.#released) {
      throw new errors.StaleViewError('The view was released. Borrow the buffer again and use the new view.');
    }
    if (this.#array.byteLength !== this.#length || this.#array.detached === true) {
      throw new errors.StaleViewError(
        'The memory of the view was transferred elsewhere. Borrow the buffer again and use the new view.',
      );
    }
  }

  [place]() {
    this.#check();
    return { memory: this.#array, start: 0, length: this.#length, alignment: this.#alignment };
  }
}

exports.View = View;
