// The Node process of the demo: reads the changed table in place, and holds its view until it is told to release it.
// Started as `node reader.mjs HEAP`. It reports one JSON object a line, and waits for a line on standard input where
// another process has to have its turn.
import { createInterface } from 'node:readline';
import { tableFromIPC } from 'apache-arrow';
import { Heap } from 'weaveheap';

const now = () => process.hrtime.bigint();
const report = (event, fields = {}) =>
  console.log(JSON.stringify({ event, at: Number(now()), ...fields }));

const commands = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function waitFor(command) {
  const { value } = await commands.next();
  if (value?.trim() !== command) throw new Error(`expected ${command}, got ${value}`);
}

// How many bytes of the table's columns lie in the view's own memory, and how many elsewhere.
function bytesInPlace(table, bytes) {
  let inside = 0;
  let outside = 0;
  for (const batch of table.batches) {
    for (const column of batch.data.children) {
      for (const part of [column.values, column.valueOffsets, column.nullBitmap]) {
        if (part?.buffer === bytes.buffer) inside += part.byteLength;
        else outside += part?.byteLength ?? 0;
      }
    }
  }
  return { inside, outside };
}

// Sum, number and mean of the delays, by origin. The origins are airport codes, short enough for their bytes to make
// a number, so that no string is made for each of millions of rows.
function meanDelays(table) {
  const groups = new Map();
  for (const batch of table.batches) {
    const origin = batch.getChild('origin').data[0];
    const delay = batch.getChild('delay').data[0].values;
    const { values: text, valueOffsets: offsets } = origin;
    for (let row = 0; row < batch.numRows; row++) {
      let key = 0;
      for (let at = offsets[row]; at < offsets[row + 1]; at++) key = key * 256 + text[at];
      let group = groups.get(key);
      if (group === undefined) {
        group = { origin: new TextDecoder().decode(text.subarray(offsets[row], offsets[row + 1])), sum: 0, count: 0 };
        groups.set(key, group);
      }
      group.sum += Number(delay[row]);
      group.count += 1;
    }
  }
  return Object.fromEntries(
    [...groups.values()].map(({ origin, sum, count }) => [origin, { sum, count, mean: sum / count }]),
  );
}

function sum(table, name) {
  let total = 0n;
  for (const batch of table.batches) {
    for (const value of batch.getChild(name).data[0].values) total += value;
  }
  return Number(total);
}

function outcome(work) {
  try {
    work();
    return { ok: true };
  } catch (error) {
    return { ok: false, code: error.code, message: error.message };
  }
}

report('ready');
const heap = Heap.open(process.argv[2], { label: 'demo reader' });
const handle = await heap.lookup('flights-km', { timeout: 600_000 });
const woken = now();
const buffer = heap.buffer(handle);
const view = buffer.borrowShared();
const table = tableFromIPC(view.bytes);
const opened = now();
report('opened', {
  woken: Number(woken),
  opened: Number(opened),
  rows: table.numRows,
  ...bytesInPlace(table, view.bytes),
});

let start = now();
const delays = meanDelays(table);
const delaysMs = Number(now() - start) / 1e6;
start = now();
const kilometres = sum(table, 'distance');
const sumMs = Number(now() - start) / 1e6;
report('figures', { ms: delaysMs, sumMs, delays, kilometres });

await waitFor('release');
const kept = view.bytes;
view.release();
report('released', { kept: kept.length });

await waitFor('prove');
report('stale', { borrow: outcome(() => buffer.borrowShared()), unique: outcome(() => buffer.borrowUnique()), kept: kept.length });
await waitFor('exit');
process.exit(0);
