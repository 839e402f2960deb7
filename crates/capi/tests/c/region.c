#include "harness.h"

#include <math.h>

static void a_region_is_made_emptied_and_closed(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = weaveheap_region_create(heap, "a region", 1 << 20, &err);
  REQUIRE(GIVES(region) && region != 0);
  weaveheap_handle_t first = some_buffer(heap, region, 100), second = some_buffer(heap, region, 28);
  weaveheap_region_info_t info = {sizeof info, 0, 0, 0, 0, 0, 0, 0, 0};
  OK(weaveheap_region_info(heap, region, &info, &err));
  CHECK(info.handle == region && info.buffers == 2 && info.bytes_live == 128 && info.borrows == 0);
  CHECK(info.limit >= 1 << 20 && info.reserved >= 128 && info.peak >= info.reserved);
  CHECK(info.state == WEAVEHEAP_REGION_OPEN);
  const char *name = weaveheap_region_name(heap, region, &err);
  CHECK(GIVES(name) && strcmp(name, "a region") == 0);
  weaveheap_free_string(name);

  weaveheap_handle_t handles[3] = {0, 0, 0};
  CHECK(weaveheap_region_buffers(heap, region, handles, 3, &err) == 2);
  CHECK((handles[0] == first && handles[1] == second) || (handles[0] == second && handles[1] == first));
  CHECK(handles[2] == 0);
  CHECK(weaveheap_region_buffers(heap, region, handles, 1, &err) == 1);
  CHECK(weaveheap_region_buffers(heap, region, NULL, 0, &err) == 0 && err.code == WEAVEHEAP_OK);

  OK(weaveheap_region_reset(heap, region, &err));
  STALE(weaveheap_buffer_free(heap, first, &err));
  OK(weaveheap_region_info(heap, region, &info, &err));
  CHECK(info.buffers == 0);
  OK(weaveheap_region_close(heap, region, &err));
  STALE(weaveheap_region_close(heap, region, &err));
  STALE(weaveheap_region_reset(heap, region, &err));
  STALE(weaveheap_region_close_when_idle(heap, region, &err));
  STALE(weaveheap_region_info(heap, region, &info, &err));
  REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_region_name(heap, region, &err));
  REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_region_buffers(heap, region, handles, 3, &err));
  finish(heap);
}

static void a_limit_is_kept(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = weaveheap_region_create(heap, NULL, 64 << 10, &err);
  REQUIRE(GIVES(region));
  REFUSES(WEAVEHEAP_ERROR_LIMIT_REACHED,
          weaveheap_buffer_alloc(heap, region, 10 << 20, 64, WEAVEHEAP_INIT_ZEROED, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void a_borrowed_region_is_not_freed(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 10);
  weaveheap_view view;
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  CHECK(weaveheap_region_close(heap, region, &err) == WEAVEHEAP_ERROR_BORROWED);
  CHECK(err.message != NULL && strstr(err.message, "shared borrow") != NULL);
  weaveheap_error_clear(&err);
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_region_reset(heap, region, &err));
  CHECK(weaveheap_region_close(heap, region, NULL) == WEAVEHEAP_ERROR_BORROWED);
  FAILS(WEAVEHEAP_ERROR_TIMEOUT, weaveheap_region_wait_idle(heap, region, 0.02, &err));
  FAILS(WEAVEHEAP_ERROR_TIMEOUT, weaveheap_region_wait_idle(heap, region, 0, &err));
  OK(weaveheap_region_close_when_idle(heap, region, &err));
  FAILS(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_borrow_shared(heap, buffer, &view, &err));
  REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE,
          weaveheap_buffer_alloc(heap, region, 1, 64, WEAVEHEAP_INIT_ZEROED, &err));
  CHECK(view.data[9] == 0);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  STALE(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void waiting_for_an_idle_region_ends_at_once(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap);
  const double times[] = {0, 0.01, 1e300, HUGE_VAL, -1, -HUGE_VAL};
  for (size_t i = 0; i < LENGTH(times); i++) OK(weaveheap_region_wait_idle(heap, region, times[i], &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_wait_idle(heap, region, NAN, &err));
  FAILS(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_region_wait_idle(heap, 0, 0.01, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void a_collected_region_is_closed_when_idle_and_counted(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap);
  CHECK(weaveheap_region_collect(heap, region, &err));
  CHECK(err.code == WEAVEHEAP_OK);
  CHECK(!weaveheap_region_collect(heap, region, &err));
  CHECK(err.code == WEAVEHEAP_OK);
  STALE(weaveheap_region_close(heap, region, &err));
  weaveheap_counters counters;
  counters.struct_size = sizeof counters;
  OK(weaveheap_heap_counters(heap, &counters, &err));
  CHECK(counters.regions_collected == 1);
  BAD(weaveheap_region_collect(NULL, region, &err));
  finish(heap);
}

static void bad_arguments_are_refused(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), handles[1];
  weaveheap_region_info_t info = {sizeof info, 0, 0, 0, 0, 0, 0, 0, 0};
  char name[70];
  memset(name, 'n', sizeof name);
  name[65] = '\0';
  BAD(weaveheap_region_create(heap, name, 0, &err));
  name[64] = '\0';
  weaveheap_handle_t longest = weaveheap_region_create(heap, name, 0, &err);
  CHECK(GIVES(longest));
  REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_region_create(heap, "\xf0\x28", 0, &err));
  BAD(weaveheap_region_create(NULL, "r", 0, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_reset(NULL, region, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_close(NULL, region, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_close_when_idle(NULL, region, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_wait_idle(NULL, region, 0, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_info(NULL, region, &info, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_info(heap, region, NULL, &err));
  BAD(weaveheap_region_name(NULL, region, &err));
  BAD(weaveheap_region_buffers(NULL, region, handles, 1, &err));
  BAD(weaveheap_region_buffers(heap, region, NULL, 1, &err));
  BAD(weaveheap_region_buffers(heap, region, handles, SIZE_MAX, &err));
  weaveheap_handle_t buffer = some_buffer(heap, region, 1);
  STALE(weaveheap_region_close(heap, buffer, &err));
  STALE(weaveheap_region_close(heap, region ^ (UINT64_C(1) << 40), &err));
  STALE(weaveheap_region_close(heap, UINT64_MAX, &err));
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_region_close(heap, longest, &err));
  finish(heap);
}

const test_case region_tests[] = {
    {"a_region_is_made_emptied_and_closed", a_region_is_made_emptied_and_closed},
    {"a_limit_is_kept", a_limit_is_kept},
    {"a_borrowed_region_is_not_freed", a_borrowed_region_is_not_freed},
    {"waiting_for_an_idle_region_ends_at_once", waiting_for_an_idle_region_ends_at_once},
    {"a_collected_region_is_closed_when_idle_and_counted", a_collected_region_is_closed_when_idle_and_counted},
    {"bad_arguments_are_refused", bad_arguments_are_refused},
    {NULL, NULL},
};
