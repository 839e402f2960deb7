// Written from `crates/node/lib/weaveheap_error.js` by `cargo xtask gen`. Do not edit.
// The base of all errors. A refusal because of a borrow gathers its message and its holders when they are asked for,
// not when it happens (B6); so its `stack`, which begins with the message, is made late too.

class WeaveHeapError extends Error {
  #refusal;
  #holders;

  /** For the library: a refusal is `{ message, holders }`, two functions that gather what they are called. */
  constructor(message, refusal) {
    const limit = Error.stackTraceLimit;
    const isLate = refusal !== undefined && Error.captureStackTrace !== undefined;
    // The stack of a late error is captured by itself: this one would only be formatted to be replaced. Where `Error` is
    // frozen, it is.
    if (isLate) Reflect.set(Error, 'stackTraceLimit', 0);
    super(message);
    if (isLate) Reflect.set(Error, 'stackTraceLimit', limit);
    this.#refusal = refusal;
    if (refusal !== undefined) makeLate(this, () => refusal.message());
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
    this.#holders ??= this.#refusal === undefined ? [] : this.#refusal.holders();
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
  const trace = captured(error);
  let message;
  let stack;
  // The stack goes first: replacing it formats the old one, which would ask for the message.
  define(error, 'stack', () => (stack ??= `${error.name}: ${error.message}${frames(trace)}`), (value) => (stack = value));
  define(error, 'message', () => (message ??= text()), (value) => (message = value));
}

function define(error, name, get, set) {
  Object.defineProperty(error, name, { get, set, configurable: true, enumerable: false });
}

/** Where the error was made: formatted when it is asked for, where the engine can. */
function captured(error) {
  if (Error.captureStackTrace === undefined) return { stack: error.stack };
  const trace = {};
  Error.captureStackTrace(trace, error.constructor);
  return trace;
}

/** The lines of a trace. Some engines put what it is of before them. */
function frames(trace) {
  const lines = String(trace.stack).replace(/^Error(\n|$)/, '');
  return lines === '' ? '' : `\n${lines}`;
}

export { WeaveHeapError };
