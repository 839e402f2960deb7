// The package that the conformance cases run through: this one, or the one that WEAVEHEAP_PACKAGE names, which has the same
// API in WebAssembly.

const named = process.env.WEAVEHEAP_PACKAGE;
export const weaveheap = await import(named ?? 'weaveheap');
export const IS_WASM = named !== undefined;
