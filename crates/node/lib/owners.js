'use strict';
// The objects that own regions of a heap, so that buffers found by handle keep them alive.

class Owners {
  #byHandle = new Map();
  /** So many at once, and those that were collected are looked for: twice as many as were found alive the last time. */
  #most = 64;

  /** Notes an object, which is not kept alive. */
  add(region) {
    this.#byHandle.set(region.handle, new WeakRef(region));
    if (this.#byHandle.size < this.#most) return;
    for (const [handle, reference] of this.#byHandle) {
      if (reference.deref() === undefined) this.#byHandle.delete(handle);
    }
    this.#most = Math.max(64, 2 * this.#byHandle.size);
  }

  /** The object that owns the region with this handle, if it is there. */
  get(handle) {
    return this.#byHandle.get(handle)?.deref();
  }

  clear() {
    this.#byHandle.clear();
  }
}

module.exports = { Owners };
