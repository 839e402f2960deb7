// Written from spec/errors.toml by `cargo xtask gen`. Do not edit.

#ifndef WEAVEHEAP_ERROR_CODE_HPP
#define WEAVEHEAP_ERROR_CODE_HPP

#include <cstdint>

namespace weaveheap {

/// What a call comes to. The numbers are those of weaveheap.h, and never change.
enum class ErrorCode : std::int32_t {
  /// Success.
  Ok = 0,
  /// An argument is null, out of range, or not of the kind that is asked for.
  /// Check the argument that the message names.
  InvalidArgument = 1,
  /// The handle or token is null, freed, ended, of a closed region, or of another heap.
  /// Use the handle only while its buffer and its region live; a token only once.
  StaleHandle = 2,
  /// The view was released, or no longer points at its bytes.
  /// Borrow the buffer again and use the new view.
  StaleView = 3,
  /// A shared borrow meets a unique one, or a unique borrow meets any other.
  /// End the borrows that the message lists, or try again after they have ended.
  BorrowConflict = 4,
  /// What would be freed, emptied or unmapped is borrowed.
  /// End the borrows that the message lists, or close when idle.
  Borrowed = 5,
  /// The handle or the folder lacks the right that the operation needs.
  /// Use a handle with that right; a frozen buffer is never written again.
  Denied = 6,
  /// The holder of a unique borrow died while it could write: the bytes may be half changed.
  /// Look at the bytes after `clear_poison`, or free the buffer.
  Poisoned = 7,
  /// The heap's limit, the system's memory or the shared-memory folder is used up.
  /// Close regions, make the heap with a larger limit, or give the folder more room.
  OutOfMemory = 8,
  /// A region's own limit, or a table of the heap, is full.
  /// Free buffers, raise the region's limit, or close regions and attachments no longer used.
  LimitReached = 9,
  /// There is no heap or no entry of that name.
  /// Check the name; `weaveheap list` shows the heaps.
  NotFound = 10,
  /// A heap or an entry of that name exists.
  /// Open it, choose another name, or remove it first.
  AlreadyExists = 11,
  /// The name is not of the form [a-z0-9][a-z0-9._-]{0,63}.
  /// Use lower-case letters, digits, dot, underscore and hyphen.
  InvalidName = 12,
  /// This process is not attached to the heap: it has detached, or it is a forked child.
  /// Open the heap in this process.
  NotAttached = 13,
  /// The time given for waiting is over.
  /// Wait longer, or look with `weaveheap who` for what is waited for.
  Timeout = 14,
  /// The file is no heap, or one of another layout version, word size, byte order or ABI version.
  /// Use one version of WeaveHeap on both sides; the message names both.
  Incompatible = 15,
  /// The heap's own records contradict each other.
  /// Close it everywhere, keep the file for a report, and make a new heap.
  Corrupt = 16,
  /// The system refused an operation on a file or a mapping.
  /// See the system's own words in the message.
  Io = 17,
  /// The bytes are not UTF-8.
  /// Give UTF-8, or allocate bytes instead of a string.
  InvalidUtf8 = 18,
  /// This system or runtime lacks what the operation needs.
  /// The message names what is missing; docs/platforms.md lists it for each system.
  Unsupported = 19,
  /// A defect in WeaveHeap itself. The heap stays usable.
  /// Please report it with the message.
  Internal = 20,
};

}  // namespace weaveheap

#endif  // WEAVEHEAP_ERROR_CODE_HPP
