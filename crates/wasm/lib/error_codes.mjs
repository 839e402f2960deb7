// Written by `cargo xtask gen`. Do not edit.

import { WeaveHeapError } from './weaveheap_error.mjs';

export { WeaveHeapError } from './weaveheap_error.mjs';

/** An argument is null, out of range, or not of the kind that is asked for. Check the argument that the message names. */
export class InvalidArgumentError extends WeaveHeapError {
  static code = 'InvalidArgument';
  static number = 1;
}

/** The handle or token is null, freed, ended, of a closed region, or of another heap. Use the handle only while its buffer and its region live; a token only once. */
export class StaleHandleError extends WeaveHeapError {
  static code = 'StaleHandle';
  static number = 2;
}

/** The view was released, or no longer points at its bytes. Borrow the buffer again and use the new view. */
export class StaleViewError extends WeaveHeapError {
  static code = 'StaleView';
  static number = 3;
}

/** A shared borrow meets a unique one, or a unique borrow meets any other. End the borrows that the message lists, or try again after they have ended. */
export class BorrowConflictError extends WeaveHeapError {
  static code = 'BorrowConflict';
  static number = 4;
}

/** What would be freed, emptied or unmapped is borrowed. End the borrows that the message lists, or close when idle. */
export class BorrowedError extends WeaveHeapError {
  static code = 'Borrowed';
  static number = 5;
}

/** The handle or the folder lacks the right that the operation needs. Use a handle with that right; a frozen buffer is never written again. */
export class DeniedError extends WeaveHeapError {
  static code = 'Denied';
  static number = 6;
}

/** The holder of a unique borrow died while it could write: the bytes may be half changed. Look at the bytes after `clear_poison`, or free the buffer. */
export class PoisonedError extends WeaveHeapError {
  static code = 'Poisoned';
  static number = 7;
}

/** The heap's limit, the system's memory or the shared-memory folder is used up. Close regions, make the heap with a larger limit, or give the folder more room. */
export class OutOfMemoryError extends WeaveHeapError {
  static code = 'OutOfMemory';
  static number = 8;
}

/** A region's own limit, or a table of the heap, is full. Free buffers, raise the region's limit, or close regions and attachments no longer used. */
export class LimitReachedError extends WeaveHeapError {
  static code = 'LimitReached';
  static number = 9;
}

/** There is no heap or no entry of that name. Check the name; `weaveheap list` shows the heaps. */
export class NotFoundError extends WeaveHeapError {
  static code = 'NotFound';
  static number = 10;
}

/** A heap or an entry of that name exists. Open it, choose another name, or remove it first. */
export class AlreadyExistsError extends WeaveHeapError {
  static code = 'AlreadyExists';
  static number = 11;
}

/** The name is not of the form [a-z0-9][a-z0-9._-]{0,63}. Use lower-case letters, digits, dot, underscore and hyphen. */
export class InvalidNameError extends WeaveHeapError {
  static code = 'InvalidName';
  static number = 12;
}

/** This process is not attached to the heap: it has detached, or it is a forked child. Open the heap in this process. */
export class NotAttachedError extends WeaveHeapError {
  static code = 'NotAttached';
  static number = 13;
}

/** The time given for waiting is over. Wait longer, or look with `weaveheap who` for what is waited for. */
export class TimeoutError extends WeaveHeapError {
  static code = 'Timeout';
  static number = 14;
}

/** The file is no heap, or one of another layout version, word size, byte order or ABI version. Use one version of WeaveHeap on both sides; the message names both. */
export class IncompatibleError extends WeaveHeapError {
  static code = 'Incompatible';
  static number = 15;
}

/** The heap's own records contradict each other. Close it everywhere, keep the file for a report, and make a new heap. */
export class CorruptError extends WeaveHeapError {
  static code = 'Corrupt';
  static number = 16;
}

/** The system refused an operation on a file or a mapping. See the system's own words in the message. */
export class IoError extends WeaveHeapError {
  static code = 'Io';
  static number = 17;
}

/** The bytes are not UTF-8. Give UTF-8, or allocate bytes instead of a string. */
export class InvalidUtf8Error extends WeaveHeapError {
  static code = 'InvalidUtf8';
  static number = 18;
}

/** This system or runtime lacks what the operation needs. The message names what is missing; docs/platforms.md lists it for each system. */
export class UnsupportedError extends WeaveHeapError {
  static code = 'Unsupported';
  static number = 19;
}

/** A defect in WeaveHeap itself. The heap stays usable. Please report it with the message. */
export class InternalError extends WeaveHeapError {
  static code = 'Internal';
  static number = 20;
}
