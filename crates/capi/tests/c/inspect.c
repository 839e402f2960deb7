#include "../conformance/json.h"
#include "harness.h"

#include <unistd.h>

static json *parsed(const char *text) {
  succeeded(__FILE__, __LINE__, "the call that gives JSON");
  json *value = text == NULL ? NULL : json_parse(text);
  CHECK(value != NULL);
  weaveheap_free_string(text);
  return value;
}

static size_t count(const json *list) {
  size_t items = 0;
  for (const json *item = list == NULL ? NULL : list->child; item != NULL; item = item->next) items++;
  return items;
}

static void check_one_holder(const json *holders, const char *handle) {
  REQUIRE(count(holders) == 1);
  const json *holder = holders->child;
  CHECK(json_is_text(json_get(holder, "handle"), handle));
  CHECK(json_is_text(json_get(holder, "kind"), "unique"));
  CHECK(json_get(holder, "process")->number == (double)getpid());
  CHECK(json_get(holder, "alive")->number == 1);
#ifdef __cplusplus
  CHECK(json_is_text(json_get(holder, "runtime"), "cpp"));
#else
  CHECK(json_is_text(json_get(holder, "runtime"), "c"));
#endif
}

static void statistics_name_regions_borrows_and_names(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = weaveheap_region_create(heap, "frames", 0, &err);
  weaveheap_handle_t buffer = some_buffer(heap, region, 64);
  weaveheap_view_mut view;
  OK(weaveheap_directory_publish(heap, "first", buffer, &err));
  OK(weaveheap_borrow_unique(heap, buffer, &view, &err));
  const char *name = weaveheap_handle_to_text(buffer, &err);

  json *stats = parsed(weaveheap_heap_stats_json(heap, &err));
  CHECK(count(json_get(stats, "regions")) == 1 && count(json_get(stats, "names")) == 1);
  CHECK(json_path(stats, "heap.id") != NULL && json_path(stats, "counters.allocations")->number == 1);
  check_one_holder(json_get(stats, "borrows"), name);
  json_free(stats);

  json *holders = parsed(weaveheap_heap_holders_json(heap, buffer, &err));
  check_one_holder(holders, name);
  json_free(holders);
  holders = parsed(weaveheap_heap_holders_json(heap, region, &err));
  check_one_holder(holders, name);
  json_free(holders);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  holders = parsed(weaveheap_heap_holders_json(heap, region, &err));
  CHECK(count(holders) == 0);
  json_free(holders);
  weaveheap_free_string(name);
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void counters_follow_what_is_done(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 100);
  weaveheap_view view;
  weaveheap_view_mut mut;
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  FAILS(WEAVEHEAP_ERROR_BORROW_CONFLICT, weaveheap_borrow_unique(heap, buffer, &mut, &err));
  OK(weaveheap_borrow_end(heap, view.token, &err));
  weaveheap_counters of_region, of_heap;
  of_region.struct_size = of_heap.struct_size = sizeof of_heap;
  OK(weaveheap_region_counters(heap, region, &of_region, &err));
  CHECK(of_region.allocations == 1 && of_region.bytes_allocated == 100);
  CHECK(of_region.borrows_begun == 1 && of_region.borrows_ended == 1 && of_region.conflicts == 1);
  OK(weaveheap_buffer_free(heap, buffer, &err));
  STALE(weaveheap_buffer_free(heap, buffer, &err));
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_heap_counters(heap, &of_heap, &err));
  CHECK(of_heap.frees == 1 && of_heap.bytes_freed == 100 && of_heap.stale == 1);
  CHECK(of_heap.finalized == 0 && of_heap.regions_collected == 0 && of_heap.copies_ingest == 0);
  STALE(weaveheap_region_counters(heap, region, &of_region, &err));
  finish(heap);
}

