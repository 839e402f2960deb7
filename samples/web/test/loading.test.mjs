// Loading alone, in Node, from responses as good and bad servers give them: `node --test test/loading.test.mjs`, once
// `weaveheap-wasm` is built.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Heap } from '../../../crates/wasm/node.mjs';
import { load } from '../page/loading.mjs';

const fetched = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = fetched;
});

/** The next `fetch` is answered with this. */
function answer(body, headers, status = 200) {
  globalThis.fetch = async () => new Response(body, { status, headers });
}

/** A stream of some pieces; one that is an error ends it so. `type: 'bytes'` is what browsers give. */
function stream(pieces, type) {
  const left = [...pieces];
  return new ReadableStream({
    type,
    pull(controller) {
      const piece = left.shift();
      if (piece instanceof Error) return controller.error(piece);
      if (piece !== undefined) return controller.enqueue(piece);
      controller.close();
      // A reader that waits with a block of its own is told so.
      controller.byobRequest?.respond(0);
    },
  });
}

const bytes = (length, first = 0) => Uint8Array.from({ length }, (_, at) => first + at * 31);

/** A load into a region of its own: what came of it, the copies that were told of, and what is left. */
async function outcome() {
  const heap = Heap.private();
  const region = heap.region();
  const copies = [];
  let result;
  let error;
  try {
    result = await load(region, 'file', (buffer, length) => copies.push(length));
  } catch (found) {
    error = found;
  }
  const { buffers, borrows } = region.info();
  return { result, error, copies, buffers, borrows };
}

for (const type of ['bytes', undefined]) {
  test(`a file is copied once, piece by piece: a stream of ${type ?? 'arrays'}`, async () => {
    const pieces = [bytes(70_000, 1), bytes(1, 2), bytes(5000, 3)];
    const whole = Buffer.concat(pieces);
    answer(stream(pieces, type), { 'content-length': String(whole.length) });
    const { result, error, copies, borrows } = await outcome();
    assert.equal(error, undefined);
    assert.equal(result.how, type === 'bytes' ? 'block' : 'pieces');
    assert.ok(result.buffer.equals(whole));
    assert.equal(copies.reduce((sum, length) => sum + length), whole.length);
    if (type === 'bytes') assert.ok(copies.every((length) => length <= 65536));
    assert.equal(borrows, 0);
  });

  test(`memory may grow between pieces: a stream of ${type ?? 'arrays'}`, async () => {
    const other = Heap.private().region();
    const pieces = [bytes(1000, 1), bytes(1000, 2), bytes(1000, 3)];
    const left = [...pieces];
    const source = new ReadableStream({
      type,
      pull(controller) {
        const piece = left.shift();
        const before = other.alloc(8 << 20).borrowShared().bytes.buffer;
        other.alloc(8 << 20);
        assert.equal(before.byteLength, 0, 'memory has grown, or this shows nothing');
        controller.enqueue(new Uint8Array(piece));
        if (left.length === 0) controller.close();
      },
    });
    answer(source, { 'content-length': '3000' });
    const { result, error } = await outcome();
    assert.equal(error, undefined);
    assert.ok(result.buffer.equals(Buffer.concat(pieces)));
  });

  for (const [what, pieces, length, message] of [
    ['that is shorter than was said', [bytes(10)], 11, /ended after 10 of 11 bytes/],
    ['that is longer than was said', [bytes(10), bytes(10)], 15, /longer than the 15 bytes/],
    ['that breaks off', [bytes(10), new Error('the network is gone')], 20, /the network is gone/],
  ]) {
    test(`a file ${what} leaves nothing behind: a stream of ${type ?? 'arrays'}`, async () => {
      answer(stream(pieces, type), { 'content-length': String(length) });
      const { error, buffers, borrows } = await outcome();
      assert.match(error.message, message);
      assert.deepEqual([buffers, borrows], [0, 0]);
    });
  }
}

test('an empty file is a buffer of no bytes', async () => {
  answer(stream([], 'bytes'), { 'content-length': '0' });
  const { result, copies } = await outcome();
  assert.equal(result.buffer.length, 0);
  assert.deepEqual(copies, []);
});

for (const [what, headers, status, message] of [
  ['no length', {}, 200, /does not say how long/],
  ['a packed file', { 'content-length': '10', 'content-encoding': 'gzip' }, 200, /packs it/],
  ['a length that is none', { 'content-length': 'many' }, 200, /length is NaN/],
  ['no file', { 'content-length': '10' }, 404, /status 404/],
]) {
  test(`a server with ${what} is refused before anything is allocated`, async () => {
    answer(stream([bytes(10)], 'bytes'), headers, status);
    const { error, buffers } = await outcome();
    assert.match(error.message, message);
    assert.equal(buffers, 0);
  });
}
