// Bad input that reaches the whole heap: damaged files, folders that are not the user's, a full folder in the middle of
// an allocation, full tables, text that is none. Each gives what its rule names, and the heap passes its check (C3).

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { Heap, handleFromString } from 'weaveheap';
import { PACKAGE, refused, rejected, runScript, temporaryFolder, useOwnFolder } from './support.mjs';

const folder = temporaryFolder();
const isRoot = process.geteuid?.() === 0;
useOwnFolder();

/** A heap that is in use while everything else here is refused. */
const bystander = Heap.private();
const kept = bystander.region().string('kept');

afterEach(() => {
  assert.equal(kept.toString(), 'kept');
  bystander.check();
});

function heapFile(name) {
  const place = { path: path.join(folder, name) };
  const heap = Heap.create({ ...place, limit: 4 << 20 });
  heap.region({ name: 'r' }).string('content');
  heap.check();
  heap.detach();
  return readFileSync(place.path);
}

function opened(bytes) {
  const place = { path: path.join(folder, 'tried') };
  writeFileSync(place.path, bytes);
  return Heap.open(place);
}

function refusedFile(bytes, what) {
  assert.throws(() => opened(bytes), ({ code }) => ['Incompatible', 'Corrupt'].includes(code), what);
}

test('truncated files, and files with a header byte flipped, are refused', () => {
  const whole = heapFile('whole');
  for (const size of [0, 1, 63, 64, 4095, 4096, whole.length - 1]) refusedFile(whole.subarray(0, size), `${size} bytes`);
  let served = 0;
  for (let at = 0; at < 128; at += 1) {
    const bytes = Buffer.from(whole);
    bytes[at] ^= 0xff;
    // The header and its checksum end somewhere in here: what follows is no part of it.
    if (at < 64) {
      refusedFile(bytes, `byte ${at}`);
      continue;
    }
    try {
      const heap = opened(bytes);
      heap.check();
      heap.detach();
      served += 1;
    } catch (error) {
      assert.ok(['Incompatible', 'Corrupt'].includes(error.code), `byte ${at}: ${error}`);
    }
  }
  assert.ok(served < 64);
  const heap = opened(whole);
  heap.check();
  heap.detach();
});

test('a heap of another layout version is refused, and both versions are named', () => {
  const whole = Buffer.from(heapFile('version'));
  const { layout_version: ours } = Heap.private().stats().heap;
  whole.writeUInt32LE(99, 8);
  const error = refused('Incompatible', () => opened(whole));
  assert.match(error.message, /\b99\b/);
  assert.match(error.message, new RegExp(`\\b${ours}\\b`));
});

test('a folder of names that is a link, or not the user\'s alone, is refused', async () => {
  const real = path.join(folder, 'real');
  mkdirSync(real, { mode: 0o700 });
  const link = path.join(folder, 'link');
  symlinkSync(real, link);
  const wide = path.join(folder, 'wide');
  mkdirSync(wide);
  chmodSync(wide, 0o777);
  const folders = [link, wide];
  if (isRoot) {
    // Only root can give a folder away.
    const foreign = path.join(folder, 'foreign');
    mkdirSync(foreign, { mode: 0o700 });
    chownSync(foreign, 12345, 12345);
    folders.push(foreign);
  }
  const script = `import { Heap } from 'weaveheap';
    try { Heap.create('x') } catch (error) { console.log(error.code) }`;
  for (const WEAVEHEAP_DIR of folders) {
    const { output } = await runScript(script, { env: { WEAVEHEAP_DIR } });
    assert.equal(output, 'Denied\n', WEAVEHEAP_DIR);
  }
});

