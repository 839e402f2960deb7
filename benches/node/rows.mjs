// The rows of the target table in Node, ours and the peer in turns in one process. Started by `cargo xtask bench` as
// `node rows.mjs PACKAGE ROW... [--quick]`; prints one JSON object a line.
import { createRequire } from 'node:module';
import { inTurns, reader, run, see } from './turns.mjs';

const [folder, ...words] = process.argv.slice(2);
const quick = words.includes('--quick');
const MIB = 1 << 20;

const rows = {
  node_view: (region) => inTurns(quick ? 31 : 201, 100, reader(region, 64 * MIB), reader(region, 4096)),
  node_copy(region) {
    const source = Buffer.alloc(MIB);
    const copy = () => {
      see(Buffer.from(source)[MIB - 1]);
    };
    return inTurns(quick ? 31 : 101, 10, reader(region, MIB), copy);
  },
};

await run(createRequire(import.meta.url)(folder), rows, words);
