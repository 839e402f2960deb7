#include "harness.h"

#include <unistd.h>

weaveheap_error err;
const char *program;

static const char *running = "second process";
static int failures_of_test;

void note_failure(const char *file, int line, const char *what) {
  failures_of_test++;
  fprintf(stderr, "%s: %s:%d: not so: %s\n", running, file, line, what);
}

int failures(void) {
  return failures_of_test;
}

bool succeeded(const char *file, int line, const char *call) {
  if (err.code == WEAVEHEAP_OK && err.message == NULL) return true;
  note_failure(file, line, call);
  fprintf(stderr, "    it says: %s\n", err.message == NULL ? "(no message)" : err.message);
  weaveheap_error_clear(&err);
  return false;
}

bool failed(const char *file, int line, const char *call, int32_t code) {
  const char *name = weaveheap_error_name(code);
  bool good = err.code == code && err.message != NULL && name != NULL &&
              strncmp(err.message, name, strlen(name)) == 0 && strlen(err.message) > strlen(name) + 10;
  if (!good) {
    note_failure(file, line, call);
    fprintf(stderr, "    expected %s, it says: %s\n", name, err.message == NULL ? "(no message)" : err.message);
  }
  weaveheap_error_clear(&err);
  return good;
}

weaveheap_heap_options test_options(void) {
  weaveheap_heap_options options = WEAVEHEAP_HEAP_OPTIONS_INIT;
  const char *limit = getenv("WEAVEHEAP_TEST_LIMIT");
  if (limit != NULL) options.limit = strtoull(limit, NULL, 10);
#ifdef __cplusplus
  options.runtime = WEAVEHEAP_RUNTIME_CPP;
#endif
  return options;
}

weaveheap_heap *private_heap(void) {
  weaveheap_heap_options options = test_options();
  weaveheap_heap *heap = weaveheap_heap_private(&options, &err);
  succeeded(__FILE__, __LINE__, "private_heap");
  return heap;
}

const char *fresh_name(void) {
  static char names[10][64];
  static unsigned count;
  char *name = names[count % 10];
  snprintf(name, sizeof names[0], "c-test-%ld-%u", (long)getpid(), count++);
  return name;
}

void finish(weaveheap_heap *heap) {
  weaveheap_check_report report = {sizeof report, 0, 0, 0, 0, 0, 0};
  OK(weaveheap_heap_check(heap, &report, &err));
  CHECK(report.borrows == 0);
  CHECK(report.lost == 0);
  weaveheap_heap_release(heap);
}

weaveheap_handle_t some_region(weaveheap_heap *heap) {
  weaveheap_handle_t region = weaveheap_region_create(heap, NULL, 0, &err);
  succeeded(__FILE__, __LINE__, "some_region");
  return region;
}

weaveheap_handle_t some_buffer(weaveheap_heap *heap, weaveheap_handle_t region, uint64_t length) {
  weaveheap_handle_t buffer =
      weaveheap_buffer_alloc(heap, region, length, WEAVEHEAP_ALIGN_DEFAULT, WEAVEHEAP_INIT_ZEROED, &err);
  succeeded(__FILE__, __LINE__, "some_buffer");
  return buffer;
}

int main(int argc, char **argv) {
  static const struct {
    const char *noun;
    const test_case *tests;
  } nouns[] = {
      {"abi", abi_tests},         {"error", error_tests},         {"handle", handle_tests},
      {"heap", heap_tests},       {"region", region_tests},       {"buffer", buffer_tests},
      {"string", string_tests},   {"borrow", borrow_tests},       {"directory", directory_tests},
      {"inspect", inspect_tests}, {"log", log_tests},             {"process", process_tests},
      {"bad_input", bad_input_tests},
#ifdef WEAVEHEAP_TEST_SYMBOLS
      {"panic", panic_tests},
#endif
  };
  program = argv[0];
  if (argc == 4 && strcmp(argv[1], "--child") == 0) return child_main(argv[2], argv[3]);
  const char *only = argc > 1 ? argv[1] : "";
  unsigned passed = 0, failed_tests = 0;
  for (size_t i = 0; i < LENGTH(nouns); i++) {
    for (const test_case *test = nouns[i].tests; test->name != NULL; test++) {
      char name[128];
      snprintf(name, sizeof name, "%s/%s", nouns[i].noun, test->name);
      if (strncmp(name, only, strlen(only)) != 0) continue;
      running = name;
      failures_of_test = 0;
      test->run();
      if (failures_of_test == 0) passed++;
      else failed_tests++;
    }
  }
  printf("%u passed, %u failed\n", passed, failed_tests);
  return failed_tests == 0 && passed > 0 ? 0 : 1;
}
