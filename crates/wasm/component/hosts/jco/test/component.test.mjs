// The component in Node, by jco.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { imports } from '../component.mjs';
import { atMost, dispose, heapAndRegion, instance, planted, PLAIN, refused } from './support.mjs';

const utf8 = (text) => new TextEncoder().encode(text);

test('bytes go in, are changed, and come out', async () => {
  const { heap, region } = await heapAndRegion();
  const buffer = region.alloc(10n, PLAIN);
  assert.equal(buffer.length(), 10n);
  const writing = buffer.borrowUnique();
  writing.write(2n, utf8('weave'));
  writing.fill(8n, 2n, 9);
  assert.deepEqual(writing.read(0n, 100n), new Uint8Array([0, 0, ...utf8('weave'), 0, 9, 9]));
  writing[dispose]();
  const reading = buffer.borrowShared();
  assert.deepEqual(reading.read(3n, 2n), utf8('ea'));
  assert.deepEqual(reading.read(10n, 1n), new Uint8Array());
  refused('invalid-argument', () => reading.read(11n, 1n));
  reading[dispose]();
  assert.equal(heap.check().borrows, 0n);
});

test('what does not fit is not written', async () => {
  const { region } = await heapAndRegion();
  const writing = region.allocFrom(utf8('1234')).borrowUnique();
  refused('invalid-argument', () => writing.write(1n, utf8('abcd')));
  refused('invalid-argument', () => writing.write(2n ** 64n - 1n, utf8('ab')));
  refused('invalid-argument', () => writing.fill(4n, 1n, 0));
  assert.deepEqual(writing.read(0n, 4n), utf8('1234'));
});

test('bytes go from buffer to buffer without leaving the component', async () => {
  const { heap, region } = await heapAndRegion();
  const source = region.allocFrom(utf8('0123456789'));
  const target = region.alloc(4n, PLAIN);
  const [from, to] = [source.borrowShared(), target.borrowUnique()];
  to.copyFrom(1n, from, 7n, 3n);
  assert.deepEqual(to.read(0n, 4n), new Uint8Array([0, ...utf8('789')]));
  refused('invalid-argument', () => to.copyFrom(0n, from, 8n, 3n));
  refused('invalid-argument', () => to.copyFrom(2n, from, 0n, 3n));
  assert.deepEqual(heap.statistics().counters.ingest, { count: 2n, bytes: 13n });
});

test('strings are buffers of UTF-8', async () => {
  const { region } = await heapAndRegion();
  for (const text of ['', 'weave', 'Gewölbe', '🧵 thread', 'a\0b']) {
    const buffer = region.allocString(text);
    assert.equal(buffer.length(), BigInt(utf8(text).length));
    const reading = buffer.borrowShared();
    assert.equal(reading.text(), text);
    reading[dispose]();
    buffer.free();
  }
  const broken = region.allocFrom(new Uint8Array([97, 0xff])).borrowShared();
  assert.match(refused('invalid-utf8', () => broken.text()).message, /offset 1/);
});

test('shared and unique borrows exclude each other', async () => {
  const { heap, region } = await heapAndRegion();
  const buffer = region.alloc(8n, PLAIN);
  const [one, two] = [buffer.borrowShared(), buffer.borrowShared()];
  const refusal = refused('borrow-conflict', () => buffer.borrowUnique());
  assert.equal(refusal.about, buffer.handle());
  const holders = heap.holders(refusal.about);
  assert.deepEqual(holders.map(({ kind, label, buffer }) => [kind, label, buffer]), [
    ['shared', 'test', buffer.handle()],
    ['shared', 'test', buffer.handle()],
  ]);
  for (const work of [() => buffer.free(), () => region.reset(), () => region.close(), () => heap.detach()]) {
    refused('borrowed', work);
  }
  one[dispose]();
  two[dispose]();
  const writing = buffer.borrowUnique();
  refused('borrow-conflict', () => buffer.borrowShared());
  refused('borrow-conflict', () => buffer.borrowUnique());
  writing[dispose]();
  region.close();
  heap.check();
});

