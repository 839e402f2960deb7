// What the package gives, however its module is loaded: the entries (`index.mjs`, `node.mjs`) say where it is.

import { InvalidArgumentError, UnsupportedError } from './error_codes.mjs';
import { heapClass } from './heap.mjs';
import { Instance, checkText, wordsOf } from './instance.mjs';
import { handleOf, handleText } from './reading.mjs';

/** The instance that `Heap` uses. */
const usual = new Instance();
export const Heap = heapClass(usual);
let loading;

/** An instance as its users see it. */
function surface(instance, Class = heapClass(instance)) {
  return Object.freeze({
    Heap: Class,
    /** Bytes of the memory as it is now. */
    get memoryBytes() {
      return instance.buffer.byteLength;
    },
    /** True after a trap: every call is refused with `Internal`. */
    get stopped() {
      return instance.stopped;
    },
    /** For tests: panics. */
    panic: () => instance.native.panic_now(),
    handleToString: (handle) => toText(instance, handle),
    handleFromString: (text) => fromText(instance, text),
  });
}

/** What an entry gives: it says where its module is, and how it reads a URL. */
export function entry(usualSource, read = fetched) {
  return {
    /** Loads the module for `Heap`, once: later calls wait for the first. */
    init(source) {
      loading ??= compiled(source ?? usualSource(), read).then(
        (module) => usual.loaded || usual.start(module),
        (error) => {
          loading = undefined;
          throw error;
        },
      );
      return loading.then(() => undefined);
    },
    /** Loads the module for `Heap` at once, from a compiled one or its bytes. */
    initSync(source) {
      if (!usual.loaded) usual.start(moduleOf(source));
    },
    /** A new instance, with memory and heaps of its own. */
    async createInstance({ module, maximum } = {}) {
      const instance = new Instance();
      instance.start(await compiled(module ?? usualSource(), read), maximum);
      return surface(instance);
    },
  };
}

const compiledBefore = new Map();

/** A compiled module of a URL, a response, bytes, or a module. What came from one URL is compiled once. */
async function compiled(source, read) {
  const given = await source;
  if (typeof given !== 'string' && !(given instanceof URL)) {
    if (typeof Response === 'function' && given instanceof Response) return ofResponse(given);
    return given instanceof WebAssembly.Module ? given : WebAssembly.compile(bytesOf(given));
  }
  const key = String(given);
  if (!compiledBefore.has(key)) {
    compiledBefore.set(key, read(given));
    compiledBefore.get(key).catch(() => compiledBefore.delete(key));
  }
  return compiledBefore.get(key);
}

/** The module at a URL. */
export async function fetched(url) {
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new UnsupportedError(`The module cannot be loaded from ${url}: ${error.message}. Give init() a URL or the bytes.`);
  }
  return ofResponse(response);
}

async function ofResponse(response) {
  if (!response.ok) {
    throw new UnsupportedError(`The module cannot be loaded from ${response.url}: status ${response.status}. Give init() a URL or the bytes.`);
  }
  // Servers that do not know the type cannot stream it.
  if (response.headers.get('content-type')?.split(';')[0] === 'application/wasm') return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

function bytesOf(source) {
  if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer) return source;
  throw new InvalidArgumentError('Give the module as a URL, a response, its bytes, or a WebAssembly.Module.');
}

function moduleOf(source) {
  return source instanceof WebAssembly.Module ? source : new WebAssembly.Module(bytesOf(source));
}

function toText(instance, handle) {
  instance.ready();
  return handleText(...wordsOf(handle));
}

function fromText(instance, text) {
  instance.ready();
  if (typeof text !== 'string') throw new InvalidArgumentError('text is no string');
  checkText(text, 'text');
  const handle = handleOf(text);
  if (handle !== undefined) return handle;
  throw new InvalidArgumentError(`"${text}" is no handle: write one as b17:2043 (a buffer) or r3:77 (a region)`);
}

/** `b17:2043` for a buffer's handle, `r3:77` for a region's, `null` for 0n. */
export function handleToString(handle) {
  return toText(usual, handle);
}

/** The handle that a text names; `InvalidArgument` if it names none. */
export function handleFromString(text) {
  return fromText(usual, text);
}
