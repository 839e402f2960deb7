#include "harness.h"

#include <sys/stat.h>
#include <unistd.h>

static void a_private_heap_is_this_process_alone(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_heap_info_t info = {sizeof info, 0, 0, true, true, true};
  OK(weaveheap_heap_info(heap, &info, &err));
  CHECK(info.limit > 0 && !info.shared && !info.verify && !info.detached);
#ifdef __cplusplus
  CHECK(info.runtime == WEAVEHEAP_RUNTIME_CPP);
#else
  CHECK(info.runtime == WEAVEHEAP_RUNTIME_C);
#endif
  const char *path = weaveheap_heap_path(heap, &err);
  CHECK(GIVES(path) && path == NULL);
  const char *id = weaveheap_heap_id(heap, &err);
  CHECK(GIVES(id) && id != NULL && strspn(id, "0123456789abcdef") == 32 && strlen(id) == 32);
  weaveheap_free_string(id);
  CHECK(weaveheap_heap_base(heap, &err) != NULL);
  finish(heap);
}

static void options_are_taken(void) {
  weaveheap_heap_options options = WEAVEHEAP_HEAP_OPTIONS_INIT;
  options.limit = 16 << 20;
  options.runtime = WEAVEHEAP_RUNTIME_GO;
  options.verify = 1;
  options.inspect = 1;
  options.label = "a label";
  weaveheap_heap *heap = weaveheap_heap_private(&options, &err);
  REQUIRE(GIVES(heap));
  weaveheap_heap_info_t info = {sizeof info, 0, 0, false, false, false};
  OK(weaveheap_heap_info(heap, &info, &err));
  CHECK(info.limit == 16 << 20 && info.runtime == WEAVEHEAP_RUNTIME_GO && info.verify);
  const char *stats = weaveheap_heap_stats_json(heap, &err);
  CHECK(GIVES(stats) && strstr(stats, "\"a label\"") != NULL && strstr(stats, "\"go\"") != NULL);
  weaveheap_free_string(stats);
  finish(heap);
}

/* What a later version of the header may ask, and what an uninitialised struct looks like. */
static void structs_of_other_versions_are_understood_or_refused(void) {
  struct {
    weaveheap_heap_options options;
    uint64_t later;
  } larger;
  memset(&larger, 0, sizeof larger);
  larger.options = test_options();
  larger.options.struct_size = sizeof larger;
  weaveheap_heap *heap = weaveheap_heap_private(&larger.options, &err);
  REQUIRE(GIVES(heap));
  larger.later = 1;
  REFUSES(WEAVEHEAP_ERROR_UNSUPPORTED, weaveheap_heap_private(&larger.options, &err));
  const size_t sizes[] = {0, 1, sizeof(weaveheap_heap_options) - 1, 5000, SIZE_MAX};
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    larger.options.struct_size = sizes[i];
    BAD(weaveheap_heap_private(&larger.options, &err));
  }
  const size_t others[] = {0, 1, sizeof(weaveheap_heap_info_t) - 1, 5000, SIZE_MAX};
  for (size_t i = 0; i < LENGTH(others); i++) {
    weaveheap_heap_info_t info = {others[i], 7, 7, false, false, false};
    FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_info(heap, &info, &err));
    CHECK(info.struct_size == others[i] && info.limit == 7);
  }
  struct {
    weaveheap_heap_info_t info;
    uint64_t later;
  } asked;
  memset(&asked, 0xff, sizeof asked);
  asked.info.struct_size = sizeof asked;
  OK(weaveheap_heap_info(heap, &asked.info, &err));
  CHECK(asked.info.struct_size == sizeof asked && asked.info.limit > 0 && asked.later == 0);
  finish(heap);
}

static void bad_options_are_refused(void) {
  weaveheap_heap_options options = test_options();
  options.runtime = 12;
  BAD(weaveheap_heap_private(&options, &err));
  CHECK(weaveheap_heap_private(&options, NULL) == NULL);
  options = test_options();
  options.label = "\xc3(";
  REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_heap_private(&options, &err));
}

