// Views: the bytes themselves, ended once, detached, transferred or dropped (V4, B1 to B7, H9).

import assert from 'node:assert/strict';
import { randomFill } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { Heap } from 'weaveheap';
import { collect, collectUntil, refused } from './support.mjs';

const heap = Heap.private({ limit: 1 << 28 });
const region = heap.region({ name: 'views' });
const counters = () => heap.stats().counters;
const borrows = () => heap.stats().borrows;
const canTransfer = typeof ArrayBuffer.prototype.transfer === 'function';

afterEach(() => heap.check());

test('shared and unique borrows exclude each other, and say who is in the way', () => {
  const buffer = region.alloc(8);
  const first = buffer.borrowShared();
  const second = buffer.borrowShared();
  const conflict = refused('BorrowConflict', () => buffer.borrowUnique());
  assert.deepEqual(conflict.holders.map(({ kind }) => kind), ['shared', 'shared']);
  first.release();
  second.release();
  const unique = buffer.borrowUnique();
  assert.deepEqual(refused('BorrowConflict', () => buffer.borrowShared()).holders.map(({ kind }) => kind), ['unique']);
  refused('BorrowConflict', () => buffer.borrowUnique());
  assert.equal(borrows().length, 1);
  unique.release();
  assert.equal(borrows().length, 0);
});

test('a view says what it is', () => {
  const buffer = region.alloc(16);
  const view = buffer.borrowUnique();
  assert.equal(view.buffer, buffer);
  assert.equal(view.kind, 'unique');
  assert.equal(view.length, 16);
  assert.equal(view.copied, false);
  assert.equal(view.released, false);
  assert.equal(view.bytes, view.bytes);
  view.release();
  assert.equal(view.released, true);
  assert.equal(view.kind, 'unique');
});

test('what one view writes, the next one reads, and nothing is copied', () => {
  const before = counters();
  const buffer = region.alloc(1 << 20);
  buffer.withUnique((view) => view.float64().fill(0.5));
  buffer.withShared((view) => {
    assert.equal(view.float64()[131_071], 0.5);
    assert.equal(view.bytes[7], 0x3f);
  });
  const after = counters();
  assert.deepEqual(after.copies, before.copies);
  assert.equal(after.views - before.views, 2);
  assert.equal(after.finalized, before.finalized);
});

test('releasing detaches what was kept, and again is harmless', () => {
  const view = region.string('to be detached').borrowShared();
  const { bytes } = view;
  const tail = bytes.subarray(3);
  const words = view.uint16(0, 2);
  const data = view.dataView();
  const memory = bytes.buffer;
  view.release();
  assert.deepEqual([bytes.length, tail.length, words.length, memory.byteLength], [0, 0, 0, 0]);
  assert.equal(bytes[0], undefined);
  assert.throws(() => data.getUint8(0), TypeError);
  view.release();
  view[Symbol.dispose]();
  assert.equal(borrows().length, 0);
});

test('a released view throws StaleView', () => {
  const view = region.alloc(64).borrowUnique();
  view.release();
  const accessors = ['int8', 'uint8', 'uint8Clamped', 'int16', 'uint16', 'int32', 'uint32', 'bigInt64', 'bigUint64', 'float32', 'float64', 'dataView'];
  for (const name of accessors) refused('StaleView', () => view[name]());
  refused('StaleView', () => view.bytes);
  refused('StaleView', () => view.length);
});

test('typed arrays start at a byte offset and keep to the buffer', () => {
  const view = region.alloc(64).borrowUnique();
  view.bytes.forEach((_, index) => (view.bytes[index] = index));
  assert.deepEqual([...view.uint16(2, 2)], [0x0302, 0x0504]);
  assert.equal(view.int32(60).length, 1);
  assert.equal(view.int32(64).length, 0);
  assert.equal(view.bigUint64(8, 1)[0], 0x0f0e0d0c0b0a0908n);
  assert.equal(view.uint32().length, 16);
  assert.equal(view.int8().length, 64);
  assert.equal(view.uint8Clamped(63)[0], 63);
  assert.equal(view.float32(4, 3).length, 3);
  assert.equal(view.dataView(3, 4).getUint32(0, true), 0x06050403);
  for (const [offset, length] of [[1], [2, 1], [61], [-4], [0.5], [0, -1], [0, 17], [64, 1], [68], [4, 2 ** 53], ['0']]) {
    refused('InvalidArgument', () => view.int32(offset, length));
  }
  for (const [offset, length] of [[65], [0, 65], [-1], [NaN]]) refused('InvalidArgument', () => view.dataView(offset, length));
  view.release();
});

