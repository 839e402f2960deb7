#include "harness.h"

#include <pthread.h>
#include <unistd.h>

typedef struct seen {
  pthread_mutex_t lock;
  unsigned records, events, begins, ends, inside, bad;
  uint32_t most;
  weaveheap_log_id_t itself;
  weaveheap_heap *heap;
  volatile int hold, entered;
} seen;

static void look(seen *state, const weaveheap_log_record *record) {
  pthread_mutex_lock(&state->lock);
  state->records++;
  state->events += record->kind == WEAVEHEAP_LOG_EVENT;
  state->begins += record->kind == WEAVEHEAP_LOG_SPAN_BEGIN;
  state->ends += record->kind == WEAVEHEAP_LOG_SPAN_END;
  state->inside += record->kind == WEAVEHEAP_LOG_EVENT && record->span != 0;
  if (record->level > state->most) state->most = record->level;
  if (record->struct_size < sizeof *record || record->level < WEAVEHEAP_LOG_ERROR ||
      record->level > WEAVEHEAP_LOG_TRACE || record->target == NULL || record->message == NULL ||
      record->seconds < 0) {
    state->bad++;
  }
  pthread_mutex_unlock(&state->lock);
}

static void note(void *context, const weaveheap_log_record *record) {
  look((seen *)context, record);
}

static seen *fresh(void) {
  seen *state = (seen *)calloc(1, sizeof *state);
  if (state == NULL) abort();
  pthread_mutex_init(&state->lock, NULL);
  return state;
}

static void drop(seen *state) {
  pthread_mutex_destroy(&state->lock);
  free(state);
}

static void bad_arguments_are_refused(void) {
  seen *state = fresh();
  BAD(weaveheap_log_register(NULL, state, WEAVEHEAP_LOG_INFO, &err));
  BAD(weaveheap_log_register(note, state, 0, &err));
  BAD(weaveheap_log_register(note, state, WEAVEHEAP_LOG_TRACE + 1, &err));
  FAILS(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_log_unregister(0, &err));
  FAILS(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_log_unregister(UINT64_MAX, &err));
  weaveheap_log_id_t id = weaveheap_log_register(note, NULL, WEAVEHEAP_LOG_ERROR, &err);
  REQUIRE(GIVES(id));
  OK(weaveheap_log_unregister(id, &err));
  FAILS(WEAVEHEAP_ERROR_NOT_FOUND, weaveheap_log_unregister(id, &err));
  CHECK(weaveheap_log_unregister(id, NULL) == WEAVEHEAP_ERROR_NOT_FOUND);
  drop(state);
}

/* The callbacks below use the heap that the record is about, in every way: no lock of it is held while they run. */
static void use_the_heap(void *context, const weaveheap_log_record *record) {
  seen *state = (seen *)context;
  weaveheap_view view;
  look(state, record);
  if (strncmp(record->target, "weaveheap", 9) != 0) state->bad++;
  weaveheap_handle_t region = weaveheap_region_create(state->heap, "of a callback", 0, NULL);
  weaveheap_handle_t buffer = weaveheap_buffer_alloc(state->heap, region, 2 << 20, 64, WEAVEHEAP_INIT_ZEROED, NULL);
  const char *stats = weaveheap_heap_stats_json(state->heap, NULL);
  int32_t code = weaveheap_borrow_shared(state->heap, buffer, &view, NULL);
  if (code == WEAVEHEAP_OK) code = weaveheap_borrow_end(state->heap, view.token, NULL);
  if (code == WEAVEHEAP_OK) code = weaveheap_region_close(state->heap, region, NULL);
  if (code == WEAVEHEAP_OK) code = weaveheap_heap_check(state->heap, NULL, NULL);
  if (code != WEAVEHEAP_OK || stats == NULL) state->bad++;
  weaveheap_free_string(stats);
}

/* R7: what a binding is told of an object that its language collected. */
static void a_collected_region_is_logged_to_a_callback_that_uses_the_heap(void) {
  seen *state = fresh();
  state->heap = private_heap();
  weaveheap_log_id_t id = weaveheap_log_register(use_the_heap, state, WEAVEHEAP_LOG_INFO, &err);
  REQUIRE(GIVES(id));
  CHECK(weaveheap_region_collect(state->heap, some_region(state->heap), &err));
  CHECK(state->events > 0 && state->bad == 0);
  unsigned events = state->events;
  CHECK(!weaveheap_region_collect(state->heap, 0, &err));
  CHECK(state->events == events);
  OK(weaveheap_log_unregister(id, &err));
  CHECK(weaveheap_region_collect(state->heap, some_region(state->heap), &err));
  CHECK(state->events == events);
  finish(state->heap);
  drop(state);
}

