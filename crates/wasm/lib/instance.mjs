// One instance of the module: its memory, calls into it, and its errors. A panic is a trap, after which the instance
// refuses every call (F1).

import * as codes from './error_codes.mjs';
import { TEXTS } from './error_texts.mjs';
import { bind } from './module.mjs';
import { Reading, handleText, holderText } from './reading.mjs';
import { VERSION } from './version.mjs';

const { IncompatibleError, InternalError, InvalidArgumentError, InvalidUtf8Error, UnsupportedError } = codes;
/** The classes of errors by number. */
const CLASSES = new Map(Object.values(codes).map((Class) => [Class.number, Class]));
/** The version of the border between this layer and the module. */
const ABI = 1;
/** Words that a call gives, and bytes of text that it takes: as `src/border.rs` has them. */
const WORDS = 6;
const INPUT = 1024;
/** A page of memory. */
const PAGE = 65536;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
/** Holders that a message names, at most. */
const SHOWN = 8;
/** Errors whose message and holders are asked for late (B6). */
const LATE = new Set([codes.BorrowConflictError.number, codes.BorrowedError.number]);

/** Forgets errors that nobody will ask any more. */
const forgotten = new FinalizationRegistry(({ instance, id }) => instance.forget(id));

export class Instance {
  /** The module's functions; none before it is loaded. */
  native = refusing(notLoaded);
  /** What a call has given beside its result, of 32 bits each: `refresh` makes it anew when memory has grown. */
  #words = new Uint32Array(1);
  #buffer;
  #memory;
  #exports;
  #stopped;
  #waits = new Set();

  /** True once a module was loaded. */
  get loaded() {
    return this.#memory !== undefined;
  }

  /** Starts a compiled module, with so many bytes of memory at most. */
  start(module, maximum) {
    const { initSync, initial, ...functions } = bind();
    const limits = { initial };
    if (maximum !== undefined) {
      const most = Math.floor(sizeOf(maximum, 'maximum') / PAGE);
      if (most < initial) throw new InvalidArgumentError(`maximum is ${maximum}: the module needs ${initial * PAGE} bytes.`);
      limits.maximum = Math.min(most, 65536);
    }
    const memory = new WebAssembly.Memory(limits);
    this.#exports = initSync({ module, memory });
    const native = {};
    for (const [name, work] of Object.entries(functions)) native[name] = this.#guarded(work);
    this.#memory = memory;
    this.native = native;
    this.#refresh();
    const abi = native.abi();
    checkVersion(abi, this.text());
  }