static void names_open_and_remove_shared_heaps(void) {
  weaveheap_heap_options options = test_options();
  const char *name = fresh_name();
  weaveheap_heap *made = weaveheap_heap_create(name, &options, &err);
  REQUIRE(GIVES(made));
  REFUSES(WEAVEHEAP_ERROR_ALREADY_EXISTS, weaveheap_heap_create(name, &options, &err));
  weaveheap_heap *opened = weaveheap_heap_open(name, NULL, &err);
  REQUIRE(GIVES(opened));
  weaveheap_handle_t region = some_region(made), buffer = some_buffer(made, region, 100);
  CHECK(weaveheap_buffer_length(opened, buffer, &err) == 100);
  weaveheap_heap_info_t info = {sizeof info, 0, 0, false, false, false};
  OK(weaveheap_heap_info(opened, &info, &err));
  CHECK(info.shared);

  const char *path = weaveheap_heap_path(made, &err), *folder = weaveheap_heap_folder(&err);
  REQUIRE(path != NULL && folder != NULL);
  CHECK(strncmp(path, folder, strlen(folder)) == 0);
  const char *list = weaveheap_heap_list_json(&err);
  CHECK(GIVES(list) && strstr(list, name) != NULL && strstr(list, path) != NULL);
  weaveheap_free_string(list);
  weaveheap_free_string(path);
  weaveheap_free_string(folder);
  folder = weaveheap_heap_folder(NULL);
  list = weaveheap_heap_list_json(NULL);
  CHECK(folder != NULL && list != NULL && list[0] == '[');
  weaveheap_free_string(folder);
  weaveheap_free_string(list);

  OK(weaveheap_heap_remove(name, &err));
  FAILS(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_heap_remove(name, &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_heap_open(name, NULL, &err));
  CHECK(weaveheap_buffer_length(opened, buffer, &err) == 100);
  OK(weaveheap_region_close(opened, region, &err));
  finish(opened);
  finish(made);
}

static void paths_open_and_remove_shared_heaps(void) {
  char folder[] = "/tmp/weaveheap-c-XXXXXX", path[64];
  REQUIRE(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/heap", folder);
  weaveheap_heap_options options = test_options();
  weaveheap_heap *made = weaveheap_heap_create_path(path, &options, &err);
  REQUIRE(GIVES(made));
  REFUSES(WEAVEHEAP_ERROR_ALREADY_EXISTS, weaveheap_heap_create_path(path, &options, &err));
  weaveheap_heap *opened = weaveheap_heap_open_path(path, &options, &err);
  REQUIRE(GIVES(opened));
  const char *found = weaveheap_heap_path(opened, &err);
  CHECK(found != NULL && strcmp(found, path) == 0);
  weaveheap_free_string(found);
  finish(opened);
  finish(made);
  OK(weaveheap_heap_remove_path(path, &err));
  FAILS(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_heap_remove_path(path, &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_heap_open_path(path, NULL, &err));
  FILE *file = fopen(path, "wb");
  REQUIRE(file != NULL);
  for (int i = 0; i < 10000; i++) fputc('x', file);
  fclose(file);
  REFUSES(WEAVEHEAP_ERROR_INCOMPATIBLE, weaveheap_heap_open_path(path, NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INCOMPATIBLE, weaveheap_heap_remove_path(path, &err));
  unlink(path);
  rmdir(folder);
}

static void bad_names_and_paths_are_refused(void) {
  const char *names[] = {"", "a/b", "..", ".a", "A", "a b", "-a",
                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
  weaveheap_heap_options options = test_options();
  for (size_t i = 0; i < LENGTH(names); i++) {
    REFUSES(WEAVEHEAP_ERROR_INVALID_NAME, weaveheap_heap_create(names[i], &options, &err));
    REFUSES(WEAVEHEAP_ERROR_INVALID_NAME, weaveheap_heap_open(names[i], NULL, &err));
    FAILS(WEAVEHEAP_ERROR_INVALID_NAME, weaveheap_heap_remove(names[i], &err));
  }
  REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_heap_create("\xff", &options, &err));
  REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_heap_open("a\x80", NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_heap_remove("a\xc3", &err));
  BAD(weaveheap_heap_create(NULL, &options, &err));
  BAD(weaveheap_heap_open(NULL, NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_remove(NULL, &err));
  BAD(weaveheap_heap_create_path(NULL, &options, &err));
  BAD(weaveheap_heap_create_path("", &options, &err));
  BAD(weaveheap_heap_open_path(NULL, NULL, &err));
  BAD(weaveheap_heap_open_path("", NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_remove_path(NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_remove_path("", &err));
}

static void attaching_by_base_sees_the_same_buffers(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 8);
  weaveheap_view_mut mut;
  OK(weaveheap_borrow_unique(heap, buffer, &mut, &err));
  mut.data[3] = 9;
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  weaveheap_heap_options options = test_options();
  weaveheap_heap *second = weaveheap_heap_attach(weaveheap_heap_base(heap, &err), &options, &err);
  REQUIRE(GIVES(second));
  weaveheap_view view;
  OK(weaveheap_borrow_shared(second, buffer, &view, &err));
  CHECK(view.data[3] == 9);
  STALE(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_borrow_end(second, view.token, &err));
  finish(second);
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
  BAD(weaveheap_heap_attach(NULL, NULL, &err));
}

static void an_id_gives_the_same_attachment(void) {
  weaveheap_heap *heap = private_heap();
  const char *id = weaveheap_heap_id(heap, &err);
  weaveheap_heap *same = weaveheap_heap_by_id(id, &err);
  REQUIRE(GIVES(same));
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 1);
  weaveheap_view view;
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  OK(weaveheap_borrow_end(same, view.token, &err));
  weaveheap_heap_release(heap);
  OK(weaveheap_region_close(same, region, &err));
  finish(same);
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_heap_by_id(id, &err));
  weaveheap_free_string(id);
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_heap_by_id("no id", &err));
  REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_heap_by_id("\xff", &err));
  BAD(weaveheap_heap_by_id(NULL, &err));
}

static void detaching_while_borrowed_is_refused_and_later_calls_are_not_attached(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 1);
  weaveheap_view view;
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_heap_detach(heap, &err));
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_heap_detach(heap, &err));
  FAILS(WEAVEHEAP_ERROR_NOT_ATTACHED, weaveheap_heap_detach(heap, &err));
  FAILS(WEAVEHEAP_ERROR_NOT_ATTACHED, weaveheap_borrow_shared(heap, buffer, &view, &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_ATTACHED, weaveheap_region_create(heap, NULL, 0, &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_ATTACHED, weaveheap_heap_base(heap, &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_ATTACHED, weaveheap_heap_stats_json(heap, &err));
  FAILS(WEAVEHEAP_ERROR_NOT_ATTACHED, weaveheap_heap_check(heap, NULL, &err));
  REFUSES(WEAVEHEAP_ERROR_NOT_ATTACHED, weaveheap_heap_trim(heap, &err));
  weaveheap_heap_info_t info = {sizeof info, 0, 0, false, false, false};
  OK(weaveheap_heap_info(heap, &info, &err));
  CHECK(info.detached);
  weaveheap_heap_release(heap);
}

/* H9: memory under a live view is never unmapped. */
static void a_released_heap_keeps_the_bytes_of_its_views(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 4096);
  weaveheap_view_mut view;
  OK(weaveheap_borrow_unique(heap, buffer, &view, &err));
  const char *id = weaveheap_heap_id(heap, &err);
  weaveheap_heap_release(heap);
  memset(view.data, 5, view.length);
  CHECK(view.data[4095] == 5);
  weaveheap_heap *again = weaveheap_heap_by_id(id, &err);
  REQUIRE(GIVES(again));
  weaveheap_heap *third = weaveheap_heap_by_id(id, &err);
  CHECK(GIVES(third));
  weaveheap_heap_release(third);
  OK(weaveheap_borrow_end(again, view.token, &err));
  weaveheap_heap_release(again);
  REFUSES(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_heap_by_id(id, &err));
  weaveheap_free_string(id);
}

static void memory_is_given_back_when_asked(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 8 << 20);
  weaveheap_view_mut view;
  OK(weaveheap_borrow_unique(heap, buffer, &view, &err));
  memset(view.data, 1, view.length);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  uint64_t given = weaveheap_heap_trim(heap, &err);
  CHECK(GIVES(given) && given >= 8 << 20);
  finish(heap);
}

