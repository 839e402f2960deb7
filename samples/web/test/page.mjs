// The page in headless Chromium, clicked through: `node test/page.mjs SITE CHROMIUM [PICTURES]`. `cargo xtask test samples`
// builds the site and finds the browser. With a third argument, pictures of the page are put into that folder.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../../../crates/wasm/test/chromium.mjs';
import { serve } from '../serve.mjs';

const [site, executablePath, pictures] = process.argv.slice(2);
const TABLE = statSync(path.join(site, 'table.arrow')).size;
const BLOCK = 65536;
const complaints = [];
let server;
let browser;
let page;

before(async () => {
  server = await serve(site);
  browser = await launch(executablePath, { viewport: { width: 1100, height: 900 } });
  page = await open();
});

after(async () => {
  await browser?.close();
  server?.close();
});

async function open() {
  const page = await browser.context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => globalThis.sample !== undefined && document.querySelector('#picture svg') !== null);
  return page;
}

/** Clicks a button, and gives what the page then says. */
async function click(name, timeout = 30_000) {
  const before = await page.locator('#log li').count();
  await page.click(`#${name}`);
  await page.waitForFunction((count) => document.querySelectorAll('#log li').length > count, before, { timeout });
  const line = page.locator('#log li').first();
  return { text: await line.textContent(), wrong: (await line.getAttribute('class')) === 'wrong' };
}

async function fine(name, timeout) {
  const { text, wrong } = await click(name, timeout);
  assert.ok(!wrong, text);
  return text;
}

async function refused(name, code) {
  const { text, wrong } = await click(name);
  assert.ok(wrong && text.startsWith(`${code}: `), text);
  return text;
}

const counters = () => page.evaluate(() => globalThis.sample.heap.stats().counters);
/** The state that the picture shows of the table's buffer. */
const shown = () =>
  page.evaluate(() => {
    const { heap, loaded } = globalThis.sample;
    const [{ handle }] = loaded.region.buffers();
    return document.querySelector(`#picture [data-buffer="${handle}"]`)?.dataset.state ?? heap.id;
  });
const number = (text) => Number(text.split(': ')[1]);

test('nothing is there at first, and what needs a table cannot be clicked', async () => {
  assert.match(await page.textContent('#picture'), /No regions/);
  for (const name of ['sum-js', 'sum-rust', 'raise', 'borrow-shared', 'release', 'freeze', 'close']) assert.ok(await page.isDisabled(`#${name}`), name);
});

test('memory of the heap cannot be given to the browser to fill, which is why there is one copy', async () => {
  const name = await page.evaluate(async () => {
    const region = globalThis.sample.heap.region();
    const reader = (await fetch('table.arrow')).body.getReader({ mode: 'byob' });
    try {
      return await region.alloc(65536).withUnique((view) => reader.read(view.bytes).then(() => 'it can be', (error) => error.name));
    } finally {
      await reader.cancel();
      region.close();
    }
  });
  assert.equal(name, 'TypeError');
});

test('the table is copied once, each piece is counted, and it is read in place', async () => {
  const text = await fine('load');
  assert.match(text, /through one block of 64 KiB/);
  assert.match(text, /: 200000 rows, read in place$/);
  const { copies, views, borrows_begun: begun, borrows_ended: ended } = await counters();
  assert.equal(copies.ingest.bytes, TABLE);
  assert.ok(copies.ingest.count >= Math.ceil(TABLE / BLOCK), 'a piece is no larger than the block');
  assert.deepEqual(['export', 'no_external_buffers', 'serialize'].map((reason) => copies[reason].count), [0, 0, 0]);
  assert.ok(views >= 2);
  assert.equal(begun, ended);
  assert.equal(await page.textContent('#copies tr:first-child td:last-child'), TABLE.toLocaleString('en'));
  const same = await page.evaluate(async () => {
    const file = new Uint8Array(await (await fetch('table.arrow')).arrayBuffer());
    return globalThis.sample.loaded.buffer.equals(file);
  });
  assert.ok(same, 'the buffer has the bytes of the file');
  assert.equal(await shown(), 'free');
});

let sum;

test('JavaScript and Rust give the same sum of the same bytes', async () => {
  sum = number(await fine('sum-js'));
  assert.ok(sum > 9_000_000 && sum < 11_000_000, String(sum));
  assert.equal(number(await fine('sum-rust')), sum);
});

test('what Rust writes, JavaScript reads, without a copy', async () => {
  const before = (await counters()).copies;
  await fine('raise');
  const raised = number(await fine('sum-js'));
  assert.ok(Math.abs(raised / sum - 1.01) < 1e-9, `${raised} of ${sum}`);
  assert.equal(number(await fine('sum-rust')), raised);
  assert.deepEqual((await counters()).copies, before);
});

