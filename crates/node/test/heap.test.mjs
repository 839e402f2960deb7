// Heaps: made, opened, listed, removed, detached, found by id; and the directory of names (H1 to H10).

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Heap } from 'weaveheap';
import { collectUntil, refused, rejected, temporaryFolder, useOwnFolder } from './support.mjs';

useOwnFolder();
const files = temporaryFolder();

test('a private heap says what it is', () => {
  const heap = Heap.private({ limit: 1 << 24, label: 'heap test' });
  assert.match(heap.id, /^[0-9a-f]{32}$/);
  assert.equal(heap.path, null);
  assert.equal(heap.shared, false);
  assert.equal(heap.verify, false);
  assert.equal(heap.limit, 1 << 24);
  assert.equal(heap.detached, false);
  const { attachments } = heap.stats();
  assert.deepEqual(
    attachments.map(({ process: pid, runtime, label, alive }) => [pid, runtime, label, alive]),
    [[process.pid, 'node', 'heap test', true]],
  );
  heap.check();
  heap.detach();
});

test('a shared heap is found by its name, in the list, and gone once removed', () => {
  const heap = Heap.create('listed', { limit: 1n << 24n });
  assert.equal(heap.shared, true);
  assert.deepEqual(Heap.list(), [{ name: 'listed', path: heap.path }]);
  assert.ok(heap.path.startsWith(Heap.folder()));
  refused('AlreadyExists', () => Heap.create('listed'));
  const opened = Heap.open('listed', { label: 'second' });
  assert.equal(opened.id, heap.id);
  assert.equal(heap.stats().attachments.length, 2);
  Heap.remove('listed');
  refused('NotFound', () => Heap.open('listed'));
  refused('NotFound', () => Heap.remove('listed'));
  assert.deepEqual(Heap.list(), []);
  heap.publish('kept', heap.region().handle);
  assert.equal(typeof opened.lookup('kept'), 'bigint');
  opened.detach();
  heap.check();
  heap.detach();
});

test('a heap by path is no heap by name', () => {
  const place = { path: path.join(files, 'by-path') };
  const heap = Heap.create({ ...place, limit: 1 << 24, verify: true });
  assert.equal(heap.path, place.path);
  assert.equal(heap.verify, true);
  refused('NotFound', () => Heap.open('by-path'));
  const opened = Heap.open(place);
  assert.equal(opened.verify, true);
  opened.detach();
  heap.check();
  heap.detach();
  Heap.remove(place);
  refused('NotFound', () => Heap.open(place));
});

test('a place is a name or a path, and nothing else', () => {
  for (const place of [undefined, null, 7, {}, { path: 7 }, ['a'], { name: 'a' }]) {
    refused('InvalidArgument', () => Heap.open(place));
    refused('InvalidArgument', () => Heap.create(place));
    refused('InvalidArgument', () => Heap.remove(place));
  }
});

test('bad names are refused', () => {
  for (const name of ['', '..', '.hidden', 'a/b', '../a', 'UPPER', 'a b', 'é', 'a\0b', 'a'.repeat(65), '-a']) {
    refused('InvalidName', () => Heap.create(name));
    refused('InvalidName', () => Heap.open(name));
    refused('InvalidName', () => Heap.remove(name));
  }
});

test('heaps are made by their functions only', () => {
  refused('InvalidArgument', () => new Heap());
});

test('limits that are no sizes are refused', () => {
  for (const limit of [-1, 1.5, NaN, Infinity, '4096', -1n, 1n << 64n, {}]) {
    refused('InvalidArgument', () => Heap.private({ limit }));
  }
});

test('files that are no heaps are refused', () => {
  const heap = Heap.create({ path: path.join(files, 'good'), limit: 1 << 24 });
  const good = readFileSync(path.join(files, 'good'));
  const place = { path: path.join(files, 'bad') };
  const tried = (bytes) => {
    writeFileSync(place.path, bytes);
    let error;
    try {
      const opened = Heap.open(place);
      opened.check();
      opened.detach();
    } catch (caught) {
      error = caught;
    }
    return error?.code;
  };
  for (const bytes of [Buffer.alloc(0), Buffer.from('no heap'), Buffer.alloc(1 << 16), good.subarray(0, 100)]) {
    assert.ok(['Incompatible', 'Corrupt'].includes(tried(bytes)), `${bytes.length} bytes`);
  }
  let refusals = 0;
  for (let index = 0; index < 64; index += 1) {
    const bytes = Buffer.from(good.subarray(0, 1 << 20));
    bytes[index] ^= 0xff;
    const code = tried(bytes);
    assert.ok(code === undefined || ['Incompatible', 'Corrupt', 'Io'].includes(code), `byte ${index}: ${code}`);
    refusals += code === undefined ? 0 : 1;
  }
  assert.ok(refusals > 0);
  heap.check();
  heap.detach();
});

