// What tests say of results, in Node and in browsers alike.

export function ok(truth, message = 'it does not hold') {
  if (!truth) throw new Error(message);
}

/** As JSON, with words of its own for what JSON lacks or takes for something else. */
const shown = (value) => JSON.stringify(value, (_, v) => ofJson(v));

function ofJson(value) {
  if (typeof value === 'bigint') return { bigint: String(value) };
  if (value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return { [typeof value]: String(value) };
  if (!ArrayBuffer.isView(value)) return value;
  return { [value.constructor.name]: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)].join(' ') };
}

/** Equal as values: lists, arrays and plain objects by what they hold. A number is no bigint, and an array no list. */
export function equal(got, wanted, message = '') {
  ok(Object.is(got, wanted) || shown(got) === shown(wanted), `${message} expected ${shown(wanted)}, got ${shown(got)}`);
}

/** The error that a function throws, which must be of this code. */
export function refused(weaveheap, code, work) {
  let result;
  try {
    result = work();
  } catch (error) {
    return coded(weaveheap, code, error);
  }
  throw new Error(`expected ${code}, got ${shown(result)}`);
}

/** The error that a promise is rejected with, which must be of this code. */
export async function rejected(weaveheap, code, promise) {
  let result;
  try {
    result = await promise;
  } catch (error) {
    return coded(weaveheap, code, error);
  }
  throw new Error(`expected ${code}, got ${shown(result)}`);
}

function coded(weaveheap, code, error) {
  ok(error instanceof weaveheap.WeaveHeapError, `expected ${code}, got ${error?.stack ?? error}`);
  ok(error.code === code, `expected ${code}, got ${error.stack}`);
  ok(error instanceof weaveheap[`${code}Error`], `${code} has another class`);
  return error;
}

/** Collects garbage, where a test may, until something holds; false if it may not. */
export async function collectUntil(holds) {
  if (typeof globalThis.gc !== 'function') return false;
  const end = Date.now() + 10_000;
  while (!holds()) {
    ok(Date.now() < end, `not collected: ${holds}`);
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return true;
}
