// The worker of the worker tests: it is given a heap's id and handles, and views what they name.

import { parentPort, workerData } from 'node:worker_threads';
import { Heap } from 'weaveheap';

let heap = Heap.byId(workerData.id);
const held = [];

const commands = {
  sum: ({ handle }) => heap.buffer(handle).withShared(({ bytes }) => bytes.reduce((a, b) => a + b, 0)),
  fill: ({ handle, value }) => void heap.buffer(handle).withUnique(({ bytes }) => bytes.fill(value)),
  hold: ({ handle, kind }) => {
    const buffer = heap.buffer(handle);
    const view = kind === 'unique' ? buffer.borrowUnique() : buffer.borrowShared();
    held.push(view, view.bytes);
  },
  move: () => {
    // Memory that has gone to another ArrayBuffer, which the library does not know.
    held.push(held[0].bytes.buffer.transfer?.());
    held[0].release();
  },
  region: () => {
    held.push(heap.region({ name: 'of the worker' }));
    return held.at(-1).handle;
  },
  wait: ({ name }) => {
    heap.lookup(name, { timeout: null }).then((handle) => parentPort.postMessage({ found: handle }));
  },
  detach: () => heap.detach(),
  drop: () => {
    heap = undefined;
  },
  spin: () => {
    parentPort.postMessage({ ok: 'spinning' });
    for (;;) heap.buffer(held[0].buffer.handle).withShared(({ bytes }) => bytes.at(0));
  },
  exit: () => process.exit(0),
};

parentPort.on('message', ({ do: name, ...command }) => {
  try {
    parentPort.postMessage({ ok: commands[name](command) });
  } catch (error) {
    parentPort.postMessage({ error: error.code ?? String(error), kinds: error.holders?.map(({ kind }) => kind) });
  }
});
