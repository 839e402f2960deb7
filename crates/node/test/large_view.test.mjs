// Large views, whose bytes V8 is told are none of its own: they set off no collection, and keep what all views keep (V4).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Heap } from 'weaveheap';
import { collect, collectUntil, refused, until } from './support.mjs';

const MIB = 1 << 20;
const LENGTH = 96 * MIB;
const heap = Heap.private({ limit: 1 << 29 });
const region = heap.region({ name: 'large' });
const buffer = region.alloc(LENGTH);
const counters = () => heap.stats().counters;
const borrows = () => heap.stats().borrows;
const canTransfer = typeof ArrayBuffer.prototype.transfer === 'function';

afterEach(() => {
  assert.equal(borrows().length, 0);
  heap.check();
});

test('borrowed bytes do not count as memory of V8', () => {
  const { external } = process.memoryUsage();
  const views = [buffer.borrowShared(), buffer.borrowShared()];
  assert.ok(process.memoryUsage().external - external < MIB);
  for (const view of views) {
    assert.equal(view.copied, false);
    view.release();
  }
});

test('what is written is there, and a released view is empty', () => {
  const before = counters();
  const view = buffer.borrowUnique();
  const { bytes } = view;
  const words = view.uint32(MIB, 4);
  bytes[LENGTH - 1] = 7;
  words.fill(9);
  refused('BorrowConflict', () => buffer.borrowShared());
  view.release();
  view.release();
  assert.deepEqual([bytes.length, words.length], [0, 0]);
  refused('StaleView', () => view.bytes);
  buffer.withShared((next) => {
    assert.equal(next.bytes[LENGTH - 1], 7);
    assert.equal(next.uint32(MIB, 4)[3], 9);
  });
  const after = counters();
  assert.deepEqual(after.copies, before.copies);
  assert.deepEqual([after.views - before.views, after.finalized - before.finalized], [2, 0]);
});

test('a view that is dropped ends with the collector, and is counted', async () => {
  const { finalized } = counters();
  let part = (() => buffer.borrowUnique().bytes.subarray(5, 6))();
  await collect();
  assert.equal(borrows().length, 1);
  part[0] = 1;
  part = undefined;
  await collectUntil(() => borrows().length === 0);
  assert.equal(counters().finalized - finalized, 1);
});

test('memory goes to no other thread', () => {
  const view = buffer.borrowShared();
  const { bytes } = view;
  if (canTransfer) {
    assert.throws(() => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }), { name: 'DataCloneError' });
  } else {
    // Node 20 copies what may not be moved.
    const clone = structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    new Uint8Array(clone)[0] = 77;
    assert.notEqual(bytes[0], 77);
  }
  assert.equal(bytes.length, LENGTH);
  view.release();
  assert.equal(borrows().length, 0);
});

// Node 20 has nothing that moves memory: there, the test before this one says what becomes of trying.
if (canTransfer) test('transferred memory keeps its borrow until it is collected', async () => {
  const { finalized } = counters();
  const view = buffer.borrowShared();
  let moved = new Uint8Array(view.bytes.buffer.transfer());
  refused('StaleView', () => view.bytes);
  view.release();
  assert.equal(moved.length, LENGTH);
  refused('BorrowConflict', () => buffer.borrowUnique());
  await collect();
  assert.equal(borrows().length, 1);
  moved = undefined;
  await collectUntil(() => borrows().length === 0);
  assert.equal(counters().finalized - finalized, 1);
});

test('what a worker held ends with it, also what it moved', async () => {
  for (const move of [false, canTransfer]) {
    const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData: { id: heap.id } });
    for (const command of [{ do: 'hold', handle: buffer.handle, kind: 'unique' }, ...(move ? [{ do: 'move' }] : [])]) {
      worker.postMessage(command);
      await once(worker, 'message');
    }
    assert.deepEqual(borrows().map(({ kind }) => kind), ['unique']);
    await worker.terminate();
    await until(() => borrows().length === 0);
  }
});

test('many large views, released and not, leave nothing', async () => {
  const { borrows_begun: begun, borrows_ended: ended } = counters();
  for (let index = 0; index < 3_000; index += 1) {
    const view = buffer.borrowShared();
    if (index % 3 !== 0) view.release();
    if (index % 500 === 0) await collect();
  }
  await collectUntil(() => borrows().length === 0);
  assert.deepEqual([counters().borrows_begun - begun, counters().borrows_ended - ended], [3_000, 3_000]);
});