test('a borrow that is given back by `end` is over', async () => {
  const { region } = await heapAndRegion();
  const buffer = region.alloc(8n, PLAIN);
  const writing = buffer.borrowUnique();
  writing.constructor.end(writing);
  assert.throws(() => writing.length(), TypeError);
  const reading = buffer.borrowShared();
  reading.constructor.end(reading);
  buffer.free();
});

test('a frozen buffer is never written again', async () => {
  const { region } = await heapAndRegion();
  const buffer = region.alloc(8n, PLAIN);
  buffer.freeze();
  refused('denied', () => buffer.borrowUnique());
  assert.equal(buffer.info().frozen, true);
  buffer.borrowShared()[dispose]();
});

test('what is freed is stale, and so is what is forged or of another instance', async () => {
  const { heap, region } = await heapAndRegion();
  const other = await heapAndRegion();
  const buffer = region.alloc(8n, PLAIN);
  const handle = buffer.handle();
  for (const forged of [0n, handle ^ (2n << 32n), handle ^ 1n, other.region.alloc(8n, PLAIN).handle()]) {
    refused('stale-handle', () => heap.bufferAt(forged));
  }
  refused('stale-handle', () => heap.regionAt(other.region.handle()));
  buffer.free();
  refused('stale-handle', () => buffer.borrowShared());
  refused('stale-handle', () => buffer.free());
  const kept = region.alloc(8n, PLAIN);
  region.close();
  refused('stale-handle', () => kept.borrowShared());
  refused('stale-handle', () => region.alloc(8n, PLAIN));
});

test('a resource of another instance is refused', async () => {
  const { region } = await heapAndRegion();
  const other = await heapAndRegion();
  const to = region.alloc(4n, PLAIN).borrowUnique();
  const from = other.region.allocFrom(utf8('1234')).borrowShared();
  assert.throws(() => to.copyFrom(0n, from, 0n, 4n), TypeError);
  assert.deepEqual(to.read(0n, 4n), new Uint8Array(4));
});

test('handles have one text form', async () => {
  const { region, handleText, parseHandle } = await heapAndRegion();
  const buffer = region.alloc(8n, PLAIN);
  assert.match(handleText(buffer.handle()), /^b\d+:\d+$/);
  assert.match(handleText(region.handle()), /^r\d+:\d+$/);
  assert.equal(parseHandle(handleText(buffer.handle())), buffer.handle());
  assert.equal(handleText(0n), 'null');
  refused('invalid-argument', () => parseHandle('x1:1'));
});

test('names find handles', async () => {
  const { heap, region } = await heapAndRegion();
  const buffer = region.allocString('found');
  heap.publish('a.name', buffer.handle());
  refused('already-exists', () => heap.publish('a.name', region.handle()));
  refused('invalid-name', () => heap.publish('A name', region.handle()));
  assert.equal(heap.bufferAt(heap.lookup('a.name')).borrowShared().text(), 'found');
  assert.deepEqual(heap.statistics().names, [['a.name', buffer.handle()]]);
  heap.unpublish('a.name');
  refused('not-found', () => heap.lookup('a.name'));
});

test('a dropped resource is refused before the component is called', async () => {
  const { heap, region } = await heapAndRegion();
  const buffer = region.alloc(8n, PLAIN);
  const reading = buffer.borrowShared();
  reading[dispose]();
  reading[dispose]();
  assert.throws(() => reading.read(0n, 1n), TypeError);
  buffer[dispose]();
  assert.throws(() => buffer.borrowShared(), TypeError);
  region[dispose]();
  assert.throws(() => region.alloc(8n, PLAIN), TypeError);
  assert.equal(heap.check().borrows, 0n);
});

