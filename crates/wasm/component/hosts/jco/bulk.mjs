// What it costs to get a MiB into the component's heap and out, in pieces of several sizes, beside what stays inside.
// The component's file is the argument.
import { component } from './component.mjs';

const MIB = 1 << 20;
const ROUNDS = 401;

/** The median of many rounds, in microseconds. */
function median(round) {
  const times = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    round();
    return (performance.now() - start) * 1e3;
  });
  return times.sort((a, b) => a - b)[ROUNDS >> 1];
}

const instance = await component(process.argv[2]);

/** A buffer of this length in an instance of its own, borrowed for writing, and its region. */
async function borrowed(length) {
  const { Heap } = (await instance()).heap;
  const region = Heap.create({ label: '' }).createRegion({ name: 'bulk' });
  return { region, unique: region.alloc(BigInt(length), { uninitialised: false }).borrowUnique() };
}

const bytes = new Uint8Array(MIB).fill(7);
const copy = new Uint8Array(MIB);
console.log(`1 MiB, median of ${ROUNDS} rounds, in us`);
console.log(`copy in the program: ${median(() => copy.set(bytes)).toFixed(0)}`);
console.log(`${'piece'.padStart(10)} ${'in'.padStart(8)} ${'out'.padStart(8)}`);
for (const piece of [4 << 10, 16 << 10, 64 << 10, 256 << 10, MIB]) {
  const { unique } = await borrowed(MIB);
  const into = median(() => {
    for (let at = 0; at < MIB; at += piece) unique.write(BigInt(at), bytes.subarray(at, at + piece));
  });
  const out = median(() => {
    for (let at = 0; at < MIB; at += piece) copy.set(unique.read(BigInt(at), BigInt(piece)), at);
  });
  const cell = (time) => time.toFixed(0).padStart(8);
  console.log(`${String(piece >> 10).padStart(6)} KiB ${cell(into)} ${cell(out)}`);
}
const { region, unique } = await borrowed(MIB);
const other = region.allocFrom(bytes).borrowShared();
console.log(`from buffer to buffer, inside: ${median(() => unique.copyFrom(0n, other, 0n, BigInt(MIB))).toFixed(0)}`);
const call = median(() => {
  for (let count = 0; count < 100; count += 1) unique.length();
});
console.log(`the least call: ${(call / 100).toFixed(3)}`);
