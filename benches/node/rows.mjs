// The rows of the target table in Node, ours and the peer in turns in one process. Started by `cargo xtask bench` as
// `node rows.mjs PACKAGE ROW... [--quick]`; prints one JSON object a line.
import { createRequire } from 'node:module';
import { inTurns } from './turns.mjs';

const [folder, ...words] = process.argv.slice(2);
const { Heap } = createRequire(import.meta.url)(folder);
const quick = words.includes('--quick');
const MIB = 1 << 20;

/** What keeps results from being thought away. */
let seen = 0;

/** Borrows a buffer, reads a byte of its view, and ends. */
function reader(region, length) {
  const buffer = region.alloc(length);
  return () => {
    const view = buffer.borrowShared();
    seen += view.bytes[length - 1];
    view.release();
  };
}

const rows = {
  node_view: (region) => inTurns(quick ? 31 : 201, 100, reader(region, 64 * MIB), reader(region, 4096)),
  node_copy(region) {
    const source = Buffer.alloc(MIB);
    const copy = () => {
      seen += Buffer.from(source)[MIB - 1];
    };
    return inTurns(quick ? 31 : 101, 10, reader(region, MIB), copy);
  },
};

const heap = Heap.private();
for (const name of words.filter((word) => !word.startsWith('--'))) {
  console.log(JSON.stringify({ begin: name }));
  const region = heap.region();
  console.log(JSON.stringify({ row: name, ...(await rows[name](region)) }));
  region.close();
}
heap.detach();
if (seen !== 0) throw new Error('the bytes were zero');
