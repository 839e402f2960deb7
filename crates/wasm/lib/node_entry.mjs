// The package for Node: it loads the module itself. Bundled as `node.cjs`, which `node.mjs` gives to ES modules, so that both
// have the same objects.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { entry, fetched } from './package.mjs';

const usual = new WebAssembly.Module(readFileSync(path.join(__dirname, 'weaveheap.wasm')));

async function read(url) {
  const place = URL.canParse(url) ? new URL(url) : undefined;
  if (place !== undefined && place.protocol !== 'file:') return fetched(url);
  return WebAssembly.compile(await readFile(place === undefined ? url : fileURLToPath(place)));
}

export * from './surface.mjs';
export const { init, initSync, createInstance } = entry(() => usual, read);
initSync(usual);
