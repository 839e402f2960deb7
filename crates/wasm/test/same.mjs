// What the packages `weaveheap` and `weaveheap-wasm` do alike: one file, run on both, in Node and (the latter) in a browser.
// Each test is given the package.

import { collectUntil, equal, ok, refused as refusedBy, rejected as rejectedBy } from './assert.mjs';

export const tests = [];
const test = (name, run) => tests.push({ name, run: (weaveheap) => run(given(weaveheap)) });

/** The package, and what its tests use all the time. */
function given(weaveheap) {
  return {
    ...weaveheap,
    weaveheap,
    refused: (code, work) => refusedBy(weaveheap, code, work),
    rejected: (code, promise) => rejectedBy(weaveheap, code, promise),
  };
}

const LIMIT = { limit: 1 << 26 };
const counters = (heap) => heap.stats().counters;

/** Ends a test: nothing is borrowed, and the heap is whole. */
function done(heap) {
  equal(heap.stats().borrows.length, 0);
  equal(heap.check().borrows, 0);
  heap.detach();
}

test('a private heap says what it is', ({ Heap, refused }) => {
  const heap = Heap.private({ ...LIMIT, label: 'same' });
  ok(/^[0-9a-f]{32}$/.test(heap.id));
  equal([heap.path, heap.shared, heap.verify, heap.limit, heap.detached], [null, false, false, 1 << 26, false]);
  equal(heap.stats().attachments.map(({ label, alive }) => [label, alive]), [['same', true]]);
  equal(heap.stats().heap.id, heap.id);
  done(heap);
  equal(heap.detached, true);
  refused('NotAttached', () => heap.stats());
  refused('NotAttached', () => heap.region());
  refused('InvalidArgument', () => new Heap());
});

test('bad limits, names, lengths and alignments are refused', ({ Heap, refused }) => {
  for (const limit of [-1, 1.5, NaN, Infinity, '4096', -1n, {}]) refused('InvalidArgument', () => Heap.private({ limit }));
  for (const place of [undefined, null, 7, {}, { path: 7 }]) {
    for (const call of [Heap.open, Heap.create, Heap.remove]) refused('InvalidArgument', () => call.call(Heap, place));
  }
  const heap = Heap.private(LIMIT);
  const region = heap.region();
  for (const length of [-1, 0.5, NaN, Infinity, '8', null, undefined, {}, -1n]) refused('InvalidArgument', () => region.alloc(length));
  for (const length of [1n << 63n, 1n << 64n, 2 ** 53 - 1, 2 ** 60, Number.MAX_VALUE]) refused('OutOfMemory', () => region.alloc(length));
  for (const align of [0, 3, 24, 8192, 2 ** 40, -8, 'x', 1n << 64n]) refused('InvalidArgument', () => region.alloc(8, { align }));
  refused('InvalidArgument', () => heap.region({ name: 'é'.repeat(33) }));
  refused('InvalidArgument', () => heap.region({ name: 'n'.repeat(5000) }));
  refused('InvalidArgument', () => heap.region({ name: 7 }));
  refused('InvalidArgument', () => heap.region({ limit: -1 }));
  refused('InvalidName', () => heap.publish('a/b', region.handle));
  refused('InvalidName', () => heap.publish('n'.repeat(5000), region.handle));
  equal(heap.region({ name: 'é'.repeat(32) }).info().name, 'é'.repeat(32));
  for (const text of ['\ud800', 'a\udc00b', '\ufffd\ud800']) {
    refused('InvalidUtf8', () => region.string(text));
    refused('InvalidUtf8', () => heap.region({ name: text }));
    refused('InvalidUtf8', () => heap.lookup(text));
    refused('InvalidUtf8', () => Heap.private({ label: text }));
  }
  done(heap);
});

