/*
 * weaveheap.h: one heap for all runtimes, in C11 and C++17.
 *
 * Written by `cargo xtask gen` from crates/capi and spec/errors.toml. Do not edit.
 *
 * Terms. A heap is one segment of address space, private to this process or shared with others. A region is an arena
 * in a heap: its buffers are freed together. A buffer is a run of bytes in a region. A handle names a region or a
 * buffer. A borrow is permission to touch a buffer's bytes for a while: shared (to read, any number at once) or
 * unique (to write, alone). A token names one borrow.
 *
 * First lines.
 *
 *     weaveheap_error err;
 *     weaveheap_heap *heap = weaveheap_heap_private(NULL, &err);
 *     weaveheap_handle_t region = weaveheap_region_create(heap, "frames", 0, &err);
 *     weaveheap_handle_t buffer = weaveheap_buffer_alloc(heap, region, 1024, WEAVEHEAP_ALIGN_DEFAULT,
 *                                                        WEAVEHEAP_INIT_ZEROED, &err);
 *     weaveheap_view_mut view;
 *     if (weaveheap_borrow_unique(heap, buffer, &view, &err) == WEAVEHEAP_OK) {
 *       view.data[0] = 7;
 *       weaveheap_borrow_end(heap, view.token, NULL);
 *     }
 *     weaveheap_region_close(heap, region, NULL);
 *     weaveheap_heap_release(heap);
 *
 * Results and errors. A function returns its result: 0 or null on failure. A function without a result returns the
 * code: 0 (WEAVEHEAP_OK) or one of WEAVEHEAP_ERROR_*. `err` may be null. If it is not, both of its fields are
 * written, on success too; they are never read, so that the struct need not be initialised. After a failure release
 * the message with weaveheap_error_clear before the struct is used again. Where 0 or null can be a success, too,
 * the function says so, and err->code tells.
 *
 * Pointers. A null pointer where one is needed is WEAVEHEAP_ERROR_INVALID_ARGUMENT. Pointers that are not null must
 * be good: that cannot be checked. No pointer of the caller's is kept after a function has returned, save a log
 * callback and its context. Strings that are given end in NUL, unless a length stands beside them.
 *
 * Ownership. A heap object is released with weaveheap_heap_release, an inspector with weaveheap_inspector_release,
 * a string that is returned with weaveheap_free_string, a byte block with weaveheap_free_bytes, an error's message
 * with weaveheap_error_clear. Nothing else is allocated for the caller. Handles and tokens are numbers: to forget
 * one frees nothing. Buffers belong to their region; regions to their heap.
 *
 * Handles are checked. One that is null, freed, forged, of a closed region or of another heap is
 * WEAVEHEAP_ERROR_STALE_HANDLE and touches no memory. So with tokens: ending one twice is an error and no harm.
 *
 * Threads. Every function may be called from any thread at any time, unless it says otherwise. After fork, the child
 * is not attached: what it inherited is WEAVEHEAP_ERROR_NOT_ATTACHED, until it opens the heap itself.
 *
 * Structs that grow. A struct that begins with `struct_size` may have more fields in later versions. Set that field to
 * the size that your header knows, and every version of the library fills or reads as much.
 *
 * Trust. Processes that share a heap trust each other to follow these rules, as threads do.
 */

#ifndef WEAVEHEAP_H
#define WEAVEHEAP_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What a call comes to. The numbers are never changed and never used for something else. */
enum {
  /** Success. */
  WEAVEHEAP_OK = 0,
  /**
   * An argument is null, out of range, or not of the kind that is asked for.
   * Check the argument that the message names.
   */
  WEAVEHEAP_ERROR_INVALID_ARGUMENT = 1,
  /**
   * The handle or token is null, freed, ended, of a closed region, or of another heap.
   * Use the handle only while its buffer and its region live; a token only once.
   */
  WEAVEHEAP_ERROR_STALE_HANDLE = 2,
  /**
   * The view was released, or no longer points at its bytes.
   * Borrow the buffer again and use the new view.
   */
  WEAVEHEAP_ERROR_STALE_VIEW = 3,
  /**
   * A shared borrow meets a unique one, or a unique borrow meets any other.
   * End the borrows that the message lists, or try again after they have ended.
   */
  WEAVEHEAP_ERROR_BORROW_CONFLICT = 4,
  /**
   * What would be freed, emptied or unmapped is borrowed.
   * End the borrows that the message lists, or close when idle.
   */
  WEAVEHEAP_ERROR_BORROWED = 5,
  /**
   * The handle or the folder lacks the right that the operation needs.
   * Use a handle with that right; a frozen buffer is never written again.
   */
  WEAVEHEAP_ERROR_DENIED = 6,
  /**
   * The holder of a unique borrow died while it could write: the bytes may be half changed.
   * Look at the bytes after `clear_poison`, or free the buffer.
   */
  WEAVEHEAP_ERROR_POISONED = 7,
  /**
   * The heap's limit, the system's memory or the shared-memory folder is used up.
   * Close regions, make the heap with a larger limit, or give the folder more room.
   */
  WEAVEHEAP_ERROR_OUT_OF_MEMORY = 8,
  /**
   * A region's own limit, or a table of the heap, is full.
   * Free buffers, raise the region's limit, or close regions and attachments no longer used.
   */
  WEAVEHEAP_ERROR_LIMIT_REACHED = 9,
  /**
   * There is no heap or no entry of that name.
   * Check the name; `weaveheap list` shows the heaps.
   */
  WEAVEHEAP_ERROR_NOT_FOUND = 10,
  /**
   * A heap or an entry of that name exists.
   * Open it, choose another name, or remove it first.
   */
  WEAVEHEAP_ERROR_ALREADY_EXISTS = 11,
  /**
   * The name is not of the form [a-z0-9][a-z0-9._-]{0,63}.
   * Use lower-case letters, digits, dot, underscore and hyphen.
   */
  WEAVEHEAP_ERROR_INVALID_NAME = 12,
  /**
   * This process is not attached to the heap: it has detached, or it is a forked child.
   * Open the heap in this process.
   */
  WEAVEHEAP_ERROR_NOT_ATTACHED = 13,
  /**
   * The time given for waiting is over.
   * Wait longer, or look with `weaveheap who` for what is waited for.
   */
  WEAVEHEAP_ERROR_TIMEOUT = 14,
  /**
   * The file is no heap, or one of another layout version, word size, byte order or ABI version.
   * Use one version of WeaveHeap on both sides; the message names both.
   */
  WEAVEHEAP_ERROR_INCOMPATIBLE = 15,
  /**
   * The heap's own records contradict each other.
   * Close it everywhere, keep the file for a report, and make a new heap.
   */
  WEAVEHEAP_ERROR_CORRUPT = 16,
  /**
   * The system refused an operation on a file or a mapping.
   * See the system's own words in the message.
   */
  WEAVEHEAP_ERROR_IO = 17,
  /**
   * The bytes are not UTF-8.
   * Give UTF-8, or allocate bytes instead of a string.
   */
  WEAVEHEAP_ERROR_INVALID_UTF8 = 18,
  /**
   * This system or runtime lacks what the operation needs.
   * The message names what is missing; docs/platforms.md lists it for each system.
   */
  WEAVEHEAP_ERROR_UNSUPPORTED = 19,
  /**
   * A defect in WeaveHeap itself. The heap stays usable.
   * Please report it with the message.
   */
  WEAVEHEAP_ERROR_INTERNAL = 20
};