if (process.platform === 'linux') {
  test('a folder that is full in the middle of an allocation is OutOfMemory, and the heap goes on', () => {
    const small = path.join(folder, 'small');
    mkdirSync(small);
    const script = `import { Heap } from 'weaveheap';
      const heap = Heap.create({ path: process.env.SMALL_HEAP, limit: 64 << 20 });
      const region = heap.region();
      const first = region.string('first');
      try {
        for (let count = 0; count < 40; count += 1) region.alloc(1 << 20);
      } catch (error) {
        console.log(error.code);
      }
      if (first.toString() !== 'first') throw new Error('damaged');
      heap.check();
      region.close();
      if (heap.region().alloc(1 << 20).length !== 1 << 20) throw new Error('not given back');
      heap.check();
      console.log('goes on');`;
    // A small file system of this test's own, gone with the processes that see it.
    const mount = 'mount -t tmpfs -o size=6m,mode=0700 tmpfs "$1" && exec "$2" --input-type=module --eval "$3"';
    const user = isRoot ? [] : ['--user', '--map-root-user'];
    const child = spawnSync('unshare', ['--mount', ...user, 'sh', '-c', mount, 'sh', small, process.execPath, script], {
      cwd: PACKAGE,
      env: { ...process.env, SMALL_HEAP: path.join(small, 'heap') },
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(child.status, 0, child.stderr);
    assert.equal(child.stdout, 'OutOfMemory\ngoes on\n');
  });
}

test('half of a surrogate pair is InvalidUtf8 wherever text is taken, and nothing is made', async () => {
  const place = { path: path.join(folder, 'texts') };
  const heap = Heap.create({ ...place, limit: 4 << 20 });
  const region = heap.region();
  const { handle } = region.alloc(8);
  const before = readdirSync(folder);
  for (const text of ['\ud800', 'a\udc00b', '\ufffd\ud800', '\udc00\ud800', '\ud83d\ude00\ud83d']) {
    const bad = { path: path.join(folder, text) };
    for (const call of [
      () => Heap.create(text),
      () => Heap.open(text),
      () => Heap.remove(text),
      () => Heap.create(bad),
      () => Heap.open(bad),
      () => Heap.remove(bad),
      () => Heap.byId(text),
      () => Heap.private({ label: text }),
      () => Heap.create({ path: path.join(folder, 'labelled'), label: text }),
      () => Heap.open({ ...place, label: text }),
      () => heap.region({ name: text }),
      () => region.string(text),
      () => heap.publish(text, handle),
      () => heap.lookup(text),
      () => heap.unpublish(text),
      () => handleFromString(text),
    ]) {
      refused('InvalidUtf8', call);
    }
    await rejected('InvalidUtf8', heap.lookup(text, { timeout: 1000 }));
  }
  assert.deepEqual(readdirSync(folder), before);
  const { regions, attachments, names } = heap.stats();
  assert.deepEqual([regions.length, attachments.length, names.length, region.info().buffers], [1, 1, 0, 1]);
  for (const text of ['\ufffd', '\ufffd\u{1f600}', 'a\ufffdb']) {
    assert.equal(region.string(text).toString(), text);
    heap.region({ name: text }).close();
  }
  heap.check();
  heap.detach();
  Heap.remove(place);
});

test('full tables refuse, and the heap goes on', () => {
  const heap = Heap.private({ limit: 4 << 20 });
  const region = heap.region();
  const buffer = region.alloc(1);
  const fill = (make) => {
    const made = [];
    const full = refused('LimitReached', () => {
      for (;;) made.push(make(made.length));
    });
    assert.match(full.message, /full/);
    assert.ok(made.length > 100);
    heap.check();
    return made;
  };
  fill((index) => heap.publish(`n${index}`, buffer.handle)).forEach((_, index) => heap.unpublish(`n${index}`));
  for (const other of fill(() => heap.region())) other.close();
  for (const view of fill(() => buffer.borrowShared())) view.release();
  buffer.withUnique(({ bytes }) => bytes.fill(1));
  heap.region().close();
  heap.publish('n', buffer.handle);
  heap.check();
  region.close();
  heap.check();
  heap.detach();
});
