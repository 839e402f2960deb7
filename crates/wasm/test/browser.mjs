// The tests of `same.mjs` and `own.mjs` in headless Chromium, by the entry for browsers, from a plain server of files.
// `node test/browser.mjs CHROMIUM`; `cargo xtask test wasm-js` finds the browser.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { tests as own } from './own.mjs';
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

const profile = mkdtempSync(path.join(tmpdir(), 'weaveheap-chromium-'));
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
let context;
let page;
const complaints = [];

before(async () => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context = await chromium.launchPersistentContext(profile, {
    executablePath: process.argv[2],
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--js-flags=--expose-gc'],
  });
  page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => typeof window.run === 'function');
});

after(async () => {
  await context?.close();
  server.close();
  rmSync(profile, { recursive: true, force: true });
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

test('the collector can be asked for garbage, so that no test of it was left out', async () => {
  assert.equal(await page.evaluate(() => typeof globalThis.gc), 'function');
});

test('a panic in the browser left the page without an uncaught error', () => {
  assert.deepEqual(complaints, []);
});
