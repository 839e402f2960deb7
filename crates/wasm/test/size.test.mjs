// The size of the module, which is loaded through the network. `most` is what it may have now: lower it with the module.
// `wanted` is where it is to go (docs/wasm.md says what takes the room).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const KB = 1000;
const SIZES = { plain: { most: 78 * KB, wanted: 60 * KB }, packed: { most: 38.5 * KB, wanted: 25 * KB } };
const module = readFileSync(new URL('../weaveheap.wasm', import.meta.url));

for (const [name, size] of Object.entries({ plain: module.length, packed: gzipSync(module, { level: 9 }).length })) {
  test(`the module has not grown: ${name}`, () => {
    const { most, wanted } = SIZES[name];
    console.log(`${name}: ${size} bytes, ${wanted} wanted`);
    assert.ok(size <= most, `${size} bytes are more than ${most}`);
  });
}

test('the module names no folder of the machine that built it', () => {
  assert.doesNotMatch(module.toString('latin1'), /\/(home|root|work|tmp|usr)\//);
});
