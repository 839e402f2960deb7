// Buffers: references to runs of bytes in a region. Dropping the object frees nothing (R7).

import { InvalidArgumentError, InvalidUtf8Error, OutOfMemoryError } from './error_codes.mjs';
import { useIn } from './scope.mjs';
import { View } from './view.mjs';

const end = (view) => view.release();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

export class HeapBuffer {
  #instance;
  #region;
  #heapNumber;
  #low;
  #high;
  #length;
  #verify;

  /** For the library: `region.alloc()` and `heap.buffer()` make buffers. */
  constructor(instance, region, heapNumber, low, high, length, verify) {
    this.#instance = instance;
    this.#region = region;
    this.#heapNumber = heapNumber;
    this.#low = low;
    this.#high = high;
    this.#length = length;
    this.#verify = verify;
  }

  /** The handle: 64 bits that name the buffer. */
  get handle() {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
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
    return new View(this.#instance, this.#heapNumber, this, this.#low, this.#high, false, this.#verify);
  }

  /** A view for writing. `BorrowConflict` while anyone else has the bytes at all. */
  borrowUnique() {
    return new View(this.#instance, this.#heapNumber, this, this.#low, this.#high, true, false);
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
    return this.#read((memory, address, length) => {
      try {
        return new Uint8Array(memory.slice(address, address + length));
      } catch (error) {
        throw new OutOfMemoryError(`There is no ArrayBuffer of ${length} bytes to be had: copy less at once (${error.message})`);
      }
    });
  }

  /** A copy of the bytes as text, counted as `export`. `InvalidUtf8` if they are none. */
  toString() {
    return this.#read((memory, address, length) => {
      try {
        return decoder.decode(new Uint8Array(memory, address, length));
      } catch {
        const valid = this.#instance.native.valid_up_to(address, length);
        throw new InvalidUtf8Error(`The bytes are UTF-8 only up to offset ${valid}: read them with toBytes().`);
      }
    });
  }

  /** True if the other buffer or array holds the same bytes. Both are borrowed meanwhile; nothing is copied. */
  equals(other) {
    if (other instanceof HeapBuffer) {
      return other.#length === this.#length && other.withShared((view) => this.equals(view.bytes));
    }
    if (!ArrayBuffer.isView(other)) {
      throw new InvalidArgumentError('Give a buffer of a heap, or an array of bytes.');
    }
    const bytes = new Uint8Array(other.buffer, other.byteOffset, other.byteLength);
    return this.withShared((view) => view.length === bytes.length && view.bytes.every((byte, at) => byte === bytes[at]));
  }

  /** The state: region, offset, borrows, frozen, poisoned. */
  info() {
    this.#call('buffer_info');
    return this.#instance.data().buffer();
  }

  /** Takes the right to write from the buffer, for everyone and for good. `BorrowConflict` under a unique borrow. */
  freeze() {
    this.#call('freeze');
  }

  /** Makes a poisoned buffer usable again. */
  clearPoison() {
    this.#call('clear_poison');
  }

  /** Frees the buffer. `Borrowed` while anyone borrows it. */
  free() {
    this.#instance.check(this.#instance.native.free(this.#heapNumber, this.#low, this.#high));
  }

  #call(name) {
    this.#instance.check(this.#instance.native[name](this.#heapNumber, this.#low, this.#high));
  }

  /** Reads all bytes into something of JavaScript's, which is counted as a copy unless it fails. */
  #read(copy) {
    this.#call('read_begin');
    let copied = false;
    try {
      const result = copy(this.#instance.buffer, this.#instance.word(0), this.#instance.word(1));
      copied = true;
      return result;
    } finally {
      if (!this.#instance.stopped) this.#instance.native.read_end(copied);
    }
  }
}
