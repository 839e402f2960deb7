// A component as JavaScript has it: jco makes modules and glue of it, and each instance is made of those with what it
// imports. `hello.mjs` shows the least that a program needs.
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { transpile, writeFiles } from '@bytecodealliance/jco-transpile';
import { monotonicClock } from '@bytecodealliance/preview2-shim/clocks';
import { random } from '@bytecodealliance/preview2-shim/random';

/** What the component imports, from the packages of jco. */
export const imports = { 'wasi:clocks/monotonic-clock': monotonicClock, 'wasi:random/random': random };

/**
 * Takes a component apart. The files go beside it.
 * @returns a function that makes an instance; `change` may change the bytes of its modules, `given` what it imports.
 */
export async function component(path) {
  const name = basename(path, '.wasm');
  const outDir = `${path}.jco`;
  const { files } = await transpile(path, { name, outDir, instantiation: 'async' });
  await writeFiles(files);
  await writeFiles({ [join(outDir, 'package.json')]: '{ "type": "module" }\n' });
  const { instantiate } = await import(pathToFileURL(join(outDir, `${name}.js`)));
  return async ({ change = (bytes) => bytes, given = imports } = {}) => {
    const module = async (file) => WebAssembly.compile(change(await readFile(join(outDir, file))));
    return instantiate(module, given);
  };
}
