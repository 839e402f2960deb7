// Runs the tests of a module that `runner.rs` is part of, each in an instance of its own: a panic is a trap, and ends it.
// Threads of a test are workers, each with an instance over the same memory.
//
// node run.mjs MODULE [--skip BEGINNING_OF_NAMES]...
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Worker, isMainThread, workerData } from 'node:worker_threads';

/** Bytes of a thread's memory that are its own variables, at the end of its stack. */
const OWN_VARIABLES = 64 * 1024;
/** Milliseconds after which a thread hangs. */
const PATIENCE = 120_000;

/** An instance, over this memory if it is given. What it says is added to `said`. */
function start(module, which, said, memory) {
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
    threads: (work, count, base, each) => threads({ module, memory, work, base, each }, count, said),
  };
  if (!memory && WebAssembly.Module.imports(module).some(({ kind }) => kind === 'memory')) {
    memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
  }
  const { exports } = new WebAssembly.Instance(module, { test: imports, env: { memory } });
  memory ??= exports.memory;
  let wide = false;
  try {
    memory.grow(0);
  } catch {
    wide = true;
  }
  return { exports, main: () => exports.main(0, wide ? 0n : 0) };
}

/** Does some work in so many workers, and waits for their end: how many came to it. What they said is added to `said`. */
function threads(shared, count, said) {
  const done = new Int32Array(new SharedArrayBuffer(4 * count));
  const texts = Array.from({ length: count }, () => new Uint8Array(new SharedArrayBuffer(1 << 16)));
  for (const [number, text] of texts.entries()) {
    new Worker(new URL(import.meta.url), { workerData: { ...shared, number, done, text } }).unref();
  }
  let good = 0;
  for (const [number, text] of texts.entries()) {
    Atomics.wait(done, number, 0, PATIENCE);
    good += Atomics.load(done, number) === 1;
    const lines = new TextDecoder().decode(text.slice(0, text.indexOf(0)));
    if (lines) said.push(`thread ${number}: ${lines}`);
  }
  return good;
}

/** One thread of a test. */
function thread({ module, memory, work, base, each, number, done, text }) {
  const said = [];
  let good = false;
  try {
    const { exports } = start(module, 0, said, memory);
    const end = base + (number + 1) * each - OWN_VARIABLES;
    exports.__stack_pointer.value = end;
    exports.__wasm_init_tls(end);
    exports.__indirect_function_table.get(work)(number);
    good = true;
  } catch (trap) {
    said.push(trap.stack);
  }
  text.set(new TextEncoder().encode(said.join('\n')).slice(0, text.length - 1));
  Atomics.store(done, number, good ? 1 : 2);
  Atomics.notify(done, number);
}

/** Runs the test with this number; -1 names them all. What the module said, and what ended it early. */
function run(module, which) {
  const said = [];
  try {
    start(module, which, said).main();
    return { said, trap: null };
  } catch (trap) {
    return { said, trap };
  }
}

/** One test: what is wrong with it, or null. */
function outcome(module, which, panics) {
  const { said, trap } = run(module, which);
  if (panics) return trap ? null : 'it should panic, and came to its end';
  if (trap || said.pop() !== 'done') return [...said, trap?.stack ?? 'it did not come to its end'].join('\n');
  // What must not be the same in two instances.
  const same = said.filter((line) => line.startsWith('differs: ') && run(module, which).said.includes(line));
  return same.length ? `the same in two instances: ${same.join(', ')}` : null;
}

function main(path, ...rest) {
  const skipped = rest.filter((_, at) => at % 2 === 1);
  const module = new WebAssembly.Module(readFileSync(path));
  const list = run(module, -1);
  if (list.trap) throw new Error(list.said.join('\n'), { cause: list.trap });
  const tests = list.said.map((line, which) => ({ which, line, name: line.replace(' - should panic', '') }));
  for (const name of skipped) {
    if (!tests.some((test) => test.name.startsWith(name))) throw new Error(`no test's name begins with ${name}`);
  }
  const wanted = tests.filter((test) => !skipped.some((name) => test.name.startsWith(name)));
  const failed = wanted.filter(({ which, name, line }) => {
    const wrong = outcome(module, which, line !== name);
    console.log(`test ${line} ... ${wrong === null ? 'ok' : `FAILED\n${wrong}\n`}`);
    return wrong !== null;
  });
  for (const { name } of failed) console.log(`failed: ${name}`);
  const result = failed.length ? 'FAILED' : 'ok';
  console.log(`\ntest result: ${result}. ${wanted.length - failed.length} passed; ${failed.length} failed`);
  process.exitCode = failed.length || !wanted.length ? 1 : 0;
}

if (isMainThread) main(...process.argv.slice(2));
else thread(workerData);
