#include "harness.h"

static void memory_is_zeroed_aligned_and_of_its_length(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap);
  for (uint64_t align = 1; align <= WEAVEHEAP_ALIGN_MAX; align *= 2) {
    weaveheap_handle_t buffer =
        weaveheap_buffer_alloc(heap, region, 1000 + align, align, WEAVEHEAP_INIT_ZEROED, &err);
    REQUIRE(GIVES(buffer));
    CHECK(weaveheap_buffer_length(heap, buffer, &err) == 1000 + align);
    weaveheap_view view;
    OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
    CHECK((uintptr_t)view.data % align == 0 && view.length == 1000 + align);
    size_t zeros = 0;
    while (zeros < view.length && view.data[zeros] == 0) zeros++;
    CHECK(zeros == view.length);
    OK(weaveheap_borrow_end(heap, view.token, &err));
  }
  weaveheap_handle_t buffer =
      weaveheap_buffer_alloc(heap, region, 1 << 20, WEAVEHEAP_ALIGN_DEFAULT, WEAVEHEAP_INIT_UNINIT, &err);
  CHECK(GIVES(buffer));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void an_empty_buffer_is_a_buffer(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), empty = some_buffer(heap, region, 0);
  CHECK(weaveheap_buffer_length(heap, empty, &err) == 0 && err.code == WEAVEHEAP_OK);
  weaveheap_view view;
  OK(weaveheap_borrow_shared(heap, empty, &view, &err));
  CHECK(view.data != NULL && view.length == 0);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  size_t length = 7;
  uint8_t *bytes = weaveheap_buffer_export(heap, empty, &length, &err);
  CHECK(GIVES(bytes) && bytes != NULL && length == 0);
  weaveheap_free_bytes(bytes, length);
  weaveheap_handle_t from = weaveheap_buffer_alloc_from(heap, region, NULL, 0, 64, &err);
  CHECK(GIVES(from) && from != 0);
  OK(weaveheap_buffer_free(heap, empty, &err));
  OK(weaveheap_buffer_free(heap, from, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void bytes_are_copied_in_and_out_and_counted(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap);
  const uint8_t given[] = {1, 2, 3, 250};
  weaveheap_handle_t buffer = weaveheap_buffer_alloc_from(heap, region, given, sizeof given, 8, &err);
  REQUIRE(GIVES(buffer));
  size_t length = 0;
  uint8_t *bytes = weaveheap_buffer_export(heap, buffer, &length, &err);
  REQUIRE(GIVES(bytes) && length == sizeof given);
  CHECK(memcmp(bytes, given, length) == 0);
  weaveheap_free_bytes(bytes, length);
  OK(weaveheap_buffer_count_copy(heap, buffer, WEAVEHEAP_COPY_SERIALIZE, 40, &err));
  OK(weaveheap_buffer_count_copy(heap, 0, WEAVEHEAP_COPY_SERIALIZE, 40, &err));
  weaveheap_counters counters;
  counters.struct_size = sizeof counters;
  OK(weaveheap_region_counters(heap, region, &counters, &err));
  CHECK(counters.copies_ingest == 1 && counters.bytes_ingest == 4);
  CHECK(counters.copies_export == 1 && counters.bytes_export == 4);
  CHECK(counters.copies_serialize == 1 && counters.bytes_serialize == 40);
  CHECK(counters.copies_no_external_buffers == 0 && counters.bytes_no_external_buffers == 0);
  CHECK(counters.allocations == 1 && counters.bytes_allocated == 4 && counters.frees == 0);
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

/* N1: the caller's own views, which the library cannot see. */
static void views_are_counted_for_the_runtime_that_made_them(void) {
  weaveheap_heap_options options = test_options();
  options.runtime = WEAVEHEAP_RUNTIME_GO;
  weaveheap_heap *heap = weaveheap_heap_private(&options, &err);
  REQUIRE(GIVES(heap));
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 16);
  weaveheap_view view;
  for (int i = 0; i < 3; i++) {
    OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
    OK(weaveheap_buffer_count_view(heap, buffer, &err));
    if (i == 1) OK(weaveheap_buffer_count_finalized(heap, buffer, &err));
    OK(weaveheap_borrow_end(heap, view.token, &err));
  }
  weaveheap_counters counters;
  counters.struct_size = sizeof counters;
  OK(weaveheap_region_counters(heap, region, &counters, &err));
  CHECK(counters.views == 3 && counters.finalized == 1);
  const weaveheap_handle_t gone[] = {0, UINT64_MAX, buffer ^ (UINT64_C(1) << 33)};
  for (size_t i = 0; i < LENGTH(gone); i++) {
    OK(weaveheap_buffer_count_view(heap, gone[i], &err));
    OK(weaveheap_buffer_count_finalized(heap, gone[i], &err));
  }
  OK(weaveheap_region_counters(heap, region, &counters, &err));
  CHECK(counters.views == 3 && counters.finalized == 1);
  OK(weaveheap_heap_counters(heap, &counters, &err));
  CHECK(counters.views == 6 && counters.finalized == 4);
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_count_view(NULL, buffer, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_count_finalized(NULL, buffer, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void a_freed_buffer_is_stale_for_every_function(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 16);
  OK(weaveheap_buffer_free(heap, buffer, &err));
  const weaveheap_handle_t handles[] = {buffer, 0, 1, UINT64_MAX, region, buffer ^ (UINT64_C(1) << 33)};
  for (size_t i = 0; i < LENGTH(handles); i++) {
    weaveheap_handle_t stale = handles[i];
    weaveheap_buffer_info_t info = {sizeof info, 0, 0, 0, 0, 0, false, false, false};
    weaveheap_view view;
    weaveheap_view_mut mut;
    size_t length = 7;
    STALE(weaveheap_buffer_free(heap, stale, &err));
    STALE(weaveheap_buffer_freeze(heap, stale, &err));
    STALE(weaveheap_buffer_clear_poison(heap, stale, &err));
    STALE(weaveheap_buffer_info(heap, stale, &info, &err));
    STALE(weaveheap_borrow_shared(heap, stale, &view, &err));
    STALE(weaveheap_borrow_unique(heap, stale, &mut, &err));
    STALE(weaveheap_string_validate(heap, stale, &err));
    REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_buffer_length(heap, stale, &err));
    REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_buffer_export(heap, stale, &length, &err));
    CHECK(length == 7);
    CHECK(weaveheap_buffer_free(heap, stale, NULL) == WEAVEHEAP_ERROR_STALE_HANDLE);
  }
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void a_handle_of_another_heap_is_stale(void) {
  weaveheap_heap *heap = private_heap(), *other = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 16);
  weaveheap_handle_t others = some_region(other);
  some_buffer(other, others, 16);
  STALE(weaveheap_buffer_free(other, buffer, &err));
  STALE(weaveheap_region_close(other, region, &err));
  CHECK(weaveheap_buffer_length(heap, buffer, &err) == 16);
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_region_close(other, others, &err));
  finish(heap);
  finish(other);
}

