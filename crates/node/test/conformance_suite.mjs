// Tests for every conformance case, and for the wrong ones, each of which must fail exactly where it says.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { MANIFEST, list, run } from './conformance.mjs';

/** Makes the tests. `mayLack`: what the language may lack, as conformance/README.md has it. */
export function testCases(mayLack) {
  const counts = { passed: 0, failed: 0, 'not applicable': 0 };

  for (const [name, file] of list('cases')) {
    test(name, async () => {
      const { outcome, at, message } = await run(file);
      counts[outcome] += 1;
      assert.notEqual(outcome, 'failed', `step ${at}: ${message}`);
      if (outcome === 'not applicable') {
        const { needs } = JSON.parse(readFileSync(file, 'utf8'));
        assert.ok(needs.some((need) => mayLack.includes(need)), `left out without a need: ${needs}`);
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
}
