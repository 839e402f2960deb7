// What both entries give under the same names as the package `weaveheap`.

export { HeapBuffer } from './buffer.mjs';
export * from './error_codes.mjs';
export { Heap, handleFromString, handleToString } from './package.mjs';
export { Region } from './region.mjs';
export { View } from './view.mjs';
