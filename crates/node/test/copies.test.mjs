// Where external buffers are forbidden, views are copies: counted with their reason, written back at the end of a
// unique borrow, and just as released ones detached (V4). The file runs itself again with such an environment.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Heap } from 'weaveheap';
import { collectUntil, refused } from './support.mjs';

if (process.env.WEAVEHEAP_NO_EXTERNAL_BUFFERS !== '1') {
  test('the tests without external buffers pass', () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawnSync(process.execPath, ['--expose-gc', '--test', fileURLToPath(import.meta.url)], {
      env: { ...env, WEAVEHEAP_NO_EXTERNAL_BUFFERS: '1' },
      encoding: 'utf8',
    });
    assert.equal(child.status, 0, child.stdout + child.stderr);
    assert.match(child.stdout, /pass 5\b/);
  });
} else {
  const heap = Heap.private();
  const region = heap.region();
  const copies = () => heap.stats().counters.copies.no_external_buffers;

  test('a shared view is one counted copy', () => {
    const buffer = region.string('copied out');
    const before = copies();
    const view = buffer.borrowShared();
    assert.equal(view.copied, true);
    assert.equal(Buffer.from(view.bytes).toString(), 'copied out');
    assert.equal(heap.stats().borrows.length, 1);
    assert.deepEqual([copies().count - before.count, copies().bytes - before.bytes], [1, 10]);
    const { bytes } = view;
    bytes[0] = 0;
    view.release();
    view.release();
    assert.equal(bytes.length, 0);
    refused('StaleView', () => view.bytes);
    assert.equal(copies().count - before.count, 1);
    assert.equal(heap.stats().borrows.length, 0);
    assert.equal(buffer.toString(), 'copied out');
  });

  test('a unique view is written back', () => {
    const buffer = region.alloc(16);
    const before = copies();
    buffer.withUnique((view) => view.float64().set([1.5, 2.5]));
    assert.deepEqual([copies().count - before.count, copies().bytes - before.bytes], [2, 32]);
    buffer.withShared((view) => assert.deepEqual([...view.float64()], [1.5, 2.5]));
    region.alloc(0).withUnique((view) => assert.equal(view.bytes.length, 0));
  });

  test('a unique view that was dropped is written back, detached and counted', async () => {
    const buffer = region.alloc(4);
    const bytes = (() => buffer.borrowUnique().bytes.fill(9))();
    await collectUntil(() => heap.stats().borrows.length === 0);
    assert.equal(bytes.length, 0);
    assert.equal(heap.stats().counters.finalized, 1);
    assert.deepEqual([...buffer.toBytes()], [9, 9, 9, 9]);
  });

  test('a unique view whose memory was moved away says what is lost', () => {
    const buffer = region.alloc(4);
    const view = buffer.borrowUnique();
    const { bytes } = view;
    bytes.fill(9);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    refused('StaleView', () => view.bytes);
    assert.match(refused('StaleView', () => view.release()).message, /lost/);
    assert.equal(heap.stats().borrows.length, 0);
    assert.deepEqual([...buffer.toBytes()], [0, 0, 0, 0]);
    const shared = buffer.borrowShared();
    structuredClone(shared.bytes.buffer, { transfer: [shared.bytes.buffer] });
    shared.release();
    assert.equal(heap.stats().borrows.length, 0);
  });

  test('an environment that ends gives its borrows back', async () => {
    const { Worker } = await import('node:worker_threads');
    const buffer = region.alloc(4);
    const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData: { id: heap.id } });
    worker.postMessage({ do: 'hold', handle: buffer.handle, kind: 'unique' });
    await new Promise((resolve) => worker.once('message', resolve));
    refused('BorrowConflict', () => buffer.borrowShared());
    await worker.terminate();
    buffer.withUnique((view) => assert.equal(view.length, 4));
    heap.check();
  });
}
