// The tests of `own.mjs` in Node; and what only Node has: files, CommonJS, warnings.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { pathToFileURL, fileURLToPath } from 'node:url';
import * as weaveheap from '../node.mjs';
import { collectUntil, rejected } from './assert.mjs';
import { tests } from './own.mjs';

const FILE = fileURLToPath(new URL('../weaveheap.wasm', import.meta.url));

for (const { name, run } of tests) test(name, () => run(weaveheap));

test('both module systems give the same objects', () => {
  const common = createRequire(import.meta.url)('../node.cjs');
  for (const [name, value] of Object.entries(common)) assert.equal(weaveheap[name], value, name);
  assert.deepEqual(Object.keys(weaveheap).filter((name) => !['default', 'module.exports'].includes(name)).sort(), Object.keys(common).sort());
});

test('Node takes a path, a URL, bytes and a module', async () => {
  const bytes = readFileSync(FILE);
  for (const module of [FILE, pathToFileURL(FILE), pathToFileURL(FILE).href, bytes, bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length), new WebAssembly.Module(bytes), Promise.resolve(FILE)]) {
    const { Heap } = await weaveheap.createInstance({ module });
    const heap = Heap.private();
    assert.equal(heap.region().string('loaded').toString(), 'loaded');
    heap.check();
  }
  await assert.rejects(weaveheap.createInstance({ module: '/no/such/file' }), { code: 'ENOENT' });
  await rejected(weaveheap, 'Unsupported', weaveheap.createInstance({ module: 'http://localhost:1/none.wasm' }));
});

test('the entry for browsers loads the module when it is told to, and refuses before', async () => {
  const browser = await import('../index.mjs');
  for (const call of [() => browser.Heap.private(), () => browser.handleToString(0n)]) {
    assert.throws(call, (error) => error instanceof browser.UnsupportedError && /init/.test(error.message));
  }
  await rejected(browser, 'InvalidArgument', browser.init(7));
  await browser.default(readFileSync(FILE));
  const heap = browser.Heap.private();
  assert.equal(heap.region().string('loaded').toString(), 'loaded');
  heap.check();
});

test('a module of another version is refused, and both versions are named', async () => {
  const { checkVersion } = await import('../lib/instance.mjs');
  const { IncompatibleError } = await import('../lib/error_codes.mjs');
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  checkVersion(1, version);
  for (const [abi, other] of [[2, version], [1, '9.9.9']]) {
    assert.throws(() => checkVersion(abi, other), (error) => {
      return error instanceof IncompatibleError && error.message.includes(`version ${other} with ABI ${abi}`) && error.message.includes(`version ${version}`);
    });
  }
});

test('a region that is collected while open is warned of', async () => {
  const heap = weaveheap.Heap.private();
  const warnings = [];
  const note = (warning) => /forgotten/.test(warning.message) && warnings.push(warning);
  process.on('warning', note);
  (() => void heap.region({ name: 'forgotten' }).alloc(8))();
  await collectUntil(() => warnings.length > 0);
  process.off('warning', note);
  assert.deepEqual([warnings[0].name, warnings[0].code], ['WeaveHeapWarning', 'WEAVEHEAP_REGION_COLLECTED']);
});

test('a heap object that is dropped ends its heap, at once or after its last view', async () => {
  let id = (() => weaveheap.Heap.private().id)();
  const gone = () => {
    try {
      weaveheap.Heap.byId(id).detach();
      return false;
    } catch (error) {
      return error.code === 'NotFound';
    }
  };
  await collectUntil(gone);
  let view = (() => {
    const heap = weaveheap.Heap.private();
    id = heap.id;
    return heap.region().string('still here').borrowShared();
  })();
  for (let round = 0; round < 10; round += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.equal(Buffer.from(view.bytes).toString(), 'still here');
  view = undefined;
  await collectUntil(gone);
});
