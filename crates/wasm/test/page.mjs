// The page of docs/wasm.md.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The text of docs/wasm.md. */
export const DOCS = readFileSync(fileURLToPath(new URL('../../../docs/wasm.md', import.meta.url)), 'utf8');

/** The first program after these words. */
const block = (words) => DOCS.slice(DOCS.indexOf('```js\n', DOCS.indexOf(words)) + 6).split('```')[0];

/** Puts the page into a new folder, beside which the package is to be found. */
export function writePage(folder) {
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'index.html'), '<!doctype html><body><script type="module" src="./main.js"></script></body>');
  writeFileSync(path.join(folder, 'vite.config.mjs'), block('`vite.config.js`'));
  writeFileSync(path.join(folder, 'main.js'), block('`src/main.js`'));
}
