// The base of all errors. A refusal because of a borrow gathers its message and its holders when they are asked for,
// not when it happens (B6); so its `stack`, which begins with the message, is made late too.

export class WeaveHeapError extends Error {
  #refusal;
  #holders;

  constructor(message, refusal) {
    super(message);
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
  const trace = error.stack;
  let message;
  let stack;
  define(error, 'message', () => (message ??= text()), (value) => (message = value));
  define(error, 'stack', () => (stack ??= stackOf(error, trace)), (value) => (stack = value));
}

function define(error, name, get, set) {
  Object.defineProperty(error, name, { get, set, configurable: true, enumerable: false });
}

/** Some engines begin a stack with the error itself, others do not. */
function stackOf(error, trace) {
  const text = String(trace);
  if (!text.startsWith(error.name)) return text;
  const start = text.indexOf('\n');
  return `${error.name}: ${error.message}${start < 0 ? '' : text.slice(start)}`;
}
