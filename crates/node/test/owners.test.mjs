// What a heap remembers of its regions' objects.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { Owners } = createRequire(import.meta.url)('../lib/owners.js');

test('an owner is found by its handle until it is forgotten', () => {
  const owners = new Owners();
  const [one, two] = [{ handle: 1n }, { handle: 2n }];
  owners.add(one);
  owners.add(two);
  assert.equal(owners.get(1n), one);
  assert.equal(owners.get(2n), two);
  assert.equal(owners.get(3n), undefined);
  owners.clear();
  assert.equal(owners.get(1n), undefined);
});

test('an owner costs no more among many: each is looked at a few times', (context) => {
  const COUNT = 10_000;
  const { deref } = WeakRef.prototype;
  let looks = 0;
  context.mock.method(WeakRef.prototype, 'deref', function () {
    looks += 1;
    return deref.call(this);
  });
  const owners = new Owners();
  const all = Array.from({ length: COUNT }, (_, handle) => ({ handle }));
  for (const owner of all) owners.add(owner);
  assert.ok(looks > 0 && looks < 3 * COUNT, `${looks} looks`);
  assert.equal(owners.get(COUNT - 1), all.at(-1));
});
