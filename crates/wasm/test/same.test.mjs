// The tests of `same.mjs` on both packages, and that both have the same classes, methods and functions.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as native from '../../node/index.mjs';
import * as wasm from '../node.mjs';
import { tests } from './same.mjs';

for (const [name, weaveheap] of Object.entries({ weaveheap: native, 'weaveheap-wasm': wasm })) {
  describe(name, () => {
    for (const { name, run } of tests) test(name, () => run(weaveheap));
  });
}

/** What loads the module: the package for WebAssembly alone has it. */
const LOADING = ['createInstance', 'default', 'init', 'initSync'];

const members = (object) =>
  Object.entries(Object.getOwnPropertyDescriptors(object))
    .filter(([name]) => !['length', 'name', 'prototype'].includes(name))
    .map(([name, { get, value }]) => `${name} ${get ? 'get' : typeof value}`)
    .concat(Object.getOwnPropertySymbols(object).map(String));

/** The members of instances, those that they inherit too. */
function inherited(prototype) {
  const all = [];
  for (let at = prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) all.push(...members(at));
  return [...new Set(all)].sort();
}

test('both packages have the same names', () => {
  const names = Object.keys(wasm).filter((name) => !LOADING.includes(name) && name !== 'module.exports');
  assert.deepEqual(names.sort(), Object.keys(native).sort());
});

test('both packages have the same classes, with the same members', () => {
  for (const [name, value] of Object.entries(native)) {
    assert.equal(typeof wasm[name], typeof value, name);
    if (!/^[A-Z]/.test(name)) continue;
    assert.deepEqual(members(wasm[name]).sort(), members(value).sort(), name);
    assert.deepEqual(inherited(wasm[name].prototype), inherited(value.prototype), name);
  }
});