test('a borrow that is only forgotten ends when it is collected', async () => {
  const { heap, region } = await heapAndRegion();
  const buffer = region.alloc(8n, PLAIN);
  (() => buffer.borrowShared())();
  refused('borrow-conflict', () => buffer.borrowUnique());
  for (let tries = 0; tries < 100 && heap.check().borrows > 0n; tries += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  buffer.borrowUnique()[dispose]();
});

test('dropping the owner of a region closes it when nothing of it is used', async () => {
  const { heap, region } = await heapAndRegion();
  const handle = region.handle();
  const buffer = region.alloc(8n, PLAIN);
  const reading = buffer.borrowShared();
  heap.regionAt(handle)[dispose]();
  assert.equal(heap.regionAt(handle).info().state, 'open');
  region[dispose]();
  assert.equal(heap.statistics().regions[0].state, 'open');
  buffer[dispose]();
  assert.equal(heap.statistics().regions[0].state, 'draining');
  reading[dispose]();
  assert.deepEqual(heap.statistics().regions, []);
  assert.equal(heap.statistics().counters.regionsCollected, 1n);
});

test('a region that closes when idle takes no more borrows', async () => {
  const { heap, region } = await heapAndRegion();
  const buffer = region.alloc(8n, PLAIN);
  const reading = buffer.borrowShared();
  region.closeWhenIdle();
  refused('stale-handle', () => buffer.borrowShared());
  assert.deepEqual(reading.read(0n, 8n), new Uint8Array(8));
  reading[dispose]();
  assert.equal(heap.check().regions, 0n);
});

test('counters say what was done', async () => {
  const { heap, region } = await heapAndRegion();
  const buffer = region.allocFrom(new Uint8Array(1000));
  const writing = buffer.borrowUnique();
  writing.write(0n, new Uint8Array(100));
  writing.read(0n, 10n);
  refused('borrow-conflict', () => buffer.borrowShared());
  refused('stale-handle', () => heap.bufferAt(0n));
  writing[dispose]();
  buffer.free();
  const { counters } = heap.statistics();
  assert.deepEqual(counters, {
    allocations: 1n,
    frees: 1n,
    bytesAllocated: 1000n,
    bytesFreed: 1000n,
    // `alloc-from` borrows the new buffer to write to it.
    borrowsBegun: 2n,
    borrowsEnded: 2n,
    conflicts: 1n,
    stale: 1n,
    regionsCollected: 0n,
    ingest: { count: 2n, bytes: 1100n },
    export: { count: 1n, bytes: 10n },
  });
});

test('the limits of region and heap are kept', async () => {
  const { heap } = await heapAndRegion(16n << 20n);
  const small = heap.createRegion({ name: 'small', limit: 1n << 20n });
  refused('limit-reached', () => small.alloc(2n << 20n, PLAIN));
  refused('out-of-memory', () => heap.createRegion({ name: '' }).alloc(32n << 20n, PLAIN));
  refused('invalid-argument', () => heap.createRegion({ name: 'n'.repeat(65) }));
  refused('invalid-argument', () => small.alloc(8n, { ...PLAIN, align: 3n }));
  small.alloc(1000n, { ...PLAIN, align: 4096n });
  heap.check();
});

test('memory that cannot grow is out-of-memory, and the heap goes on', async () => {
  const { Heap } = (await instance({ change: atMost(128) })).heap;
  const heap = Heap.create({ label: '' });
  const region = heap.createRegion({ name: 'full' });
  for (const piece of [1n << 20n, 1n << 16n, 1n << 10n, 1n]) {
    refused('out-of-memory', () => {
      for (let count = 0; count < 1e6; count += 1) region.alloc(piece, PLAIN)[dispose]();
    });
    heap.check();
  }
  assert.ok(heap.statistics().bytesLive > 3n << 20n);
  region.reset();
  const again = region.alloc(1n << 20n, PLAIN).borrowUnique();
  again.fill(0n, 1n << 20n, 7);
  assert.deepEqual(again.read((1n << 20n) - 2n, 2n), new Uint8Array([7, 7]));
});

test('memory full of borrows, buffers and what the host keeps of them is out-of-memory too', async () => {
  const { Heap } = (await instance({ change: atMost(40) })).heap;
  const heap = Heap.create({ limit: 64n << 20n, label: '' });
  const region = heap.createRegion({ name: 'full' });
  const buffer = region.alloc(1n, PLAIN);
  const kept = [];
  const fill = (make) => {
    assert.throws(() => {
      for (let count = 0; count < 1e6; count += 1) kept.push(make());
    }, { code: 'out-of-memory' });
  };
  fill(() => buffer.borrowShared());
  assert.ok(kept.length > 1000, `${kept.length}`);
  fill(() => region.alloc(1n, PLAIN));
  fill(() => heap.bufferAt(buffer.handle()));
  for (const call of [() => heap.statistics(), () => heap.check(), () => region.allocString('')]) {
    assert.throws(call, { code: 'out-of-memory' });
  }
  assert.throws(() => region.close(), { code: 'borrowed' });
  for (const resource of kept.splice(0)) resource[dispose]();
  region.reset();
  const text = region.allocString('again').borrowShared();
  assert.equal(text.text(), 'again');
  assert.deepEqual(heap.statistics().borrows.map((holder) => holder.kind), ['shared']);
});

test('names that are gone take no memory of reports', async () => {
  const { Heap } = (await instance({ change: atMost(64) })).heap;
  const heap = Heap.create({ label: '' });
  const region = heap.createRegion({ name: '' });
  const kept = region.alloc(1n, PLAIN);
  heap.publish('kept', kept.handle());
  for (let round = 0; round < 5000; round += 1) {
    heap.publish('taken.out', kept.handle());
    heap.unpublish('taken.out');
    const gone = region.alloc(1n, PLAIN);
    heap.publish(`gone.${round}`, gone.handle());
    gone.free();
    gone[dispose]();
  }
  assert.deepEqual(heap.statistics().names, [['kept', kept.handle()]]);
  heap.check();
});

test('after an exception of the host in a call, the component refuses every call itself', async () => {
  const random = { getRandomU64: () => { throw new Error('no random numbers'); } };
  const { Heap } = (await instance({ given: { ...imports, 'wasi:random/random': random } })).heap;
  assert.throws(() => Heap.create({ label: '' }), /no random numbers/);
  const refusal = refused('internal', () => Heap.create({ label: '' }));
  assert.match(refusal.message, /make a new one/);
});

test('after a panic jco lets no call in, and a new instance works', async () => {
  assert.equal((await instance()).plantedPanic, undefined, 'the shipped component has none');
  const panics = await planted();
  const heap = panics.heap.Heap.create({ limit: 16n << 20n, label: '' });
  const region = heap.createRegion({ name: '' });
  const buffer = region.alloc(8n, PLAIN);
  const reading = buffer.borrowShared();
  assert.throws(() => panics.plantedPanic(), WebAssembly.RuntimeError);
  const calls = [
    () => heap.check(),
    () => heap.statistics(),
    () => region.alloc(8n, PLAIN),
    () => buffer.borrowShared(),
    () => reading.read(0n, 1n),
    () => panics.heap.Heap.create({ label: '' }),
    () => panics.heap.handleText(0n),
  ];
  for (const call of calls) assert.throws(call, /cannot enter component instance/);
  for (const resource of [reading, buffer, region, heap]) resource[dispose]();
  const { region: fresh } = await heapAndRegion();
  assert.equal(fresh.allocString('new').borrowShared().text(), 'new');
});

test('the codes are those of spec/errors.toml', async () => {
  const list = readFileSync(new URL('../../../../../../spec/errors.toml', import.meta.url), 'utf8');
  const names = [...list.matchAll(/^name = "(\w+)"$/gm)].map(([, name]) => name);
  const spelled = names.map((name) => name.replace(/(?<!^)[A-Z]/g, (letter) => `-${letter}`).toLowerCase());
  const types = readFileSync(`${process.env.WEAVEHEAP_COMPONENT}.jco/interfaces/weaveheap-heap-errors.d.ts`, 'utf8');
  const codes = types.match(/type ErrorCode = (.*);/)[1].split(' | ').map((code) => code.slice(1, -1));
  assert.deepEqual(codes, spelled);
});
