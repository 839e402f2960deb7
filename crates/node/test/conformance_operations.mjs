// The operations of the conformance cases, as `conformance/README.md` lists them, through the package's public API.

import { writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { weaveheap } from './package.mjs';

const { Heap, StaleHandleError, handleFromString, handleToString } = weaveheap;
const big = (length) => (typeof length === 'string' ? BigInt(length) : length);
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const defined = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
export const kinds = (holders) => holders.map((holder) => holder.kind).sort();
const where = (s) => (s.name === undefined ? [{ path: s.path, ...heapOptions(s) }] : [s.name, heapOptions(s)]);
const heapOptions = ({ limit, verify, inspect }) => defined({ limit, verify, inspect });
const bytesOf = (s) => (s.hex === undefined ? Buffer.from(s.text, 'utf8') : Buffer.from(s.hex, 'hex'));

/** What a step says that cannot be: a failure of the case, whatever the API did. */
export class Wrong extends Error {}

export function check(truth, message) {
  if (!truth) throw new Wrong(message);
}

// Each operation: its keys (`?` may be absent), then what it does. `c` is the case that runs, `s` the step.
export const OPERATIONS = {
  private_heap: ['limit? verify? inspect? as', (c, s) => c.give(s, { heap: Heap.private(heapOptions(s)) })],
  create_heap: ['name? path? limit? verify? inspect? as', (c, s) => c.created(s, Heap.create(...where(s)))],
  open_heap: ['name? path? as', (c, s) => c.give(s, { heap: Heap.open(...where(s)) })],
  remove_heap: ['name? path?', (c, s) => Heap.remove(where(s)[0])],
  detach: ['heap', (c, s) => c.heap(s.heap).detach()],
  check: ['heap', (c, s) => void c.heap(s.heap).check()],
  write_file: ['path text', (c, s) => writeFileSync(s.path, s.text)],
  create_region: ['name? limit? heap? as', (c, s) => {
    const heap = s.heap ?? 'h';
    const region = c.heap(heap).region(defined({ name: s.name, limit: s.limit }));
    c.give(s, { region, bits: region.handle, of: heap });
  }],
  reset: ['region heap?', (c, s) => c.region(s).reset()],
  close: ['region heap?', (c, s) => c.region(s).close()],
  close_when_idle: ['region heap?', (c, s) => c.region(s).closeWhenIdle()],
  wait_idle: ['region timeout heap?', (c, s) => c.region(s).waitIdle({ timeout: s.timeout * 1000 })],
  region_info: ['region heap?', (c, s) => {
    const { heap, bits } = c.handle(s, 'region');
    const info = heap.stats().regions.find((region) => region.handle === handleToString(bits));
    if (info === undefined) throw new StaleHandleError('no such region in the statistics');
    return { value: info };
  }],
  alloc: ['region length align? init? as heap?', (c, s) => {
    const zeroed = { zeroed: true, uninit: false, undefined: true }[s.init];
    check(zeroed !== undefined, `init ${s.init} is not known`);
    c.buffer(s, c.region(s).alloc(big(s.length), defined({ align: big(s.align), zeroed })));
  }],
  string: ['region text as heap?', (c, s) => c.buffer(s, c.region(s).string(s.text))],
  free: ['buffer heap?', (c, s) => c.bytes(s).free()],
  freeze: ['buffer heap?', (c, s) => c.bytes(s).freeze()],
  clear_poison: ['buffer heap?', (c, s) => c.bytes(s).clearPoison()],
  length: ['buffer heap?', (c, s) => {
    const { heap, bits } = c.handle(s, 'buffer');
    return { value: heap.buffer(bits).length };
  }],
  buffer_info: ['buffer heap?', (c, s) => ({ value: c.bytes(s).info() })],
  borrow_shared: ['buffer as heap?', (c, s) => c.give(s, { view: c.bytes(s).borrowShared() })],
  borrow_unique: ['buffer as heap?', (c, s) => c.give(s, { view: c.bytes(s).borrowUnique() })],
  release: ['view', (c, s) => c.get(s.view, 'view').release()],
  write: ['view at? hex? text?', (c, s) => c.get(s.view, 'view').bytes.set(bytesOf(s), s.at ?? 0)],
  read: ['view at? length?', (c, s) => {
    const { bytes } = c.get(s.view, 'view');
    const at = s.at ?? 0;
    const read = bytes.slice(at, at + (s.length ?? bytes.length - at));
    return { hex: hex(read), text: Buffer.from(read).toString('utf8') };
  }],
  view_length: ['view', (c, s) => ({ value: c.get(s.view, 'view').bytes.length })],
  forge: ['handle? bits? xor? as heap?', (c, s) => {
    const from = s.handle === undefined ? { bits: BigInt(s.bits), of: 'h' } : c.named(s.handle);
    c.give(s, { bits: from.bits ^ BigInt(`0x${s.xor ?? '0'}`), of: from.of });
  }],
  compare: ['a b', (c, s) => ({ value: c.named(s.a).bits === c.named(s.b).bits })],
  holders: ['handle heap?', (c, s) => {
    const { heap, bits } = c.handle(s, 'handle');
    const text = handleToString(bits);
    const held = heap.stats().borrows.filter((borrow) => borrow.handle === text || borrow.region === text);
    check(isDeepStrictEqual(kinds(held), kinds(heap.holders(bits))), 'holders() and the statistics differ');
    return { value: kinds(held) };
  }],
  format_handle: ['bits', (c, s) => ({ value: handleToString(BigInt(s.bits)) })],
  parse_handle: ['text', (c, s) => ({ value: String(handleFromString(s.text)) })],
  text_of: ['handle heap?', (c, s) => {
    const { bits } = c.handle(s, 'handle');
    check(handleFromString(handleToString(bits)) === bits, 'the text does not name the same handle');
    return { value: handleToString(bits)[0] };
  }],
  publish: ['name handle heap?', (c, s) => {
    const { heap, bits } = c.handle(s, 'handle');
    heap.publish(s.name, bits);
  }],
  lookup: ['name timeout? heap? as?', async (c, s) => {
    const heap = c.heap(s.heap ?? 'h');
    const bits = s.timeout === undefined ? heap.lookup(s.name) : await heap.lookup(s.name, { timeout: s.timeout * 1000 });
    if (s.as !== undefined) c.give(s, { bits, of: s.heap ?? 'h' });
    return { handle: bits };
  }],
  unpublish: ['name heap?', (c, s) => c.heap(s.heap ?? 'h').unpublish(s.name)],
  mark: ['of as', (c, s) => c.give(s, { mark: c.counters(s.of), of: s.of })],
  counted: ['since', (c, s) => {
    const { mark, of } = c.named(s.since, 'mark');
    const now = flat(c.counters(of));
    for (const [key, before] of Object.entries(flat(mark))) now[key] -= before;
    return { value: now };
  }],
};
/** Operations whose steps say what they expect. */
export const VALUED = /^(region_info|length|buffer_info|view_length|compare|holders|format_handle|parse_handle|text_of|counted|read)$/;

const flat = (counters, prefix = '') =>
  Object.entries(counters).reduce((all, [key, value]) => {
    return Object.assign(all, typeof value === 'object' ? flat(value, `${prefix}${key}.`) : { [prefix + key]: value });
  }, {});
