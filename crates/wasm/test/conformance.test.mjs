// Every conformance case through this package, and the wrong ones, each of which must fail exactly where it says: with the
// runner of the package `weaveheap`, whose API this is.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';

process.env.WEAVEHEAP_PACKAGE = new URL('../node.mjs', import.meta.url).href;
const { MANIFEST, list, run } = await import('../../node/test/conformance.mjs');
const counts = { passed: 0, failed: 0, 'not applicable': 0 };
/** What this language may lack, as conformance/README.md has it. */
const MAY_LACK = ['shared', 'two_attachments', 'tokens', 'address', 'raw_text', 'validate_text'];

for (const [name, file] of list('cases')) {
  test(name, async () => {
    const { outcome, at, message } = await run(file);
    counts[outcome] += 1;
    assert.notEqual(outcome, 'failed', `step ${at}: ${message}`);
    if (outcome === 'not applicable') {
      const { needs } = JSON.parse(readFileSync(file, 'utf8'));
      assert.ok(needs.some((need) => MAY_LACK.includes(need)), `left out without a need: ${needs}`);
    }
  });
}

test('as many cases as the manifest says', () => {
  assert.equal(counts.passed + counts.failed + counts['not applicable'], MANIFEST.cases);
  assert.ok(counts.passed > MANIFEST.cases / 2);
});

for (const [name, file] of list('wrong')) {
  test(`wrong/${name} fails where it says`, async () => {
    const { outcome, at } = await run(file);
    assert.equal(outcome, 'failed');
    assert.equal(at, JSON.parse(readFileSync(file, 'utf8')).fails_at);
  });
}

test('as many wrong cases as the manifest says', () => {
  assert.equal(list('wrong').length, MANIFEST.wrong);
});

after(() => {
  const { passed, failed } = counts;
  console.log(`conformance: ${passed} passed, ${failed} failed, ${counts['not applicable']} not applicable`);
});