test('memory is zeroed and aligned', ({ Heap }) => {
  const heap = Heap.private(LIMIT);
  const region = heap.region();
  for (const length of [0, 1, 64, 4097, 1 << 20]) {
    const buffer = region.alloc(length);
    equal(buffer.length, length);
    buffer.withUnique(({ bytes }) => {
      equal(bytes.length, length);
      ok(bytes.every((byte) => byte === 0));
      bytes.fill(0xaa);
    });
    equal(buffer.info().offset % 64, 0);
    buffer.free();
    ok(region.alloc(length).withShared(({ bytes }) => bytes.every((byte) => byte === 0)));
  }
  for (let align = 1; align <= 4096; align *= 2) equal(region.alloc(3, { align }).info().offset % align, 0);
  equal(region.alloc(3n, { align: 64n, zeroed: false }).length, 3);
  done(heap);
});

test('strings and bytes are copied in and out, and counted', ({ Heap, refused }) => {
  const heap = Heap.private(LIMIT);
  const region = heap.region();
  const encoder = new TextEncoder();
  for (const text of ['', 'plain', 'é€😀', 'nul\0inside', '\ufeffmark', 'x'.repeat(100_000)]) {
    const buffer = region.string(text);
    equal(buffer.length, encoder.encode(text).length);
    equal(buffer.toString(), text);
    equal(buffer.toBytes(), encoder.encode(text));
  }
  const before = counters(heap);
  const source = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
  for (const bytes of [source, source.buffer, new Uint16Array(source.buffer), new DataView(source.buffer)]) {
    equal(region.allocFrom(bytes).toBytes(), source);
  }
  const after = counters(heap);
  equal(after.copies.ingest.count - before.copies.ingest.count, 4);
  equal(after.copies.ingest.bytes - before.copies.ingest.bytes, 32);
  equal(after.copies.export.bytes - before.copies.export.bytes, 32);
  equal(after.views, before.views);
  for (const bytes of [undefined, null, 'text', 7, [1, 2], {}]) refused('InvalidArgument', () => region.allocFrom(bytes));
  for (const text of [undefined, null, 7]) refused('InvalidArgument', () => region.string(text));
  const bad = region.allocFrom(Uint8Array.from([0x61, 0xff, 0x62]));
  ok(/offset 1/.test(refused('InvalidUtf8', () => bad.toString()).message));
  ok(region.string('same').equals(region.string('same')));
  ok(!region.string('same').equals(region.string('samE')));
  ok(region.string('same').equals(encoder.encode('same')));
  refused('InvalidArgument', () => bad.equals('same'));
  done(heap);
});

test('shared and unique borrows exclude each other, and say who is in the way', ({ Heap, refused }) => {
  const heap = Heap.private(LIMIT);
  const region = heap.region({ name: 'r' });
  const buffer = region.alloc(8);
  const first = buffer.borrowShared();
  const second = buffer.borrowShared();
  const conflict = refused('BorrowConflict', () => buffer.borrowUnique());
  equal(conflict.holders.map(({ kind, alive }) => [kind, alive]), [['shared', true], ['shared', true]]);
  ok(/shared borrow of b\d+:\d+/.test(conflict.message), conflict.message);
  ok(conflict.stack.includes('shared borrow of'), conflict.stack);
  equal(conflict.number, 4);
  for (const call of [() => region.close(), () => region.reset(), () => buffer.free(), () => heap.detach()]) {
    equal(refused('Borrowed', call).holders.length, 2);
  }
  first.release();
  second.release();
  second.release();
  const unique = buffer.borrowUnique();
  equal(refused('BorrowConflict', () => buffer.borrowShared()).holders.map(({ kind }) => kind), ['unique']);
  refused('BorrowConflict', () => buffer.freeze());
  unique.release();
  equal(refused('StaleHandle', () => heap.buffer(0n)).holders, []);
  buffer.freeze();
  refused('Denied', () => buffer.borrowUnique());
  region.close();
  done(heap);
});

