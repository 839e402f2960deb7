// Regions: emptied, closed at once or when idle, waited for, owned by their objects in private heaps (R1 to R7).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heap } from 'weaveheap';
import { collect, collectUntil, refused, rejected, useOwnFolder } from './support.mjs';

useOwnFolder();

test('closing a region makes its handles stale', () => {
  const heap = Heap.private();
  const region = heap.region({ name: 'frames' });
  const buffer = region.alloc(64);
  assert.equal(region.info().name, 'frames');
  assert.deepEqual(region.buffers().map(({ length }) => length), [64]);
  region.close();
  refused('StaleHandle', () => region.close());
  refused('StaleHandle', () => region.alloc(1));
  refused('StaleHandle', () => region.info());
  refused('StaleHandle', () => region.reset());
  refused('StaleHandle', () => heap.regionAt(region.handle));
  refused('StaleHandle', () => heap.buffer(buffer.handle));
  refused('StaleHandle', () => buffer.borrowShared());
  refused('StaleHandle', () => buffer.free());
  region[Symbol.dispose]();
  heap.check();
  heap.detach();
});

test('closing, emptying and freeing are refused while something is borrowed, and change nothing', () => {
  const heap = Heap.private();
  const region = heap.region();
  const buffer = region.string('kept');
  const view = buffer.borrowShared();
  for (const call of [() => region.close(), () => region.reset(), () => buffer.free()]) {
    const error = refused('Borrowed', call);
    assert.deepEqual(error.holders.map(({ kind, runtime, process: pid, alive }) => [kind, runtime, pid, alive]), [
      ['shared', 'node', process.pid, true],
    ]);
  }
  assert.equal(Buffer.from(view.bytes).toString(), 'kept');
  view.release();
  region.reset();
  refused('StaleHandle', () => buffer.borrowShared());
  assert.equal(region.alloc(8).length, 8);
  region.close();
  heap.check();
  heap.detach();
});

test('a region that closes when idle refuses at once, and is gone with the last borrow', async () => {
  const heap = Heap.private();
  const region = heap.region();
  const buffer = region.alloc(8);
  const first = buffer.borrowShared();
  const second = buffer.borrowShared();
  region.closeWhenIdle();
  refused('StaleHandle', () => buffer.borrowShared());
  refused('StaleHandle', () => region.alloc(8));
  first.release();
  assert.equal(heap.stats().regions.length, 1);
  assert.equal(second.bytes.length, 8);
  second.release();
  assert.equal(heap.stats().regions.length, 0);
  heap.check();
  heap.detach();
});

test('waiting for a region to be idle does not stop the main thread', async () => {
  const heap = Heap.private();
  const region = heap.region();
  const view = region.alloc(8).borrowUnique();
  await rejected('Timeout', region.waitIdle({ timeout: 20 }));
  setTimeout(() => view.release(), 30);
  await region.waitIdle({ timeout: 10_000 });
  await region.waitIdle();
  for (const timeout of [-1, NaN, 'soon']) await rejected('InvalidArgument', region.waitIdle({ timeout }));
  region.close();
  await rejected('StaleHandle', region.waitIdle({ timeout: 10 }));
  heap.check();
  heap.detach();
});

test('a region keeps to its limit and its name to 64 bytes', () => {
  const heap = Heap.private();
  const region = heap.region({ limit: 1 << 20 });
  refused('LimitReached', () => region.alloc(16 << 20));
  assert.equal(heap.region({ name: 'é'.repeat(32) }).info().name, 'é'.repeat(32));
  refused('InvalidArgument', () => heap.region({ name: 'é'.repeat(33) }));
  refused('InvalidArgument', () => heap.region({ name: 7 }));
  refused('InvalidArgument', () => heap.region({ limit: -1 }));
  heap.check();
  heap.detach();
});

test('a region is found by its handle, and not by a buffer\'s', () => {
  const heap = Heap.private();
  const region = heap.region({ name: 'found' });
  const buffer = region.alloc(8);
  assert.equal(heap.regionAt(region.handle), region);
  assert.equal(heap.buffer(buffer.handle).region, region);
  refused('StaleHandle', () => heap.regionAt(buffer.handle));
  refused('StaleHandle', () => heap.buffer(region.handle));
  refused('StaleHandle', () => heap.regionAt(0n));
  refused('InvalidArgument', () => heap.regionAt(7));
  heap.check();
  heap.detach();
});

test('a scope closes its region, and hides no exception', async () => {
  const heap = Heap.private();
  assert.equal(heap.withRegion({ name: 'scope' }, (region) => region.alloc(8).length), 8);
  assert.equal(await heap.withRegion(undefined, async (region) => region.alloc(9).length), 9);
  assert.equal(heap.stats().regions.length, 0);
  let view;
  assert.throws(
    () =>
      heap.withRegion({}, (region) => {
        view = region.alloc(8).borrowShared();
        throw new RangeError('of the user');
      }),
    { name: 'RangeError', message: 'of the user' },
  );
  await assert.rejects(
    heap.withRegion({}, async (region) => {
      region.alloc(8).borrowUnique();
      throw new RangeError('of the user');
    }),
    { name: 'RangeError', message: 'of the user' },
  );
  refused('Borrowed', () => heap.withRegion({}, (region) => region.alloc(8).borrowShared()));
  view.release();
  heap.check();
});

test('a region of a private heap that is collected while open is closed, counted and warned of', async () => {
  const heap = Heap.private();
  const warnings = [];
  const note = (warning) => /forgotten/.test(warning.message) && warnings.push(warning);
  process.on('warning', note);
  (() => heap.region({ name: 'forgotten' }).alloc(8))();
  await collectUntil(() => heap.stats().regions.length === 0 && warnings.length > 0);
  process.off('warning', note);
  assert.equal(heap.stats().counters.regions_collected, 1);
  assert.equal(warnings.length, 1);
  assert.equal(warnings[0].name, 'WeaveHeapWarning');
  assert.equal(warnings[0].code, 'WEAVEHEAP_REGION_COLLECTED');
  heap.check();
  heap.detach();
});

test('a buffer keeps its region alive, found by handle or not, and a view keeps its bytes', async () => {
  const heap = Heap.private();
  let buffer = (() => heap.region().string('alive'))();
  await collect();
  assert.equal(buffer.toString(), 'alive');
  const { handle } = buffer;
  buffer = heap.buffer(handle);
  await collect();
  assert.equal(buffer.toString(), 'alive');
  let bytes = buffer.borrowShared().bytes;
  buffer = undefined;
  await collectUntil(() => heap.stats().regions[0]?.state === 'draining');
  assert.equal(Buffer.from(bytes).toString(), 'alive');
  refused('StaleHandle', () => heap.buffer(handle));
  bytes = undefined;
  await collectUntil(() => heap.stats().regions.length === 0);
  heap.check();
  heap.detach();
});

test('a region that was closed is not warned of', async () => {
  const heap = Heap.private();
  (() => heap.region().close())();
  (() => heap.region().closeWhenIdle())();
  await collect();
  assert.equal(heap.stats().counters.regions_collected, 0);
  heap.check();
  heap.detach();
});

test('a region of a shared heap lives until it is closed', async () => {
  const heap = Heap.create('lives', { limit: 1 << 24 });
  const handle = (() => heap.region().handle)();
  await collect();
  heap.regionAt(handle).close();
  assert.equal(heap.stats().counters.regions_collected, 0);
  heap.check();
  heap.detach();
  Heap.remove('lives');
});
