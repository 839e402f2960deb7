// The module as JavaScript sees it. WEAVEHEAP_WASM names the package that wasm-bindgen wrote.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { Heap } = createRequire(import.meta.url)(process.env.WEAVEHEAP_WASM);

test('a heap is made, checked and left', () => {
  const heap = new Heap(64 * 2 ** 20);
  assert.equal(heap.limit, 64 * 2 ** 20);
  heap.check();
  heap.detach();
  assert.throws(() => heap.check(), { code: 'NotAttached' });
  heap.free();
});

test('the default limit is the largest', () => {
  const heap = new Heap();
  assert.equal(heap.limit, 2 ** 31 - 2 ** 16);
  heap.check();
  heap.free();
});

test('no two heaps have one id', () => {
  const ids = Array.from({ length: 20 }, () => {
    const heap = new Heap(2 ** 22);
    const { id } = heap;
    heap.free();
    return id;
  });
  assert.equal(new Set(ids).size, 20);
  assert.match(ids[0], /^[0-9a-f]{32}$/);
});

test('a limit that cannot be is refused', () => {
  for (const limit of [0, NaN, -5, 2 ** 50]) {
    assert.throws(() => new Heap(limit), { code: 'InvalidArgument' }, `${limit}`);
  }
  assert.throws(() => new Heap(2 ** 33), { code: 'OutOfMemory' });
});
