// The tests of `same.mjs` and `own.mjs` in headless Chromium, by the entry for browsers, from a plain server of files.
// `node test/browser.mjs CHROMIUM`; `cargo xtask test wasm-js` finds the browser.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build, createServer as develop, preview } from 'vite';
import { launch } from './chromium.mjs';
import { tests as own } from './own.mjs';
import { writePage } from './page.mjs';
import { tests as same } from './same.mjs';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const TYPES = { '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };
/** Runs one test of a file, or says what went wrong. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>weaveheap-wasm</title><script type="module">
  import init, * as weaveheap from '/index.mjs';
  import { tests as own } from '/test/own.mjs';
  import { tests as same } from '/test/same.mjs';
  await init();
  window.run = async (file, at) => {
    const { name, run } = { own, same }[file][at];
    try {
      await run(weaveheap);
      return { name };
    } catch (error) {
      return { name, failed: String(error?.stack ?? error) };
    }
  };
</script>`;

const folder = mkdtempSync(path.join(tmpdir(), 'weaveheap-page-'));
const server = createServer(async ({ url }, response) => {
  const place = new URL(url, 'http://localhost').pathname;
  try {
    const body = place === '/' ? PAGE : await readFile(path.join(PACKAGE, path.normalize(place)));
    response.writeHead(200, { 'content-type': place === '/' ? 'text/html' : (TYPES[path.extname(place)] ?? 'application/octet-stream') });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
let browser;
let page;
const complaints = [];

before(async () => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  browser = await launch(process.argv[2], { args: ['--js-flags=--expose-gc'] });
  page = await browser.context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => typeof window.run === 'function');
});

after(async () => {
  await browser?.close();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

for (const [file, tests] of Object.entries({ same, own })) {
  for (const [at, { name }] of tests.entries()) {
    test(`in Chromium: ${name}`, async () => {
      const result = await page.evaluate(([file, at]) => window.run(file, at), [file, at]);
      assert.equal(result.name, name);
      assert.equal(result.failed, undefined);
    });
  }
}

/** The page of docs/wasm.md, in a folder of its own. */
function site() {
  const root = path.join(folder, 'site');
  writePage(root);
  mkdirSync(path.join(root, 'node_modules'));
  symlinkSync(PACKAGE, path.join(root, 'node_modules/weaveheap-wasm'), 'dir');
  return root;
}

/** What the page at this address says once it has said something. */
async function said(address) {
  const other = await browser.context.newPage();
  await other.goto(address);
  await other.waitForFunction(() => document.body.textContent.trim() !== '');
  const text = await other.evaluate(() => document.body.textContent.trim());
  await other.close();
  return text;
}

test('a page that Vite serves or has built says what docs/wasm.md makes it say', async () => {
  const root = site();
  const options = { root, logLevel: 'error', preview: { host: '127.0.0.1' }, server: { host: '127.0.0.1', fs: { strict: false } } };
  const wanted = '13 bytes, of which the first is 114';
  const developing = await (await develop(options)).listen();
  try {
    assert.equal(await said(developing.resolvedUrls.local[0]), wanted);
  } finally {
    await developing.close();
  }
  await build(options);
  const built = await preview(options);
  try {
    assert.equal(await said(built.resolvedUrls.local[0]), wanted);
  } finally {
    await built.close();
  }
});

test('the collector can be asked for garbage, so that no test of it was left out', async () => {
  assert.equal(await page.evaluate(() => typeof globalThis.gc), 'function');
});

test('a panic in the browser left the page without an uncaught error', () => {
  assert.deepEqual(complaints, []);
});
