// Two things measured in turns in one process: what the rows in JavaScript have in common.
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