static void an_inspector_looks_from_outside(void) {
  const char *name = fresh_name();
  weaveheap_heap_options options = test_options();
  weaveheap_heap *heap = weaveheap_heap_create(name, &options, &err);
  REQUIRE(GIVES(heap));
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 64);
  weaveheap_view_mut view;
  OK(weaveheap_borrow_unique(heap, buffer, &view, &err));
  const char *path = weaveheap_heap_path(heap, &err), *handle = weaveheap_handle_to_text(buffer, &err);
  weaveheap_inspector *inspectors[2];
  inspectors[0] = weaveheap_inspector_open(name, &err);
  REQUIRE(GIVES(inspectors[0]));
  inspectors[1] = weaveheap_inspector_open_path(path, &err);
  REQUIRE(GIVES(inspectors[1]));
  for (size_t i = 0; i < 2; i++) {
    json *stats = parsed(weaveheap_inspector_stats_json(inspectors[i], &err));
    CHECK(count(json_get(stats, "regions")) == 1);
    check_one_holder(json_get(stats, "borrows"), handle);
    json_free(stats);
    json *holders = parsed(weaveheap_inspector_holders_json(inspectors[i], buffer, &err));
    check_one_holder(holders, handle);
    json_free(holders);
    json *buffers = parsed(weaveheap_inspector_buffers_json(inspectors[i], region, 10, &err));
    REQUIRE(count(buffers) == 1);
    CHECK(json_is_text(json_get(buffers->child, "handle"), handle));
    CHECK(json_get(buffers->child, "length")->number == 64 && json_get(buffers->child, "unique")->number == 1);
    json_free(buffers);
    REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_inspector_holders_json(inspectors[i], 0, &err));
    REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_inspector_buffers_json(inspectors[i], 0, 10, &err));
    weaveheap_inspector_release(inspectors[i]);
  }
  weaveheap_free_string(path);
  weaveheap_free_string(handle);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_heap_remove(name, &err));
  finish(heap);
}

static void private_heaps_are_seen_when_they_allow_it(void) {
  weaveheap_heap_options options = test_options();
  options.inspect = 1;
  weaveheap_heap *heap = weaveheap_heap_private(&options, &err);
  REQUIRE(GIVES(heap));
  const char *id = weaveheap_heap_id(heap, &err);
  weaveheap_inspector *inspector = weaveheap_inspector_of_process((uint32_t)getpid(), 0, &err);
  REQUIRE(GIVES(inspector));
  const char *stats = weaveheap_inspector_stats_json(inspector, &err);
  CHECK(GIVES(stats) && strstr(stats, id) != NULL);
  weaveheap_free_string(stats);
  weaveheap_free_string(id);
  weaveheap_inspector_release(inspector);
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_inspector_of_process((uint32_t)getpid(), 1000, &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_inspector_of_process(0x7fffffff, 0, &err));
  finish(heap);
}

static void bad_arguments_are_refused(void) {
  weaveheap_counters counters;
  memset(&counters, 0, sizeof counters);
  counters.struct_size = sizeof counters;
  BAD(weaveheap_heap_stats_json(NULL, &err));
  BAD(weaveheap_heap_holders_json(NULL, 1, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_counters(NULL, &counters, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_counters(NULL, 1, &counters, &err));
  weaveheap_heap *heap = private_heap();
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_counters(heap, NULL, &err));
  weaveheap_handle_t region = some_region(heap);
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_region_counters(heap, region, NULL, &err));
  counters.struct_size = 8;
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_counters(heap, &counters, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
  BAD(weaveheap_inspector_open(NULL, &err));
  BAD(weaveheap_inspector_open_path(NULL, &err));
  BAD(weaveheap_inspector_open_path("", &err));
  BAD(weaveheap_inspector_stats_json(NULL, &err));
  BAD(weaveheap_inspector_holders_json(NULL, 1, &err));
  BAD(weaveheap_inspector_buffers_json(NULL, 1, 1, &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_inspector_open("no-such-heap", &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_inspector_open_path("/nowhere/at/all", &err));
  REFUSES(WEAVEHEAP_ERROR_INVALID_NAME, weaveheap_inspector_open("a/b", &err));
  weaveheap_inspector_release(NULL);
}

const test_case inspect_tests[] = {
    {"statistics_name_regions_borrows_and_names", statistics_name_regions_borrows_and_names},
    {"counters_follow_what_is_done", counters_follow_what_is_done},
    {"an_inspector_looks_from_outside", an_inspector_looks_from_outside},
    {"private_heaps_are_seen_when_they_allow_it", private_heaps_are_seen_when_they_allow_it},
    {"bad_arguments_are_refused", bad_arguments_are_refused},
    {NULL, NULL},
};
