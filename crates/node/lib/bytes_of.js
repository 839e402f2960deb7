'use strict';
// What may be given as bytes.

const { InvalidArgumentError } = require('./error_codes.js');

/** The bytes of an array, a `DataView` or a buffer of JavaScript's, where they are. */
function bytesOf(source) {
  try {
    if (source instanceof Uint8Array) return source;
    if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    if (source instanceof ArrayBuffer || isShared(source)) return new Uint8Array(source);
  } catch (error) {
    throw new InvalidArgumentError(`The bytes cannot be read: ${error.message}`);
  }
  throw new InvalidArgumentError('Give the bytes as a typed array, a Buffer, a DataView or an ArrayBuffer.');
}

/** Pages that are not isolated have no `SharedArrayBuffer`. */
function isShared(source) {
  return typeof SharedArrayBuffer === 'function' && source instanceof SharedArrayBuffer;
}

module.exports = { bytesOf };
