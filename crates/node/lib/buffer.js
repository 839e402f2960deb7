'use strict';
// Buffers: references to runs of bytes in a region. Dropping the object frees nothing (R7).

const { native, errors } = require('./native.js');
const { View } = require('./view.js');
const { useIn } = require('./scope.js');

const end = (view) => view.release();

class HeapBuffer {
  #region;
  #heapNumber;
  #handle;
  #length;

  /** For the library: `region.alloc()` and `heap.buffer()` make buffers. */
  constructor(region, heapNumber, handle, length) {
    this.#region = region;
    this.#heapNumber = heapNumber;
    this.#handle = handle;
    this.#length = length;
  }

  /** The handle: 64 bits that name the buffer in every process and thread. */
  get handle() {
    return this.#handle;
  }

  /** Bytes. */
  get length() {
    return this.#length;
  }

  /** The region; this object keeps it alive. */
  get region() {
    return this.#region;
  }

  /** The heap. */
  get heap() {
    return this.#region.heap;
  }

  /** A view for reading. `BorrowConflict` while anyone has the bytes for writing. */
  borrowShared() {
    return new View(this.#heapNumber, this, false);
  }

  /** A view for writing. `BorrowConflict` while anyone else has the bytes at all. */
  borrowUnique() {
    return new View(this.#heapNumber, this, true);
  }

  /** Gives a function a view for reading, and releases it when the function, or its promise, is done. */
  withShared(use) {
    return useIn(this.borrowShared(), use, end);
  }

  /** As `withShared`, with a view for writing. */
  withUnique(use) {
    return useIn(this.borrowUnique(), use, end);
  }

  /** A copy of the bytes, counted as `export`. */
  toBytes() {
    return new Uint8Array(native.toBytes(this.#heapNumber, this.#handle));
  }

  /** A copy of the bytes as text, counted as `export`. `InvalidUtf8` if they are none. */
  toString() {
    return native.toText(this.#heapNumber, this.#handle);
  }

  /** True if the other buffer or array holds the same bytes. Both are borrowed meanwhile; nothing is copied. */
  equals(other) {
    if (other instanceof HeapBuffer) {
      return other.#length === this.#length && other.withShared((view) => this.equals(view.bytes));
    }
    if (!ArrayBuffer.isView(other)) {
      throw new errors.InvalidArgumentError('Give a buffer of a heap, or an array of bytes.');
    }
    const bytes = new Uint8Array(other.buffer, other.byteOffset, other.byteLength);
    return this.withShared((view) => Buffer.compare(view.bytes, bytes) === 0);
  }

  /** The state: region, offset, borrows, frozen, poisoned. */
  info() {
    return JSON.parse(native.bufferInfo(this.#heapNumber, this.#handle));
  }

  /** Takes the right to write from the buffer, for everyone and for good. `BorrowConflict` under a unique borrow. */
  freeze() {
    native.freeze(this.#heapNumber, this.#handle);
  }

  /** Makes a poisoned buffer usable again. */
  clearPoison() {
    native.clearPoison(this.#heapNumber, this.#handle);
  }

  /** Frees the buffer. `Borrowed` while anyone borrows it. */
  free() {
    native.free(this.#heapNumber, this.#handle);
  }
}

exports.HeapBuffer = HeapBuffer;