  /** Throws unless it takes calls. */
  ready() {
    if (this.#stopped !== undefined) throw stopped(this.#stopped);
    if (!this.loaded) throw notLoaded();
  }

  /** What it exports, for tests. */
  get exports() {
    return this.#exports;
  }

  /** The memory as it is now. */
  get buffer() {
    if (this.#words.length === 0) this.#refresh();
    else if (this.#stopped !== undefined) throw stopped(this.#stopped);
    return this.#buffer;
  }

  /** A word that the last call has given. */
  word(position) {
    if (this.#words.length === 0) this.#refresh();
    return this.#words[position];
  }

  /** Two words that the last call has given, as a number. */
  number(position) {
    return this.word(position) + this.word(position + 1) * 2 ** 32;
  }

  /** Two words that the last call has given, as a bigint. */
  bits(position) {
    return (BigInt(this.word(position + 1)) << 32n) | BigInt(this.word(position));
  }

  /** The text that the last call has given. */
  text() {
    return decoder.decode(new Uint8Array(this.buffer, this.word(0), this.word(1)));
  }

  /** Puts text where a call takes it: its length in bytes. Longer text than any name is cut, and refused as too long. */
  put(text, name) {
    if (typeof text !== 'string') throw new InvalidArgumentError(`${name} is no string`);
    checkText(text, name);
    const address = this.native.input();
    return encoder.encodeInto(text, new Uint8Array(this.buffer, address, INPUT)).written;
  }

  /** Throws the error of this number, if it is one. */
  check(number) {
    if (number !== 0) throw this.error(number);
  }

  /** The data that the last call has given. */
  data() {
    return new Reading(this.buffer, this.word(0), this.word(1));
  }

  /** The error of this number that the last call has left. */
  error(number) {
    const Class = CLASSES.get(number) ?? InternalError;
    const id = this.native.keep();
    if (!LATE.has(number)) {
      const text = this.#message(id, number);
      this.native.drop_kept(id);
      return new Class(text);
    }
    const error = new Class(undefined, { message: () => this.#message(id, number), holders: () => this.#holders(id) });
    forgotten.register(error, { instance: this, id });
    return error;
  }

  #holders(id) {
    this.native.kept_holders(id);
    return this.data().holders();
  }

  /** What was wrong, what to do, and who was in the way: as the core says it in all languages. */
  #message(id, number) {
    this.native.kept_parts(id);
    const [own, low, high, flags] = [this.data().message(), this.word(2), this.word(3), this.word(4)];
    const [meaning, remedy] = TEXTS.get(number) ?? TEXTS.get(InternalError.number);
    let text = own ?? meaning;
    if (low !== 0 || high !== 0) text = `${handleText(low, high)}: ${text}`;
    const holders = flags === 0 ? [] : this.#holders(id);
    const shown = holders.slice(0, SHOWN).map(holderText).join('; ');
    const more = holders.length > SHOWN ? `; and ${holders.length - SHOWN} more` : '';
    if (holders.length > 0) text += ` Held: ${shown}${more}.`;
    else if ((flags & 1) !== 0) text += ' No borrow is live any more: try again.';
    return own === undefined ? `${text} ${remedy}` : text;
  }

  /** A kept error that nobody will ask any more. */
  forget(id) {
    if (this.#stopped === undefined) this.native.drop_kept(id);
  }

  /** True after a trap. */
  get stopped() {
    return this.#stopped !== undefined;
  }

  /**
   * A promise of what `attempt` gives once it gives something, looked at after each change; of what `late` throws after so
   * many milliseconds. Nothing but calls of this thread changes a heap, so nobody has to look again and again.
   */
  wait(milliseconds, attempt, late) {
    return new Promise((resolve, reject) => {
      const end = Date.now() + milliseconds;
      let timer;
      const settle = (how, value) => {
        clearTimeout(timer);
        this.#waits.delete(look);
        how(value);
      };
      const look = () => {
        try {
          const found = attempt();
          if (found !== undefined) settle(resolve, found.value);
          return found !== undefined;
        } catch (error) {
          settle(reject, error);
          return true;
        }
      };
      const over = () => {
        if (look()) return;
        if (Date.now() < end) sleep();
        else settle(reject, late());
      };
      // Longer times do not fit into a timer.
      const sleep = () => (timer = setTimeout(over, Math.min(end - Date.now(), 2 ** 31 - 1)));
      if (look()) return;
      this.#waits.add(look);
      if (milliseconds !== Infinity) sleep();
    });
  }

  /** Something has changed that may be waited for. */
  changed() {
    if (this.#waits.size > 0) for (const look of [...this.#waits]) look();
  }

  #refresh() {
    if (this.#stopped !== undefined) throw stopped(this.#stopped);
    this.#buffer = this.#memory.buffer;
    this.#words = new Uint32Array(this.#buffer, this.#exports.out() >>> 0, WORDS);
  }

  /** A function of the module that ends the instance when it traps. */
  #guarded(work) {
    return (a, b, c, d, e, f) => {
      try {
        return work(a, b, c, d, e, f);
      } catch (error) {
        throw this.#trapped(error);
      }
    };
  }

  #trapped(error) {
    this.#stopped = error;
    this.native = refusing(() => stopped(error));
    this.#buffer = undefined;
    this.#words = new Uint32Array(0);
    queueMicrotask(() => this.changed());
    return stopped(error);
  }
}

/** Throws `Incompatible` if a module is not of this package's version (F5). */
export function checkVersion(abi, version) {
  if (abi !== ABI || version !== VERSION) {
    throw new IncompatibleError(
      `The module is version ${version} with ABI ${abi}, and this package is version ${VERSION} with ABI ${ABI}. Load the ` +
        'module that came with the package.',
    );
  }
}

function stopped(error) {
  return new InternalError(
    `The instance has stopped (${error}), and takes no more calls: make a new one with createInstance(). Please report it.`,
  );
}

/** `InvalidUtf8` for text with half of a surrogate pair. */
export function checkText(text, name) {
  if (text.isWellFormed?.() ?? !/\p{Surrogate}/u.test(text)) return;
  throw new InvalidUtf8Error(`${name} has half of a surrogate pair, which UTF-8 cannot say: remove it, or use bytes`);
}

/** A count of bytes: a number without a fraction, or a bigint. */
export function sizeOf(value, name) {
  if (typeof value === 'bigint') {
    if (value < 0n) throw new InvalidArgumentError(`${name} is negative`);
    return Number(value);
  }
  if (typeof value !== 'number') {
    throw new InvalidArgumentError(`${name} is no number: give a whole number of bytes, or a bigint`);
  }
  if (!(value >= 0 && value % 1 === 0)) {
    throw new InvalidArgumentError(`${name} is ${value}: give a whole number of bytes from 0 on`);
  }
  return value;
}

/** A count of bytes that may be left out: NaN then. */
export function optionalSize(value, name) {
  return value === undefined || value === null ? NaN : sizeOf(value, name);
}

/** The low and the high word of a handle. */
export function wordsOf(handle) {
  if (typeof handle !== 'bigint' || BigInt.asUintN(64, handle) !== handle) {
    throw new InvalidArgumentError('a handle is a bigint of 64 bits: pass buffer.handle or region.handle as it is');
  }
  return [Number(handle & 0xffff_ffffn), Number(handle >> 32n)];
}

/** Milliseconds to wait at most: `Infinity` for `undefined` and `null`. */
export function timeoutOf(value) {
  if (value === undefined || value === null) return Infinity;
  if (typeof value === 'number' && value >= 0) return value;
  throw new InvalidArgumentError('timeout is a number of milliseconds from 0 on, or undefined to wait for ever');
}

function notLoaded() {
  return new UnsupportedError('The module is not loaded yet: `await init()` first.');
}

/** Functions of any name that all refuse. */
function refusing(error) {
  const refuse = () => {
    throw error();
  };
  return new Proxy({}, { get: () => refuse });
}
