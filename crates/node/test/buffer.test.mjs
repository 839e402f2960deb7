// Buffers: allocated, written, copied out, compared, frozen, freed; and handles as values and as text (R2, K1 to K5).

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Heap, handleFromString, handleToString } from 'weaveheap';
import { refused } from './support.mjs';

const heap = Heap.private({ limit: 1 << 28 });
const region = heap.region();
const counters = () => heap.stats().counters;

afterEach(() => heap.check());

test('memory is zeroed and aligned to 64 unless asked otherwise', () => {
  for (const length of [1, 64, 4097, 1 << 20]) {
    const buffer = region.alloc(length);
    buffer.withUnique(({ bytes }) => {
      assert.equal(bytes.length, length);
      assert.ok(bytes.every((byte) => byte === 0));
      bytes.fill(0xaa);
    });
    assert.equal(buffer.info().offset % 64, 0);
    buffer.free();
    assert.ok(region.alloc(length, { zeroed: true }).withShared(({ bytes }) => bytes.every((byte) => byte === 0)));
    assert.equal(region.alloc(length, { zeroed: false }).length, length);
  }
  for (let align = 1; align <= 4096; align *= 2) {
    assert.equal(region.alloc(3, { align }).info().offset % align, 0);
    assert.equal(region.alloc(3n, { align: BigInt(align) }).length, 3);
  }
});

test('bad lengths and alignments are refused', () => {
  for (const length of [-1, 0.5, NaN, Infinity, '8', null, undefined, {}, -1n, -(1n << 64n)]) {
    refused('InvalidArgument', () => region.alloc(length));
  }
  const tooMuch = [1n << 63n, (1n << 64n) - 1n, (1n << 64n) - 4096n, 1n << 64n, 1n << 200n, 1n << 40n];
  for (const length of [...tooMuch, 2 ** 53 - 1, 2 ** 60, 2 ** 64, Number.MAX_VALUE]) {
    refused('OutOfMemory', () => region.alloc(length));
  }
  for (const align of [0, 3, 24, 8192, 2 ** 40, 2 ** 64, -8, 'x', (1n << 64n) - 1n, 1n << 64n, 1n << 200n]) {
    refused('InvalidArgument', () => region.alloc(8, { align }));
  }
  heap.check();
});

test('a length of 0 is a buffer', () => {
  const buffer = region.alloc(0);
  assert.equal(buffer.length, 0);
  const view = buffer.borrowUnique();
  assert.equal(view.bytes.length, 0);
  assert.equal(view.float64().length, 0);
  refused('BorrowConflict', () => buffer.borrowShared());
  view.release();
  refused('StaleView', () => view.bytes);
  assert.equal(buffer.toString(), '');
  assert.equal(buffer.toBytes().length, 0);
  assert.equal(region.string('').length, 0);
  assert.equal(region.allocFrom(new Uint8Array(0)).length, 0);
  buffer.free();
});

test('strings are UTF-8, without a terminator', () => {
  for (const text of ['plain', 'é€😀', 'nul\0inside', '\ufeffmark', 'x'.repeat(100_000)]) {
    const buffer = region.string(text);
    assert.equal(buffer.length, Buffer.byteLength(text));
    assert.equal(buffer.toString(), text);
    assert.equal(`${buffer}`, text);
    assert.deepEqual(Buffer.from(buffer.toBytes()), Buffer.from(text));
  }
  refused('InvalidUtf8', () => region.string('half \ud800 a pair'));
  for (const text of [undefined, null, 7, Buffer.from('x')]) refused('InvalidArgument', () => region.string(text));
  const bad = region.allocFrom(Buffer.from([0x61, 0xff, 0x62]));
  const error = refused('InvalidUtf8', () => bad.toString());
  assert.match(error.message, /offset 1/);
  assert.equal(bad.toBytes()[1], 0xff);
});

test('bytes come from every kind of array', () => {
  const source = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  shared.set(source);
  for (const bytes of [source, source.buffer, Buffer.from(source), new Uint16Array(source.buffer), new DataView(source.buffer), shared, shared.buffer]) {
    assert.deepEqual(region.allocFrom(bytes).toBytes(), source);
  }
  assert.deepEqual(region.allocFrom(source.subarray(2, 4), { align: 4096 }).toBytes(), source.slice(2, 4));
  for (const bytes of [undefined, null, 'text', 7, [1, 2], {}]) refused('InvalidArgument', () => region.allocFrom(bytes));
  const moved = new ArrayBuffer(8);
  structuredClone(moved, { transfer: [moved] });
  refused('InvalidArgument', () => region.allocFrom(moved));
});

