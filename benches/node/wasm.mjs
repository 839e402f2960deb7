// The rows of the target table in WebAssembly, ours and the peer in turns in one process. Started by `cargo xtask bench` as
// `node wasm.mjs PACKAGE PEER ROW... [--quick]`; prints one JSON object a line. PEER is a module by wasm-bindgen whose
// function takes and returns `Vec<u8>`.
import { createRequire } from 'node:module';
import { inTurns, reader, run, see } from './turns.mjs';

const [folder, peer, ...words] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const { echo } = require(peer);
const quick = words.includes('--quick');
const MIB = 1 << 20;
const SMALL = 64;

const few = new Uint8Array(SMALL);
const many = new Uint8Array(MIB);
const rounds = quick ? 31 : 101;
const short = (ours, other) => inTurns(rounds, 1000, ours, other);
const long = (ours, other) => inTurns(rounds, 10, ours, other);

const alloc = (region) => () => region.alloc(SMALL).free();

/** 1 MiB into the heap, and out. */
const inOut = (region) => () => {
  const buffer = region.allocFrom(many);
  see(buffer.toBytes()[MIB - 1]);
  buffer.free();
};

const made = () => {
  see(new Uint8Array(SMALL)[SMALL - 1]);
};
const through = (bytes) => () => {
  see(echo(bytes)[bytes.length - 1]);
};
const sliced = () => {
  see(many.slice().slice()[MIB - 1]);
};

const rows = {
  wasm_borrow: (region) => short(reader(region, SMALL), made),
  wasm_borrow_vec: (region) => short(reader(region, SMALL), through(few)),
  wasm_alloc: (region) => short(alloc(region), made),
  wasm_alloc_vec: (region) => short(alloc(region), through(few)),
  wasm_in_out: (region) => long(inOut(region), sliced),
  wasm_in_out_vec: (region) => long(inOut(region), through(many)),
};

await run(require(folder), rows, words);
