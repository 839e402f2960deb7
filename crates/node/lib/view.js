'use strict';
// Views: the bytes of a borrow as typed arrays (V4). A view owns its borrow and ends it once.

const { markAsUntransferable } = require('node:worker_threads');
const { native, besideBits, beside, errors } = require('./native.js');
const { dispose } = require('./scope.js');

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

class View {
  #buffer;
  #unique;
  #array;
  #key;
  #length;
  #alignment;
  #copied;
  #bytes;
  #released = false;

  constructor(heapNumber, buffer, unique) {
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
    this.#check();
    const bytes = length ?? this.#length - offset;
    this.#checkRange(offset, bytes, 1);
    return new DataView(this.#array, offset, bytes);
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

  #checkRange(offset, count, size) {
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(count) || count < 0) {
      throw new errors.InvalidArgumentError(
        `offset ${offset} and length ${count}: give a byte offset and a number of elements, both whole and from 0 on.`,
      );
    }
    if (offset + count * size > this.#length) {
      throw new errors.InvalidArgumentError(
        `${count} elements of ${size} bytes from offset ${offset} on end after the buffer's ${this.#length} bytes.`,
      );
    }
  }

  #typed(Type, offset = 0, length = undefined) {
    this.#check();
    const size = Type.BYTES_PER_ELEMENT;
    const count = length ?? Math.floor((this.#length - offset) / size);
    this.#checkRange(offset, count, size);
    if (offset % size !== 0 || this.#alignment < size) {
      throw new errors.InvalidArgumentError(
        `${Type.name} needs an offset and a buffer that are aligned to ${size} bytes: the offset is ${offset}, the ` +
          `buffer is aligned to ${this.#alignment}. Allocate with { align: ${size} }, or use dataView().`,
      );
    }
    return new Type(this.#array, offset, count);
  }
}

exports.View = View;
