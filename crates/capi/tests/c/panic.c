/* Panics that are planted inside the library; only where it is built with the feature `test-symbols`. */
#include "harness.h"

#ifdef WEAVEHEAP_TEST_SYMBOLS
#ifdef __cplusplus
extern "C" {
#endif
int32_t weaveheap_test_panic(const weaveheap_heap *heap, weaveheap_error *err);
int32_t weaveheap_test_panic_twice(weaveheap_error *err);
#ifdef __cplusplus
}
#endif

/* F1: a panic becomes Internal, and the heap stays usable. */
static void a_panic_is_internal_and_the_heap_stays_usable(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 64);
  weaveheap_view view;
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  for (int i = 0; i < 3; i++) {
    CHECK(weaveheap_test_panic(heap, &err) == WEAVEHEAP_ERROR_INTERNAL);
    CHECK(err.message != NULL && strstr(err.message, "a planted panic") != NULL);
    weaveheap_error_clear(&err);
  }
  CHECK(weaveheap_test_panic(heap, NULL) == WEAVEHEAP_ERROR_INTERNAL);
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_test_panic(NULL, &err));
  CHECK(view.data[0] == 0);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void a_panic_inside_a_panic_stays_inside(void) {
  FAILS(WEAVEHEAP_ERROR_INTERNAL, weaveheap_test_panic_twice(&err));
  CHECK(weaveheap_test_panic_twice(NULL) == WEAVEHEAP_ERROR_INTERNAL);
}

const test_case panic_tests[] = {
    {"a_panic_is_internal_and_the_heap_stays_usable", a_panic_is_internal_and_the_heap_stays_usable},
    {"a_panic_inside_a_panic_stays_inside", a_panic_inside_a_panic_stays_inside},
    {NULL, NULL},
};
#else
const test_case panic_tests[] = {{NULL, NULL}};
#endif