test('Rust refuses what is no column, no buffer and no heap', async () => {
  const codes = await page.evaluate(() => {
    const { heap, rust, loaded } = globalThis.sample;
    const { handle, length } = loaded.buffer;
    const of = (call) => {
      try {
        return call();
      } catch (error) {
        return error.code;
      }
    };
    return [
      rust.columnSum(heap.id, handle, length, 0),
      of(() => rust.columnSum(heap.id, handle, length - 7, 1)),
      of(() => rust.columnSum(heap.id, handle, 8, 2 ** 32 - 1)),
      of(() => rust.columnScale(heap.id, handle, 2 ** 32 - 1, 1, 2)),
      of(() => rust.columnSum(heap.id, handle + (1n << 32n), 0, 1)),
      of(() => rust.columnSum('0'.repeat(32), handle, 0, 1)),
    ];
  });
  assert.deepEqual(codes, [0, 'InvalidArgument', 'InvalidArgument', 'InvalidArgument', 'StaleHandle', 'NotFound']);
  await fine('sum-rust');
});

test('a shared view lets others read and nobody write', async () => {
  await fine('borrow-shared');
  await fine('borrow-shared');
  assert.equal(await shown(), 'shared');
  assert.match(await page.textContent('#picture'), /×2/);
  await fine('sum-rust');
  assert.match(await refused('raise', 'BorrowConflict'), /page/);
  await refused('close', 'Borrowed');
});

test('a view and its table outlive growth of memory', async () => {
  const values = () =>
    page.evaluate(() => {
      const [view] = globalThis.sample.views;
      globalThis.sample.kept ??= view.bytes;
      return { kept: globalThis.sample.kept.length, now: view.bytes.length };
    });
  assert.deepEqual(await values(), { kept: TABLE, now: TABLE });
  const before = number(await fine('sum-js'));
  for (let round = 0; (await values()).kept > 0; round += 1) {
    assert.ok(round < 200, 'memory never grew');
    await fine('add');
  }
  assert.deepEqual(await values(), { kept: 0, now: TABLE });
  assert.equal(number(await fine('sum-js')), before);
});

test('a unique view is alone', async () => {
  await refused('borrow-unique', 'BorrowConflict');
  await fine('release');
  await fine('release');
  assert.ok(await page.isDisabled('#release'));
  await fine('borrow-unique');
  assert.equal(await shown(), 'unique');
  await refused('sum-rust', 'BorrowConflict');
  await refused('freeze', 'BorrowConflict');
  await fine('release');
});

test('nobody writes to what is frozen', async () => {
  await fine('freeze');
  assert.equal(await shown(), 'frozen');
  await refused('raise', 'Denied');
  await fine('sum-rust');
});

if (pictures !== undefined) {
  test('pictures of it', async () => {
    await fine('borrow-shared');
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [390, 1100]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        await page.waitForFunction(() => document.querySelector('#picture svg').clientWidth <= document.querySelector('#picture').clientWidth);
        await page.screenshot({ path: path.join(pictures, `page-${colorScheme}-${width}.png`), fullPage: true });
      }
    }
    await fine('release');
  });
}

test('the picture is as wide as the page', async () => {
  for (const width of [390, 1100]) {
    await page.setViewportSize({ width, height: 900 });
    await page.waitForFunction(() => Number(document.querySelector('#picture svg').getAttribute('width')) === Math.floor(document.querySelector('#picture').clientWidth));
    const out = await page.evaluate(() =>
      [...document.querySelectorAll('section > *, section table *')]
        .filter((element) => {
          const section = element.closest('section');
          return element.getBoundingClientRect().right > section.getBoundingClientRect().right - parseFloat(getComputedStyle(section).paddingRight) + 0.5;
        })
        .map((element) => element.outerHTML.slice(0, 80)),
    );
    assert.deepEqual(out, [], `${width}: these stick out`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width}: the page can be scrolled sideways`);
  }
});

test('a region that is closed takes all with it', async () => {
  await fine('close');
  assert.ok(await page.isDisabled('#sum-js'));
  const stats = await page.evaluate(() => globalThis.sample.heap.stats());
  assert.deepEqual(stats.regions.map(({ name }) => name), ['small']);
  assert.deepEqual(stats.borrows, []);
  await fine('load');
  assert.equal(number(await fine('sum-rust')), sum);
});

test('two workers on one memory exclude, wait for and wake each other', async () => {
  const text = await fine('workers', 120_000);
  assert.match(text, /refused: BorrowConflict \(/);
  const slept = Number(text.match(/It slept (\d+) ms and was woken/)[1]);
  assert.ok(slept >= 100 && slept < 9000, `slept ${slept} ms of the 500 that the other took, and of 10000 at most`);
  assert.match(text, /may not sleep: Timeout\./);
  assert.match(text, /both counted to 600 of 600/);
  assert.ok(Number(text.match(/met each other (\d+) times/)[1]) > 0, text);
  assert.match(text, /Borrows left: 0\.$/);
});

test('a page that is not isolated says what is missing', async () => {
  const plain = await serve(site, 0, {});
  try {
    await page.goto(`http://127.0.0.1:${plain.address().port}/`);
    await page.waitForFunction(() => globalThis.sample !== undefined);
    assert.match(await refused('workers', 'Error'), /not isolated/);
    await fine('load');
  } finally {
    plain.close();
  }
});

test('nothing went wrong unseen', () => {
  assert.deepEqual(complaints, []);
});
