// What the module gives as plain data (`src/data.rs`), as objects with the keys that all languages have; and how people read
// handles and holders (K5, B6).

import { MESSAGES } from './messages.mjs';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
/** The bit of a handle's index that says that it is of a region. */
const REGION = 0x8000_0000;

/** `b17:2043` for a buffer's handle, `r3:77` for a region's, from its two words. */
export function handleText(low, high) {
  if (low === 0 && high === 0) return 'null';
  return low >= REGION ? `r${low - REGION}:${high}` : `b${low}:${high}`;
}

/** The handle that a text names; `undefined` if it names none. */
export function handleOf(text) {
  if (text === 'null') return 0n;
  const [, kind, index, generation] = /^([br])([0-9]+):([0-9]+)$/.exec(text) ?? [];
  if (kind === undefined || Number(index) >= REGION || Number(generation) === 0 || Number(generation) > 0xffff_ffff) return undefined;
  return (BigInt(generation) << 32n) | BigInt(kind === 'r' ? Number(index) + REGION : Number(index));
}

/** A holder in words. */
export function holderText({ kind, handle, runtime, process, thread, label, age_ms: age, alive }) {
  const tenths = Math.floor((age + 50) / 100);
  const named = label === '' ? '' : ` (${label})`;
  const dead = alive ? '' : ' (dead)';
  return `${kind} borrow of ${handle} by ${runtime} process ${process} thread ${thread}${named} for ${Math.floor(tenths / 10)}.${tenths % 10} s${dead}`;
}

/** Reads data from its start. */
export class Reading {
  #bytes;
  #view;
  #at = 0;

  constructor(memory, address, length) {
    this.#bytes = new Uint8Array(memory, address, length);
    this.#view = new DataView(memory, address, length);
  }

  #words() {
    const at = this.#at;
    this.#at += 8;
    return [this.#view.getUint32(at, true), this.#view.getUint32(at + 4, true)];
  }

  #number() {
    const [low, high] = this.#words();
    return low + high * 2 ** 32;
  }

  #flag() {
    return this.#number() !== 0;
  }

  #handle() {
    return handleText(...this.#words());
  }

  #text() {
    const length = this.#number();
    const start = this.#at;
    this.#at += length;
    return decoder.decode(this.#bytes.subarray(start, start + length));
  }

  /** The message of an error, from its text's number and the values in it; `undefined` if it has none of its own. */
  message() {
    if (this.#bytes.length === 0) return undefined;
    const number = this.#view.getUint32(0, true);
    this.#at = 4;
    const text = MESSAGES.get(number) ?? `text ${number}`;
    return text.replace(/\{(:[^}]*)?\}/g, (_, how) => {
      this.#at += 1;
      const kind = this.#bytes[this.#at - 1];
      if (kind === 1) return this.#handle();
      if (kind === 2) return how === ':?' ? JSON.stringify(this.#text()) : this.#text();
      return how === ':#x' ? `0x${this.#number().toString(16)}` : String(this.#number());
    });
  }

  #list(read) {
    return Array.from({ length: this.#number() }, () => read.call(this));
  }

  #copies() {
    return { count: this.#number(), bytes: this.#number() };
  }

  #counters() {
    return {
      allocations: this.#number(),
      frees: this.#number(),
      bytes_allocated: this.#number(),
      bytes_freed: this.#number(),
      borrows_begun: this.#number(),
      borrows_ended: this.#number(),
      conflicts: this.#number(),
      stale: this.#number(),
      views: this.#number(),
      finalized: this.#number(),
      regions_collected: this.#number(),
      copies: {
        ingest: this.#copies(),
        export: this.#copies(),
        no_external_buffers: this.#copies(),
        serialize: this.#copies(),
      },
    };
  }

  #holder() {
    const [handle, region, process, thread] = [this.#handle(), this.#handle(), this.#number(), this.#number()];
    const [age, alive, kind, runtime, label] = [this.#number(), this.#flag(), this.#text(), this.#text(), this.#text()];
    return { handle, region, kind, process, thread, runtime, label, age_ms: age, alive };
  }

  region() {
    const [handle, limited, limit, reserved] = [this.#handle(), this.#flag(), this.#number(), this.#number()];
    const [peak, buffers, live, borrows] = [this.#number(), this.#number(), this.#number(), this.#number()];
    const [name, state, counters] = [this.#text(), this.#text(), this.#counters()];
    return { handle, name, state, limit: limited ? limit : null, reserved, peak, buffers, bytes_live: live, borrows, counters };
  }

  buffer() {
    return {
      handle: this.#handle(),
      region: this.#handle(),
      length: this.#number(),
      offset: this.#number(),
      shared: this.#number(),
      unique: this.#flag(),
      frozen: this.#flag(),
      poisoned: this.#flag(),
    };
  }

  buffers() {
    return this.#list(this.buffer);
  }

  #attachment() {
    const [index, process, alive, threads] = [this.#number(), this.#number(), this.#flag(), this.#number()];
    const [borrows, runtime, label] = [this.#number(), this.#text(), this.#text()];
    return { index, process, runtime, label, alive, threads, borrows };
  }

  #name() {
    const [handle, name] = [this.#handle(), this.#text()];
    return { name, handle };
  }

  #runtime() {
    return { runtime: this.#text(), counters: this.#counters() };
  }

  holders() {
    return this.#list(this.#holder);
  }

  snapshot() {
    const [verify, version, limit, reserved] = [this.#flag(), this.#number(), this.#number(), this.#number()];
    const [peak, live, id] = [this.#number(), this.#number(), this.#text()];
    const sizes = { limit, reserved, peak, bytes_live: live };
    return {
      heap: { id, path: null, shared: false, verify, layout_version: version, ...sizes },
      attachments: this.#list(this.#attachment),
      regions: this.#list(this.region),
      borrows: this.holders(),
      names: this.#list(this.#name),
      counters: this.#counters(),
      runtimes: this.#list(this.#runtime),
    };
  }

  report() {
    return {
      regions: this.#number(),
      chunks: this.#number(),
      buffers: this.#number(),
      borrows: this.#number(),
      attachments: this.#number(),
      lost: this.#number(),
    };
  }
}
