// What the package for WebAssembly alone does, in Node and in a browser: views while memory grows (V5), memory that ends,
// instances that stop (F1) and live beside each other. Each test is given the package.

import { equal, ok, refused as refusedBy, rejected as rejectedBy } from './assert.mjs';

export const tests = [];
const test = (name, run) => tests.push({ name, run });

const PAGE = 65536;
const MIB = 1 << 20;

test('a view is derived anew after memory has grown between every two accesses', async (weaveheap) => {
  const instance = await weaveheap.createInstance();
  const heap = instance.Heap.private();
  const region = heap.region();
  let bytes = instance.memoryBytes;
  const kept = [];
  /** Grows memory, as any allocation may. */
  const grow = () => {
    region.alloc(2 * MIB, { zeroed: false });
    ok(instance.memoryBytes > bytes, 'memory has not grown');
    bytes = instance.memoryBytes;
  };
  const buffer = region.alloc(64);
  const view = buffer.borrowUnique();
  for (let index = 0; index < 64; index += 1) {
    grow();
    view.bytes[index] = index;
    kept.push(view.bytes);
  }
  for (const array of kept.slice(0, -1)) equal(array.length, 0);
  const readers = {
    int8: 1, uint8: 1, uint8Clamped: 1, int16: 0x0100, uint16: 0x0100, int32: 0x03020100, uint32: 0x03020100,
    bigInt64: 0x0706050403020100n, bigUint64: 0x0706050403020100n,
  };
  for (const [name, wanted] of Object.entries(readers)) {
    grow();
    equal(view[name]()[name.includes('8') ? 1 : 0], wanted, name);
  }
  grow();
  view.float64(8, 1)[0] = 1.5;
  grow();
  equal(view.float64(8, 1)[0], 1.5);
  grow();
  view.float32(16, 1)[0] = 2.5;
  grow();
  equal(view.dataView(16, 4).getFloat32(0, true), 2.5);
  grow();
  equal(view.length, 64);
  view.release();
  grow();
  refusedBy(weaveheap, 'StaleView', () => view.bytes);
  const shared = buffer.borrowShared();
  for (let index = 24; index < 64; index += 1) {
    grow();
    equal(shared.bytes[index], index);
  }
  grow();
  refusedBy(weaveheap, 'BorrowConflict', () => buffer.borrowUnique());
  shared.release();
  equal(heap.check().borrows, 0);
  region.close();
  heap.detach();
});

test('a view of no bytes, and a copy of bytes of the same memory, while it grows', async (weaveheap) => {
  const instance = await weaveheap.createInstance();
  const heap = instance.Heap.private();
  const region = heap.region();
  const empty = region.alloc(0).borrowShared();
  const large = region.alloc(3 * MIB);
  large.withUnique(({ bytes }) => bytes.fill(7));
  const view = large.borrowShared();
  for (let round = 0; round < 8; round += 1) {
    const before = instance.memoryBytes;
    const copy = region.allocFrom(view.bytes.subarray(MIB));
    ok(instance.memoryBytes > before, 'memory has not grown');
    ok(copy.withShared(({ bytes }) => bytes.length === 2 * MIB && bytes.every((byte) => byte === 7)));
    equal([empty.bytes.length, empty.float64().length, empty.bytes.byteLength], [0, 0, 0]);
  }
  empty.release();
  view.release();
  refusedBy(weaveheap, 'StaleView', () => empty.bytes);
  heap.check();
});

test('memory that cannot grow is OutOfMemory, and the heap goes on', async (weaveheap) => {
  const instance = await weaveheap.createInstance({ maximum: 16 * MIB });
  const heap = instance.Heap.private();
  const region = heap.region();
  const kept = region.string('kept');
  const many = [];
  refusedBy(weaveheap, 'OutOfMemory', () => {
    for (;;) many.push(region.alloc(256 << 10));
  });
  ok(many.length > 20, `${many.length} buffers`);
  refusedBy(weaveheap, 'OutOfMemory', () => region.string('x'.repeat(2 * MIB)));
  refusedBy(weaveheap, 'OutOfMemory', () => region.allocFrom(new Uint8Array(2 * MIB)));
  ok(instance.memoryBytes <= 16 * MIB);
  equal(kept.toString(), 'kept');
  equal(many[0].withUnique(({ bytes }) => bytes.fill(3).length), 256 << 10);
  heap.check();
  for (const buffer of many) buffer.free();
  equal(region.alloc(256 << 10).length, 256 << 10);
  region.close();
  const again = heap.region();
  equal(again.alloc(4 * MIB).length, 4 * MIB);
  heap.check();
  heap.detach();
  const later = instance.Heap.private();
  equal(later.region().alloc(4 * MIB).length, 4 * MIB);
  later.detach();
  await rejectedBy(weaveheap, 'InvalidArgument', weaveheap.createInstance({ maximum: PAGE }));
  await rejectedBy(weaveheap, 'InvalidArgument', weaveheap.createInstance({ maximum: -1 }));
});

