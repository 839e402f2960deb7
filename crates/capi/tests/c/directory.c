#include "harness.h"

#include <math.h>

static void a_published_handle_is_found(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 64);
  OK(weaveheap_directory_publish(heap, "table", buffer, &err));
  CHECK(weaveheap_directory_lookup(heap, "table", &err) == buffer);
  CHECK(weaveheap_directory_lookup_wait(heap, "table", 0, &err) == buffer);
  CHECK(weaveheap_directory_lookup_wait(heap, "table", -1, &err) == buffer);
  CHECK(weaveheap_directory_lookup_wait(heap, "table", HUGE_VAL, NULL) == buffer);
  FAILS(WEAVEHEAP_ERROR_ALREADY_EXISTS, weaveheap_directory_publish(heap, "table", region, &err));
  OK(weaveheap_directory_unpublish(heap, "table", &err));
  FAILS(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_directory_unpublish(heap, "table", &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_directory_lookup(heap, "table", &err));
  REFUSES(WEAVEHEAP_ERROR_TIMEOUT, weaveheap_directory_lookup_wait(heap, "table", 0.02, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void bad_arguments_are_refused(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap);
  const char *names[] = {"", "a/b", "..", "A", "a b"};
  for (size_t i = 0; i < LENGTH(names); i++) {
    FAILS(WEAVEHEAP_ERROR_INVALID_NAME, weaveheap_directory_publish(heap, names[i], region, &err));
    REFUSES(WEAVEHEAP_ERROR_INVALID_NAME, weaveheap_directory_lookup(heap, names[i], &err));
    REFUSES(WEAVEHEAP_ERROR_INVALID_NAME, weaveheap_directory_lookup_wait(heap, names[i], 0, &err));
    FAILS(WEAVEHEAP_ERROR_INVALID_NAME, weaveheap_directory_unpublish(heap, names[i], &err));
  }
  FAILS(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_directory_publish(heap, "\xff", region, &err));
  REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_directory_lookup(heap, "\xff", &err));
  REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_directory_lookup_wait(heap, "\xff", 0, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_directory_unpublish(heap, "\xff", &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_directory_publish(NULL, "n", region, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_directory_publish(heap, NULL, region, &err));
  BAD(weaveheap_directory_lookup(NULL, "n", &err));
  BAD(weaveheap_directory_lookup(heap, NULL, &err));
  BAD(weaveheap_directory_lookup_wait(NULL, "n", 0, &err));
  BAD(weaveheap_directory_lookup_wait(heap, NULL, 0, &err));
  BAD(weaveheap_directory_lookup_wait(heap, "n", NAN, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_directory_unpublish(NULL, "n", &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_directory_unpublish(heap, NULL, &err));
  STALE(weaveheap_directory_publish(heap, "n", 0, &err));
  STALE(weaveheap_directory_publish(heap, "n", UINT64_MAX, &err));
  OK(weaveheap_region_close(heap, region, &err));
  STALE(weaveheap_directory_publish(heap, "n", region, &err));
  finish(heap);
}

const test_case directory_tests[] = {
    {"a_published_handle_is_found", a_published_handle_is_found},
    {"bad_arguments_are_refused", bad_arguments_are_refused},
    {NULL, NULL},
};
