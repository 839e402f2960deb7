// Errors: one class for each code of the list, holders gathered late, no panic across the border, versions compared
// (F1, F3, F5, B6).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import * as weaveheap from 'weaveheap';
import { PACKAGE, refused, runScript } from './support.mjs';

const require = createRequire(import.meta.url);
const { native, checkNative } = require('../lib/native.js');
const { Heap, WeaveHeapError } = weaveheap;

function specified() {
  const text = readFileSync(path.join(PACKAGE, '../../spec/errors.toml'), 'utf8');
  return [...text.matchAll(/^number = (\d+)\nname = "(\w+)"/gm)].map(([, number, name]) => [name, Number(number)]);
}

test('there is a class for each code of the list, and no other', () => {
  const codes = specified();
  assert.ok(codes.length >= 20);
  for (const [name, number] of codes) {
    const Class = weaveheap[`${name}Error`];
    assert.equal(Class.code, name);
    assert.equal(Class.number, number);
    const error = new Class('why');
    assert.ok(error instanceof WeaveHeapError && error instanceof Error);
    assert.deepEqual([error.name, error.code, error.number, error.message], [`${name}Error`, name, number, 'why']);
    assert.deepEqual(error.holders, []);
    assert.equal(String(error), `${name}Error: why`);
  }
  const classes = Object.keys(weaveheap).filter((name) => /Error$/.test(name) && name !== 'WeaveHeapError');
  assert.deepEqual(classes.sort(), codes.map(([name]) => `${name}Error`).sort());
});

test('both module systems give the same objects', () => {
  const common = require('weaveheap');
  for (const [name, value] of Object.entries(weaveheap)) assert.equal(value, common[name], name);
  assert.deepEqual(Object.keys(common).sort(), Object.keys(weaveheap).sort());
});

test('a refusal is an error like any other: class, code, number, one-line message, stack', () => {
  const heap = Heap.private();
  const error = refused('StaleHandle', () => heap.buffer(0n));
  assert.ok(error instanceof weaveheap.StaleHandleError);
  assert.equal(error.number, 2);
  assert.ok(error.message.length > 10 && !error.message.includes('\n'));
  assert.match(error.stack, /^StaleHandleError: /);
  assert.match(error.stack, /error\.test\.mjs/);
  heap.check();
  heap.detach();
});

test('a refusal is what it is where a program has frozen `Error`', async () => {
  const script = `
    import { Heap } from 'weaveheap';
    Object.freeze(Error);
    const heap = Heap.private();
    const region = heap.region();
    const buffer = region.alloc(8);
    const view = buffer.borrowShared();
    try {
      buffer.borrowUnique();
    } catch (error) {
      console.log(error.code, error.holders.length, /^BorrowConflictError: .*shared borrow.*\\n {4}at /.test(error.stack));
    }
    view.release();
    region.close();
    heap.detach();
  `;
  assert.equal((await runScript(script)).output, 'BorrowConflict 1 true\n');
});

test('holders, message and stack are gathered when they are asked for', () => {
  const heap = Heap.private({ label: 'late' });
  const buffer = heap.region().alloc(8);
  const view = buffer.borrowShared();
  const early = refused('BorrowConflict', () => buffer.borrowUnique());
  const [holder] = early.holders;
  assert.equal(holder.handle, weaveheap.handleToString(buffer.handle));
  assert.deepEqual([holder.kind, holder.runtime, holder.process, holder.label, holder.alive], ['shared', 'node', process.pid, 'late', true]);
  assert.equal(early.holders, early.holders);
  assert.match(early.message, /shared borrow of b\d+:\d+ by node process/);
  assert.match(early.stack, /^BorrowConflictError: .*shared borrow.*\n {4}at /);
  assert.match(early.stack, /error\.test\.mjs/);
  assert.match(inspect(early), /shared borrow/);
  assert.deepEqual(Object.keys(early), []);
  const late = refused('BorrowConflict', () => buffer.borrowUnique());
  view.release();
  assert.deepEqual(late.holders, []);
  assert.doesNotMatch(late.message, /shared borrow of b/);
  early.message = 'changed';
  assert.equal(early.message, 'changed');
  heap.check();
  heap.detach();
  assert.deepEqual(refusedAfterDetach(heap).holders, []);
});

function refusedAfterDetach(heap) {
  return refused('NotAttached', () => heap.stats());
}

test('a panic becomes Internal, and the library goes on', () => {
  const heap = Heap.private();
  const error = refused('Internal', () => native.panic());
  assert.ok(error instanceof weaveheap.InternalError);
  assert.match(error.message, /a panic was asked for/);
  assert.equal(heap.region().string('goes on').toString(), 'goes on');
  heap.check();
  heap.detach();
});

test('the native half checks its arguments itself', () => {
  for (const [name, call] of Object.entries(native)) {
    if (typeof call !== 'function' || ['heapPrivate', 'heapList', 'heapFolder', 'panic'].includes(name)) continue;
    for (const value of [undefined, null, 'x', -1, NaN, 1e9, 1n << 70n, {}, Symbol('x')]) {
      try {
        call(value, value, value, value, value, value);
      } catch (error) {
        assert.ok(error instanceof WeaveHeapError, `${name}(${String(value)}): ${error}`);
        assert.notEqual(error.code, 'Internal', `${name}(${String(value)}): ${error}`);
      }
    }
  }
});

test('a native half of another version is refused, and both versions are named', () => {
  assert.equal(checkNative(native), native);
  const { version } = JSON.parse(readFileSync(path.join(PACKAGE, 'package.json'), 'utf8'));
  assert.equal(native.version, version);
  for (const other of [{ abi: 99, version }, { abi: native.abi, version: '9.9.9' }, {}]) {
    const error = refused('Incompatible', () => checkNative(other));
    assert.ok(error.message.includes(`version ${other.version} with ABI ${other.abi}`), error.message);
    assert.ok(error.message.includes(`version ${version} with ABI ${native.abi}`), error.message);
  }
});