static void null_heaps_are_refused(void) {
  weaveheap_heap_info_t info = {sizeof info, 0, 0, false, false, false};
  weaveheap_check_report report = {sizeof report, 0, 0, 0, 0, 0, 0};
  BAD(weaveheap_heap_base(NULL, &err));
  BAD(weaveheap_heap_id(NULL, &err));
  BAD(weaveheap_heap_path(NULL, &err));
  BAD(weaveheap_heap_trim(NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_info(NULL, &info, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_detach(NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_check(NULL, &report, &err));
  CHECK(weaveheap_heap_check(NULL, NULL, NULL) == WEAVEHEAP_ERROR_INVALID_ARGUMENT);
  weaveheap_heap_release(NULL);
  weaveheap_heap *heap = private_heap();
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_info(heap, NULL, &err));
  report.struct_size = 3;
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_heap_check(heap, &report, &err));
  OK(weaveheap_heap_check(heap, NULL, &err));
  finish(heap);
}

const test_case heap_tests[] = {
    {"a_private_heap_is_this_process_alone", a_private_heap_is_this_process_alone},
    {"options_are_taken", options_are_taken},
    {"structs_of_other_versions_are_understood_or_refused", structs_of_other_versions_are_understood_or_refused},
    {"bad_options_are_refused", bad_options_are_refused},
    {"names_open_and_remove_shared_heaps", names_open_and_remove_shared_heaps},
    {"paths_open_and_remove_shared_heaps", paths_open_and_remove_shared_heaps},
    {"bad_names_and_paths_are_refused", bad_names_and_paths_are_refused},
    {"attaching_by_base_sees_the_same_buffers", attaching_by_base_sees_the_same_buffers},
    {"an_id_gives_the_same_attachment", an_id_gives_the_same_attachment},
    {"detaching_while_borrowed_is_refused", detaching_while_borrowed_is_refused_and_later_calls_are_not_attached},
    {"a_released_heap_keeps_the_bytes_of_its_views", a_released_heap_keeps_the_bytes_of_its_views},
    {"memory_is_given_back_when_asked", memory_is_given_back_when_asked},
    {"null_heaps_are_refused", null_heaps_are_refused},
    {NULL, NULL},
};
