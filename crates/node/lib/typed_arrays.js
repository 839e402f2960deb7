'use strict';
// The typed arrays that a view gives over its bytes, and which offsets, lengths and alignments it refuses.

const { InvalidArgumentError } = require('./error_codes.js');

/** What a view has: where its bytes are, as `{ memory, start, length, alignment }`; it throws once there are none. */
const place = Symbol('place');
/** What a view does with an array that it gives. */
const given = Symbol('given');

/** What views have in common. */
class TypedArrays {
  int8(offset, length) {
    return typed(this, Int8Array, offset, length);
  }

  uint8(offset, length) {
    return typed(this, Uint8Array, offset, length);
  }

  uint8Clamped(offset, length) {
    return typed(this, Uint8ClampedArray, offset, length);
  }

  int16(offset, length) {
    return typed(this, Int16Array, offset, length);
  }

  uint16(offset, length) {
    return typed(this, Uint16Array, offset, length);
  }

  int32(offset, length) {
    return typed(this, Int32Array, offset, length);
  }

  uint32(offset, length) {
    return typed(this, Uint32Array, offset, length);
  }

  bigInt64(offset, length) {
    return typed(this, BigInt64Array, offset, length);
  }

  bigUint64(offset, length) {
    return typed(this, BigUint64Array, offset, length);
  }

  float32(offset, length) {
    return typed(this, Float32Array, offset, length);
  }

  float64(offset, length) {
    return typed(this, Float64Array, offset, length);
  }

  /** A `DataView` from a byte offset on, for some bytes. */
  dataView(offset = 0, length = undefined) {
    const { memory, start, length: bytes } = this[place]();
    const count = length ?? bytes - offset;
    checkRange(bytes, offset, count, 1);
    return this[given](new DataView(memory, start + offset, count));
  }

  [given](array) {
    return array;
  }
}

function typed(view, Type, offset = 0, length = undefined) {
  const { memory, start, length: bytes, alignment } = view[place]();
  const size = Type.BYTES_PER_ELEMENT;
  const count = length ?? Math.floor((bytes - offset) / size);
  checkRange(bytes, offset, count, size);
  if (offset % size !== 0 || alignment < size) {
    throw new InvalidArgumentError(
      `${Type.name} needs an offset and a buffer that are aligned to ${size} bytes: the offset is ${offset}, the ` +
        `buffer is aligned to ${alignment}. Allocate with { align: ${size} }, or use dataView().`,
    );
  }
  return view[given](new Type(memory, start + offset, count));
}

function checkRange(bytes, offset, count, size) {
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(count) || count < 0) {
    throw new InvalidArgumentError(
      `offset ${offset} and length ${count}: give a byte offset and a number of elements, both whole and from 0 on.`,
    );
  }
  if (offset + count * size > bytes) {
    throw new InvalidArgumentError(
      `${count} elements of ${size} bytes from offset ${offset} on end after the buffer's ${bytes} bytes.`,
    );
  }
}

module.exports = { TypedArrays, place, given };