test('a folder of names that is not safe is refused', () => {
  const mine = process.env.WEAVEHEAP_DIR;
  const target = path.join(files, 'target');
  const link = path.join(files, 'link');
  mkdirSync(target, { mode: 0o700 });
  symlinkSync(target, link);
  try {
    process.env.WEAVEHEAP_DIR = link;
    refused('Denied', () => Heap.create('linked'));
    const open = path.join(files, 'open');
    mkdirSync(open);
    process.env.WEAVEHEAP_DIR = open;
    writeFileSync(path.join(open, 'file'), '');
    process.env.WEAVEHEAP_DIR = path.join(open, 'file');
    assert.throws(() => Heap.create('in-a-file'), { name: /^(Denied|Io)Error$/ });
  } finally {
    process.env.WEAVEHEAP_DIR = mine;
  }
});

test('detaching while there are views is Borrowed, and names them', () => {
  const heap = Heap.private();
  const view = heap.region().alloc(8).borrowShared();
  const error = refused('Borrowed', () => heap.detach());
  assert.deepEqual(error.holders.map(({ kind, process: pid }) => [kind, pid]), [['shared', process.pid]]);
  assert.equal(view.bytes.length, 8);
  view.release();
  heap.check();
  heap.detach();
  assert.equal(heap.detached, true);
});

test('a detached heap refuses everything', async () => {
  const heap = Heap.private();
  const region = heap.region();
  const buffer = region.alloc(8);
  heap.check();
  heap.detach();
  for (const call of [
    () => heap.region(),
    () => heap.regionAt(region.handle),
    () => heap.buffer(buffer.handle),
    () => heap.publish('a', buffer.handle),
    () => heap.lookup('a'),
    () => heap.unpublish('a'),
    () => heap.stats(),
    () => heap.holders(buffer.handle),
    () => heap.check(),
    () => heap.trim(),
    () => heap.detach(),
    () => region.alloc(8),
    () => region.string('a'),
    () => region.allocFrom(new Uint8Array(1)),
    () => region.info(),
    () => region.reset(),
    () => region.close(),
    () => region.closeWhenIdle(),
    () => buffer.borrowShared(),
    () => buffer.borrowUnique(),
    () => buffer.toBytes(),
    () => buffer.toString(),
    () => buffer.info(),
    () => buffer.free(),
    () => buffer.freeze(),
  ]) {
    refused('NotAttached', call);
  }
  await rejected('NotAttached', heap.lookup('a', { timeout: 1 }));
  await rejected('NotAttached', region.waitIdle({ timeout: 1 }));
  refused('NotFound', () => Heap.byId(heap.id));
});

test('leaving a scope detaches, and never removes', () => {
  const heap = Heap.create('scoped', { limit: 1 << 24 });
  heap[Symbol.dispose]();
  heap[Symbol.dispose]();
  assert.equal(heap.detached, true);
  Heap.open('scoped').detach();
  Heap.remove('scoped');
});

test('a heap is found by its id while the process is attached', () => {
  const heap = Heap.private();
  const region = heap.region();
  const again = Heap.byId(heap.id);
  assert.equal(again.id, heap.id);
  assert.equal(again.stats().attachments.length, 1);
  const view = again.buffer(region.alloc(8).handle).borrowUnique();
  const error = refused('Borrowed', () => again.detach());
  assert.deepEqual(error.holders.map((holder) => holder.kind), ['unique']);
  view.release();
  again.detach();
  assert.equal(again.detached, true);
  refused('NotAttached', () => again.stats());
  assert.equal(heap.detached, false);
  heap.check();
  heap.detach();
  for (const id of ['', 'x', '0'.repeat(32)]) refused('NotFound', () => Heap.byId(id));
  refused('InvalidArgument', () => Heap.byId(7));
});

test('another object for the heap is detached with it', () => {
  const heap = Heap.private();
  const again = Heap.byId(heap.id);
  heap.check();
  heap.detach();
  assert.equal(again.detached, true);
  refused('NotAttached', () => again.region());
});

test('a heap object that is dropped ends its attachment, at once or after its last view', async () => {
  let id = (() => Heap.private().id)();
  const gone = () => {
    try {
      Heap.byId(id).detach();
      return false;
    } catch (error) {
      return error.code === 'NotFound';
    }
  };
  await collectUntil(gone);
  let bytes = (() => {
    const heap = Heap.create('dropped', { limit: 1 << 24 });
    id = heap.id;
    const buffer = heap.region().string('still here');
    return buffer.borrowShared().bytes;
  })();
  for (let round = 0; round < 20; round += 1) globalThis.gc();
  assert.equal(Buffer.from(bytes).toString(), 'still here');
  const watcher = Heap.open('dropped');
  assert.equal(watcher.stats().borrows.length, 1);
  bytes = undefined;
  await collectUntil(() => watcher.stats().borrows.length === 0);
  watcher.check();
  watcher.detach();
  await collectUntil(gone);
  Heap.remove('dropped');
});

