// The drawing alone: from plain data to SVG. `node --test test/picture.test.mjs`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawHeap, size } from '../page/picture.mjs';

const region = (handle, more = {}) => ({ handle, name: '', state: 'open', reserved: 65536, bytes_live: 100, buffers: 1, ...more });
const buffer = (handle, more = {}) => ({ handle, region: 'r0:1', length: 64, shared: 0, unique: false, frozen: false, poisoned: false, ...more });
const snapshot = (regions, buffers) => ({ heap: { id: '0123456789abcdef', bytes_live: 100, reserved: 65536 }, regions, buffers });
const stateOf = (svg, handle) => svg.match(new RegExp(`data-buffer="${handle}" data-state="(\\w+)"`))?.[1];
/** The rectangles of boxes: x, y and width of each. */
const boxes = (svg) =>
  [...svg.matchAll(/<rect class="box \w+(?: ice)?" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="27"/g)].map((found) => found.slice(1).map(Number));

test('an empty heap is drawn, with its legend', () => {
  const svg = drawHeap(snapshot([], []));
  assert.match(svg, /^<svg [^>]*width="720"/);
  assert.match(svg, /No regions\./);
  assert.match(svg, /borrowed unique/);
});

test('each state of a buffer has a look of its own, and the worst is shown', () => {
  const buffers = [
    buffer('b0:1'),
    buffer('b1:1', { shared: 2 }),
    buffer('b2:1', { unique: true }),
    buffer('b3:1', { frozen: true }),
    buffer('b4:1', { frozen: true, shared: 1 }),
    buffer('b5:1', { poisoned: true, frozen: true }),
  ];
  const svg = drawHeap(snapshot([region('r0:1', { buffers: 6 })], buffers));
  const states = buffers.map(({ handle }) => stateOf(svg, handle));
  assert.deepEqual(states, ['free', 'shared', 'unique', 'frozen', 'shared', 'poisoned']);
  assert.match(svg, /b1:1: 64 bytes, borrowed shared 2 times/);
  assert.match(svg, /class="box shared ice"/, 'one that is frozen and read looks like both');
  assert.match(svg, />×2 b1:1 64 B</);
});

test('boxes are as wide as buffers are large, and none is out of the picture', () => {
  const buffers = [1_000_000, 500_000, 10, 250_000, 400_000].map((length, at) => buffer(`b${at}:1`, { length }));
  for (const width of [320, 720, 1400]) {
    const found = boxes(drawHeap(snapshot([region('r0:1', { buffers: 5 })], buffers), { width }));
    assert.equal(found.length, 5);
    assert.ok(Math.abs(found[0][2] / found[1][2] - 2) < 0.05, 'the first is twice the second');
    assert.ok(found[2][2] >= 20, 'the smallest is seen');
    for (const [x, , long] of found) assert.ok(x >= 0 && x + long <= width, `${x} and ${long} in ${width}`);
    for (const [at, [x, y, long]] of found.entries()) {
      const over = found.slice(at + 1).some(([ox, oy, other]) => oy === y && ox < x + long && x < ox + other);
      assert.ok(!over, 'two lie on each other');
    }
  }
});

test('a picture without room is as narrow as one can be', () => {
  for (const width of [0, -5, NaN, 159]) {
    const svg = drawHeap(snapshot([region('r0:1')], [buffer('b0:1')]), { width });
    assert.match(svg, /^<svg [^>]*width="160"/);
    assert.doesNotMatch(svg, /"-|NaN/);
  }
});

test('regions are as long as what they have reserved', () => {
  const regions = [region('r0:1', { reserved: 262144, bytes_live: 65536 }), region('r1:1', { reserved: 131072, bytes_live: 0, buffers: 0, name: 'half' })];
  const svg = drawHeap(snapshot(regions, []), { width: 800 });
  const long = (kind) => [...svg.matchAll(new RegExp(`class="${kind}" x="0" y="\\d+" width="([\\d.]+)"`, 'g'))].map(([, width]) => Number(width));
  assert.deepEqual(long('track'), [800, 400]);
  assert.deepEqual(long('live'), [200, 0]);
});

test('what is too much for boxes is said in words', () => {
  const buffers = Array.from({ length: 1000 }, (_, at) => buffer(`b${at}:1`));
  const svg = drawHeap(snapshot([region('r0:1', { buffers: 5000 })], buffers));
  assert.equal(boxes(svg).length, 240);
  assert.match(svg, /and 4760 buffers more/);
});

test('a name can break nothing', () => {
  const name = '</svg><script>alert(1)</script>&"\u0000\u001b';
  const svg = drawHeap(snapshot([region('r0:1', { name, state: 'draining' })], []), { width: 2000 });
  assert.doesNotMatch(svg, /<script|\u0000|\u001b/);
  assert.match(svg, /&lt;\/svg&gt;&lt;script&gt;alert\(1\)&lt;\/script&gt;&amp;&quot;�� \(r0:1\), draining/);
});

test('sizes are as people read them', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 200 * 2 ** 20, 3 * 2 ** 30].map(size), ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '200 MiB', '3.0 GiB']);
});