/** Options with every field at its default: `weaveheap_heap_options options = WEAVEHEAP_HEAP_OPTIONS_INIT;` */
#define WEAVEHEAP_HEAP_OPTIONS_INIT { sizeof(weaveheap_heap_options), 0, 0, 0, 0, NULL }


/**
 * The version of this header: major number in the high 16 bits, minor in the low 16. A library fits a program if
 * the major numbers are equal and its minor number is not smaller.
 */
#define WEAVEHEAP_ABI_VERSION 1

/** Not said. */
#define WEAVEHEAP_RUNTIME_UNKNOWN 0

/** Rust. */
#define WEAVEHEAP_RUNTIME_RUST 1

/** C; what `runtime = 0` in the options stands for. */
#define WEAVEHEAP_RUNTIME_C 2

/** C++. */
#define WEAVEHEAP_RUNTIME_CPP 3

/** Python. */
#define WEAVEHEAP_RUNTIME_PYTHON 4

/** Node. */
#define WEAVEHEAP_RUNTIME_NODE 5

/** WebAssembly. */
#define WEAVEHEAP_RUNTIME_WASM 6

/** Go. */
#define WEAVEHEAP_RUNTIME_GO 7

/** Java. */
#define WEAVEHEAP_RUNTIME_JAVA 8

/** Swift. */
#define WEAVEHEAP_RUNTIME_SWIFT 9

/** Zig. */
#define WEAVEHEAP_RUNTIME_ZIG 10

/** The command line. */
#define WEAVEHEAP_RUNTIME_CLI 11

/** The caller's bytes were copied into a buffer. */
#define WEAVEHEAP_COPY_INGEST 0

/** A buffer's bytes were copied out at the caller's word. */
#define WEAVEHEAP_COPY_EXPORT 1

/** The runtime forbids external buffers, so that a view had to be a copy. */
#define WEAVEHEAP_COPY_NO_EXTERNAL_BUFFERS 2

/** A value was made for another protocol. */
#define WEAVEHEAP_COPY_SERIALIZE 3

/** The memory of a new buffer is zeroed. */
#define WEAVEHEAP_INIT_ZEROED 0

/** The memory of a new buffer is whatever was there: faster, and never foreign to this heap. */
#define WEAVEHEAP_INIT_UNINIT 1

/** The usual alignment, in bytes. */
#define WEAVEHEAP_ALIGN_DEFAULT 64

/** The largest alignment, in bytes. */
#define WEAVEHEAP_ALIGN_MAX 4096

/** The region is in use. */
#define WEAVEHEAP_REGION_OPEN 1

/** The region is being closed at this moment. */
#define WEAVEHEAP_REGION_CLOSING 2

/** The region closes when the last borrow ends. */
#define WEAVEHEAP_REGION_DRAINING 3

/** Something went wrong. */
#define WEAVEHEAP_LOG_ERROR 1

/** Something looks wrong. */
#define WEAVEHEAP_LOG_WARN 2

/** Something that is worth knowing. */
#define WEAVEHEAP_LOG_INFO 3

/** What helps to find a fault. */
#define WEAVEHEAP_LOG_DEBUG 4

/** Everything. */
#define WEAVEHEAP_LOG_TRACE 5

/** The record tells of something that happened. */
#define WEAVEHEAP_LOG_EVENT 0

/** The record tells that something that takes time has begun. */
#define WEAVEHEAP_LOG_SPAN_BEGIN 1

/** The record tells that it has ended; `seconds` says how long it took. */
#define WEAVEHEAP_LOG_SPAN_END 2

/**
 * An attached heap. Opaque: made by `weaveheap_heap_private`, `_create`, `_open` and their like, and released with
 * `weaveheap_heap_release`. Any threads may use one object at the same time.
 */
typedef struct weaveheap_heap weaveheap_heap;

/**
 * A heap seen read-only from another process, without an attachment. Opaque: released with
 * `weaveheap_inspector_release`. Any threads may use one object at the same time.
 */
typedef struct weaveheap_inspector weaveheap_inspector;

/**
 * The outcome of a call. Functions that take a `weaveheap_error *err` write both fields before they return, on
 * success too, and never read them: the struct need not be initialised. It may be null.
 *
 * After a failure the caller owns `message` and releases it with `weaveheap_error_clear` before it uses the struct
 * again. For a refusal because of a borrow the message lists the holders; they are gathered only when `err` is given.
 */
typedef struct {
  /** 0 (`WEAVEHEAP_OK`) or one of `WEAVEHEAP_ERROR_*`. */
  int32_t code;
  /** One line of UTF-8: the code's name, what was wrong, what to do. Null on success. */
  const char *message;
} weaveheap_error;

/**
 * A handle: 64 bits that name a region or a buffer, the same in every process. 0 names nothing. It is data: copying
 * it or forgetting it borrows and frees nothing, and every use of it is checked.
 */
typedef uint64_t weaveheap_handle_t;

/** What a heap is made or opened with. Start from `WEAVEHEAP_HEAP_OPTIONS_INIT`; every field may stay 0. */
typedef struct {
  /** `sizeof(weaveheap_heap_options)`. */
  size_t struct_size;
  /** The most that the heap may hold, in bytes; 0 for 64 GiB or what the system gives. Ignored by `open`. */
  uint64_t limit;
  /** One of `WEAVEHEAP_RUNTIME_*`: the language that the caller works for. 0 is C. */
  uint32_t runtime;
  /** Not 0: the command line may see a private heap by process id. */
  uint32_t inspect;
  /** Not 0: shared borrows of runtimes without read-only views are checksummed. Ignored by `open`. */
  uint32_t verify;
  /** What the attachment calls itself in reports, cut to 64 bytes of UTF-8; null for nothing. */
  const char *label;
} weaveheap_heap_options;

/** What a heap is. Set `struct_size` before the call. */
typedef struct {
  /** `sizeof(weaveheap_heap_info_t)`. */
  size_t struct_size;
  /** Bytes of address space, the heap's limit. */
  uint64_t limit;
  /** The language of this attachment, one of `WEAVEHEAP_RUNTIME_*`. */
  uint32_t runtime;
  /** True if other processes can attach. */
  bool shared;
  /** True if shared borrows of runtimes without read-only views are checksummed. */
  bool verify;
  /** True once `weaveheap_heap_detach` has succeeded, and in a forked child. */
  bool detached;
} weaveheap_heap_info_t;

