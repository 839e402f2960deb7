// Two processes on one shared heap, borrowing, conflicting, waiting, ending and closing against each other: Node with
// Node, and Node with Python (H8, B1, B4, B6, R3, R4, C2).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heap, handleFromString, handleToString } from 'weaveheap';
import { commandLine, nodePeer, pythonPeer, refused, rejected, runScript, until, useOwnFolder } from './support.mjs';

useOwnFolder();

for (const [language, start] of [
  ['node', nodePeer],
  ['python', pythonPeer],
]) {
  async function together(work) {
    const name = `two-${language}-${Math.random().toString(36).slice(2, 10)}`;
    const heap = Heap.create(name, { limit: 1 << 26, label: 'main' });
    const peer = start();
    try {
      assert.equal(await peer.ask({ do: 'open', name }), heap.id);
      await work(heap, peer);
      assert.deepEqual(heap.stats().borrows, []);
      heap.check();
    } finally {
      await peer.kill();
      Heap.remove(name);
    }
  }
  const nameOf = (heap) => Heap.list().find((entry) => entry.path === heap.path).name;
  const hex = (text) => Buffer.from(text).toString('hex');

  test(`${language}: handles and bytes are the same on both sides`, () =>
    together(async (heap, peer) => {
      const region = heap.region({ name: 'of the main process' });
      const mine = region.string('from the main process');
      heap.publish('mine', mine.handle);
      const text = await peer.ask({ do: 'lookup', name: 'mine' });
      assert.equal(text, handleToString(mine.handle));
      assert.equal(await peer.ask({ do: 'length', handle: text }), 21);
      await peer.ask({ do: 'borrow', handle: text, kind: 'unique', as: 'v' });
      assert.equal(await peer.ask({ do: 'read', view: 'v', at: 5, length: 3 }), hex('the'));
      await peer.ask({ do: 'write', view: 'v', at: 0, hex: hex('FROM') });
      await peer.ask({ do: 'release', view: 'v' });
      mine.withShared(({ bytes }) => assert.equal(Buffer.from(bytes).toString(), 'FROM the main process'));
      await peer.ask({ do: 'region', name: 'of the other' });
      const theirs = heap.buffer(handleFromString(await peer.ask({ do: 'string', text: 'from the other' })));
      theirs.withShared(({ bytes }) => assert.equal(Buffer.from(bytes).toString(), 'from the other'));
      const runtimes = heap.stats().runtimes.map(({ runtime }) => runtime);
      assert.ok(runtimes.includes('node') && runtimes.includes(language));
      assert.deepEqual(heap.stats().counters.copies.export.count, 0);
    }));

  test(`${language}: borrows conflict across processes, and name their holders`, () =>
    together(async (heap, peer) => {
      const buffer = heap.region().alloc(64);
      const handle = handleToString(buffer.handle);
      await peer.ask({ do: 'borrow', handle, kind: 'unique', as: 'v' });
      for (const call of [() => buffer.borrowShared(), () => buffer.borrowUnique()]) {
        const [holder, ...more] = refused('BorrowConflict', call).holders;
        assert.equal(more.length, 0);
        assert.deepEqual([holder.kind, holder.process, holder.runtime, holder.label, holder.alive], ['unique', peer.process.pid, language, 'peer', true]);
      }
      for (const call of [() => buffer.free(), () => buffer.region.close(), () => buffer.region.reset()]) {
        assert.equal(refused('Borrowed', call).holders[0].process, peer.process.pid);
      }
      await peer.ask({ do: 'release', view: 'v' });
      const view = buffer.borrowShared();
      const { holders } = await peer.refused('BorrowConflict', { do: 'borrow', handle, kind: 'unique', as: 'w' });
      assert.deepEqual(holders.map((holder) => [holder.kind, holder.process, holder.runtime, holder.label]), [['shared', process.pid, 'node', 'main']]);
      await peer.ask({ do: 'borrow', handle, kind: 'shared', as: 's' });
      assert.equal(heap.holders(buffer.handle).length, 2);
      view.release();
      refused('BorrowConflict', () => buffer.borrowUnique());
      await peer.ask({ do: 'release', view: 's' });
      buffer.withUnique(({ bytes }) => bytes.fill(1));
    }));

  test(`${language}: each waits for the other`, () =>
    together(async (heap, peer) => {
      const region = heap.region();
      const buffer = region.alloc(8);
      peer.send({ do: 'lookup', name: 'later', timeout: 20_000 });
      await until(() => heap.stats().attachments.length === 2);
      heap.publish('later', buffer.handle);
      assert.equal((await peer.answer()).ok, handleToString(buffer.handle));
      const waiting = heap.lookup('theirs', { timeout: 20_000 });
      await peer.ask({ do: 'publish', name: 'theirs', handle: handleToString(buffer.handle) });
      assert.equal(await waiting, buffer.handle);
      await peer.ask({ do: 'borrow', handle: handleToString(buffer.handle), kind: 'shared', as: 'v' });
      await rejected('Timeout', region.waitIdle({ timeout: 30 }));
      const idle = region.waitIdle({ timeout: 20_000 });
      await peer.ask({ do: 'release', view: 'v' });
      await idle;
      await peer.refused('Timeout', { do: 'lookup', name: 'never', timeout: 30 });
      await peer.refused('NotFound', { do: 'lookup', name: 'never' });
    }));

  test(`${language}: closing makes handles stale on the other side`, () =>
    together(async (heap, peer) => {
      const region = heap.region();
      const handle = handleToString(region.alloc(8).handle);
      await peer.ask({ do: 'length', handle });
      region.close();
      await peer.refused('StaleHandle', { do: 'length', handle });
      await peer.refused('StaleHandle', { do: 'borrow', handle, kind: 'shared', as: 'v' });
      await peer.ask({ do: 'region', name: 'theirs' });
      const theirs = heap.buffer(handleFromString(await peer.ask({ do: 'alloc', length: 8 })));
      const view = theirs.borrowShared();
      const { holders } = await peer.refused('Borrowed', { do: 'close' });
      assert.deepEqual(holders.map((holder) => [holder.runtime, holder.process]), [['node', process.pid]]);
      await peer.ask({ do: 'close_when_idle' });
      refused('StaleHandle', () => theirs.borrowShared());
      assert.equal(view.bytes.length, 8);
      assert.equal(heap.stats().regions[0].state, 'draining');
      view.release();
      assert.deepEqual(heap.stats().regions, []);
      refused('StaleHandle', () => theirs.info());
    }));

  test(`${language}: a borrow of the other side does not keep this one from detaching`, () =>
    together(async (heap, peer) => {
      const handle = handleToString(heap.region().alloc(8).handle);
      await peer.ask({ do: 'borrow', handle, kind: 'shared', as: 'v' });
      const again = Heap.open(nameOf(heap));
      again.detach();
      await peer.refused('Borrowed', { do: 'detach' });
      await peer.ask({ do: 'release', view: 'v' });
      assert.deepEqual(heap.stats().attachments.map((other) => other.process), [process.pid, peer.process.pid]);
      await peer.ask({ do: 'detach' });
      // The other side lives and keeps its object, and its mapping too where a native operation may still use it.
      assert.deepEqual(heap.stats().attachments.map((other) => other.process), [process.pid]);
      await peer.refused('NotAttached', { do: 'length', handle });
      await peer.end();
    }));

  test(`${language}: what a killed process held is recovered, and what it wrote is poisoned`, () =>
    together(async (heap, peer) => {
      const region = heap.region();
      const [read, written] = [region.alloc(8), region.alloc(8)];
      await peer.ask({ do: 'borrow', handle: handleToString(read.handle), kind: 'shared', as: 'r' });
      await peer.ask({ do: 'borrow', handle: handleToString(written.handle), kind: 'unique', as: 'w' });
      await peer.kill();
      read.withUnique(({ bytes }) => bytes.fill(1));
      refused('Poisoned', () => written.borrowShared());
      assert.equal(written.info().poisoned, true);
      written.clearPoison();
      written.withShared(({ bytes }) => assert.equal(bytes.length, 8));
      region.close();
    }));
}