test('copies are counted, and views are none', () => {
  const before = counters().copies;
  const buffer = region.allocFrom(new Uint8Array(100));
  region.string('four');
  region.allocFrom(new SharedArrayBuffer(10));
  buffer.withUnique(({ bytes }) => bytes.fill(1));
  buffer.withShared(({ bytes }) => bytes.at(-1));
  assert.ok(buffer.equals(new Uint8Array(100).fill(1)));
  assert.ok(buffer.equals(buffer));
  let { copies } = counters();
  assert.equal(copies.ingest.count - before.ingest.count, 3);
  assert.equal(copies.ingest.bytes - before.ingest.bytes, 114);
  assert.equal(copies.export.count, before.export.count);
  buffer.toBytes();
  buffer.toBytes();
  region.string('€').toString();
  ({ copies } = counters());
  assert.equal(copies.export.count - before.export.count, 3);
  assert.equal(copies.export.bytes - before.export.bytes, 203);
  assert.equal(copies.no_external_buffers.count, 0);
});

test('equality is of the content', () => {
  const one = region.string('same');
  assert.ok(one.equals(region.string('same')));
  assert.ok(!one.equals(region.string('other')));
  assert.ok(!one.equals(region.string('samE')));
  assert.ok(one.equals(Buffer.from('same')));
  refused('InvalidArgument', () => one.equals('same'));
  one.withUnique(() => refused('BorrowConflict', () => one.equals(one)));
  assert.equal(heap.stats().borrows.length, 0);
});

test('a frozen buffer is never written again', () => {
  const buffer = region.string('frozen');
  buffer.withUnique(() => refused('BorrowConflict', () => buffer.freeze()));
  buffer.freeze();
  buffer.freeze();
  assert.equal(buffer.info().frozen, true);
  refused('Denied', () => buffer.borrowUnique());
  assert.equal(buffer.toString(), 'frozen');
  buffer.free();
  refused('StaleHandle', () => buffer.freeze());
});

test('freeing a buffer makes its handle stale, and its memory is used again', () => {
  const buffer = region.alloc(64);
  buffer.free();
  for (const call of [
    () => buffer.free(),
    () => buffer.borrowShared(),
    () => buffer.borrowUnique(),
    () => buffer.toBytes(),
    () => buffer.toString(),
    () => buffer.info(),
    () => buffer.freeze(),
    () => buffer.clearPoison(),
    () => heap.buffer(buffer.handle),
  ]) {
    refused('StaleHandle', call);
  }
  const { reserved } = heap.stats().heap;
  for (let round = 0; round < 1000; round += 1) region.alloc(1 << 16).free();
  assert.equal(heap.stats().heap.reserved, reserved);
});

test('forged, null and foreign handles are stale, and values that are none are refused', () => {
  const buffer = region.alloc(64);
  const { stale } = counters();
  const forged = [0n, 1n, buffer.handle ^ 1n, buffer.handle ^ (2n << 32n), buffer.handle ^ (1n << 31n), (1n << 64n) - 1n];
  for (const handle of forged) refused('StaleHandle', () => heap.buffer(handle));
  assert.equal(counters().stale - stale, forged.length);
  const other = Heap.private();
  refused('StaleHandle', () => other.buffer(buffer.handle));
  other.detach();
  for (const handle of [undefined, null, 7, '7', {}, -1n, 1n << 64n, Symbol('x')]) {
    refused('InvalidArgument', () => heap.buffer(handle));
  }
  heap.check();
});

test('handles have one text form', () => {
  assert.equal(handleToString(2043n << 32n | 17n), 'b17:2043');
  assert.equal(handleToString(77n << 32n | 1n << 31n | 3n), 'r3:77');
  assert.equal(handleToString(0n), 'null');
  for (const handle of [region.handle, region.alloc(1).handle, 0n]) {
    assert.equal(handleFromString(handleToString(handle)), handle);
  }
  assert.equal(region.info().handle, handleToString(region.handle));
  for (const text of ['', 'b', 'b1', 'x1:1', 'b1:0', 'b-1:1', 'b1:4294967296', ' b1:1']) {
    refused('InvalidArgument', () => handleFromString(text));
  }
  for (const text of [undefined, 7, 17n]) refused('InvalidArgument', () => handleFromString(text));
  for (const handle of [undefined, 7, 'b1:1', -1n]) refused('InvalidArgument', () => handleToString(handle));
});

test('the heap refuses more than its limit, and goes on', () => {
  const small = Heap.private({ limit: 8 << 20 });
  const inside = small.region();
  refused('OutOfMemory', () => inside.alloc(64 << 20));
  const many = [];
  refused('OutOfMemory', () => {
    for (;;) many.push(inside.alloc(64 << 10));
  });
  assert.ok(many.length > 10);
  small.check();
  many.pop().free();
  assert.equal(inside.alloc(64 << 10).length, 64 << 10);
  inside.close();
  small.detach();
});