/** What `weaveheap_heap_check` found. Set `struct_size` before the call. */
typedef struct {
  /** `sizeof(weaveheap_check_report)`. */
  size_t struct_size;
  /** Regions walked. */
  uint64_t regions;
  /** Chunks walked. */
  uint64_t chunks;
  /** Buffers that live. */
  uint64_t buffers;
  /** Borrows that live. */
  uint64_t borrows;
  /** Attachments. */
  uint64_t attachments;
  /**
   * Places for buffers that nobody will be given any more, since a process died in the middle of an allocation or a
   * free. Their memory comes back when the region is reset or closed.
   */
  uint64_t lost;
} weaveheap_check_report;

/** What a region is and holds. Set `struct_size` before the call. */
typedef struct {
  /** `sizeof(weaveheap_region_info_t)`. */
  size_t struct_size;
  /** Its handle. */
  weaveheap_handle_t handle;
  /** Its limit in bytes; 0 without one. */
  uint64_t limit;
  /** Bytes of its chunks. */
  uint64_t reserved;
  /** The most that `reserved` has been. */
  uint64_t peak;
  /** Buffers that live. */
  uint64_t buffers;
  /** Bytes of buffers that live. */
  uint64_t bytes_live;
  /** Borrows of its buffers that live, shared and unique. */
  uint64_t borrows;
  /** One of `WEAVEHEAP_REGION_*`. */
  uint32_t state;
} weaveheap_region_info_t;

/** What a buffer is. Set `struct_size` before the call. */
typedef struct {
  /** `sizeof(weaveheap_buffer_info_t)`. */
  size_t struct_size;
  /** Its handle. */
  weaveheap_handle_t handle;
  /** The handle of its region. */
  weaveheap_handle_t region;
  /** Its length in bytes. */
  uint64_t length;
  /** Its offset from the heap's base, in bytes. */
  uint64_t offset;
  /** Shared borrows that live. */
  uint32_t shared;
  /** True under a unique borrow. */
  bool unique;
  /** True once `weaveheap_buffer_freeze` took the right to write. */
  bool frozen;
  /** True if a holder died while it could write. */
  bool poisoned;
} weaveheap_buffer_info_t;

/** A token: 64 bits that name one live borrow. 0 names nothing. It ends once. */
typedef uint64_t weaveheap_token_t;

/** A shared borrow of a string: UTF-8 to read, without a terminator. */
typedef struct {
  /** The first byte; never null, also for a length of 0. */
  const char *data;
  /** Bytes. */
  size_t length;
  /** What `weaveheap_borrow_end` takes. */
  weaveheap_token_t token;
} weaveheap_string_view;

/** A shared borrow: bytes to read. They stay where they are, and nobody writes them, until the token is ended. */
typedef struct {
  /** The first byte; never null, also for a length of 0. */
  const uint8_t *data;
  /** Bytes. */
  size_t length;
  /** What `weaveheap_borrow_end` takes. */
  weaveheap_token_t token;
} weaveheap_view;

/**
 * A unique borrow: bytes to read and write. They stay where they are, and nobody else touches them, until the token is
 * ended.
 */
typedef struct {
  /** The first byte; never null, also for a length of 0. */
  uint8_t *data;
  /** Bytes. */
  size_t length;
  /** What `weaveheap_borrow_end` takes. */
  weaveheap_token_t token;
} weaveheap_view_mut;

/** Counters of a heap or a region. They only grow. Set `struct_size` before the call. */
typedef struct {
  /** `sizeof(weaveheap_counters)`. */
  size_t struct_size;
  /** Buffers allocated. */
  uint64_t allocations;
  /** Buffers freed one by one. */
  uint64_t frees;
  /** Bytes asked for in all allocations. */
  uint64_t bytes_allocated;
  /** Bytes of the buffers freed one by one. */
  uint64_t bytes_freed;
  /** Borrows begun. */
  uint64_t borrows_begun;
  /** Borrows ended. */
  uint64_t borrows_ended;
  /** Borrows, frees and closes refused because of a borrow. */
  uint64_t conflicts;
  /** Handles and tokens refused as stale. */
  uint64_t stale;
  /** Native views made. */
  uint64_t views;
  /** Views whose borrow was ended by a finalizer. */
  uint64_t finalized;
  /** Regions of private heaps that were collected while open. */
  uint64_t regions_collected;
  /** Copies counted as `WEAVEHEAP_COPY_INGEST`. */
  uint64_t copies_ingest;
  /** Bytes of them. */
  uint64_t bytes_ingest;
  /** Copies counted as `WEAVEHEAP_COPY_EXPORT`. */
  uint64_t copies_export;
  /** Bytes of them. */
  uint64_t bytes_export;
  /** Copies counted as `WEAVEHEAP_COPY_NO_EXTERNAL_BUFFERS`. */
  uint64_t copies_no_external_buffers;
  /** Bytes of them. */
  uint64_t bytes_no_external_buffers;
  /** Copies counted as `WEAVEHEAP_COPY_SERIALIZE`. */
  uint64_t copies_serialize;
  /** Bytes of them. */
  uint64_t bytes_serialize;
} weaveheap_counters;

/** A registered log callback. 0 names none. */
typedef uint64_t weaveheap_log_id_t;

/** What a log callback gets. It is the library's, and good during the call only. */
typedef struct {
  /** The size of the library's version of this struct; a later one may be larger. */
  size_t struct_size;
  /** One of `WEAVEHEAP_LOG_ERROR` (1) to `WEAVEHEAP_LOG_TRACE` (5). */
  uint32_t level;
  /** `WEAVEHEAP_LOG_EVENT`, `WEAVEHEAP_LOG_SPAN_BEGIN` or `WEAVEHEAP_LOG_SPAN_END`. */
  uint32_t kind;
  /** The part of the library that speaks. */
  const char *target;
  /** One line of UTF-8: the message, then the fields as `name=value`. */
  const char *message;
  /** The number of the span that begins, that ends, or in which the event happened; 0 for none. */
  uint64_t span;
  /** For the end of a span, how long it took; 0 otherwise. */
  double seconds;
} weaveheap_log_record;

/**
 * A log callback. It may be called from any thread, also from several at the same time. It must not throw or jump out.
 * It may call the library; what the library logs meanwhile on that thread is dropped.
 */
typedef void (*weaveheap_log_callback)(void *context, const weaveheap_log_record *record);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ---- Versions -------------------------------------------------------------------------------------------- */

/**
 * The ABI version of the library that is loaded, as `WEAVEHEAP_ABI_VERSION` is written.
 *
 * Success: the version.
 * Failure: it cannot fail.
 * Threads: any.
 * Null: it takes no pointer.
 */
uint32_t weaveheap_abi_version(void);

/**
 * Whether the library that is loaded fits a program that was compiled with this ABI version. A binding calls it with
 * `WEAVEHEAP_ABI_VERSION` when it loads.
 *
 * Success: 0.
 * Failure: `WEAVEHEAP_ERROR_INCOMPATIBLE`; the message names both versions. Use nothing else of the library then.
 * Threads: any.
 * Null: `err` may be null.
 */
