// Written by `cargo xtask gen`. Do not edit.
// Those of the package `weaveheap`.
// The types of the package.

export * from './error_codes.js';
import type { ErrorCode } from './error_codes.js';

/** 64 bits that name a region or a buffer, in every process and thread. `0n` names nothing. */
export type Handle = bigint;

/** Why a function failed. Each code has a class of its own. */
export class WeaveHeapError extends Error {
  constructor(message?: string);
  /** The code's name, the same in all languages. */
  readonly code: ErrorCode;
  /** The code's number, the same in all languages. */
  readonly number: number;
  /** Who holds borrows of what was asked for; gathered at the first call, empty for errors that are not about borrows. */
  readonly holders: Holder[];
}

export type BorrowKind = 'shared' | 'unique';

/** One live borrow and who holds it. */
export interface Holder {
  /** The buffer, as text. */
  handle: string;
  /** Its region, as text. */
  region: string;
  kind: BorrowKind;
  /** The process id. */
  process: number;
  /** The thread id, as the system has it. */
  thread: number;
  /** The language. */
  runtime: string;
  /** What the attachment calls itself. */
  label: string;
  /** Age in milliseconds, to about 10. */
  age_ms: number;
  /** False if the holder was seen to be dead. */
  alive: boolean;
}

export interface CopyCount {
  count: number;
  bytes: number;
}

/** Counters; they only grow. */
export interface Counters {
  allocations: number;
  frees: number;
  bytes_allocated: number;
  bytes_freed: number;
  borrows_begun: number;
  borrows_ended: number;
  conflicts: number;
  stale: number;
  views: number;
  finalized: number;
  regions_collected: number;
  copies: { ingest: CopyCount; export: CopyCount; no_external_buffers: CopyCount; serialize: CopyCount };
}

export interface RegionInfo {
  handle: string;
  name: string;
  state: 'open' | 'closing' | 'draining';
  limit: number | null;
  reserved: number;
  peak: number;
  buffers: number;
  bytes_live: number;
  borrows: number;
  counters: Counters;
}

export interface BufferInfo {
  handle: string;
  region: string;
  length: number;
  /** Bytes from the segment's base. */
  offset: number;
  /** Shared borrows that live. */
  shared: number;
  /** True under a unique borrow. */
  unique: boolean;
  frozen: boolean;
  poisoned: boolean;
}

/** A heap as it was seen at one time. Sizes are bytes, ages milliseconds, handles text. */
export interface Snapshot {
  heap: {
    id: string;
    path: string | null;
    shared: boolean;
    verify: boolean;
    layout_version: number;
    limit: number;
    reserved: number;
    peak: number;
    bytes_live: number;
  };
  attachments: {
    index: number;
    process: number;
    runtime: string;
    label: string;
    alive: boolean;
    threads: number;
    borrows: number;
  }[];
  regions: RegionInfo[];
  borrows: Holder[];
  names: { name: string; handle: string }[];
  counters: Counters;
  runtimes: { runtime: string; counters: Counters }[];
}

/** What a heap without a fault holds. */
export interface CheckReport {
  regions: number;
  chunks: number;
  buffers: number;
  borrows: number;
  attachments: number;
  /** Places for buffers that a process which died has left to nobody; back when the region is reset or closed. */
  lost: number;
}

export interface PrivateOptions {
  /** The most that the heap may hold, in bytes. */
  limit?: number | bigint;
  /** Lets the command line see the heap by process id. */
  inspect?: boolean;
  /** Checksums shared borrows, to find writes through views that are for reading. */
  verify?: boolean;
  /** What this process calls itself in reports. */
  label?: string;
}

export interface CreateOptions {
  limit?: number | bigint;
  verify?: boolean;
  label?: string;
}

export interface OpenOptions {
  label?: string;
}

/** The path of a shared heap's file, where it has no name. */
export interface HeapPath {
  path: string;
}

export interface RegionOptions {
  /** For people: up to 64 bytes of UTF-8. */
  name?: string;
  /** The most that the region may hold, in bytes. */
  limit?: number | bigint;
}

