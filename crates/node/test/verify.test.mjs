// Heaps with `verify`: a write through a view that is for reading is found, and reported with the holders (V4).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import { BorrowConflictError, Heap } from 'weaveheap';
import { collectUntil, refused } from './support.mjs';

const heap = Heap.private({ verify: true });
const region = heap.region();

afterEach(() => assert.equal(heap.check().borrows, 0));

test('a change during a shared borrow is reported with the holders, and the borrow ends', () => {
  assert.equal(heap.verify, true);
  const buffer = region.string('to be kept');
  const other = buffer.borrowShared();
  const view = buffer.borrowShared();
  const { bytes } = view;
  bytes[0] = 0x54;
  const error = refused('BorrowConflict', () => view.release());
  assert.ok(error instanceof BorrowConflictError);
  assert.match(error.message, /changed during a shared borrow/);
  assert.deepEqual(error.holders.map(({ kind, process: pid }) => [kind, pid]), [['shared', process.pid], ['shared', process.pid]]);
  assert.equal(bytes.length, 0);
  assert.equal(heap.stats().borrows.length, 1);
  view.release();
  refused('BorrowConflict', () => other.release());
  assert.equal(heap.stats().borrows.length, 0);
});

test('reading changes nothing, and a unique borrow may write', () => {
  const buffer = region.string('to be read');
  const view = buffer.borrowShared();
  assert.equal(view.bytes[0], 0x74);
  view.release();
  buffer.withUnique(({ bytes }) => bytes.fill(1));
  buffer.withShared(({ bytes }) => assert.equal(bytes[9], 1));
});

test('the user\'s own exception is not masked by the report', () => {
  const buffer = region.string('to be kept');
  const failure = new RangeError('of the user');
  assert.throws(() => buffer.withShared(({ bytes }) => {
    bytes[0] = 1;
    throw failure;
  }), failure);
  refused('BorrowConflict', () => buffer.withShared(({ bytes }) => (bytes[0] = 2)));
  assert.equal(heap.stats().borrows.length, 0);
});

test('a change in a view that was dropped is a warning', async () => {
  const buffer = region.string('to be kept');
  const warned = once(process, 'warning');
  (() => (buffer.borrowShared().bytes[0] = 1))();
  await collectUntil(() => heap.stats().borrows.length === 0);
  const [warning] = await warned;
  assert.equal(warning.name, 'WeaveHeapWarning');
  assert.equal(warning.code, 'WEAVEHEAP_BYTES_CHANGED');
  assert.match(warning.message, /changed during a shared borrow/);
});

test('a heap without verify does not look', () => {
  const plain = Heap.private();
  const buffer = plain.region().string('unwatched');
  buffer.withShared(({ bytes }) => (bytes[0] = 1));
  plain.check();
  plain.detach();
});