int32_t weaveheap_abi_check(uint32_t version,
                            weaveheap_error *err);

/**
 * The layout version of the segments that this library makes and opens. It refuses heaps of another one.
 *
 * Success: the version.
 * Failure: it cannot fail.
 * Threads: any.
 * Null: it takes no pointer.
 */
uint32_t weaveheap_abi_layout_version(void);

/**
 * The version of the library that is loaded, for people: "0.1.0".
 *
 * Success: a static string. Do not release it.
 * Failure: it cannot fail.
 * Threads: any.
 * Null: it takes no pointer.
 */
const char *weaveheap_abi_library_version(void);

/* ---- Errors ---------------------------------------------------------------------------------------------- */

/**
 * Releases the message of an error and sets it to success. Clearing twice does no harm.
 *
 * Success: the message is freed; the struct is `{ WEAVEHEAP_OK, NULL }`.
 * Failure: it cannot fail.
 * Threads: any; one thread at a time for one struct.
 * Null: `err` may be null.
 */
void weaveheap_error_clear(weaveheap_error *err);

/**
 * The name of an error code, the same in all languages: "StaleHandle". "Ok" for 0.
 *
 * Success: a static string. Do not release it.
 * Failure: null for a number that is not in use.
 * Threads: any.
 * Null: it takes no pointer.
 */
const char *weaveheap_error_name(int32_t code);

/**
 * What an error code says, in one sentence.
 *
 * Success: a static string. Do not release it.
 * Failure: null for a number that is not in use.
 * Threads: any.
 * Null: it takes no pointer.
 */
const char *weaveheap_error_meaning(int32_t code);

/**
 * What to do about an error code, in one sentence.
 *
 * Success: a static string. Do not release it.
 * Failure: null for a number that is not in use.
 * Threads: any.
 * Null: it takes no pointer.
 */
const char *weaveheap_error_remedy(int32_t code);

/**
 * The number of the error code with this name: 2 for "StaleHandle".
 *
 * Success: the number; 0 for "Ok".
 * Failure: -1 if `name` is null or the name of no code.
 * Threads: any.
 * Null: `name` may be null, and gives -1.
 */
int32_t weaveheap_error_number(const char *name);

/**
 * Who holds what was in the way of the last call that failed on this thread, as JSON: an array as from
 * `weaveheap_heap_holders_json`, without those that have let go since. They are gathered by this call.
 *
 * Success: a string that the caller owns, "[]" if no borrow was in the way; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any; each has a last failure of its own. Where calls move between threads, use `weaveheap_heap_holders_json`.
 * Null: `err` may be null.
 */
const char *weaveheap_error_last_holders_json(weaveheap_error *err);

/* ---- Releasing strings and byte blocks ------------------------------------------------------------------- */

/**
 * Releases a string that the library returned.
 *
 * Success: the string is gone. Releasing it twice, or one that the library did not return, is undefined.
 * Failure: it cannot fail.
 * Threads: any, whichever got the string.
 * Null: `text` may be null.
 */
void weaveheap_free_string(const char *text);

/**
 * Releases a byte block that the library returned. `length` is the one that it was returned with.
 *
 * Success: the block is gone. Releasing it twice, with another length, or one that the library did not return, is
 * undefined.
 * Failure: it cannot fail.
 * Threads: any, whichever got the block.
 * Null: `bytes` may be null.
 */
void weaveheap_free_bytes(uint8_t *bytes,
                          size_t length);

/* ---- Handles --------------------------------------------------------------------------------------------- */

/**
 * The text form of a handle: "b17:2043" for a buffer, "r3:77" for a region, "null" for 0. The handle is not checked.
 *
 * Success: a string that the caller owns; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any.
 * Null: `err` may be null.
 */
const char *weaveheap_handle_to_text(weaveheap_handle_t handle,
                                     weaveheap_error *err);

/**
 * The handle with this text form. That it is live is checked only when it is used.
 *
 * Success: the handle; 0 with `err->code` 0 for "null".
 * Failure: 0; `WEAVEHEAP_ERROR_INVALID_ARGUMENT` for text that is no handle. The library keeps nothing of `text`.
 * Threads: any.
 * Null: `text` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_handle_t weaveheap_handle_from_text(const char *text,
                                              weaveheap_error *err);

/* ---- Heaps ----------------------------------------------------------------------------------------------- */

/**
 * Makes a private heap: memory of this process.
 *
 * Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
 * Failure: null; nothing is owned. The library keeps nothing of `options`.
 * Threads: any.
 * Null: `options` may be null (all defaults); `err` may be null.
 */
weaveheap_heap *weaveheap_heap_private(const weaveheap_heap_options *options, weaveheap_error *err);

/**
 * Makes a shared heap with this name ([a-z0-9][a-z0-9._-]{0,63}). Whoever attaches to it must follow the borrow rules,
 * as threads of one process do.
 *
 * Success: a heap object that the caller owns; release it with `weaveheap_heap_release`. The heap itself stays until
 * `weaveheap_heap_remove`.
 * Failure: null; nothing is owned and nothing was made. `WEAVEHEAP_ERROR_ALREADY_EXISTS` if there is one of the name,
 * `WEAVEHEAP_ERROR_INVALID_NAME` for a bad name. The library keeps nothing of `name` and `options`.
 * Threads: any.
 * Null: `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
 */
weaveheap_heap *weaveheap_heap_create(const char *name,
                                      const weaveheap_heap_options *options,
                                      weaveheap_error *err);

/**
 * Makes a shared heap in this file, under the same contract as `weaveheap_heap_create`.
 *
 * Success: a heap object that the caller owns; release it with `weaveheap_heap_release`. The file stays until
 * `weaveheap_heap_remove_path`.
 * Failure: null; nothing is owned and nothing was made. `WEAVEHEAP_ERROR_ALREADY_EXISTS` if the file exists. The library
 * keeps nothing of `path` and `options`.
 * Threads: any.
 * Null: `path` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
 */
weaveheap_heap *weaveheap_heap_create_path(const char *path,
                                           const weaveheap_heap_options *options,
                                           weaveheap_error *err);

/**
 * Opens the shared heap with this name, under the same contract as `weaveheap_heap_create`.
 *
 * Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
 * Failure: null; nothing is owned. `WEAVEHEAP_ERROR_NOT_FOUND` if there is none, `WEAVEHEAP_ERROR_INCOMPATIBLE` or
 * `WEAVEHEAP_ERROR_CORRUPT` if the file is no heap of this version. The library keeps nothing of `name` and `options`.
 * Threads: any.
 * Null: `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
 */
weaveheap_heap *weaveheap_heap_open(const char *name,
                                    const weaveheap_heap_options *options,
                                    weaveheap_error *err);