test('an exception inside a borrow ends it and is not masked', async () => {
  const buffer = region.alloc(8);
  const failure = new RangeError('of the user');
  const fail = () => {
    throw failure;
  };
  assert.throws(() => buffer.withUnique(fail), failure);
  assert.throws(() => buffer.withShared(fail), failure);
  await assert.rejects(buffer.withUnique(async () => fail()), failure);
  assert.equal(borrows().length, 0);
  assert.equal(await buffer.withShared(async (view) => {
    await null;
    refused('BorrowConflict', () => buffer.borrowUnique());
    return view.bytes.length;
  }), 8);
  assert.equal(borrows().length, 0);
  assert.equal(buffer.withUnique((view) => {
    view.release();
    return 'released inside';
  }), 'released inside');
});

test('a view that is dropped ends with the collector, and is counted', async () => {
  const buffer = region.alloc(1 << 16);
  const { finalized } = counters();
  (() => void buffer.borrowUnique().bytes.fill(1))();
  await collectUntil(() => borrows().length === 0);
  assert.equal(counters().finalized - finalized, 1);
  buffer.withUnique(({ bytes }) => assert.equal(bytes[5], 1));
});

test('a borrow lives as long as any array over its memory', async () => {
  const buffer = region.string('kept by a part');
  let part = (() => buffer.borrowShared().bytes.subarray(8, 9))();
  await collect();
  assert.equal(borrows().length, 1);
  assert.equal(String.fromCharCode(part[0]), 'a');
  part = undefined;
  await collectUntil(() => borrows().length === 0);
});

test('transferred memory keeps its borrow until it is collected', async () => {
  const buffer = region.string('moved elsewhere');
  const { finalized } = counters();
  const view = buffer.borrowShared();
  const { bytes } = view;
  if (!canTransfer) {
    // Node 20 moves nothing that an addon lends: what is asked to be moved is copied.
    const clone = structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    assert.equal(Buffer.from(clone).toString(), 'moved elsewhere');
    assert.equal(Buffer.from(bytes).toString(), 'moved elsewhere');
    view.release();
    assert.equal(borrows().length, 0);
    return;
  }
  assert.throws(() => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }), { name: 'DataCloneError' });
  let moved = new Uint8Array(bytes.buffer.transfer());
  assert.equal(bytes.length, 0);
  refused('StaleView', () => view.bytes);
  refused('StaleView', () => view.uint8());
  assert.equal(Buffer.from(moved).toString(), 'moved elsewhere');
  view.release();
  view.release();
  assert.equal(borrows().length, 1);
  refused('BorrowConflict', () => buffer.borrowUnique());
  refused('Borrowed', () => buffer.free());
  await collect();
  assert.equal(Buffer.from(moved).toString(), 'moved elsewhere');
  moved = undefined;
  await collectUntil(() => borrows().length === 0);
  assert.equal(counters().finalized - finalized, 1);
  buffer.free();
});

test('a clone is a copy, which the view does not know', () => {
  const view = region.string('cloned').borrowShared();
  const clone = structuredClone(view.bytes);
  view.release();
  assert.equal(Buffer.from(clone).toString(), 'cloned');
  assert.equal(borrows().length, 0);
});

test('many views, released and not, leave nothing', async () => {
  const buffer = region.alloc(4096);
  const { borrows_begun: begun, borrows_ended: ended } = counters();
  for (let round = 0; round < 50; round += 1) {
    for (let index = 0; index < 200; index += 1) {
      const view = buffer.borrowShared();
      if (index % 3 !== 0) view.release();
    }
    await collect();
    if (round % 10 === 9) assert.ok(heap.check());
  }
  await collectUntil(() => borrows().length === 0);
  assert.equal(counters().borrows_begun - begun, 10_000);
  assert.equal(counters().borrows_ended - ended, 10_000);
});

test('memory stays mapped under a native operation, although its view and its heap have ended', async () => {
  const other = Heap.private({ limit: 1 << 26 });
  const inside = other.region();
  const view = inside.alloc(16 << 20).borrowUnique();
  const running = new Promise((resolve) => randomFill(view.bytes, resolve));
  view.release();
  inside.close();
  other.detach();
  await running;
});

test('more than a view can show is refused, and nothing stays borrowed', () => {
  const large = Heap.private();
  const most = 2 ** 32;
  const inside = large.region();
  const fits = inside.alloc(most, { zeroed: false });
  const view = fits.borrowUnique();
  assert.equal(view.bytes.length, most);
  view.bytes[most - 1] = 7;
  view.release();
  const more = inside.alloc(most + 4096, { zeroed: false });
  if (Number(process.versions.node.split('.')[0]) < 22) {
    refused('Unsupported', () => more.borrowShared());
  } else {
    more.withUnique(({ bytes }) => {
      bytes[most + 1] = 9;
      assert.equal(bytes.length, most + 4096);
    });
  }
  assert.equal(large.stats().borrows.length, 0);
  inside.close();
  large.detach();
});