export interface AllocOptions {
  /** A power of two up to 4096; 64 if it is not given. */
  align?: number | bigint;
  /** False for memory that holds whatever was there. */
  zeroed?: boolean;
}

/** Milliseconds to wait at most; for ever without a number. */
export interface WaitOptions {
  timeout?: number | null;
}

/** A heap: a segment of memory with regions and buffers, of this process alone or shared with others. */
export class Heap {
  private constructor();
  /** Makes a private heap: memory of this process. */
  static private(options?: PrivateOptions): Heap;
  /** Makes a shared heap. `AlreadyExists` if there is one, `InvalidName` for a bad name. */
  static create(name: string, options?: CreateOptions): Heap;
  static create(where: HeapPath & CreateOptions): Heap;
  /** Opens a shared heap. `NotFound` if there is none; `Incompatible` or `Corrupt` if the file is none. */
  static open(name: string, options?: OpenOptions): Heap;
  static open(where: HeapPath & OpenOptions): Heap;
  /** The heap of this process with this id, in any of its threads. `NotFound` if the process is not attached to it. */
  static byId(id: string): Heap;
  /** Unlinks a shared heap. Attached processes keep it. */
  static remove(where: string | HeapPath): void;
  /** The shared heaps in the folder of names. */
  static list(): { name: string; path: string }[];
  /** The folder of names. */
  static folder(): string;

  /** 32 hexadecimal digits that are this heap's alone. */
  readonly id: string;
  /** The file of a shared heap. */
  readonly path: string | null;
  /** True if other processes can attach. */
  readonly shared: boolean;
  readonly verify: boolean;
  /** The most that the heap may hold, in bytes. */
  readonly limit: number;
  /** True once this object or its process has detached. */
  readonly detached: boolean;

  /** Makes a region. */
  region(options?: RegionOptions): Region;
  /** Makes a region, gives it to a function, and closes it when the function, or its promise, is done. */
  withRegion<T>(options: RegionOptions | undefined, use: (region: Region) => T): T;
  /** The region with this handle. `StaleHandle` if there is none. */
  regionAt(handle: Handle): Region;
  /** The buffer with this handle. `StaleHandle` if there is none. */
  buffer(handle: Handle): HeapBuffer;

  /** Puts a handle into the heap's directory. `AlreadyExists` if the name is taken. */
  publish(name: string, handle: Handle): void;
  /** The handle under a name; `NotFound` at once if there is none. */
  lookup(name: string): Handle;
  /** The handle under a name, waited for; rejected with `Timeout`. */
  lookup(name: string, options: WaitOptions): Promise<Handle>;
  /** Takes a name out of the directory. */
  unpublish(name: string): void;

  /** The heap as it is now. */
  stats(): Snapshot;
  /** Who holds borrows of a buffer, or of any buffer of a region. */
  holders(handle: Handle): Holder[];
  /** Walks the whole heap and verifies it. `Corrupt` says what does not hold. */
  check(): CheckReport;
  /** Gives freed memory back to the system now. Returns the bytes given back. */
  trim(): number;
  /** Ends the use of the heap: every later call is `NotAttached`. `Borrowed` while there are views of it. */
  detach(): void;
  /** Detaches, unless this object has detached. */
  [Symbol.dispose](): void;
}