/**
 * Opens the shared heap in this file, under the same contract as `weaveheap_heap_create`.
 *
 * Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
 * Failure: null; nothing is owned. The codes are those of `weaveheap_heap_open`. The library keeps nothing of `path` and
 * `options`.
 * Threads: any.
 * Null: `path` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
 */
weaveheap_heap *weaveheap_heap_open_path(const char *path,
                                         const weaveheap_heap_options *options,
                                         weaveheap_error *err);

/**
 * Attaches this copy of the library to a heap that another copy has mapped in this process (a Python module, say).
 * `base` is what `weaveheap_heap_base` gave in this process, and that heap stays attached until this call has returned;
 * any other pointer is undefined.
 *
 * Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
 * Failure: null; nothing is owned. The library keeps nothing of `options`.
 * Threads: any.
 * Null: `base` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `options` and `err` may be null.
 */
weaveheap_heap *weaveheap_heap_attach(void *base,
                                      const weaveheap_heap_options *options,
                                      weaveheap_error *err);

/**
 * Another object of the heap with this id, if this copy of the library is attached to it. Both objects are the same
 * attachment.
 *
 * Success: a heap object that the caller owns; release it with `weaveheap_heap_release`.
 * Failure: null; nothing is owned. `WEAVEHEAP_ERROR_NOT_FOUND` if the library is not attached to such a heap.
 * Threads: any.
 * Null: `id` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_heap *weaveheap_heap_by_id(const char *id,
                                     weaveheap_error *err);

/**
 * Where the heap is mapped in this process: what `weaveheap_heap_attach` takes.
 *
 * Success: the address. The heap owns the memory; it stays mapped until the heap is detached or released, and as long as
 * borrows of it live. Read and write it through borrows only.
 * Failure: null. `WEAVEHEAP_ERROR_NOT_ATTACHED` after detaching.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
void *weaveheap_heap_base(const weaveheap_heap *heap,
                          weaveheap_error *err);

/**
 * The heap's id: 32 hexadecimal digits that are its alone.
 *
 * Success: a string that the caller owns; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
const char *weaveheap_heap_id(const weaveheap_heap *heap, weaveheap_error *err);

/**
 * The file of a shared heap.
 *
 * Success: a string that the caller owns; release it with `weaveheap_free_string`. Null with `err->code` 0 for a private
 * heap, which has no file.
 * Failure: null; nothing is owned. `WEAVEHEAP_ERROR_INVALID_UTF8` if the path is not UTF-8.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
const char *weaveheap_heap_path(const weaveheap_heap *heap,
                                weaveheap_error *err);

/**
 * What the heap is. It answers after detaching, too.
 *
 * Success: 0; `*info` is filled as far as its `struct_size` reaches.
 * Failure: the code; `*info` is as it was.
 * Threads: any.
 * Null: `heap` or `info` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_heap_info(const weaveheap_heap *heap, weaveheap_heap_info_t *info, weaveheap_error *err);

/**
 * Ends this attachment: every later call with any object of it is `WEAVEHEAP_ERROR_NOT_ATTACHED`. The object itself is
 * still to be released.
 *
 * Success: 0.
 * Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROWED` while this process holds borrows through it.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_heap_detach(const weaveheap_heap *heap,
                              weaveheap_error *err);

/**
 * Releases a heap object. The last object of an attachment detaches; the memory is unmapped when the last borrow of it
 * has ended, so that no view loses its bytes. Those borrows are ended through an object got by `weaveheap_heap_by_id`.
 *
 * Success: the object is gone. Using or releasing it again is undefined.
 * Failure: it cannot fail.
 * Threads: any, when no other thread uses the object.
 * Null: `heap` may be null.
 */
void weaveheap_heap_release(weaveheap_heap *heap);

/**
 * Unlinks the shared heap with this name. Processes that are attached keep it.
 *
 * Success: 0.
 * Failure: the code. `WEAVEHEAP_ERROR_NOT_FOUND` if there is none. The library keeps nothing of `name`.
 * Threads: any.
 * Null: `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_heap_remove(const char *name, weaveheap_error *err);

/**
 * Unlinks the shared heap in this file. Processes that are attached keep it.
 *
 * Success: 0.
 * Failure: the code. `WEAVEHEAP_ERROR_NOT_FOUND` if there is none, `WEAVEHEAP_ERROR_INCOMPATIBLE` if the file is no heap.
 * The library keeps nothing of `path`.
 * Threads: any.
 * Null: `path` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_heap_remove_path(const char *path,
                                   weaveheap_error *err);

/**
 * The shared heaps in the folder of names, as JSON: `[{"name": ..., "path": ...}]`, by name.
 *
 * Success: a string that the caller owns; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any.
 * Null: `err` may be null.
 */
const char *weaveheap_heap_list_json(weaveheap_error *err);

/**
 * The folder of names: `WEAVEHEAP_DIR`, or the user's own folder in the system's shared memory.
 *
 * Success: a string that the caller owns; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned. `WEAVEHEAP_ERROR_INVALID_UTF8` if the path is not UTF-8.
 * Threads: any.
 * Null: `err` may be null.
 */
const char *weaveheap_heap_folder(weaveheap_error *err);

/**
 * Walks the whole heap and verifies its invariants.
 *
 * Success: 0; `*report` is filled as far as its `struct_size` reaches.
 * Failure: the code; `*report` is as it was. `WEAVEHEAP_ERROR_CORRUPT` says which invariant does not hold.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `report` and `err` may be null.
 */
int32_t weaveheap_heap_check(const weaveheap_heap *heap,
                             weaveheap_check_report *report,
                             weaveheap_error *err);

/**
 * Gives freed memory back to the system now.
 *
 * Success: the bytes given back; 0 with `err->code` 0 if there was nothing to give.
 * Failure: 0.
 * Threads: any. It may take milliseconds.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
uint64_t weaveheap_heap_trim(const weaveheap_heap *heap, weaveheap_error *err);

/* ---- Regions --------------------------------------------------------------------------------------------- */

/**
 * Makes a region. `name` is for people to read: UTF-8, up to 64 bytes. `limit` is the most that it may hold, in bytes,
 * kept to the size of a chunk; 0 for none.
 *
 * Success: the region's handle; close the region with `weaveheap_region_close` or `weaveheap_region_close_when_idle`.
 * Failure: 0; nothing was made. The library keeps nothing of `name`.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `name` (no name) and `err` may be null.
 */
weaveheap_handle_t weaveheap_region_create(const weaveheap_heap *heap,
                                           const char *name,
                                           uint64_t limit,
                                           weaveheap_error *err);

