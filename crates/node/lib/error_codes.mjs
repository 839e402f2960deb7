// Written from spec/errors.toml by `cargo xtask gen`. Do not edit.

import weaveheap from '../index.js';

export const {
  WeaveHeapError,
  InvalidArgumentError,
  StaleHandleError,
  StaleViewError,
  BorrowConflictError,
  BorrowedError,
  DeniedError,
  PoisonedError,
  OutOfMemoryError,
  LimitReachedError,
  NotFoundError,
  AlreadyExistsError,
  InvalidNameError,
  NotAttachedError,
  TimeoutError,
  IncompatibleError,
  CorruptError,
  IoError,
  InvalidUtf8Error,
  UnsupportedError,
  InternalError,
} = weaveheap;
