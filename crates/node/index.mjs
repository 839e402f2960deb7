// The package for ES modules: the same objects as for CommonJS.

import weaveheap from './index.js';

export const { Heap, Region, HeapBuffer, View, handleToString, handleFromString } = weaveheap;
export * from './lib/error_codes.mjs';