// How a process ends decides what becomes of what it held: one that ran to its end has let go of it, one that was
// broken off while it could write has not.
for (const [end, poisoned] of [
  ['', false],
  ['process.exit(0)', true],
]) {
  test(`a process that ends ${end === '' ? 'by itself' : 'by process.exit()'} leaves nothing borrowed`, async () => {
    const heap = Heap.create('ending', { limit: 1 << 26 });
    const [read, written] = [heap.region().alloc(8), heap.region().alloc(8)];
    heap.publish('read', read.handle);
    heap.publish('written', written.handle);
    await runScript(
      `import { Heap } from 'weaveheap';
       const heap = Heap.open('ending');
       globalThis.views = [heap.buffer(heap.lookup('read')).borrowShared(), heap.buffer(heap.lookup('written')).borrowUnique()];
       ${end}`,
    );
    read.withUnique(({ bytes }) => assert.equal(bytes.length, 8));
    assert.equal(written.info().poisoned, poisoned);
    if (poisoned) refused('Poisoned', () => written.borrowUnique());
    written.clearPoison();
    written.withUnique(({ bytes }) => bytes.fill(1));
    assert.deepEqual(heap.stats().borrows, []);
    assert.equal(heap.stats().attachments.length, 1);
    heap.check();
    heap.detach();
    Heap.remove('ending');
  });
}

if (process.platform === 'linux') {
  for (const how of ['option', 'variable']) {
    test(`a private heap made for inspection (${how}) is seen by the command line`, () => {
      const pid = String(process.pid);
      const hidden = Heap.private();
      if (how === 'variable') process.env.WEAVEHEAP_INSPECT = '1';
      const heap = Heap.private({ inspect: how === 'option', label: 'seen' });
      delete process.env.WEAVEHEAP_INSPECT;
      const region = heap.region({ name: 'in sight' });
      const buffer = region.alloc(4096);
      buffer.withUnique(() => {
        const heaps = JSON.parse(commandLine('stats', '--pid', pid, '--json'));
        assert.ok(heaps.every((seen) => seen.heap.id !== hidden.id));
        const seen = heaps.find((other) => other.heap.id === heap.id);
        assert.deepEqual([seen.heap.shared, seen.heap.bytes_live], [false, 4096]);
        assert.deepEqual(seen.regions.map(({ name }) => name), ['in sight']);
        assert.deepEqual(seen.attachments.map(({ label }) => label), ['seen']);
        assert.deepEqual(
          seen.borrows.map(({ handle, kind, runtime, process: holder }) => [handle, kind, runtime, holder]),
          [[handleToString(buffer.handle), 'unique', 'node', process.pid]],
        );
        assert.match(commandLine('viz', '--pid', pid), /in sight/);
        commandLine('check', '--pid', pid);
      });
      heap.check();
      region.close();
      heap.detach();
      hidden.detach();
    });
  }
}