/**
 * Empties a region and keeps it: the handles of its buffers are stale at once, its own stays.
 *
 * Success: 0.
 * Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROWED` while a buffer of it is borrowed.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_region_reset(const weaveheap_heap *heap, weaveheap_handle_t region, weaveheap_error *err);

/**
 * Frees a region and all in it: its handle and those of its buffers are stale at once, in every process.
 *
 * Success: 0.
 * Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROWED` while a buffer of it is borrowed.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_region_close(const weaveheap_heap *heap, weaveheap_handle_t region, weaveheap_error *err);

/**
 * Refuses new borrows and allocations from now on (`WEAVEHEAP_ERROR_STALE_HANDLE`); the last borrow to end, in whichever
 * process, frees the region.
 *
 * Success: 0.
 * Failure: the code, and nothing has changed.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_region_close_when_idle(const weaveheap_heap *heap,
                                         weaveheap_handle_t region,
                                         weaveheap_error *err);

/**
 * For bindings of garbage-collected languages: the object that owns the region was collected. Closes the region when
 * idle, and counts that.
 *
 * Success: true if the region was open, so that the language can warn; false if it was closed already.
 * Failure: false.
 * Threads: any, finalizers among them.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
bool weaveheap_region_collect(const weaveheap_heap *heap,
                              weaveheap_handle_t region,
                              weaveheap_error *err);

/**
 * Sleeps until no buffer of the region is borrowed, at most `timeout` seconds; for ever if it is negative.
 *
 * Success: 0.
 * Failure: the code. `WEAVEHEAP_ERROR_TIMEOUT` when the time is over, `WEAVEHEAP_ERROR_INVALID_ARGUMENT` if `timeout` is
 * not a number.
 * Threads: any; only the calling one sleeps.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_region_wait_idle(const weaveheap_heap *heap,
                                   weaveheap_handle_t region,
                                   double timeout,
                                   weaveheap_error *err);

/**
 * What a region is and holds.
 *
 * Success: 0; `*info` is filled as far as its `struct_size` reaches.
 * Failure: the code; `*info` is as it was.
 * Threads: any.
 * Null: `heap` or `info` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_region_info(const weaveheap_heap *heap,
                              weaveheap_handle_t region,
                              weaveheap_region_info_t *info,
                              weaveheap_error *err);

/**
 * The region's name.
 *
 * Success: a string that the caller owns, empty for a region without a name; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
const char *weaveheap_region_name(const weaveheap_heap *heap,
                                  weaveheap_handle_t region,
                                  weaveheap_error *err);

/**
 * Writes the handles of the region's buffers, by index, into an array of the caller's; at most `capacity`.
 * `buffers` in `weaveheap_region_info_t` says how many there are.
 *
 * Success: how many handles were written; 0 with `err->code` 0 if there are none.
 * Failure: 0; the array is as it was.
 * Threads: any.
 * Null: `heap` null, or `handles` null with a `capacity` above 0, is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
size_t weaveheap_region_buffers(const weaveheap_heap *heap,
                                weaveheap_handle_t region,
                                weaveheap_handle_t *handles,
                                size_t capacity,
                                weaveheap_error *err);

/* ---- Buffers --------------------------------------------------------------------------------------------- */

/**
 * Allocates `length` bytes. `align` is a power of two from 1 to `WEAVEHEAP_ALIGN_MAX`; `WEAVEHEAP_ALIGN_DEFAULT` is the
 * usual one. `init` is `WEAVEHEAP_INIT_ZEROED` or `WEAVEHEAP_INIT_UNINIT`. A length of 0 is allowed.
 *
 * Success: the buffer's handle. The region owns the memory: it lives until `weaveheap_buffer_free`, or until its region
 * is reset or closed.
 * Failure: 0; nothing was allocated. `WEAVEHEAP_ERROR_LIMIT_REACHED` for the region's limit,
 * `WEAVEHEAP_ERROR_OUT_OF_MEMORY` for the heap's or the system's.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_handle_t weaveheap_buffer_alloc(const weaveheap_heap *heap,
                                          weaveheap_handle_t region,
                                          uint64_t length,
                                          uint64_t align,
                                          uint32_t init,
                                          weaveheap_error *err);

/**
 * Allocates a copy of `length` bytes; the copy is counted as `WEAVEHEAP_COPY_INGEST`.
 *
 * Success: the buffer's handle, as from `weaveheap_buffer_alloc`.
 * Failure: 0; nothing was allocated. The library keeps nothing of `bytes`.
 * Threads: any; nobody may write `bytes` meanwhile.
 * Null: `heap` null, or `bytes` null with a `length` above 0, is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_handle_t weaveheap_buffer_alloc_from(const weaveheap_heap *heap,
                                               weaveheap_handle_t region,
                                               const uint8_t *bytes,
                                               size_t length,
                                               uint64_t align,
                                               weaveheap_error *err);

/**
 * Frees one buffer: its handle is stale at once, in every process.
 *
 * Success: 0.
 * Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROWED` while it is borrowed.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_buffer_free(const weaveheap_heap *heap, weaveheap_handle_t buffer, weaveheap_error *err);

/**
 * Takes the right to write from a buffer, for everyone and for good: unique borrows are
 * `WEAVEHEAP_ERROR_DENIED` from now on.
 *
 * Success: 0, also if it was frozen before.
 * Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_BORROW_CONFLICT` under a unique borrow.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_buffer_freeze(const weaveheap_heap *heap, weaveheap_handle_t buffer, weaveheap_error *err);

/**
 * Makes a buffer usable again whose unique holder died: its bytes may be half changed, and the caller knows.
 *
 * Success: 0, also if it was not poisoned.
 * Failure: the code, and nothing has changed.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_buffer_clear_poison(const weaveheap_heap *heap,
                                      weaveheap_handle_t buffer,
                                      weaveheap_error *err);

/**
 * What a buffer is, and who borrows it in numbers.
 *
 * Success: 0; `*info` is filled as far as its `struct_size` reaches.
 * Failure: the code; `*info` is as it was.
 * Threads: any.
 * Null: `heap` or `info` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_buffer_info(const weaveheap_heap *heap,
                              weaveheap_handle_t buffer,
                              weaveheap_buffer_info_t *info,
                              weaveheap_error *err);

/**
 * The length of a buffer in bytes.
 *
 * Success: the length; 0 with `err->code` 0 for an empty buffer.
 * Failure: 0.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
uint64_t weaveheap_buffer_length(const weaveheap_heap *heap, weaveheap_handle_t buffer, weaveheap_error *err);

/**
 * Copies a buffer's bytes out of the heap, under a shared borrow that lasts for the call; the copy is counted as
 * `WEAVEHEAP_COPY_EXPORT`. Borrow instead where a view will do.
 *
 * Success: a block that the caller owns, never null, and its length in `*length`; release it with `weaveheap_free_bytes`.
 * Failure: null; nothing is owned and `*length` is as it was. `WEAVEHEAP_ERROR_BORROW_CONFLICT` under a unique borrow.
 * Threads: any.
 * Null: `heap` or `length` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
uint8_t *weaveheap_buffer_export(const weaveheap_heap *heap,
                                 weaveheap_handle_t buffer,
                                 size_t *length,
                                 weaveheap_error *err);

/**
 * Counts a copy of a buffer's bytes that the caller made; `reason` is one of `WEAVEHEAP_COPY_*`. Copies that this library
 * makes are counted by it.
 *
 * Success: 0; for a stale handle too, where the heap counts it and no region.
 * Failure: the code.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_buffer_count_copy(const weaveheap_heap *heap,
                                    weaveheap_handle_t buffer,
                                    uint32_t reason,
                                    uint64_t bytes,
                                    weaveheap_error *err);

/**
 * Counts a native view that the caller made of a buffer's bytes: a slice, an array or a segment object of its language.
 * The library sees borrows, and cannot see what is made of them.
 *
 * Success: 0; for a stale handle too, where the heap counts it and no region.
 * Failure: the code.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_buffer_count_view(const weaveheap_heap *heap,
                                    weaveheap_handle_t buffer,
                                    weaveheap_error *err);

/**
 * Counts a view whose borrow a finalizer of the caller's language is about to end, and not the program.
 *
 * Success: 0; for a stale handle too, where the heap counts it and no region.
 * Failure: the code.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_buffer_count_finalized(const weaveheap_heap *heap,
                                         weaveheap_handle_t buffer,
                                         weaveheap_error *err);

/* ---- Strings --------------------------------------------------------------------------------------------- */