test('a view says what it is, and a released one throws StaleView', ({ Heap, refused }) => {
  const heap = Heap.private(LIMIT);
  const buffer = heap.region().alloc(64);
  const view = buffer.borrowUnique();
  equal([view.kind, view.length, view.copied, view.released], ['unique', 64, false, false]);
  ok(view.buffer === buffer && view.bytes === view.bytes);
  view.release();
  view[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
  equal([view.released, view.kind], [true, 'unique']);
  const kinds = ['int8', 'uint8', 'uint8Clamped', 'int16', 'uint16', 'int32', 'uint32', 'bigInt64', 'bigUint64', 'float32', 'float64', 'dataView'];
  for (const name of kinds) refused('StaleView', () => view[name]());
  refused('StaleView', () => view.bytes);
  refused('StaleView', () => view.length);
  done(heap);
});

test('typed arrays start at a byte offset and keep to the buffer', ({ Heap, refused }) => {
  const heap = Heap.private(LIMIT);
  const view = heap.region().alloc(64).borrowUnique();
  view.bytes.forEach((_, index) => (view.bytes[index] = index));
  equal([...view.uint16(2, 2)], [0x0302, 0x0504]);
  equal([view.int32(60).length, view.int32(64).length, view.uint32().length, view.int8().length], [1, 0, 16, 64]);
  equal(view.bigUint64(8, 1)[0], 0x0f0e0d0c0b0a0908n);
  equal([view.uint8Clamped(63)[0], view.float32(4, 3).length, view.float64(8).length], [63, 3, 7]);
  equal(view.dataView(3, 4).getUint32(0, true), 0x06050403);
  for (const [offset, length] of [[1], [2, 1], [61], [-4], [0.5], [0, -1], [0, 17], [64, 1], [68], [4, 2 ** 53], ['0']]) {
    refused('InvalidArgument', () => view.int32(offset, length));
  }
  for (const [offset, length] of [[65], [0, 65], [-1], [NaN]]) refused('InvalidArgument', () => view.dataView(offset, length));
  view.release();
  done(heap);
});

test('an exception inside a scope ends it and is not masked', async ({ Heap, refused }) => {
  const heap = Heap.private(LIMIT);
  const buffer = heap.region().alloc(8);
  const failure = new RangeError('of the user');
  const fail = () => {
    throw failure;
  };
  const caught = async (work) => {
    try {
      await work();
    } catch (error) {
      return error;
    }
    return undefined;
  };
  ok((await caught(() => buffer.withUnique(fail))) === failure);
  ok((await caught(() => buffer.withShared(async () => fail()))) === failure);
  ok((await caught(() => heap.withRegion({}, (region) => (region.alloc(1), fail())))) === failure);
  equal(await buffer.withShared(async (view) => {
    await null;
    refused('BorrowConflict', () => buffer.borrowUnique());
    return view.length;
  }), 8);
  equal(heap.withRegion({ name: 'scope' }, (region) => region.alloc(9).length), 9);
  equal(heap.stats().regions.length, 1);
  done(heap);
});

test('closing, emptying and freeing make handles stale', ({ Heap, refused }) => {
  const heap = Heap.private(LIMIT);
  const region = heap.region({ name: 'frames' });
  const buffer = region.alloc(64);
  equal(region.buffers().map(({ length }) => length), [64]);
  ok(heap.regionAt(region.handle) === region && heap.buffer(buffer.handle).region === region);
  buffer.free();
  for (const call of [() => buffer.free(), () => buffer.borrowShared(), () => buffer.toBytes(), () => buffer.info(), () => buffer.freeze()]) {
    refused('StaleHandle', call);
  }
  const other = region.alloc(64);
  region.reset();
  refused('StaleHandle', () => other.borrowUnique());
  region.close();
  for (const call of [() => region.close(), () => region.alloc(1), () => region.info(), () => heap.regionAt(region.handle)]) {
    refused('StaleHandle', call);
  }
  const foreign = Heap.private(LIMIT);
  refused('StaleHandle', () => foreign.buffer(other.handle));
  for (const handle of [0n, 1n, other.handle ^ 1n, (1n << 64n) - 1n]) refused('StaleHandle', () => heap.buffer(handle));
  for (const handle of [undefined, null, 7, '7', {}, -1n, 1n << 64n]) refused('InvalidArgument', () => heap.buffer(handle));
  done(foreign);
  done(heap);
});

test('a region that closes when idle is gone with the last borrow, and waits are settled by it', async ({ Heap, refused, rejected }) => {
  const heap = Heap.private(LIMIT);
  const region = heap.region();
  const buffer = region.alloc(8);
  const view = buffer.borrowShared();
  await rejected('Timeout', region.waitIdle({ timeout: 20 }));
  await rejected('InvalidArgument', region.waitIdle({ timeout: -1 }));
  const idle = region.waitIdle({ timeout: 10_000 });
  setTimeout(() => view.release(), 5);
  await idle;
  const last = buffer.borrowShared();
  region.closeWhenIdle();
  refused('StaleHandle', () => buffer.borrowShared());
  refused('StaleHandle', () => region.alloc(8));
  equal(heap.stats().regions.length, 1);
  equal(last.bytes.length, 8);
  last.release();
  equal(heap.stats().regions.length, 0);
  await rejected('StaleHandle', region.waitIdle({ timeout: 10 }));
  done(heap);
});

test('names lead to handles, at once or waited for', async ({ Heap, refused, rejected }) => {
  const heap = Heap.private(LIMIT);
  const buffer = heap.region().alloc(8);
  refused('NotFound', () => heap.lookup('table'));
  const waiting = heap.lookup('table', { timeout: 10_000 });
  const forever = heap.lookup('table', { timeout: null });
  setTimeout(() => heap.publish('table', buffer.handle), 5);
  equal(await Promise.all([waiting, forever]), [buffer.handle, buffer.handle]);
  equal(heap.lookup('table'), buffer.handle);
  refused('AlreadyExists', () => heap.publish('table', buffer.handle));
  heap.unpublish('table');
  refused('NotFound', () => heap.unpublish('table'));
  await rejected('Timeout', heap.lookup('never', { timeout: 20 }));
  await rejected('Timeout', heap.lookup('never', { timeout: 0 }));
  await rejected('InvalidName', heap.lookup('a/b', { timeout: 10 }));
  for (const timeout of [-1, NaN, '5', 5n]) await rejected('InvalidArgument', heap.lookup('x', { timeout }));
  done(heap);
  await rejected('NotAttached', heap.lookup('x', { timeout: 10 }));
});

test('handles have one text form', ({ Heap, handleToString, handleFromString, refused }) => {
  const heap = Heap.private(LIMIT);
  const region = heap.region();
  equal(handleToString((2043n << 32n) | 17n), 'b17:2043');
  equal(handleToString((77n << 32n) | (1n << 31n) | 3n), 'r3:77');
  equal(handleToString(0n), 'null');
  for (const handle of [region.handle, region.alloc(1).handle, 0n]) equal(handleFromString(handleToString(handle)), handle);
  for (const text of ['', 'b', 'b1', 'x1:1', 'b1:0', 'b-1:1', 'b1:4294967296', ' b1:1', 'b'.repeat(5000)]) {
    refused('InvalidArgument', () => handleFromString(text));
  }
  for (const text of [undefined, 7, 17n]) refused('InvalidArgument', () => handleFromString(text));
  for (const handle of [undefined, 7, 'b1:1', -1n]) refused('InvalidArgument', () => handleToString(handle));
  done(heap);
});

test('a heap is found by its id', ({ Heap, refused }) => {
  const heap = Heap.private(LIMIT);
  const buffer = heap.region().alloc(8);
  const again = Heap.byId(heap.id);
  const view = again.buffer(buffer.handle).borrowUnique();
  equal(refused('Borrowed', () => again.detach()).holders.map(({ kind }) => kind), ['unique']);
  view.release();
  again.detach();
  refused('NotAttached', () => again.stats());
  const third = Heap.byId(heap.id);
  done(heap);
  equal(third.detached, true);
  for (const id of ['', 'x', '0'.repeat(32), 'f'.repeat(5000)]) refused('NotFound', () => Heap.byId(id));
  refused('InvalidArgument', () => Heap.byId(7));
});

test('a write through a shared view is reported by a heap that verifies', ({ Heap, refused }) => {
  const heap = Heap.private({ ...LIMIT, verify: true });
  equal(heap.verify, true);
  const buffer = heap.region().string('to be kept');
  const view = buffer.borrowShared();
  view.bytes[0] = 0x54;
  const error = refused('BorrowConflict', () => view.release());
  ok(/changed during a shared borrow/.test(error.message), error.message);
  equal(error.holders.map(({ kind }) => kind), ['shared']);
  buffer.withUnique(({ bytes }) => bytes.fill(1));
  buffer.withShared(({ bytes }) => equal(bytes[9], 1));
  done(heap);
});

test('limits refuse, and the heap goes on', ({ Heap, refused }) => {
  const heap = Heap.private({ limit: 8 << 20 });
  const region = heap.region();
  refused('OutOfMemory', () => region.alloc(64 << 20));
  const many = [];
  refused('OutOfMemory', () => {
    for (;;) many.push(region.alloc(64 << 10));
  });
  ok(many.length > 10);
  heap.check();
  many.pop().free();
  equal(region.alloc(64 << 10).length, 64 << 10);
  region.close();
  refused('LimitReached', () => heap.region({ limit: 1 << 20 }).alloc(4 << 20));
  done(heap);
});

test('counters count', ({ Heap, refused }) => {
  const heap = Heap.private(LIMIT);
  const region = heap.region();
  const buffer = region.alloc(1000);
  buffer.withShared(() => equal(heap.holders(region.handle).map(({ kind }) => kind), ['shared']));
  buffer.withUnique(() => refused('BorrowConflict', () => buffer.borrowShared()));
  refused('StaleHandle', () => heap.buffer(0n));
  const { allocations, bytes_allocated: bytes, borrows_begun: begun, borrows_ended: ended, conflicts, stale, views } = counters(heap);
  equal([allocations, bytes, begun, ended, conflicts, stale, views], [1, 1000, 2, 2, 1, 1, 2]);
  equal(region.info().counters.views, 2);
  equal(heap.check().buffers, 1);
  ok(heap.trim() >= 0);
  done(heap);
});

test('a view that is dropped ends with the collector, and is counted', async ({ Heap }) => {
  const heap = Heap.private(LIMIT);
  const buffer = heap.region().alloc(1 << 16);
  (() => void buffer.borrowUnique().bytes.fill(1))();
  if (!(await collectUntil(() => heap.stats().borrows.length === 0))) return;
  equal(counters(heap).finalized, 1);
  buffer.withUnique(({ bytes }) => equal(bytes[5], 1));
  done(heap);
});

test('an array keeps its view', async ({ Heap }) => {
  const heap = Heap.private(LIMIT);
  const buffer = heap.region().string('kept');
  let bytes = (() => buffer.borrowShared().bytes)();
  await collectUntil(() => true);
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  equal(heap.stats().borrows.length, 1);
  equal(bytes[0], 0x6b);
  bytes = undefined;
  if (await collectUntil(() => heap.stats().borrows.length === 0)) done(heap);
});

test('a region that is collected while open is closed and counted; a buffer keeps its region', async ({ Heap }) => {
  const heap = Heap.private(LIMIT);
  const buffer = (() => heap.region({ name: 'kept' }).string('alive'))();
  (() => void heap.region({ name: 'forgotten' }).alloc(8))();
  if (!(await collectUntil(() => heap.stats().regions.length === 1))) return;
  equal(heap.stats().counters.regions_collected, 1);
  equal(buffer.toString(), 'alive');
  buffer.region.close();
  done(heap);
});
