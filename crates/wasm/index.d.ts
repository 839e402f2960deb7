// The types of the package: those of the package `weaveheap`, and what loads the module.

export * from './types/weaveheap.js';
import type { Handle, Heap } from './types/weaveheap.js';

/** Where the module is: a URL, a response, the bytes, or a compiled module; or a promise of one. */
export type Source = string | URL | Response | ArrayBuffer | ArrayBufferView | WebAssembly.Module;

export interface InstanceOptions {
  /** The module that comes with the package, if it is not given. */
  module?: Source | Promise<Source>;
  /** The most bytes that its memory grows to. */
  maximum?: number | bigint;
}

/** An instance of the module, with memory and heaps of its own. */
export interface Instance {
  /** As the package's own, for heaps of this instance. */
  readonly Heap: typeof Heap;
  /** Bytes of its memory as it is now. */
  readonly memoryBytes: number;
  /** True after a panic inside: every call is refused with `Internal`. Make a new instance. */
  readonly stopped: boolean;
  handleToString(handle: Handle): string;
  handleFromString(text: string): Handle;
}

/** Loads the module that `Heap` uses, once. In Node it is loaded already. */
export function init(source?: Source | Promise<Source>): Promise<void>;
/** The same at once, from bytes or a compiled module. */
export function initSync(source: ArrayBuffer | ArrayBufferView | WebAssembly.Module): void;
/** Makes another instance. */
export function createInstance(options?: InstanceOptions): Promise<Instance>;