/* The whole log: what is refused, and what takes time. */
static void all_that_is_logged_may_be_answered_by_using_the_heap(void) {
  seen *state = fresh();
  state->heap = private_heap();
  weaveheap_handle_t region = some_region(state->heap), buffer = some_buffer(state->heap, region, 8 << 20);
  weaveheap_log_id_t id = weaveheap_log_register(use_the_heap, state, WEAVEHEAP_LOG_TRACE, &err);
  REQUIRE(GIVES(id));
  weaveheap_view view;
  OK(weaveheap_borrow_shared(state->heap, buffer, &view, &err));
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_region_close(state->heap, region, &err));
  CHECK(state->events > 0);
  OK(weaveheap_borrow_end(state->heap, view.token, &err));
  OK(weaveheap_region_close(state->heap, region, &err));
  CHECK(GIVES(weaveheap_heap_trim(state->heap, &err)));
  finish(state->heap);
  OK(weaveheap_log_unregister(id, &err));
  CHECK(state->bad == 0 && state->begins == state->ends && state->most >= WEAVEHEAP_LOG_DEBUG);
  drop(state);
}

/* C1: whoever recovers a dead process says so, and its callback finds a heap that goes on. */
static void the_recovery_of_a_killed_process_is_logged(void) {
  const char *name = fresh_name();
  seen *state = fresh();
  weaveheap_heap_options options = test_options();
  state->heap = weaveheap_heap_create(name, &options, &err);
  REQUIRE(GIVES(state->heap));
  weaveheap_handle_t region = some_region(state->heap), table = some_buffer(state->heap, region, 100);
  OK(weaveheap_directory_publish(state->heap, "table", table, &err));
  CHECK(child_ended(start_child("die", name)) > 1000);
  weaveheap_log_id_t id = weaveheap_log_register(use_the_heap, state, WEAVEHEAP_LOG_WARN, &err);
  REQUIRE(GIVES(id));
  weaveheap_view view;
  FAILS(WEAVEHEAP_ERROR_POISONED, weaveheap_borrow_shared(state->heap, table, &view, &err));
  CHECK(state->events > 0 && state->most == WEAVEHEAP_LOG_WARN && state->bad == 0);
  OK(weaveheap_log_unregister(id, &err));
  OK(weaveheap_region_close(state->heap, region, &err));
  OK(weaveheap_heap_remove(name, &err));
  finish(state->heap);
  drop(state);
}

#ifdef WEAVEHEAP_TEST_SYMBOLS
#ifdef __cplusplus
extern "C" {
#endif
void weaveheap_test_log(uint32_t level, uint64_t number);
#ifdef __cplusplus
}
#endif

static void a_callback_gets_its_level_and_what_is_graver(void) {
  seen *all = fresh(), *warnings = fresh();
  weaveheap_log_id_t first = weaveheap_log_register(note, all, WEAVEHEAP_LOG_TRACE, &err);
  REQUIRE(GIVES(first));
  weaveheap_log_id_t second = weaveheap_log_register(note, warnings, WEAVEHEAP_LOG_WARN, &err);
  REQUIRE(GIVES(second) && second != first);
  for (uint32_t level = WEAVEHEAP_LOG_ERROR; level <= WEAVEHEAP_LOG_TRACE; level++) weaveheap_test_log(level, level);
  OK(weaveheap_log_unregister(first, &err));
  CHECK(all->events == 5 && all->begins == 5 && all->ends == 5 && all->inside == 5 && all->bad == 0);
  CHECK(all->most == WEAVEHEAP_LOG_TRACE);
  CHECK(warnings->events == 2 && warnings->begins == 2 && warnings->most == WEAVEHEAP_LOG_WARN);
  weaveheap_test_log(WEAVEHEAP_LOG_ERROR, 1);
  CHECK(all->events == 5 && warnings->events == 3);
  OK(weaveheap_log_unregister(second, &err));
  weaveheap_test_log(WEAVEHEAP_LOG_ERROR, 1);
  CHECK(warnings->events == 3);
  drop(all);
  drop(warnings);
}

static void a_message_has_its_fields(void *context, const weaveheap_log_record *record) {
  seen *state = (seen *)context;
  look(state, record);
  if (record->kind == WEAVEHEAP_LOG_EVENT && strcmp(record->message, "a test event number=42") != 0) state->bad++;
  if (record->kind != WEAVEHEAP_LOG_EVENT && strcmp(record->message, "test_span number=42") != 0) state->bad++;
}

static void records_are_text_with_fields(void) {
  seen *state = fresh();
  weaveheap_log_id_t id = weaveheap_log_register(a_message_has_its_fields, state, WEAVEHEAP_LOG_INFO, &err);
  REQUIRE(GIVES(id));
  weaveheap_test_log(WEAVEHEAP_LOG_INFO, 42);
  OK(weaveheap_log_unregister(id, &err));
  CHECK(state->records == 3 && state->bad == 0);
  drop(state);
}