test('heaps that come and go take no more memory each time', async (weaveheap) => {
  const instance = await weaveheap.createInstance();
  const round = () => {
    const heap = instance.Heap.private();
    heap.withRegion({}, (region) => region.alloc(MIB).withUnique(({ bytes }) => bytes.fill(1)));
    heap.detach();
  };
  round();
  const bytes = instance.memoryBytes;
  for (let count = 0; count < 50; count += 1) round();
  equal(instance.memoryBytes, bytes);
});

test('a panic stops its instance, which refuses every call, and a new one can be made', async (weaveheap) => {
  const instance = await weaveheap.createInstance();
  const heap = instance.Heap.private();
  const region = heap.region();
  const buffer = region.string('lost');
  const view = buffer.borrowShared();
  const waiting = region.waitIdle();
  refusedBy(weaveheap, 'Internal', () => instance.panic());
  equal(instance.stopped, true);
  const calls = [
    () => instance.Heap.private(), () => instance.Heap.byId(heap.id), () => heap.region(), () => heap.stats(), () => heap.check(),
    () => heap.buffer(buffer.handle), () => heap.detach(), () => heap.detached, () => heap.trim(), () => heap.lookup('x'),
    () => region.alloc(1), () => region.string('x'), () => region.allocFrom(new Uint8Array(1)), () => region.info(),
    () => region.close(), () => region.closeWhenIdle(), () => buffer.borrowShared(), () => buffer.toBytes(),
    () => buffer.toString(), () => buffer.free(), () => view.bytes, () => view.length, () => view.float64(), () => view.release(),
    () => instance.handleToString(0n), () => instance.memoryBytes, () => instance.panic(),
  ];
  for (const call of calls) refusedBy(weaveheap, 'Internal', call);
  await rejectedBy(weaveheap, 'Internal', waiting);
  await rejectedBy(weaveheap, 'Internal', region.waitIdle());
  await rejectedBy(weaveheap, 'Internal', heap.lookup('x', { timeout: 5 }));
  const next = await weaveheap.createInstance();
  const fresh = next.Heap.private();
  equal(fresh.region().string('goes on').toString(), 'goes on');
  fresh.check();
  equal(weaveheap.Heap.private().region().string('so does the usual one').toString(), 'so does the usual one');
});

test('a handle of another instance is stale, and its objects can be compared', async (weaveheap) => {
  const [one, two] = await Promise.all([weaveheap.createInstance(), weaveheap.createInstance()]);
  const [first, second] = [one.Heap.private(), two.Heap.private()];
  const region = first.region();
  const buffer = region.string('same');
  refusedBy(weaveheap, 'StaleHandle', () => second.buffer(buffer.handle));
  refusedBy(weaveheap, 'StaleHandle', () => second.regionAt(region.handle));
  refusedBy(weaveheap, 'StaleHandle', () => second.publish('x', buffer.handle));
  refusedBy(weaveheap, 'NotFound', () => two.Heap.byId(first.id));
  ok(second.region().string('same').equals(buffer));
  equal(two.handleFromString(one.handleToString(buffer.handle)), buffer.handle);
  first.check();
  second.check();
});

test('what WebAssembly has not is Unsupported', ({ Heap, ...weaveheap }) => {
  const calls = [
    () => Heap.create('name'), () => Heap.create({ path: 'file' }), () => Heap.open('name'), () => Heap.open({ path: 'file' }),
    () => Heap.remove('name'), () => Heap.list(), () => Heap.folder(), () => Heap.private({ inspect: true }),
  ];
  for (const call of calls) refusedBy(weaveheap, 'Unsupported', call);
});

