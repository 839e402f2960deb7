// "Two workers": a heap in memory that instances of one module share, this page's and one in each worker.

import init, { check_place as checkPlace, holders, make_place as makePlace, memory_of_all as memoryOfAll, wait_idle as waitIdle } from './turns.js';

/** A worker that answers calls in turn. */
class Caller {
  #worker = new Worker(new URL('./worker.mjs', import.meta.url), { type: 'module' });
  #open = new Map();
  #next = 0;

  constructor() {
    this.#worker.addEventListener('message', ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.#open.get(id);
      this.#open.delete(id);
      if (error === undefined) resolve(result);
      else reject(Object.assign(new Error(error.message), { code: error.code }));
    });
    this.#worker.addEventListener('error', (event) => {
      for (const { reject } of this.#open.values()) reject(new Error(`the worker failed: ${event.message}`));
      this.#open.clear();
    });
  }

  call(call, ...args) {
    return new Promise((resolve, reject) => {
      const id = (this.#next += 1);
      this.#open.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, args });
    });
  }

  end() {
    this.#worker.terminate();
  }
}

/** Two workers and a place that they share. `end()` when done. */
async function twoWorkers() {
  if (!globalThis.crossOriginIsolated) {
    throw new Error('The page is not isolated: workers share memory only if the server sends COOP and COEP (see serve.mjs).');
  }
  const module = await WebAssembly.compileStreaming(fetch(new URL('./turns_bg.wasm', import.meta.url)));
  await init({ module_or_path: module });
  const memory = memoryOfAll();
  const { heap, region, buffer } = makePlace(64);
  const place = { heap, region, buffer };
  const workers = [new Caller(), new Caller()];
  const end = () => workers.forEach((worker) => worker.end());
  try {
    await Promise.all(workers.map((worker) => worker.call('start', module, memory)));
  } catch (error) {
    end();
    throw error;
  }
  return {
    place,
    workers,
    holders: () => holders(heap, region),
    borrows: () => checkPlace(heap),
    waitHere: (milliseconds) => waitIdle(heap, region, milliseconds),
    end,
  };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What the button shows: one excludes the other, one waits for the other and is woken, both count. */
export async function show(times) {
  const both = await twoWorkers();
  try {
    const { place, workers: [one, two] } = both;
    await one.call('begin', place);
    const refused = await two.call('begin', place).then(() => 'nothing', (error) => error.code);
    const holder = both.holders();
    const here = code(() => both.waitHere(1000));
    const woken = two.call('wait', place, 10_000);
    await pause(500);
    await one.call('end');
    const waited = await woken;
    const met = await Promise.all(both.workers.map((worker) => worker.call('count', place, times)));
    const counted = await one.call('read', place);
    return { refused, holder, here, waited, met, counted, borrows: both.borrows() };
  } finally {
    both.end();
  }
}

function code(call) {
  try {
    call();
    return 'nothing';
  } catch (error) {
    return error.code;
  }
}
