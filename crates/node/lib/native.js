'use strict';
// Loads the native half, refuses one that does not fit (F5), and lends it what it needs of JavaScript.

const { existsSync } = require('node:fs');
const path = require('node:path');
const { constants } = require('node:buffer');
const errors = require('./error_codes.js');

/** The version of the border between this layer and the native half. */
const ABI = 1;
const { version: VERSION } = require('../package.json');

/** Throws `Incompatible` if a native half is not of this package's version. */
function checkNative(native) {
  if (native.abi !== ABI || native.version !== VERSION) {
    throw new errors.IncompatibleError(
      `The native library is version ${native.version} with ABI ${native.abi}, and this package is version ${VERSION} ` +
        `with ABI ${ABI}. Install the package anew, or rebuild the library.`,
    );
  }
  return native;
}

function load() {
  const file = path.join(__dirname, '..', `weaveheap.${process.platform}-${process.arch}.node`);
  if (!existsSync(file)) {
    throw new errors.UnsupportedError(
      `There is no ${path.basename(file)} in the package: this system has no prebuilt library. In a checkout, ` +
        '`cargo xtask setup` builds it.',
    );
  }
  return checkNative(require(file));
}

function makeError(number, message, refusal) {
  const Class = errors.CLASSES.get(number) ?? errors.InternalError;
  if (refusal === undefined) return new Class(message);
  return new Class(message, {
    message: () => native.errorMessage(refusal),
    holders: () => JSON.parse(native.errorHolders(refusal)),
  });
}

function warn(message) {
  process.emitWarning(message, { type: 'WeaveHeapWarning', code: 'WEAVEHEAP_BYTES_CHANGED' });
}

const native = load();

// What native calls give beside their result: a bigint, then three numbers.
const scratch = new ArrayBuffer(32);
/** `beside[0]`: the bigint beside the last call's result. */
const besideBits = new BigUint64Array(scratch, 0, 1);
/** The numbers beside the last call's result. */
const beside = new Float64Array(scratch, 8, 3);

const copiesOnly = process.env.WEAVEHEAP_NO_EXTERNAL_BUFFERS === '1';
// Large views use V8's own interface, which is no stable one: only in the versions that it was tried in.
const [major] = process.versions.node.split('.').map(Number);
const mayLend = process.release.name === 'node' && process.versions.electron === undefined && major >= 20 && major <= 26;
native.init(new Uint8Array(scratch), makeError, warn, constants.MAX_LENGTH, copiesOnly, mayLend);

module.exports = { native, besideBits, beside, checkNative, errors };