static void a_frozen_buffer_is_read_only_for_good(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 16);
  weaveheap_view view;
  weaveheap_view_mut mut;
  OK(weaveheap_borrow_unique(heap, buffer, &mut, &err));
  FAILS(WEAVEHEAP_ERROR_BORROW_CONFLICT, weaveheap_buffer_freeze(heap, buffer, &err));
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  OK(weaveheap_buffer_freeze(heap, buffer, &err));
  OK(weaveheap_buffer_freeze(heap, buffer, &err));
  FAILS(WEAVEHEAP_ERROR_DENIED, weaveheap_borrow_unique(heap, buffer, &mut, &err));
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  weaveheap_buffer_info_t info = {sizeof info, 0, 0, 0, 0, 0, false, false, false};
  OK(weaveheap_buffer_info(heap, buffer, &info, &err));
  CHECK(info.handle == buffer && info.region == region && info.length == 16 && info.shared == 1);
  CHECK(info.frozen && !info.unique && !info.poisoned);
  CHECK((const uint8_t *)weaveheap_heap_base(heap, &err) + info.offset == view.data);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_buffer_clear_poison(heap, buffer, &err));
  OK(weaveheap_buffer_free(heap, buffer, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void a_borrowed_buffer_is_not_freed(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 16);
  weaveheap_view_mut mut;
  size_t length;
  OK(weaveheap_borrow_unique(heap, buffer, &mut, &err));
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_buffer_free(heap, buffer, &err));
  REFUSES(WEAVEHEAP_ERROR_BORROW_CONFLICT, weaveheap_buffer_export(heap, buffer, &length, &err));
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  OK(weaveheap_buffer_free(heap, buffer, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void bad_arguments_are_refused(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 16);
  const uint64_t aligns[] = {0, 3, 63, 8192, UINT64_C(1) << 63, UINT64_MAX};
  const uint8_t byte = 1;
  for (size_t i = 0; i < LENGTH(aligns); i++) {
    BAD(weaveheap_buffer_alloc(heap, region, 16, aligns[i], WEAVEHEAP_INIT_ZEROED, &err));
    BAD(weaveheap_buffer_alloc_from(heap, region, &byte, 1, aligns[i], &err));
  }
  const uint64_t lengths[] = {UINT64_C(1) << 48, UINT64_C(1) << 63, UINT64_MAX - 63, UINT64_MAX};
  for (size_t i = 0; i < LENGTH(lengths); i++) {
    REFUSES(WEAVEHEAP_ERROR_OUT_OF_MEMORY,
            weaveheap_buffer_alloc(heap, region, lengths[i], 64, WEAVEHEAP_INIT_UNINIT, &err));
  }
  BAD(weaveheap_buffer_alloc(heap, region, 16, 64, 2, &err));
  BAD(weaveheap_buffer_alloc_from(heap, region, NULL, 1, 64, &err));
  BAD(weaveheap_buffer_alloc_from(heap, region, &byte, SIZE_MAX, 64, &err));
  REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_buffer_alloc(heap, 0, 16, 64, WEAVEHEAP_INIT_ZEROED, &err));
  REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_buffer_alloc_from(heap, buffer, &byte, 1, 64, &err));
  weaveheap_buffer_info_t info = {sizeof info, 0, 0, 0, 0, 0, false, false, false};
  size_t length;
  BAD(weaveheap_buffer_alloc(NULL, region, 16, 64, WEAVEHEAP_INIT_ZEROED, &err));
  BAD(weaveheap_buffer_alloc_from(NULL, region, &byte, 1, 64, &err));
  BAD(weaveheap_buffer_length(NULL, buffer, &err));
  BAD(weaveheap_buffer_export(NULL, buffer, &length, &err));
  BAD(weaveheap_buffer_export(heap, buffer, NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_free(NULL, buffer, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_freeze(NULL, buffer, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_clear_poison(NULL, buffer, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_info(NULL, buffer, &info, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_info(heap, buffer, NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_count_copy(NULL, buffer, 0, 1, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_buffer_count_copy(heap, buffer, 4, 1, &err));
  CHECK(weaveheap_buffer_alloc(NULL, region, 16, 64, 0, NULL) == 0);
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

const test_case buffer_tests[] = {
    {"memory_is_zeroed_aligned_and_of_its_length", memory_is_zeroed_aligned_and_of_its_length},
    {"an_empty_buffer_is_a_buffer", an_empty_buffer_is_a_buffer},
    {"bytes_are_copied_in_and_out_and_counted", bytes_are_copied_in_and_out_and_counted},
    {"views_are_counted_for_the_runtime_that_made_them", views_are_counted_for_the_runtime_that_made_them},
    {"a_freed_buffer_is_stale_for_every_function", a_freed_buffer_is_stale_for_every_function},
    {"a_handle_of_another_heap_is_stale", a_handle_of_another_heap_is_stale},
    {"a_frozen_buffer_is_read_only_for_good", a_frozen_buffer_is_read_only_for_good},
    {"a_borrowed_buffer_is_not_freed", a_borrowed_buffer_is_not_freed},
    {"bad_arguments_are_refused", bad_arguments_are_refused},
    {NULL, NULL},
};
