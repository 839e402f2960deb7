/* A small test harness, in C11 and C++17. A test is a function in the table of its noun's file; CHECK notes a failure and
 * goes on, REQUIRE leaves the test. */
#ifndef HARNESS_H
#define HARNESS_H

#include "weaveheap.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef struct test_case {
  const char *name;
  void (*run)(void);
} test_case;

/* One table for each noun, closed by an entry without a name. */
extern const test_case abi_tests[], error_tests[], handle_tests[], heap_tests[], region_tests[], buffer_tests[],
    string_tests[], borrow_tests[], directory_tests[], inspect_tests[], log_tests[], process_tests[], bad_input_tests[],
    panic_tests[];

void note_failure(const char *file, int line, const char *what);

#define CHECK(condition) ((condition) ? (void)0 : note_failure(__FILE__, __LINE__, #condition))
#define REQUIRE(condition)                          \
  do {                                              \
    if (!(condition)) {                             \
      note_failure(__FILE__, __LINE__, #condition); \
      return;                                       \
    }                                               \
  } while (0)

/* What the macros below look into: tests give `&err`. */
extern weaveheap_error err;

/* A call that succeeds: no code, no message. It gives back whether it did. */
bool succeeded(const char *file, int line, const char *call);
/* A call that fails with this code and a message that names it; the message is released. */
bool failed(const char *file, int line, const char *call, int32_t code);

/* For calls with `&err` that return the code. */
#define OK(call)                                                                          \
  do {                                                                                    \
    int32_t returned_ = (call);                                                           \
    if (succeeded(__FILE__, __LINE__, #call) && returned_ != WEAVEHEAP_OK) {              \
      note_failure(__FILE__, __LINE__, #call " returns the code");                        \
    }                                                                                     \
  } while (0)
#define FAILS(code, call)                                                         \
  do {                                                                            \
    int32_t returned_ = (call);                                                   \
    failed(__FILE__, __LINE__, #call, (code));                                    \
    if (returned_ != (code)) note_failure(__FILE__, __LINE__, #call " returns the code"); \
  } while (0)

/* For calls with `&err` that return a result: 0 or null on failure. */
#define GIVES(call) ((void)(call), succeeded(__FILE__, __LINE__, #call))
#define REFUSES(code, call)                                                       \
  do {                                                                            \
    if (!!(call)) note_failure(__FILE__, __LINE__, #call " gives 0 on failure");  \
    failed(__FILE__, __LINE__, #call, (code));                                    \
  } while (0)

#define BAD(call) REFUSES(WEAVEHEAP_ERROR_INVALID_ARGUMENT, call)
#define STALE(call) FAILS(WEAVEHEAP_ERROR_STALE_HANDLE, call)

/* Options with the limit of WEAVEHEAP_TEST_LIMIT: tools that cannot map 64 GiB set it. */
weaveheap_heap_options test_options(void);
weaveheap_heap *private_heap(void);
/* A name that no other test has; good until the tenth next call. */
const char *fresh_name(void);
/* The heap passes `check` and nothing in it is borrowed; then it is released. */
void finish(weaveheap_heap *heap);

weaveheap_handle_t some_region(weaveheap_heap *heap);
weaveheap_handle_t some_buffer(weaveheap_heap *heap, weaveheap_handle_t region, uint64_t length);

/* A second process: this program again, in a role that `child_main` knows. */
pid_t start_child(const char *role, const char *name);
/* Waits for its end: its status, or 1000 and the signal. */
int child_ended(pid_t child);
/* What it does (process.c); what it gives is its status. */
int child_main(const char *role, const char *name);
/* Failures that were noted in the test that runs, or in this second process. */
int failures(void);
/* The role `small-folder` (bad_input.c). */
void in_a_small_folder(const char *folder);
/* The path of this program. */
extern const char *program;

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#endif
