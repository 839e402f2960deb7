// Runs the conformance cases through the package's public API; `conformance/README.md` has the form of a case.
// `node test/conformance.mjs` runs them all and fails if one does; `conformance.test.mjs` does so for node:test.

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { OPERATIONS, VALUED, check, kinds, Wrong } from './conformance_operations.mjs';
import { IS_WASM, weaveheap } from './package.mjs';

const { Heap, WeaveHeapError, handleToString } = weaveheap;
export const FOLDER = fileURLToPath(new URL('../../../conformance/', import.meta.url));
export const MANIFEST = JSON.parse(readFileSync(path.join(FOLDER, 'manifest.json'), 'utf8'));
const HAS = { shared: !IS_WASM, two_attachments: !IS_WASM, region_handles: true, buffer_info: true };
const LACKS = ['tokens', 'address', 'raw_text', 'validate_text', ...(IS_WASM ? ['shared', 'two_attachments'] : [])];
const RESULTS = ['value', 'hex', 'text', 'handle'];

class Case {
  #names = new Map();
  #shared = [];
  #unique = Array.from(randomBytes(24), (byte) => (byte % 36).toString(36)).join('');
  #temp;

  named(name, kind = 'bits') {
    if (name === 'null' && kind === 'bits') return { bits: 0n, of: 'h' };
    const thing = this.#names.get(name);
    check(thing?.[kind] !== undefined, `${name} names no such thing`);
    return thing;
  }
  get = (name, kind) => this.named(name, kind)[kind];
  heap = (name) => this.get(name, 'heap');
  give(s, thing) {
    this.#names.set(s.as, thing);
  }
  created(s, heap) {
    this.#shared.push(s.name === undefined ? { path: s.path } : s.name);
    this.give(s, { heap });
  }
  handle(s, key) {
    const { bits, of } = this.named(s[key]);
    return { heap: this.heap(s.heap ?? of), bits };
  }
  /** The object that a step names, or one for its bits where it names another heap or has no object. */
  #object(s, key, find) {
    const { heap, bits } = this.handle(s, key);
    const { [key]: object } = s.heap === undefined ? this.named(s[key]) : {};
    return object ?? find(heap, bits);
  }
  region = (s) => this.#object(s, 'region', (heap, bits) => heap.regionAt(bits));
  bytes = (s) => this.#object(s, 'buffer', (heap, bits) => heap.buffer(bits));
  buffer = (s, buffer) => this.give(s, { buffer, bits: buffer.handle, of: s.heap ?? this.named(s.region).of });
  counters(name) {
    const { heap, bits, of } = this.#names.get(name) ?? {};
    if (heap !== undefined) return heap.stats().counters;
    const region = this.heap(of).stats().regions.find((info) => info.handle === handleToString(bits));
    check(region !== undefined, `${name} is neither a heap nor an open region`);
    return region.counters;
  }

  #filled(s) {
    const fill = (text) => text.replaceAll('{unique}', this.#unique).replaceAll('{temp}', () => this.#folder());
    const places = ['name', 'path', 'text'].filter((key) => typeof s[key] === 'string');
    return { ...s, ...Object.fromEntries(places.map((key) => [key, fill(s[key])])) };
  }
  #folder() {
    return (this.#temp ??= mkdtempSync(path.join(tmpdir(), 'weaveheap-case-')));
  }

  async step(raw) {
    const { do: operation, expect, ...rest } = raw;
    const [keys, run] = Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation] : [];
    check(run !== undefined, `operation ${operation} is not known`);
    const known = keys.split(' ');
    const missing = known.filter((key) => !key.endsWith('?') && rest[key] === undefined);
    const strange = Object.keys(rest).filter((key) => !known.includes(key) && !known.includes(`${key}?`));
    check(missing.length + strange.length === 0, `keys missing: [${missing}], not known: [${strange}]`);
    check(rest.as === undefined || (!this.#names.has(rest.as) && rest.as !== 'null'), `the name ${rest.as} is given twice`);
    const wanted = Object.keys(expect ?? {});
    const isError = wanted[0] === 'error' && wanted.slice(1).every((key) => key === 'holders');
    check(expect === undefined || isError || (wanted.length === 1 && RESULTS.includes(wanted[0])), `expectation ${wanted} is not known`);
    check(!isError || Object.hasOwn(weaveheap, `${expect.error}Error`), `error ${expect?.error} is not known`);
    let result;
    try {
      result = await run(this, this.#filled(rest));
    } catch (error) {
      check(error instanceof WeaveHeapError && isError, `expected ${expect ? JSON.stringify(expect) : 'success'}, got ${error}`);
      check(error.code === expect.error, `expected ${expect.error}, got ${error}`);
      return expect.holders && this.#compareHolders(rest, expect.holders, error.holders);
    }
    check(!isError, `expected ${expect?.error}, got success`);
    check(expect !== undefined || !VALUED.test(operation), `${operation} says what is expected of it`);
    if (expect !== undefined) this.#compare(wanted[0], expect[wanted[0]], result ?? {});
  }
  #compare(kind, expected, result) {
    check(kind in result, `the step has no result of the kind ${kind}`);
    const got = result[kind];
    let same = isDeepStrictEqual(got, expected);
    if (kind === 'handle') same = got === this.named(expected).bits;
    else if (Array.isArray(expected)) same = isDeepStrictEqual(got, [...expected].sort());
    else if (typeof expected === 'object') same = Object.entries(expected).every(([key, value]) => Object.hasOwn(got, key) && isDeepStrictEqual(got[key], value));
    check(same, `expected ${JSON.stringify(expected)}, got ${JSON.stringify(got, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`);
  }
  #compareHolders(s, expected, holders) {
    check(isDeepStrictEqual(kinds(holders), [...expected].sort()), `expected holders [${expected}], got [${kinds(holders)}]`);
    const name = s.buffer ?? s.region ?? s.handle;
    const subject = name && handleToString(this.named(name).bits);
    for (const holder of holders) {
      const [runtime, pid] = IS_WASM ? ['wasm', 0] : ['node', process.pid];
      const ours = holder.runtime === runtime && holder.process === pid && holder.alive;
      check(ours && (!subject || [holder.handle, holder.region].includes(subject)), `not this holder: ${JSON.stringify(holder)}`);
    }
  }

  async start(heap) {
    if (heap === undefined) heap = { kind: 'private' };
    if (heap === null) return;
    const { kind, ...options } = heap;
    await this.step({ do: kind === 'shared' ? 'create_heap' : 'private_heap', as: 'h', ...options, ...(kind === 'shared' && { name: '{unique}' }) });
  }
  #attached = () => [...this.#names.values()].flatMap(({ heap }) => (heap && !heap.detached ? [heap] : []));
  verify() {
    for (const heap of this.#attached()) {
      const { borrows } = heap.stats();
      check(borrows.length === 0, `${borrows.length} borrows are left: ${JSON.stringify(borrows)}`);
      heap.check();
    }
    for (const heap of this.#attached()) heap.detach();
  }
  clean() {
    const quietly = (work) => { try { work(); } catch { /* the case's own failure says more */ } };
    for (const { view } of this.#names.values()) quietly(() => view?.release());
    for (const heap of this.#attached()) quietly(() => heap.detach());
    for (const place of this.#shared) quietly(() => Heap.remove(place));
    if (this.#temp) rmSync(this.#temp, { recursive: true, force: true });
  }
}

function loaded(file) {
  const all = JSON.parse(readFileSync(file, 'utf8'));
  const { title, rules, steps, needs = [], heap = {}, fails_at: _, ...strange } = all;
  check(title && rules?.length && steps?.length, 'a case has a title, rules and steps');
  const { kind = 'private', limit: _l, verify: _v, inspect: _i, ...more } = heap ?? {};
  const keys = [...Object.keys(strange), ...Object.keys(more)];
  check(keys.length === 0 && ['private', 'shared'].includes(kind), `keys not known: [${keys}], or kind of heap: ${kind}`);
  for (const need of needs) check(HAS[need] || LACKS.includes(need), `need ${need} is not known`);
  return { ...all, needs };
}

/** Runs a case: `{ outcome: 'passed' | 'failed' | 'not applicable', at, message }`; `at` is the step from 1, or load or end. */
export async function run(file) {
  let at = 'load';
  const running = new Case();
  try {
    const { needs, heap, steps } = loaded(file);
    if (needs.some((need) => LACKS.includes(need))) return { outcome: 'not applicable' };
    at = 0;
    await running.start(heap);
    for (const step of steps) {
      at += 1;
      await running.step(step);
    }
    at = 'end';
    running.verify();
    return { outcome: 'passed' };
  } catch (error) {
    return { outcome: 'failed', at, message: error instanceof Wrong ? error.message : String(error?.stack ?? error) };
  } finally {
    running.clean();
  }
}

/** The cases in a folder: `[name, file]` each. */
export function list(folder) {
  const root = path.join(FOLDER, folder);
  const files = readdirSync(root, { recursive: true }).filter((name) => name.endsWith('.json')).sort();
  return files.map((name) => [name.slice(0, -'.json'.length), path.join(root, name)]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.env.WEAVEHEAP_DIR ?? (process.env.WEAVEHEAP_DIR = mkdtempSync(path.join(tmpdir(), 'weaveheap-cases-')));
  mkdirSync(folder, { recursive: true });
  const counts = { passed: 0, failed: 0, 'not applicable': 0 };
  for (const [name, file] of list('cases')) {
    const { outcome, at, message } = await run(file);
    counts[outcome] += 1;
    if (outcome === 'failed') console.log(`${name}: step ${at}: ${message}`);
  }
  console.log(`conformance: ${counts.passed} passed, ${counts.failed} failed, ${counts['not applicable']} not applicable`);
  const total = Object.values(counts).reduce((a, b) => a + b);
  if (total !== MANIFEST.cases) console.log(`${total} cases ran, and the manifest says ${MANIFEST.cases}`);
  process.exitCode = counts.failed > 0 || total !== MANIFEST.cases ? 1 : 0;
}