static void unregister_itself(void *context, const weaveheap_log_record *record) {
  seen *state = (seen *)context;
  look(state, record);
  if (weaveheap_log_unregister(state->itself, NULL) != WEAVEHEAP_OK) state->bad++;
}

static void a_callback_may_unregister_itself(void) {
  seen *state = fresh();
  state->itself = weaveheap_log_register(unregister_itself, state, WEAVEHEAP_LOG_ERROR, &err);
  REQUIRE(GIVES(state->itself));
  weaveheap_test_log(WEAVEHEAP_LOG_ERROR, 1);
  weaveheap_test_log(WEAVEHEAP_LOG_ERROR, 2);
  CHECK(state->records == 1 && state->bad == 0);
  drop(state);
}

static void call_the_library(void *context, const weaveheap_log_record *record) {
  seen *state = (seen *)context;
  look(state, record);
  weaveheap_test_log(WEAVEHEAP_LOG_ERROR, 7);
  const char *id = weaveheap_heap_id(state->heap, NULL);
  if (id == NULL) state->bad++;
  weaveheap_free_string(id);
}

static void what_is_logged_inside_a_callback_is_dropped(void) {
  seen *state = fresh();
  state->heap = private_heap();
  weaveheap_log_id_t id = weaveheap_log_register(call_the_library, state, WEAVEHEAP_LOG_ERROR, &err);
  REQUIRE(GIVES(id));
  weaveheap_test_log(WEAVEHEAP_LOG_ERROR, 1);
  OK(weaveheap_log_unregister(id, &err));
  CHECK(state->records == 3 && state->bad == 0);
  finish(state->heap);
  drop(state);
}

static void wait_inside(void *context, const weaveheap_log_record *record) {
  seen *state = (seen *)context;
  if (record->kind == WEAVEHEAP_LOG_EVENT) {
    state->entered = 1;
    usleep(100 * 1000);
    state->hold = 0;
  }
}

static void *log_once(void *ignored) {
  weaveheap_test_log(WEAVEHEAP_LOG_ERROR, 1);
  return ignored;
}

/* F4: when unregister returns, nobody is inside. */
static void unregistering_waits_for_calls_under_way(void) {
  seen *state = fresh();
  state->hold = 1;
  weaveheap_log_id_t id = weaveheap_log_register(wait_inside, state, WEAVEHEAP_LOG_ERROR, &err);
  REQUIRE(GIVES(id));
  pthread_t thread;
  REQUIRE(pthread_create(&thread, NULL, log_once, NULL) == 0);
  while (!__atomic_load_n(&state->entered, __ATOMIC_SEQ_CST)) usleep(1000);
  OK(weaveheap_log_unregister(id, &err));
  CHECK(__atomic_load_n(&state->hold, __ATOMIC_SEQ_CST) == 0);
  drop(state);
  pthread_join(thread, NULL);
}

static void *log_often(void *ignored) {
  for (int i = 0; i < 300; i++) weaveheap_test_log(WEAVEHEAP_LOG_ERROR, (uint64_t)i);
  return ignored;
}

static void threads_log_while_callbacks_come_and_go(void) {
  pthread_t threads[3];
  for (size_t i = 0; i < LENGTH(threads); i++) REQUIRE(pthread_create(&threads[i], NULL, log_often, NULL) == 0);
  for (int i = 0; i < 50; i++) {
    seen *state = fresh();
    weaveheap_log_id_t id = weaveheap_log_register(note, state, WEAVEHEAP_LOG_ERROR, &err);
    CHECK(GIVES(id));
    usleep(500);
    OK(weaveheap_log_unregister(id, &err));
    CHECK(state->bad == 0);
    drop(state);
  }
  for (size_t i = 0; i < LENGTH(threads); i++) pthread_join(threads[i], NULL);
}
#endif

const test_case log_tests[] = {
    {"bad_arguments_are_refused", bad_arguments_are_refused},
    {"a_collected_region_is_logged", a_collected_region_is_logged_to_a_callback_that_uses_the_heap},
    {"all_that_is_logged_may_be_answered", all_that_is_logged_may_be_answered_by_using_the_heap},
    {"the_recovery_of_a_killed_process_is_logged", the_recovery_of_a_killed_process_is_logged},
#ifdef WEAVEHEAP_TEST_SYMBOLS
    {"a_callback_gets_its_level_and_what_is_graver", a_callback_gets_its_level_and_what_is_graver},
    {"records_are_text_with_fields", records_are_text_with_fields},
    {"a_callback_may_unregister_itself", a_callback_may_unregister_itself},
    {"what_is_logged_inside_a_callback_is_dropped", what_is_logged_inside_a_callback_is_dropped},
    {"unregistering_waits_for_calls_under_way", unregistering_waits_for_calls_under_way},
    {"threads_log_while_callbacks_come_and_go", threads_log_while_callbacks_come_and_go},
#endif
    {NULL, NULL},
};
