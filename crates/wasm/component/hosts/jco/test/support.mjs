// What the tests share: instances, short ways to make things, and a limit to the memory of a module.
import assert from 'node:assert/strict';

import { component } from '../component.mjs';

/** Makes an instance of the component as it is shipped. */
export const instance = await component(process.env.WEAVEHEAP_COMPONENT);

/** Makes an instance of the component that has a function that panics. */
export const planted = await component(process.env.WEAVEHEAP_COMPONENT_PLANTED);

/** How jco names the method that drops a resource. */
export const dispose = Symbol.dispose ?? Symbol.for('dispose');

export const PLAIN = { uninitialised: false };

/** A heap in an instance of its own, and a region of it. */
export async function heapAndRegion(limit = 64n << 20n) {
  const { Heap, handleText, parseHandle } = (await instance()).heap;
  const heap = Heap.create({ limit, label: 'test' });
  return { heap, region: heap.createRegion({ name: 'region' }), Heap, handleText, parseHandle };
}

/** Expects a refusal with this code. What jco throws is the record itself, which is no `Error`. */
export function refused(code, work) {
  let answer;
  try {
    answer = work();
  } catch (error) {
    assert.equal(error.code, code, `${error.message}`);
    assert.deepEqual(Object.keys(error), ['code', 'about', 'message']);
    assert.ok(error.message.length > 10);
    return error;
  }
  assert.fail(`${code} was expected, and there was an answer: ${answer}`);
}

/** A change of a module: its memory may have so many pages. Modules without a memory of their own stay as they are. */
export function atMost(pages) {
  return (bytes) => {
    for (let at = 8; at < bytes.length; ) {
      const id = bytes[at];
      const size = number(bytes, at + 1);
      if (id === 5) {
        const [count, flags] = [bytes[size.next], bytes[size.next + 1]];
        assert.deepEqual([count, flags], [1, 0], 'one memory without a limit was expected');
        const least = number(bytes, size.next + 2);
        const body = [1, 1, ...leb(least.value), ...leb(pages)];
        const rest = bytes.subarray(size.next + size.value);
        return Buffer.concat([bytes.subarray(0, at), Buffer.from([5, ...leb(body.length), ...body]), rest]);
      }
      at = size.next + size.value;
    }
    return bytes;
  };
}

function number(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7, at += 1) {
    value += (bytes[at] & 127) * 2 ** shift;
    if (bytes[at] < 128) return { value, next: at + 1 };
  }
}

function leb(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}
