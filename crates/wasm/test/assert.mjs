// What tests say of results, in Node and in browsers alike.

export function ok(truth, message = 'it does not hold') {
  if (!truth) throw new Error(message);
}

const shown = (value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : ArrayBuffer.isView(v) ? [...new Uint8Array(v.buffer, v.byteOffset, v.byteLength)] : v)) ?? String(value);

/** Equal as values: lists, arrays and plain objects by what they hold. */
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