/**
 * Allocates a string: a buffer with a copy of `length` bytes of UTF-8, counted as `WEAVEHEAP_COPY_INGEST`. `text` needs
 * no terminator, and none is stored.
 *
 * Success: the buffer's handle, as from `weaveheap_buffer_alloc`.
 * Failure: 0; nothing was allocated. `WEAVEHEAP_ERROR_INVALID_UTF8` for bytes that are not UTF-8. The library keeps
 * nothing of `text`.
 * Threads: any; nobody may write `text` meanwhile.
 * Null: `heap` null, or `text` null with a `length` above 0, is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_handle_t weaveheap_string_alloc(const weaveheap_heap *heap,
                                          weaveheap_handle_t region,
                                          const char *text,
                                          size_t length,
                                          weaveheap_error *err);

/**
 * Whether a buffer's bytes are UTF-8, looked at under a shared borrow that lasts for the call.
 *
 * Success: 0 if they are.
 * Failure: the code. `WEAVEHEAP_ERROR_INVALID_UTF8` if they are not; `WEAVEHEAP_ERROR_BORROW_CONFLICT` under a unique
 * borrow.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_string_validate(const weaveheap_heap *heap,
                                  weaveheap_handle_t buffer,
                                  weaveheap_error *err);

/**
 * Borrows a string for reading. The bytes are validated first, which takes time in proportion to the length; where that
 * is known, `weaveheap_borrow_shared` does the same without it.
 *
 * Success: 0; `*view` has the text and the token. End the borrow with `weaveheap_borrow_end`; the pointer is good until
 * then.
 * Failure: the code; nothing is borrowed and `*view` is as it was. `WEAVEHEAP_ERROR_INVALID_UTF8` for bytes that are not
 * UTF-8; the others are those of `weaveheap_borrow_shared`.
 * Threads: any. The text may be read from any thread, and another may end the borrow.
 * Null: `heap` or `view` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_string_borrow(const weaveheap_heap *heap,
                                weaveheap_handle_t buffer,
                                weaveheap_string_view *view,
                                weaveheap_error *err);

/* ---- Borrows --------------------------------------------------------------------------------------------- */

/**
 * Borrows a buffer for reading, together with any number of other readers. It never waits.
 *
 * Success: 0; `*view` has the bytes and the token. End the borrow with `weaveheap_borrow_end`; the pointer is good until
 * then, whatever happens to the handle, the region or the heap object.
 * Failure: the code; nothing is borrowed and `*view` is as it was. `WEAVEHEAP_ERROR_BORROW_CONFLICT` while anyone has the
 * bytes for writing, `WEAVEHEAP_ERROR_POISONED` after a writer's death.
 * Threads: any. The bytes may be read from any thread, and another may end the borrow.
 * Null: `heap` or `view` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_borrow_shared(const weaveheap_heap *heap,
                                weaveheap_handle_t buffer,
                                weaveheap_view *view,
                                weaveheap_error *err);

/**
 * Borrows a buffer for writing, alone. It never waits.
 *
 * Success: 0; `*view` has the bytes and the token. End the borrow with `weaveheap_borrow_end`; the pointer is good until
 * then, whatever happens to the handle, the region or the heap object.
 * Failure: the code; nothing is borrowed and `*view` is as it was. `WEAVEHEAP_ERROR_BORROW_CONFLICT` while anyone else
 * has the bytes at all, `WEAVEHEAP_ERROR_DENIED` for a frozen buffer, `WEAVEHEAP_ERROR_POISONED` after a writer's death.
 * Threads: any; one at a time may use the bytes, and another may end the borrow.
 * Null: `heap` or `view` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_borrow_unique(const weaveheap_heap *heap,
                                weaveheap_handle_t buffer,
                                weaveheap_view_mut *view,
                                weaveheap_error *err);

/**
 * Ends a borrow. A token ends once: of two threads that end the same one, one succeeds.
 *
 * Success: 0; the view's pointer must not be used any more.
 * Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_STALE_HANDLE` if the token has ended, is forged, or was
 * made by another attachment.
 * Threads: any, whichever began it.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_borrow_end(const weaveheap_heap *heap,
                             weaveheap_token_t token,
                             weaveheap_error *err);

/* ---- The directory: from names to handles ---------------------------------------------------------------- */

/**
 * Puts a handle into the heap's directory, and wakes those who wait for the name.
 *
 * Success: 0. The directory owns nothing: a region that is closed leaves a name that is found no more.
 * Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_ALREADY_EXISTS` if the name has a live handle,
 * `WEAVEHEAP_ERROR_INVALID_NAME` for a bad name. The library keeps nothing of `name`.
 * Threads: any.
 * Null: `heap` or `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_directory_publish(const weaveheap_heap *heap,
                                    const char *name,
                                    weaveheap_handle_t handle,
                                    weaveheap_error *err);

/**
 * The handle under this name.
 *
 * Success: the handle.
 * Failure: 0. `WEAVEHEAP_ERROR_NOT_FOUND` at once if there is none. The library keeps nothing of `name`.
 * Threads: any.
 * Null: `heap` or `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_handle_t weaveheap_directory_lookup(const weaveheap_heap *heap,
                                              const char *name,
                                              weaveheap_error *err);

/**
 * The handle under this name, waited for at most `timeout` seconds; for ever if it is negative.
 *
 * Success: the handle.
 * Failure: 0. `WEAVEHEAP_ERROR_TIMEOUT` when the time is over, `WEAVEHEAP_ERROR_INVALID_ARGUMENT` if `timeout` is not a
 * number. The library keeps nothing of `name`.
 * Threads: any; only the calling one sleeps.
 * Null: `heap` or `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_handle_t weaveheap_directory_lookup_wait(const weaveheap_heap *heap,
                                                   const char *name,
                                                   double timeout,
                                                   weaveheap_error *err);

/**
 * Takes a name out of the directory.
 *
 * Success: 0. What it named is not touched.
 * Failure: the code, and nothing has changed. `WEAVEHEAP_ERROR_NOT_FOUND` if it is not there. The library keeps nothing
 * of `name`.
 * Threads: any.
 * Null: `heap` or `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_directory_unpublish(const weaveheap_heap *heap,
                                      const char *name,
                                      weaveheap_error *err);

/* ---- Statistics, holders, and heaps of other processes --------------------------------------------------- */

