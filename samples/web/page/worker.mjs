// A worker of "Two workers": an instance over the memory of all. A message names a call; its answer has the same `id`.

import init, { begin_turn as beginTurn, wait_idle as waitIdle } from './turns.js';

/** Milliseconds that a turn is waited for. */
const PATIENCE = 10_000;
let memory;
let turn;

const calls = {
  async start(module, shared) {
    memory = shared;
    await init({ module_or_path: module, memory });
  },
  begin({ heap, buffer }) {
    turn = beginTurn(heap, buffer);
  },
  end() {
    turn.end();
  },
  /** Sleeps until nobody has a turn: the milliseconds that passed. */
  wait({ heap, region }, milliseconds) {
    const start = performance.now();
    waitIdle(heap, region, milliseconds);
    return performance.now() - start;
  },
  /** The number in the buffer. */
  read({ heap, buffer }) {
    turn = beginTurn(heap, buffer);
    const [number] = new Int32Array(memory.buffer, turn.address(), 1);
    turn.end();
    return number;
  },
  /** Adds 1 to the number in the buffer so many times, in a turn each time. Gives how often another's turn was met. */
  count({ heap, region, buffer }, times) {
    let refused = 0;
    for (let done = 0; done < times; ) {
      try {
        turn = beginTurn(heap, buffer);
      } catch (error) {
        if (error.code !== 'BorrowConflict') throw error;
        refused += 1;
        waitIdle(heap, region, PATIENCE);
        continue;
      }
      addOne(turn.address());
      turn.end();
      done += 1;
    }
    return refused;
  },
};

/** In steps that another worker would get between, if it could. */
function addOne(address) {
  const number = new Int32Array(memory.buffer, address, 1);
  const before = number[0];
  const until = performance.now() + 0.2;
  while (performance.now() < until);
  number[0] = before + 1;
}

addEventListener('message', async ({ data: { id, call, args } }) => {
  try {
    postMessage({ id, result: await calls[call](...args) });
  } catch (error) {
    postMessage({ id, error: { code: error.code, message: error.message } });
  }
});