test('heaps come and go by the thousand, and what is detached is attached no more', () => {
  const heap = Heap.create('visited', { limit: 1 << 24 });
  heap.publish('buffer', heap.region().string('seen').handle);
  const visitors = [];
  for (let round = 0; round < 2500; round += 1) {
    const visitor = Heap.open('visited');
    visitor.buffer(visitor.lookup('buffer')).withShared(({ bytes }) => assert.equal(bytes.length, 4));
    assert.equal(heap.stats().attachments.length, 2);
    visitor.detach();
    visitors.push(visitor);
  }
  assert.equal(heap.stats().attachments.length, 1);
  assert.equal(heap.check().attachments, 1);
  assert.ok(visitors.every(({ detached }) => detached));
  heap.check();
  heap.detach();
  Heap.remove('visited');
});

test('private heaps that were viewed and detached leave their address space to later ones', () => {
  const limits = new Set();
  for (let round = 0; round < 600; round += 1) {
    const heap = Heap.private();
    const region = heap.region();
    region.alloc(8).withUnique(({ bytes }) => bytes.fill(1));
    limits.add(heap.limit);
    region.close();
    if (round % 100 === 0) heap.check();
    heap.detach();
  }
  assert.equal(limits.size, 1);
});

test('names lead to handles', async () => {
  const heap = Heap.private();
  const region = heap.region();
  const buffer = region.alloc(8);
  refused('NotFound', () => heap.lookup('table'));
  heap.publish('table', buffer.handle);
  assert.equal(heap.lookup('table'), buffer.handle);
  assert.equal(await heap.lookup('table', {}), buffer.handle);
  refused('AlreadyExists', () => heap.publish('table', region.handle));
  heap.unpublish('table');
  refused('NotFound', () => heap.unpublish('table'));
  refused('StaleHandle', () => heap.publish('null', 0n));
  refused('InvalidName', () => heap.publish('a/b', buffer.handle));
  refused('InvalidArgument', () => heap.publish(7, buffer.handle));
  refused('InvalidArgument', () => heap.publish('table', 7));
  heap.check();
  heap.detach();
});

test('a lookup that waits is a promise, and the main thread goes on', async () => {
  const heap = Heap.private();
  const buffer = heap.region().alloc(8);
  const waiting = heap.lookup('later', { timeout: 10_000 });
  const forever = heap.lookup('later', { timeout: null });
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
    if (turns === 3) heap.publish('later', buffer.handle);
  }, 5);
  assert.deepEqual(await Promise.all([waiting, forever]), [buffer.handle, buffer.handle]);
  clearInterval(timer);
  assert.ok(turns >= 3);
  const start = Date.now();
  const error = await rejected('Timeout', heap.lookup('never', { timeout: 60 }));
  assert.ok(Date.now() - start >= 55, `${Date.now() - start} ms`);
  assert.deepEqual(error.holders, []);
  await rejected('Timeout', heap.lookup('never', { timeout: 0 }));
  for (const timeout of [-1, NaN, '5', 5n]) await rejected('InvalidArgument', heap.lookup('x', { timeout }));
  await rejected('InvalidName', heap.lookup('a/b', { timeout: 10 }));
  heap.check();
  heap.detach();
});

test('many waits at once are all settled', async () => {
  const heap = Heap.private();
  const handles = Array.from({ length: 20 }, () => heap.region().handle);
  const waits = handles.map((_, index) => heap.lookup(`wait-${index}`, { timeout: 10_000 }));
  handles.forEach((handle, index) => heap.publish(`wait-${index}`, handle));
  assert.deepEqual(await Promise.all(waits), handles);
  heap.check();
  heap.detach();
});

test('statistics, check and trim', () => {
  const heap = Heap.private({ inspect: true });
  const region = heap.region({ name: 'counted' });
  const buffer = region.alloc(1000);
  buffer.withShared(() => {
    const { heap: facts, regions, borrows, runtimes } = heap.stats();
    assert.equal(facts.id, heap.id);
    assert.equal(facts.bytes_live, 1000);
    assert.deepEqual(regions.map(({ name, state, buffers, borrows: live }) => [name, state, buffers, live]), [['counted', 'open', 1, 1]]);
    assert.deepEqual(borrows.map(({ kind, runtime }) => [kind, runtime]), [['shared', 'node']]);
    assert.deepEqual(runtimes.map(({ runtime }) => runtime), ['node']);
    assert.deepEqual(heap.holders(region.handle).map(({ kind }) => kind), ['shared']);
  });
  const { buffers, regions, borrows, attachments } = heap.check();
  assert.deepEqual([buffers, regions, borrows, attachments], [1, 1, 0, 1]);
  region.close();
  assert.ok(heap.trim() >= 0);
  heap.check();
  heap.detach();
});
