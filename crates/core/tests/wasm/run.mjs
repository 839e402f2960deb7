// Runs the tests of a module that `runner.rs` is part of, each in an instance of its own: a panic is a trap, and ends it.
//
// node run.mjs MODULE [--skip BEGINNING_OF_NAMES]...
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [path, ...rest] = process.argv.slice(2);
const skipped = rest.filter((_, at) => at % 2 === 1);
const module = new WebAssembly.Module(readFileSync(path));

/** Runs the test with this number; -1 names them all. What the module said, and what ended it early. */
function run(which) {
  const said = [];
  let exports, memory;
  let ahead = 0n;
  // Addresses come as signed numbers, or as BigInts where memory has 64 bits.
  const address = (value) => (typeof value === 'bigint' ? Number(value) : value >>> 0);
  const bytes = (at, length) => new Uint8Array(memory.buffer, address(at), address(length));
  const imports = {
    which: () => which,
    // Memory that threads share is neither decoded nor filled in place.
    print: (at, length) => said.push(new TextDecoder().decode(bytes(at, length).slice())),
    random: (at, length) => bytes(at, length).set(webcrypto.getRandomValues(new Uint8Array(address(length)))),
    now: () => process.hrtime.bigint() + ahead,
    pass: (nanoseconds) => (ahead += nanoseconds),
    grow: (pages) => {
      try {
        return Number(memory.grow(wide ? BigInt(pages) : pages));
      } catch {
        return -1;
      }
    },
  };
  if (WebAssembly.Module.imports(module).some(({ kind }) => kind === 'memory')) {
    memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
  }
  ({ exports } = new WebAssembly.Instance(module, { test: imports, env: { memory } }));
  memory ??= exports.memory;
  let wide = false;
  try {
    memory.grow(0);
  } catch {
    wide = true;
  }
  try {
    exports.main(0, wide ? 0n : 0);
  } catch (trap) {
    return { said, trap };
  }
  return { said, trap: null };
}

/** One test: what is wrong with it, or null. */
function outcome(which, panics) {
  const { said, trap } = run(which);
  if (panics) return trap ? null : 'it should panic, and came to its end';
  if (trap || said.pop() !== 'done') return [...said, trap?.stack ?? 'it did not come to its end'].join('\n');
  // What must not be the same in two instances.
  const same = said.filter((line) => line.startsWith('differs: ') && run(which).said.includes(line));
  return same.length ? `the same in two instances: ${same.join(', ')}` : null;
}

const list = run(-1);
if (list.trap) throw new Error(list.said.join('\n'), { cause: list.trap });
const tests = list.said.map((line, which) => ({ which, line, name: line.replace(' - should panic', '') }));
for (const name of skipped) {
  if (!tests.some((test) => test.name.startsWith(name))) throw new Error(`no test's name begins with ${name}`);
}
const wanted = tests.filter((test) => !skipped.some((name) => test.name.startsWith(name)));
const failed = wanted.filter(({ which, name, line }) => {
  const wrong = outcome(which, line !== name);
  console.log(`test ${line} ... ${wrong === null ? 'ok' : `FAILED\n${wrong}\n`}`);
  return wrong !== null;
});
for (const { name } of failed) console.log(`failed: ${name}`);
const result = failed.length ? 'FAILED' : 'ok';
console.log(`\ntest result: ${result}. ${wanted.length - failed.length} passed; ${failed.length} failed`);
process.exitCode = failed.length || !wanted.length ? 1 : 0;
