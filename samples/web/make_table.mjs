// Writes the page's table: `node make_table.mjs FILE`. The same bytes each time.

import { writeFileSync } from 'node:fs';
import { Dictionary, Int8, Table, Utf8, makeVector, tableToIPC, vectorFromArray } from 'apache-arrow';

const ROWS = 200_000;
const SHOPS = ['Basel', 'Lyon', 'Porto', 'Turin', 'Vienna'];

/** Numbers from 0 to 1, by a linear congruential generator. */
function numbers(seed) {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

const next = numbers(7);
const price = new Float64Array(ROWS);
const count = new Int32Array(ROWS);
const shop = [];
for (let row = 0; row < ROWS; row += 1) {
  price[row] = Math.round(next() * 10_000) / 100;
  count[row] = Math.floor(next() * 12);
  shop.push(SHOPS[Math.floor(next() * SHOPS.length)]);
}
const columns = { price: makeVector(price), count: makeVector(count), shop: vectorFromArray(shop, new Dictionary(new Utf8(), new Int8())) };
writeFileSync(process.argv[2], tableToIPC(new Table(columns), 'file'));
