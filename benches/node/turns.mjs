// Rows in JavaScript: two things measured in turns in one process, one JSON object a line.
import { resourceUsage } from 'node:process';
import { setImmediate } from 'node:timers/promises';

function nanoseconds(count, work) {
  const before = resourceUsage().involuntaryContextSwitches;
  const start = process.hrtime.bigint();
  for (let turn = 0; turn < count; turn++) work();
  const taken = Number(process.hrtime.bigint() - start) / count;
  return { taken, disturbed: resourceUsage().involuntaryContextSwitches !== before };
}

function median(values) {
  values.sort((a, b) => a - b);
  return values[values.length >> 1];
}

/** The medians of both. Rounds that were disturbed are taken again, but not for ever. */
export async function inTurns(rounds, count, ours, peer) {
  const sides = [ours, peer].map((work) => ({ work, values: [], disturbed: 0 }));
  for (let turn = 0; turn < 20; turn++) for (const side of sides) nanoseconds(count, side.work);
  for (let turn = 0; sides.some((side) => side.values.length < rounds); turn++) {
    for (const side of turn % 2 === 0 ? sides : [...sides].reverse()) {
      // Finalizers run between the rounds, for both.
      await setImmediate();
      const { taken, disturbed } = nanoseconds(count, side.work);
      if (disturbed && side.disturbed < 4 * rounds) side.disturbed++;
      else if (side.values.length < rounds) side.values.push(taken);
    }
  }
  const [a, b] = sides;
  return { ours_ns: median(a.values), peer_ns: median(b.values), rounds, disturbed: a.disturbed + b.disturbed };
}

/** What keeps results from being thought away; all bytes are zero. */
let seen = 0;
export function see(byte) {
  seen += byte;
}

/** Borrows a buffer, reads a byte of its view, and ends. */
export function reader(region, length) {
  const buffer = region.alloc(length);
  return () => {
    const view = buffer.borrowShared();
    see(view.bytes[length - 1]);
    view.release();
  };
}

/** Runs the rows that are named, each with a region of its own. */
export async function run({ Heap }, rows, words) {
  const heap = Heap.private();
  for (const name of words.filter((word) => !word.startsWith('--'))) {
    console.log(JSON.stringify({ begin: name }));
    const region = heap.region();
    console.log(JSON.stringify({ row: name, ...(await rows[name](region)) }));
    region.close();
  }
  heap.detach();
  if (seen !== 0) throw new Error('the bytes were zero');
}