/**
 * The heap as it is now, as JSON: the heap, attachments, regions, borrows with their holders, names, and counters in all
 * and by runtime. Handles are strings in their text form, sizes are bytes, ages milliseconds. Nobody is stopped.
 *
 * Success: a string that the caller owns; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
const char *weaveheap_heap_stats_json(const weaveheap_heap *heap,
                                      weaveheap_error *err);

/**
 * Who holds borrows of a buffer, or of any buffer of a region, as JSON: an array of `{"handle", "region", "kind",
 * "process", "thread", "runtime", "label", "age_ms", "alive"}`. After a refusal (`WEAVEHEAP_ERROR_BORROWED`,
 * `WEAVEHEAP_ERROR_BORROW_CONFLICT`) it names whoever is in the way.
 *
 * Success: a string that the caller owns, "[]" if nobody does; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any.
 * Null: `heap` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
const char *weaveheap_heap_holders_json(const weaveheap_heap *heap,
                                        weaveheap_handle_t handle,
                                        weaveheap_error *err);

/**
 * The heap's counters since it was created, closed regions and detached processes included.
 *
 * Success: 0; `*counters` is filled as far as its `struct_size` reaches.
 * Failure: the code; `*counters` is as it was.
 * Threads: any.
 * Null: `heap` or `counters` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_heap_counters(const weaveheap_heap *heap,
                                weaveheap_counters *counters,
                                weaveheap_error *err);

/**
 * The region's counters since it was created.
 *
 * Success: 0; `*counters` is filled as far as its `struct_size` reaches.
 * Failure: the code; `*counters` is as it was.
 * Threads: any.
 * Null: `heap` or `counters` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
int32_t weaveheap_region_counters(const weaveheap_heap *heap,
                                  weaveheap_handle_t region,
                                  weaveheap_counters *counters,
                                  weaveheap_error *err);

/**
 * Looks at the shared heap with this name, read-only: nothing in it is changed, and nobody notices.
 *
 * Success: an inspector that the caller owns; release it with `weaveheap_inspector_release`.
 * Failure: null; nothing is owned. `WEAVEHEAP_ERROR_NOT_FOUND` if there is none. The library keeps nothing of `name`.
 * Threads: any.
 * Null: `name` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_inspector *weaveheap_inspector_open(const char *name,
                                              weaveheap_error *err);

/**
 * Looks at the shared heap in this file, read-only.
 *
 * Success: an inspector that the caller owns; release it with `weaveheap_inspector_release`.
 * Failure: null; nothing is owned. The library keeps nothing of `path`.
 * Threads: any.
 * Null: `path` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
weaveheap_inspector *weaveheap_inspector_open_path(const char *path, weaveheap_error *err);

/**
 * Looks at a private heap of a process that was made with `inspect`, read-only. `index` counts such heaps from 0.
 *
 * Success: an inspector that the caller owns; release it with `weaveheap_inspector_release`.
 * Failure: null; nothing is owned. `WEAVEHEAP_ERROR_NOT_FOUND` if there is no such process or it has no more heaps.
 * Threads: any.
 * Null: `err` may be null.
 */
weaveheap_inspector *weaveheap_inspector_of_process(uint32_t process,
                                                    size_t index,
                                                    weaveheap_error *err);

/**
 * The inspected heap as it is now, as JSON, as from `weaveheap_heap_stats_json`.
 *
 * Success: a string that the caller owns; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any.
 * Null: `inspector` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
const char *weaveheap_inspector_stats_json(const weaveheap_inspector *inspector, weaveheap_error *err);

/**
 * Who holds borrows of a buffer, or of any buffer of a region, as JSON, as from `weaveheap_heap_holders_json`.
 *
 * Success: a string that the caller owns, "[]" if nobody does; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned. `WEAVEHEAP_ERROR_STALE_HANDLE` if the handle is stale.
 * Threads: any.
 * Null: `inspector` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
const char *weaveheap_inspector_holders_json(const weaveheap_inspector *inspector,
                                             weaveheap_handle_t handle,
                                             weaveheap_error *err);

/**
 * Buffers of a region that live, by index, at most `limit`, as JSON: an array of `{"handle", "region", "length", "offset",
 * "shared", "unique", "frozen", "poisoned"}`.
 *
 * Success: a string that the caller owns; release it with `weaveheap_free_string`.
 * Failure: null; nothing is owned.
 * Threads: any.
 * Null: `inspector` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `err` may be null.
 */
const char *weaveheap_inspector_buffers_json(const weaveheap_inspector *inspector,
                                             weaveheap_handle_t region,
                                             size_t limit,
                                             weaveheap_error *err);

/**
 * Releases an inspector.
 *
 * Success: the object is gone. Using or releasing it again is undefined.
 * Failure: it cannot fail.
 * Threads: any, when no other thread uses the object.
 * Null: `inspector` may be null.
 */
void weaveheap_inspector_release(weaveheap_inspector *inspector);

/* ---- Log callbacks --------------------------------------------------------------------------------------- */

/**
 * Registers a callback for what the library logs up to this level (`WEAVEHEAP_LOG_ERROR` to `WEAVEHEAP_LOG_TRACE`). Any
 * number may be registered.
 *
 * Success: the number of the registration. The library keeps `callback` and `context` until
 * `weaveheap_log_unregister` has returned, and calls nothing with them after that.
 * Failure: 0; nothing is kept.
 * Threads: any.
 * Null: `callback` null is `WEAVEHEAP_ERROR_INVALID_ARGUMENT`; `context` (passed on as it is) and `err` may be null.
 */
weaveheap_log_id_t weaveheap_log_register(weaveheap_log_callback callback,
                                          void *context,
                                          uint32_t level,
                                          weaveheap_error *err);

/**
 * Unregisters a log callback. It waits for calls of it that are under way on other threads, and for none on its own: a
 * callback may unregister itself. Two callbacks that unregister each other wait for ever.
 *
 * Success: 0; the callback is not called any more, and its context may be freed (by a callback that unregisters itself:
 * once it has returned).
 * Failure: the code. `WEAVEHEAP_ERROR_NOT_FOUND` if there is no such registration.
 * Threads: any.
 * Null: `err` may be null.
 */
int32_t weaveheap_log_unregister(weaveheap_log_id_t id,
                                 weaveheap_error *err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WEAVEHEAP_H */
