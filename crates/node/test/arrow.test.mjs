// apache-arrow reads a table in place from a borrowed view: nothing is copied, and the table is gone with the view.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Float64, Table, tableFromIPC, tableToIPC, vectorFromArray, Utf8 } from 'apache-arrow';
import { Heap } from 'weaveheap';

const heap = Heap.private();

test('a table is read in place', () => {
  const rows = 10_000;
  const delays = Float64Array.from({ length: rows }, (_, index) => index / 2);
  const table = new Table({
    delay: vectorFromArray(delays, new Float64()),
    origin: vectorFromArray(Array.from(delays, (_, index) => ['SFO', 'JFK'][index % 2]), new Utf8()),
  });
  const ipc = tableToIPC(table, 'file');
  const buffer = heap.region({ name: 'flights' }).alloc(ipc.length);
  buffer.withUnique(({ bytes }) => bytes.set(ipc));
  const before = heap.stats().counters.copies;

  const view = buffer.borrowShared();
  const read = tableFromIPC(view.bytes);
  assert.equal(read.numRows, rows);
  const column = read.getChild('delay').data[0].values;
  assert.equal(column.buffer, view.bytes.buffer);
  assert.equal(column[rows - 1], (rows - 1) / 2);
  assert.equal(read.getChild('origin').get(1), 'JFK');
  assert.deepEqual(heap.stats().counters.copies, before);
  view.release();
  assert.equal(column.length, 0);

  buffer.withUnique((writer) => {
    const inside = tableFromIPC(writer.bytes).getChild('delay').data[0].values;
    for (let index = 0; index < rows; index += 1) inside[index] *= 10;
  });
  buffer.withShared((reader) => assert.equal(tableFromIPC(reader.bytes).getChild('delay').get(7), 35));
  assert.deepEqual(heap.stats().counters.copies, before);
  assert.equal(heap.check().borrows, 0);
});
