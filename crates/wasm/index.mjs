// The package for browsers and bundlers: `await init()` first. The module is beside this file, unless init() is told of
// another place.

import { entry } from './lib/package.mjs';

export * from './lib/surface.mjs';
export const { init, initSync, createInstance } = entry(() => new URL('./weaveheap.wasm', import.meta.url));
export default init;
