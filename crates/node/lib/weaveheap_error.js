'use strict';
// The base of all errors. A refusal because of a borrow gathers its message and its holders when they are asked for,
// not when it happens (B6); so its `stack`, which begins with the message, is made late too.

/** The native half's functions over a refusal; set once by `native.js`, which needs this file first. */
const late = { message: null, holders: null };

class WeaveHeapError extends Error {
  #refusal;
  #holders;

  constructor(message, refusal) {
    const limit = Error.stackTraceLimit;
    // The stack of a late error is captured by itself: this one would only be formatted to be replaced.
    if (refusal !== undefined) Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = limit;
    this.#refusal = refusal;
    if (refusal !== undefined) makeLate(this, () => late.message(refusal));
  }

  /** The code's name, the same in all languages. */
  get code() {
    return this.constructor.code;
  }

  /** The code's number, the same in all languages. */
  get number() {
    return this.constructor.number;
  }

  /** Who holds borrows of what was asked for, oldest first; gathered at the first call. */
  get holders() {
    this.#holders ??= this.#refusal === undefined ? [] : JSON.parse(late.holders(this.#refusal));
    return this.#holders;
  }
}

Object.defineProperty(WeaveHeapError.prototype, 'name', {
  get() {
    return this.constructor.name;
  },
  configurable: true,
});

function makeLate(error, text) {
  const trace = {};
  Error.captureStackTrace(trace, error.constructor);
  let message;
  let stack;
  // The stack goes first: replacing it formats the old one, which would ask for the message.
  define(error, 'stack', () => (stack ??= `${error.name}: ${error.message}${frames(trace)}`), (value) => (stack = value));
  define(error, 'message', () => (message ??= text()), (value) => (message = value));
}

function define(error, name, get, set) {
  Object.defineProperty(error, name, { get, set, configurable: true, enumerable: false });
}

function frames(trace) {
  const text = String(trace.stack);
  const start = text.indexOf('\n');
  return start < 0 ? '' : text.slice(start);
}

exports.WeaveHeapError = WeaveHeapError;
exports.late = late;
