// The page: buttons over a heap, and a picture of it after each.

import init, { Heap, handleFromString } from 'weaveheap-wasm';
import { load } from './loading.mjs';
import { rust } from './module.mjs';
import { drawHeap, size } from './picture.mjs';
import { HeapTable } from './table.mjs';
import { show } from './workers.mjs';

/** The column that is worked on. */
const COLUMN = 'price';
/** Turns of each worker. */
const TURNS = 300;

const find = (id) => document.getElementById(id);
let heap;
let small;
/** The loaded table: its region and buffer. */
let loaded;
/** Views that the buttons have begun. */
const views = [];

const actions = {
  async load() {
    const region = heap.region({ name: 'table' });
    const start = performance.now();
    try {
      const { buffer, how } = await load(region, 'table.arrow', (buffer, bytes) => rust.countIngest(heap.id, buffer.handle, bytes));
      loaded = { region, buffer };
      const by = how === 'block' ? 'through one block of 64 KiB' : "from arrays of the browser's";
      return withTable((table) => {
        const place = table.inPlace(COLUMN) ? 'in place' : 'from a copy';
        return `${size(buffer.length)} copied once into the heap, ${by}, in ${(performance.now() - start).toFixed(0)} ms: ${table.rows} rows, read ${place}`;
      });
    } catch (error) {
      region.close();
      throw error;
    }
  },
  'sum-js': () =>
    withTable((table) => {
      const { values } = table.column(COLUMN);
      let sum = 0;
      for (let row = 0; row < values.length; row += 1) sum += values[row];
      return `JavaScript's sum: ${sum}`;
    }),
  'sum-rust': () => `Rust's sum: ${withTable((table) => rust.columnSum(...placeOf(table)))}`,
  raise() {
    const place = withTable(placeOf);
    rust.columnScale(...place, 1.01);
    return 'Rust has raised the prices where they are';
  },
  'borrow-shared': () => borrowed(loaded.buffer.borrowShared()),
  'borrow-unique': () => borrowed(loaded.buffer.borrowUnique()),
  release() {
    const view = views.pop();
    view.release();
    return `The ${view.kind} view is released`;
  },
  freeze() {
    loaded.buffer.freeze();
    return 'Nobody writes to the table any more';
  },
  add() {
    small ??= heap.region({ name: 'small' });
    for (let number = 0; number < 32; number += 1) small.alloc(1024 * (1 + ((number * 7) % 64)));
    return '32 buffers more';
  },
  close() {
    loaded.region.close();
    loaded = undefined;
    return 'The region and all in it are free';
  },
  async workers() {
    const { refused, holder, here, waited, met, counted, borrows } = await show(TURNS);
    return (
      `While one worker had its turn, the other was refused: ${refused} (${holder}). It slept ${waited.toFixed(0)} ms and was woken; ` +
      `the page itself may not sleep: ${here}. Then both counted to ${counted} of ${2 * TURNS}, and met each other ` +
      `${met[0] + met[1]} times. Borrows left: ${borrows}.`
    );
  },
};

/** Uses the table under a view for reading: one that a button has begun, or one for this alone. */
function withTable(use) {
  const held = views.find((view) => view.kind === 'shared');
  if (held !== undefined) return use(held.table);
  return loaded.buffer.withShared((view) => use(new HeapTable(view)));
}

/** What Rust is told of the column: heap, buffer, byte, rows. */
function placeOf(table) {
  const { values, at } = table.column(COLUMN);
  return [heap.id, loaded.buffer.handle, at, values.length];
}

function borrowed(view) {
  view.table = new HeapTable(view);
  views.push(view);
  return `A ${view.kind} view of ${size(view.length)}`;
}

function refresh() {
  const needs = { heap: true, table: loaded !== undefined, views: views.length > 0 };
  for (const button of document.querySelectorAll('[data-needs]')) button.disabled = !needs[button.dataset.needs];
  find('load').disabled = loaded !== undefined;
  draw();
  const { copies } = heap.stats().counters;
  find('copies').replaceChildren(...Object.entries(copies).map(([reason, { count, bytes }]) => rowOf(reason, count, bytes)));
}

function rowOf(reason, ...numbers) {
  const row = document.createElement('tr');
  const head = document.createElement('th');
  head.textContent = reason;
  row.append(head, ...numbers.map((number) => {
    const cell = document.createElement('td');
    cell.textContent = number.toLocaleString('en');
    return cell;
  }));
  return row;
}

function draw() {
  const width = Math.floor(find('picture').clientWidth);
  // Not laid out yet, or not shown: the observer comes when it is.
  if (width === 0) return;
  const stats = heap.stats();
  const buffers = stats.regions.flatMap(({ handle }) => heap.regionAt(handleFromString(handle)).buffers());
  find('picture').innerHTML = drawHeap({ ...stats, buffers }, { width });
}

function say(words, wrong) {
  const line = document.createElement('li');
  line.textContent = words;
  line.className = wrong ? 'wrong' : '';
  find('log').prepend(line);
}

async function act(name) {
  try {
    say(await actions[name](), false);
  } catch (error) {
    say(`${error.code ?? error.name}: ${error.message}`, true);
  }
  refresh();
}

await init(new URL('./weaveheap_sample_web_bg.wasm', import.meta.url));
heap = Heap.private({ label: 'page' });
for (const name of Object.keys(actions)) {
  find(name).addEventListener('click', async () => {
    find(name).disabled = true;
    await act(name);
    if (find(name).dataset.needs === undefined && name !== 'load') find(name).disabled = false;
  });
}
let wide;
new ResizeObserver(([{ contentRect }]) => {
  if (wide === contentRect.width) return;
  wide = contentRect.width;
  draw();
}).observe(find('picture'));
refresh();
/** For the console: `sample.heap.stats()`. */
globalThis.sample = { heap, rust, views, get loaded() { return loaded; } };
