'use strict';
// Heaps: private and shared, and their directories of names (H1 to H10).

const { native, besideBits, beside, errors } = require('./native.js');
const { HeapBuffer } = require('./buffer.js');
const { Owners } = require('./owners.js');
const { Region } = require('./region.js');
const { useIn, dispose } = require('./scope.js');

const KEY = Symbol('a heap of the library');
const dropped = new FinalizationRegistry((heapNumber) => native.heapDrop(heapNumber));

class Heap {
  #number;
  #facts;
  #detached = false;
  #owners = new Owners();

  constructor(key, number) {
    if (key !== KEY) {
      throw new errors.InvalidArgumentError('Make a heap with Heap.private() or Heap.create(), open one with Heap.open().');
    }
    this.#number = number;
    this.#facts = JSON.parse(native.heapDescribe(number));
    dropped.register(this, number, this);
  }

  /** Makes a private heap: memory of this process. */
  static private({ limit, inspect = false, verify = false, label } = {}) {
    return new Heap(KEY, native.heapPrivate(limit, inspect, verify, label));
  }

  /** Makes a shared heap: `create(name, options)` or `create({ path, ...options })`. */
  static create(where, options) {
    const { name, path, limit, verify = false, label } = placed(where, options);
    return new Heap(KEY, native.heapCreate(name, path, limit, verify, label));
  }

  /** Opens a shared heap: `open(name, options)` or `open({ path, ...options })`. */
  static open(where, options) {
    const { name, path, label } = placed(where, options);
    return new Heap(KEY, native.heapOpen(name, path, label));
  }

  /** The heap of this process with this id, in any of its threads. `NotFound` if the process is not attached to it. */
  static byId(id) {
    return new Heap(KEY, native.heapById(id));
  }

  /** Unlinks a shared heap: `remove(name)` or `remove({ path })`. Attached processes keep it. */
  static remove(where) {
    const { name, path } = placed(where);
    native.heapRemove(name, path);
  }

  /** The shared heaps in the folder of names: `{ name, path }` each. */
  static list() {
    return JSON.parse(native.heapList());
  }

  /** The folder of names. */
  static folder() {
    return native.heapFolder();
  }

  /** 32 hexadecimal digits that are this heap's alone. */
  get id() {
    return this.#facts.id;
  }

  /** The file of a shared heap; `null` for a private one. */
  get path() {
    return this.#facts.path;
  }

  /** True if other processes can attach. */
  get shared() {
    return this.#facts.shared;
  }

  /** True if shared borrows are checksummed, to find writes through views that are for reading. */
  get verify() {
    return this.#facts.verify;
  }

  /** Bytes of address space: the most that the heap may hold. */
  get limit() {
    return this.#facts.limit;
  }

  /** True once this object or its process has detached. */
  get detached() {
    return this.#detached || native.heapIsDetached(this.#number);
  }

  /** Makes a region, with a name for people and a limit in bytes if they are given. */
  region({ name, limit } = {}) {
    const handle = native.regionCreate(this.#number, name, limit);
    const owns = !this.shared;
    const region = new Region(this, this.#number, handle, owns, name);
    if (owns) this.#owners.add(region);
    return region;
  }

  /** Makes a region, gives it to a function, and closes it when the function, or its promise, is done. */
  withRegion(options, use) {
    return useIn(this.region(options), use, (region) => region[dispose]());
  }

  /** The region with this handle. */
  regionAt(handle) {
    native.regionInfo(this.#number, handle);
    return this.#regionOf(handle);
  }

  /** The buffer with this handle. */
  buffer(handle) {
    native.bufferAt(this.#number, handle);
    const region = besideBits[0];
    const length = beside[0];
    return new HeapBuffer(this.#regionOf(region), this.#number, handle, length);
  }

  /** Puts the handle of a buffer or a region into the heap's directory. `AlreadyExists` if the name is taken. */
  publish(name, handle) {
    native.publish(this.#number, name, handle);
  }

  /**
   * The handle under a name: `lookup(name)` at once, or `NotFound`; `lookup(name, { timeout })` a promise that waits so
   * many milliseconds (without a number: for ever) and is then rejected with `Timeout`.
   */
  lookup(name, options) {
    if (options === undefined) return native.lookup(this.#number, name);
    return this.#lookupWait(name, options);
  }

  async #lookupWait(name, { timeout }) {
    return native.lookupWait(this.#number, name, timeout);
  }

  /** Takes a name out of the directory. */
  unpublish(name) {
    native.unpublish(this.#number, name);
  }

  /** The heap as it is now: regions, borrows with their holders, names, counters. Handles are text. */
  stats() {
    return JSON.parse(native.heapSnapshot(this.#number));
  }

  /** Who holds borrows of a buffer, or of any buffer of a region. */
  holders(handle) {
    return JSON.parse(native.heapHolders(this.#number, handle));
  }

  /** Walks the whole heap and verifies it; `Corrupt` says what does not hold. */
  check() {
    return JSON.parse(native.heapCheck(this.#number));
  }

  /** Gives freed memory back to the system now, and returns how many bytes. */
  trim() {
    return native.heapTrim(this.#number);
  }

  /** Ends the use of the heap: every later call is `NotAttached`. `Borrowed` while there are views of it. */
  detach() {
    native.heapDetach(this.#number);
    this.#detached = true;
    this.#owners.clear();
    dropped.unregister(this);
  }

  /** Detaches, unless this object has detached. */
  [dispose]() {
    if (!this.#detached) this.detach();
  }

  #regionOf(handle) {
    return this.#owners.get(handle) ?? new Region(this, this.#number, handle, false);
  }
}

/** Where a shared heap is: by name or by path, and never by guessing which (H4). */
function placed(where, options) {
  if (typeof where === 'string') return { ...options, name: where, path: undefined };
  if (where !== null && typeof where === 'object' && typeof where.path === 'string') {
    return { ...options, ...where, name: undefined };
  }
  throw new errors.InvalidArgumentError('Give the name of a heap, or { path } with the path of its file.');
}

exports.Heap = Heap;
