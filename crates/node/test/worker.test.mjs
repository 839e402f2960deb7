// Worker threads: handles are posted, bytes are not; what a worker held ends with it (V4, B3).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Heap } from 'weaveheap';
import { refused, until } from './support.mjs';

const heap = Heap.private({ limit: 1 << 28 });
const region = heap.region();
const borrows = () => heap.stats().borrows;
const canTransfer = typeof ArrayBuffer.prototype.transfer === 'function';

function start() {
  return new Worker(new URL('worker.mjs', import.meta.url), { workerData: { id: heap.id } });
}

async function ask(worker, command) {
  worker.postMessage(command);
  const [answer] = await once(worker, 'message');
  return answer;
}

test('a worker views what a posted handle names, without a copy', async () => {
  const buffer = region.alloc(1 << 20);
  buffer.withUnique(({ bytes }) => bytes.fill(3));
  const { copies } = heap.stats().counters;
  const worker = start();
  assert.deepEqual(await ask(worker, { do: 'sum', handle: buffer.handle }), { ok: 3 << 20 });
  assert.deepEqual(await ask(worker, { do: 'fill', handle: buffer.handle, value: 5 }), { ok: undefined });
  assert.ok(buffer.withShared(({ bytes }) => bytes.every((byte) => byte === 5)));
  assert.deepEqual(heap.stats().counters.copies, copies);
  assert.equal(heap.stats().attachments.length, 1);
  const view = buffer.borrowUnique();
  assert.deepEqual(await ask(worker, { do: 'sum', handle: buffer.handle }), { error: 'BorrowConflict', kinds: ['unique'] });
  view.release();
  assert.deepEqual(await ask(worker, { do: 'sum', handle: 0n }), { error: 'StaleHandle', kinds: [] });
  await worker.terminate();
});

test('borrows of two threads are told apart', async () => {
  const buffer = region.alloc(8);
  const worker = start();
  await ask(worker, { do: 'hold', handle: buffer.handle, kind: 'shared' });
  const view = buffer.borrowShared();
  const threads = new Set(borrows().map(({ thread }) => thread));
  assert.equal(threads.size, 2);
  view.release();
  await worker.terminate();
});

for (const kind of ['shared', 'unique']) {
  test(`a worker that is terminated while it holds a ${kind} view leaves nothing borrowed`, async () => {
    const buffer = region.alloc(8);
    const worker = start();
    await ask(worker, { do: 'hold', handle: buffer.handle, kind });
    assert.deepEqual(borrows().map((borrow) => borrow.kind), [kind]);
    await worker.terminate();
    assert.deepEqual(borrows(), []);
    buffer.withUnique(({ bytes }) => bytes.fill(1));
    assert.equal(buffer.info().poisoned, false);
    heap.check();
  });
}

test('a worker that exits by itself leaves nothing borrowed', async () => {
  const buffer = region.alloc(8);
  const worker = start();
  await ask(worker, { do: 'hold', handle: buffer.handle, kind: 'unique' });
  worker.postMessage({ do: 'exit' });
  await once(worker, 'exit');
  assert.deepEqual(borrows(), []);
});

test('memory that a worker moved elsewhere goes back with it', async () => {
  const buffer = region.alloc(8);
  const worker = start();
  await ask(worker, { do: 'hold', handle: buffer.handle, kind: 'shared' });
  await ask(worker, { do: 'move' });
  assert.equal(borrows().length, canTransfer ? 1 : 0);
  await worker.terminate();
  assert.deepEqual(borrows(), []);
  buffer.free();
});

test('a worker that is terminated in the middle of a call leaves nothing borrowed', async () => {
  const buffer = region.alloc(64);
  for (let round = 0; round < 5; round += 1) {
    const worker = start();
    await ask(worker, { do: 'hold', handle: buffer.handle, kind: 'shared' });
    await ask(worker, { do: 'spin' });
    await new Promise((resolve) => setTimeout(resolve, 5 * round));
    await worker.terminate();
    assert.deepEqual(borrows(), []);
  }
  buffer.free();
  heap.check();
});

test('a worker that is terminated while it waits is waited for by nobody', async () => {
  const worker = start();
  await ask(worker, { do: 'wait', name: 'never-published' });
  await worker.terminate();
  const other = start();
  await ask(other, { do: 'wait', name: 'published' });
  const found = once(other, 'message');
  const { handle } = region.alloc(8);
  heap.publish('published', handle);
  assert.deepEqual((await found)[0], { found: handle });
  await other.terminate();
  heap.unpublish('published');
});

test('a worker detaches from its own object only', async () => {
  const buffer = region.alloc(8);
  const worker = start();
  await ask(worker, { do: 'hold', handle: buffer.handle, kind: 'shared' });
  const refusal = await ask(worker, { do: 'detach' });
  assert.equal(refusal.error, 'Borrowed');
  assert.deepEqual(refusal.kinds, ['shared']);
  const error = refused('Borrowed', () => heap.detach());
  assert.equal(error.holders.length, 1);
  await worker.terminate();
  const other = start();
  assert.deepEqual(await ask(other, { do: 'detach' }), { ok: undefined });
  assert.equal((await ask(other, { do: 'sum', handle: buffer.handle })).error, 'NotAttached');
  assert.equal(heap.detached, false);
  assert.equal(heap.buffer(buffer.handle).length, 8);
  await other.terminate();
});

test('a region of a private heap that a worker made is closed with the worker', async () => {
  const worker = start();
  const { ok: handle } = await ask(worker, { do: 'region' });
  assert.equal(heap.regionAt(handle).info().name, 'of the worker');
  await worker.terminate();
  refused('StaleHandle', () => heap.regionAt(handle));
});

test('a heap outlives the object that made it while a worker uses it', async () => {
  let own = Heap.private();
  const { handle } = own.region({ name: 'kept' });
  own.publish('region', handle);
  const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData: { id: own.id } });
  await once(worker, 'online');
  assert.deepEqual(await ask(worker, { do: 'sum', handle: 0n }), { error: 'StaleHandle', kinds: [] });
  const { id } = own;
  own = undefined;
  for (let round = 0; round < 10; round += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.equal((await ask(worker, { do: 'sum', handle: 0n })).error, 'StaleHandle');
  Heap.byId(id).detach();
  await worker.terminate();
  await until(() => {
    try {
      Heap.byId(id).detach();
      return false;
    } catch (error) {
      return error.code === 'NotFound';
    }
  });
});

test('workers at work at once', async () => {
  const buffers = Array.from({ length: 8 }, () => region.alloc(4096));
  const workers = Array.from({ length: 4 }, start);
  await Promise.all(
    workers.map(async (worker, value) => {
      for (let round = 0; round < 40; round += 1) {
        const { handle } = buffers[(round + value * 2) % 8];
        const { error } = await ask(worker, round % 2 ? { do: 'fill', handle, value } : { do: 'sum', handle });
        assert.ok(error === undefined || error === 'BorrowConflict', error);
      }
    }),
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
  assert.deepEqual(borrows(), []);
  heap.check();
});