/** An arena in a heap: its buffers are freed together. */
export class Region {
  private constructor();
  readonly handle: Handle;
  readonly heap: Heap;
  /** Allocates bytes. `OutOfMemory` by the heap's limit, `LimitReached` by the region's own. */
  alloc(length: number | bigint, options?: AllocOptions): HeapBuffer;
  /** Allocates a copy of some bytes, counted as `ingest`. */
  allocFrom(bytes: ArrayBufferView | ArrayBufferLike, options?: { align?: number | bigint }): HeapBuffer;
  /** Allocates a string: the text as UTF-8, without a terminator; a copy counted as `ingest`. */
  string(text: string): HeapBuffer;
  /** The state and counters. */
  info(): RegionInfo;
  /** The states of the region's buffers, at most so many (1000). */
  buffers(limit?: number): BufferInfo[];
  /** Empties the region and keeps it. `Borrowed` while one of its buffers is borrowed. */
  reset(): void;
  /** Frees the region and all in it. `Borrowed`, and nothing is changed, while one of its buffers is borrowed. */
  close(): void;
  /** Refuses new borrows and allocations at once; the last borrow to end, wherever it is, frees the region. */
  closeWhenIdle(): void;
  /** Waits until no buffer of the region is borrowed; rejected with `Timeout`. */
  waitIdle(options?: WaitOptions): Promise<void>;
  /** Closes the region, unless this object has closed it. */
  [Symbol.dispose](): void;
}

/** A run of bytes in a region. The object is a reference: dropping it frees nothing. */
export class HeapBuffer {
  private constructor();
  readonly handle: Handle;
  /** Bytes. */
  readonly length: number;
  readonly region: Region;
  readonly heap: Heap;
  /** A view for reading. `BorrowConflict` while anyone has the bytes for writing. */
  borrowShared(): View;
  /** A view for writing. `BorrowConflict` while anyone else has the bytes at all. */
  borrowUnique(): View;
  /** Gives a function a view for reading, and releases it when the function, or its promise, is done. */
  withShared<T>(use: (view: View) => T): T;
  /** As `withShared`, with a view for writing. */
  withUnique<T>(use: (view: View) => T): T;
  /** A copy of the bytes, counted as `export`. */
  toBytes(): Uint8Array;
  /** A copy of the bytes as text, counted as `export`. `InvalidUtf8` if they are none. */
  toString(): string;
  /** True if the other buffer or array holds the same bytes. Nothing is copied. */
  equals(other: HeapBuffer | ArrayBufferView): boolean;
  /** The state. */
  info(): BufferInfo;
  /** Takes the right to write from the buffer, for everyone and for good. */
  freeze(): void;
  /** Makes a poisoned buffer usable again. */
  clearPoison(): void;
  /** Frees the buffer. `Borrowed` while anyone borrows it. */
  free(): void;
}

/**
 * The bytes of a borrow. It ends with `release()` (or `using`), which detaches the memory: every array over it has
 * length 0 from then on. All accessors of a released view throw `StaleView`. Offsets are bytes, lengths elements.
 */
export class View {
  private constructor();
  readonly buffer: HeapBuffer;
  readonly kind: BorrowKind;
  /** True if this runtime forbids external buffers, so that the bytes are a copy. */
  readonly copied: boolean;
  readonly released: boolean;
  /** Bytes. */
  readonly length: number;
  /** All the bytes. Write to them under a unique borrow only: JavaScript cannot stop other writes. */
  readonly bytes: Uint8Array;
  int8(offset?: number, length?: number): Int8Array;
  uint8(offset?: number, length?: number): Uint8Array;
  uint8Clamped(offset?: number, length?: number): Uint8ClampedArray;
  int16(offset?: number, length?: number): Int16Array;
  uint16(offset?: number, length?: number): Uint16Array;
  int32(offset?: number, length?: number): Int32Array;
  uint32(offset?: number, length?: number): Uint32Array;
  bigInt64(offset?: number, length?: number): BigInt64Array;
  bigUint64(offset?: number, length?: number): BigUint64Array;
  float32(offset?: number, length?: number): Float32Array;
  float64(offset?: number, length?: number): Float64Array;
  /** Offset and length in bytes; needs no alignment. */
  dataView(offset?: number, length?: number): DataView;
  /** Ends the borrow and detaches the memory. Again is harmless. */
  release(): void;
  [Symbol.dispose](): void;
}

/** `b17:2043` for a buffer's handle, `r3:77` for a region's, `null` for `0n`. */
export function handleToString(handle: Handle): string;
/** The handle that a text names. `InvalidArgument` if it names none. */
export function handleFromString(text: string): Handle;
