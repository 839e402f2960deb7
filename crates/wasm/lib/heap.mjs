// Heaps: private ones in the memory of an instance, each of which has a class `Heap` of its own.

import { HeapBuffer } from './buffer.mjs';
import { InvalidArgumentError, NotFoundError, TimeoutError, UnsupportedError } from './error_codes.mjs';
import { optionalSize, timeoutOf, wordsOf } from './instance.mjs';
import { Owners } from './owners.mjs';
import { Region } from './region.mjs';
import { dispose, useIn } from './scope.mjs';

const KEY = Symbol('a heap of the library');
const dropped = new FinalizationRegistry(({ instance, number }) => {
  if (!instance.stopped) instance.native.heap_drop(number);
});

/** The class `Heap` of an instance. */
export function heapClass(instance) {
  return class Heap {
    #number;
    #facts;
    #detached = false;
    #owners = new Owners();

    constructor(key, number) {
      if (key !== KEY) {
        throw new InvalidArgumentError('Make a heap with Heap.private().');
      }
      this.#number = number;
      instance.check(instance.native.heap_describe(number));
      this.#facts = { id: instance.text(), limit: instance.number(2), verify: instance.word(4) !== 0 };
      dropped.register(this, { instance, number }, this);
    }

    /** Makes a private heap: memory of this instance. */
    static private({ limit, inspect = false, verify = false, label } = {}) {
      if (inspect === true) throw unsupported('nobody can look into an instance of WebAssembly from outside');
      const most = optionalSize(limit, 'limit');
      const length = label === undefined || label === null ? 0 : instance.put(label, 'label');
      instance.check(instance.native.heap_private(most, verify === true, length));
      return new Heap(KEY, instance.word(0));
    }

    /** `Unsupported`: there are no shared heaps in WebAssembly. */
    static create(where) {
      throw shared(where);
    }

    /** `Unsupported`, as `create`. */
    static open(where) {
      throw shared(where);
    }

    /** The heap of this instance with this id. `NotFound` if there is none. */
    static byId(id) {
      instance.check(instance.native.heap_by_id(instance.put(id, 'id')));
      return new Heap(KEY, instance.word(0));
    }

    /** `Unsupported`, as `create`. */
    static remove(where) {
      throw shared(where);
    }

    /** `Unsupported`, as `create`. */
    static list() {
      throw unsupported('heaps are not shared in WebAssembly');
    }

    /** `Unsupported`, as `create`. */
    static folder() {
      throw unsupported('heaps are not shared in WebAssembly');
    }

    /** 32 hexadecimal digits that are this heap's alone. */
    get id() {
      return this.#facts.id;
    }

    /** `null`: the file of a shared heap. */
    get path() {
      return null;
    }

    /** False: nobody else can attach. */
    get shared() {
      return false;
    }

    /** True if shared borrows are checksummed, to find writes through views that are for reading. */
    get verify() {
      return this.#facts.verify;
    }

    /** Bytes of addresses: the most that the heap may hold. */
    get limit() {
      return this.#facts.limit;
    }

    /** True once this object or another one for the heap has detached it. */
    get detached() {
      return this.#detached || instance.native.heap_is_detached(this.#number);
    }

    /** Makes a region, with a name for people and a limit in bytes if they are given. */
    region({ name, limit } = {}) {
      const length = name === undefined || name === null ? 0 : instance.put(name, 'name');
      instance.check(instance.native.region_create(this.#number, length, optionalSize(limit, 'limit')));
      const region = new Region(instance, this, this.#number, instance.word(0), instance.word(1), true, name);
      this.#owners.add(region);
      return region;
    }

    /** Makes a region, gives it to a function, and closes it when the function, or its promise, is done. */
    withRegion(options, use) {
      return useIn(this.region(options), use, (region) => region[dispose]());
    }

    /** The region with this handle. */
    regionAt(handle) {
      instance.check(instance.native.region_info(this.#number, ...wordsOf(handle)));
      return this.#regionOf(handle);
    }

    /** The buffer with this handle. */
    buffer(handle) {
      const [low, high] = wordsOf(handle);
      instance.check(instance.native.buffer_at(this.#number, low, high));
      const region = instance.bits(0);
      const length = instance.number(2);
      return new HeapBuffer(instance, this.#regionOf(region), this.#number, low, high, length, this.#facts.verify);
    }

    /** Puts the handle of a buffer or a region into the heap's directory. `AlreadyExists` if the name is taken. */
    publish(name, handle) {
      const length = instance.put(name, 'name');
      instance.check(instance.native.publish(this.#number, length, ...wordsOf(handle)));
      instance.changed();
    }

    /**
     * The handle under a name: `lookup(name)` at once, or `NotFound`; `lookup(name, { timeout })` a promise that waits so
     * many milliseconds (without a number: for ever) and is then rejected with `Timeout`.
     */
    lookup(name, options) {
      if (options !== undefined) return this.#lookupWait(name, options);
      instance.check(instance.native.lookup(this.#number, instance.put(name, 'name')));
      return instance.bits(0);
    }

    async #lookupWait(name, { timeout }) {
      const attempt = () => {
        const number = instance.native.lookup(this.#number, instance.put(name, 'name'));
        if (number === NotFoundError.number) return undefined;
        instance.check(number);
        return { value: instance.bits(0) };
      };
      return instance.wait(timeoutOf(timeout), attempt, () => {
        return new TimeoutError(`Nothing was published as ${name} in time. Wait longer, or look at the names in stats().`);
      });
    }

    /** Takes a name out of the directory. */
    unpublish(name) {
      instance.check(instance.native.unpublish(this.#number, instance.put(name, 'name')));
    }

    /** The heap as it is now: regions, borrows with their holders, names, counters. Handles are text. */
    stats() {
      instance.check(instance.native.heap_snapshot(this.#number));
      return instance.data().snapshot();
    }

    /** Who holds borrows of a buffer, or of any buffer of a region. */
    holders(handle) {
      instance.check(instance.native.heap_holders(this.#number, ...wordsOf(handle)));
      return instance.data().holders();
    }

    /** Walks the whole heap and verifies it; `Corrupt` says what does not hold. */
    check() {
      instance.check(instance.native.heap_check(this.#number));
      return instance.data().report();
    }

    /** 0: memory does not go back in WebAssembly. What is free is used again. */
    trim() {
      instance.check(instance.native.heap_trim(this.#number));
      return instance.number(0);
    }

    /** Ends the use of the heap: every later call is `NotAttached`. `Borrowed` while there are views of it. */
    detach() {
      instance.check(instance.native.heap_detach(this.#number));
      this.#detached = true;
      this.#owners.clear();
      dropped.unregister(this);
      instance.changed();
    }

    /** Detaches, unless this object has detached. */
    [dispose]() {
      if (!this.#detached) this.detach();
    }

    #regionOf(handle) {
      return this.#owners.get(handle) ?? new Region(instance, this, this.#number, ...wordsOf(handle), false);
    }
  };
}

function unsupported(why) {
  return new UnsupportedError(`${why}: make a heap with Heap.private().`);
}

/** Why there is no such heap; a place that is none is refused as in all languages. */
function shared(where) {
  const isPlace = typeof where === 'string' || (where !== null && typeof where === 'object' && typeof where.path === 'string');
  if (isPlace) return unsupported('heaps are not shared in WebAssembly');
  return new InvalidArgumentError('Give the name of a heap, or { path } with the path of its file.');
}
