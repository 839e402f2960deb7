// What the module asks for (`src/embedder.rs`).

/** Milliseconds: each worker counts from its own origin, whose moment is known. */
export function milliseconds() {
  return performance.timeOrigin + performance.now();
}

/** 32 random bits that nobody can foretell; -1 without a source of them. */
export function randomBits() {
  try {
    return crypto.getRandomValues(new Uint32Array(1))[0];
  } catch {
    return -1;
  }
}

/** False in the main thread of a browser, which has the document. */
export function maySleep() {
  return typeof Document !== 'function';
}
