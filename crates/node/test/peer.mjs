// The other process of the two-process tests, in Node: one command a line from standard input, one answer a line.
// `peer.py` is the same in Python.

import readline from 'node:readline';
import { Heap, handleFromString, handleToString } from 'weaveheap';

let heap;
let region;
const views = new Map();
const bufferOf = ({ handle }) => heap.buffer(handleFromString(handle));

const commands = {
  open: ({ name }) => {
    heap = Heap.open(name, { label: 'peer' });
    return heap.id;
  },
  region: ({ name }) => {
    region = heap.region({ name });
    return handleToString(region.handle);
  },
  string: ({ text }) => handleToString(region.string(text).handle),
  alloc: ({ length }) => handleToString(region.alloc(length).handle),
  publish: ({ name, handle }) => heap.publish(name, handleFromString(handle)),
  lookup: async ({ name, timeout }) => {
    const handle = timeout === undefined ? heap.lookup(name) : await heap.lookup(name, { timeout });
    return handleToString(handle);
  },
  length: (command) => bufferOf(command).length,
  borrow: (command) => {
    const buffer = bufferOf(command);
    views.set(command.as, command.kind === 'unique' ? buffer.borrowUnique() : buffer.borrowShared());
  },
  read: ({ view, at, length }) => Buffer.from(views.get(view).bytes.subarray(at, at + length)).toString('hex'),
  write: ({ view, at, hex }) => views.get(view).bytes.set(Buffer.from(hex, 'hex'), at),
  release: ({ view }) => views.get(view).release(),
  close: () => region.close(),
  close_when_idle: () => region.closeWhenIdle(),
  detach: () => heap.detach(),
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { do: name, ...command } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await commands[name](command)) ?? null };
  } catch (error) {
    answer = { error: error.code ?? String(error), message: error.message, holders: error.holders ?? [] };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