test('the module is loaded from what it is given, and what is none is refused', async (weaveheap) => {
  await weaveheap.init();
  await weaveheap.init('ignored: it is loaded');
  await rejectedBy(weaveheap, 'InvalidArgument', weaveheap.createInstance({ module: 7 }));
  let failed;
  await weaveheap.createInstance({ module: new Uint8Array(8) }).catch((error) => (failed = error));
  ok(failed instanceof WebAssembly.CompileError, String(failed));
});

test('a kept array shows what is there after a release: JavaScript cannot take it back', async (weaveheap) => {
  const instance = await weaveheap.createInstance();
  const heap = instance.Heap.private();
  const region = heap.region();
  const buffer = region.alloc(64);
  const kept = buffer.withUnique((view) => view.bytes.fill(9));
  equal(kept.length, 64);
  buffer.withShared((view) => equal([view.bytes[0], view.bytes === kept], [9, false]));
  region.alloc(8 * MIB);
  equal(kept.length, 0);
});

test('messages have their texts and the values in them', async (weaveheap) => {
  const instance = await weaveheap.createInstance();
  const heap = instance.Heap.private({ limit: 8 * MIB });
  const region = heap.region({ name: 'frames' });
  const buffer = region.alloc(16);
  const name = instance.handleToString(buffer.handle);
  const message = (code, work) => refusedBy(weaveheap, code, work).message;
  equal(
    message('InvalidArgument', () => heap.region({ name: 'x'.repeat(65) })),
    "a region's name has at most 64 bytes, this one has 65",
  );
  equal(
    message('OutOfMemory', () => region.alloc(9 * MIB)),
    `${9 * MIB} bytes are more than the heap's limit of ${8 * MIB}`,
  );
  heap.publish('first', buffer.handle);
  equal(
    message('AlreadyExists', () => heap.publish('first', buffer.handle)),
    `the name "first" is published for ${name}: unpublish it first`,
  );
  equal(message('NotFound', () => heap.lookup('none')), 'nothing is published as "none" in this heap');
  const view = buffer.borrowShared();
  const held = message('Borrowed', () => buffer.free());
  ok(held.startsWith(`${name}: What would be freed, emptied or unmapped is borrowed. Held: shared borrow of ${name} by wasm process 0 thread `), held);
  ok(held.endsWith(' s. End the borrows that the message lists, or close when idle.'), held);
  view.release();
  buffer.free();
  equal(
    message('StaleHandle', () => heap.buffer(buffer.handle)),
    `${name}: The handle or token is null, freed, ended, of a closed region, or of another heap. Use the handle only while its ` +
      'buffer and its region live; a token only once.',
  );
});

test('what is told and forgotten takes no more memory each time', async (weaveheap) => {
  const instance = await weaveheap.createInstance();
  const heap = instance.Heap.private({ label: 'a label' });
  const buffer = heap.region({ name: 'a region' }).alloc(16);
  const once = () => {
    const view = buffer.borrowUnique();
    heap.stats();
    heap.holders(buffer.handle);
    heap.check();
    refusedBy(weaveheap, 'NotFound', () => heap.lookup('none'));
    view.release();
  };
  for (let round = 0; round < 20; round += 1) once();
  const bytes = instance.memoryBytes;
  for (let round = 0; round < 2000; round += 1) once();
  equal(instance.memoryBytes, bytes);
});

test('what has no memory left still says so', async (weaveheap) => {
  const instance = await weaveheap.createInstance({ maximum: 8 * MIB });
  const heap = instance.Heap.private();
  const region = heap.region();
  const full = () => {
    for (;;) region.alloc(16 << 10);
  };
  for (let round = 0; round < 300; round += 1) {
    refusedBy(weaveheap, 'OutOfMemory', full);
    refusedBy(weaveheap, 'NotFound', () => heap.lookup(`none${'x'.repeat(round % 60)}`));
    refusedBy(weaveheap, 'InvalidArgument', () => heap.region({ name: 'x'.repeat(65 + round) }));
  }
  ok(!instance.stopped);
  region.close();
  equal(heap.region().alloc(MIB).length, MIB);
});
