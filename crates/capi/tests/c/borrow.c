#include "harness.h"
#include "meeting.h"

#include <pthread.h>

static void shared_and_unique_exclude_each_other(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 64);
  weaveheap_view first, second;
  weaveheap_view_mut mut = {NULL, 0, 0};
  OK(weaveheap_borrow_shared(heap, buffer, &first, &err));
  OK(weaveheap_borrow_shared(heap, buffer, &second, &err));
  CHECK(first.data == second.data && first.token != second.token);
  CHECK(weaveheap_borrow_unique(heap, buffer, &mut, &err) == WEAVEHEAP_ERROR_BORROW_CONFLICT);
  CHECK(mut.data == NULL && mut.token == 0);
  CHECK(err.message != NULL && strstr(err.message, "shared borrow") != NULL);
  weaveheap_error_clear(&err);
  OK(weaveheap_borrow_end(heap, first.token, &err));
  OK(weaveheap_borrow_end(heap, second.token, &err));
  OK(weaveheap_borrow_unique(heap, buffer, &mut, &err));
  FAILS(WEAVEHEAP_ERROR_BORROW_CONFLICT, weaveheap_borrow_shared(heap, buffer, &first, &err));
  weaveheap_view_mut other;
  FAILS(WEAVEHEAP_ERROR_BORROW_CONFLICT, weaveheap_borrow_unique(heap, buffer, &other, &err));
  memset(mut.data, 0xab, mut.length);
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  OK(weaveheap_borrow_shared(heap, buffer, &first, &err));
  CHECK(first.data[0] == 0xab && first.data[63] == 0xab && first.length == 64);
  OK(weaveheap_borrow_end(heap, first.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void a_token_ends_once(void) {
  weaveheap_heap *heap = private_heap(), *other = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 64);
  weaveheap_view view;
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  const weaveheap_token_t tokens[] = {0, 1, UINT64_MAX, view.token ^ (UINT64_C(1) << 24),
                                      view.token ^ (UINT64_C(1) << 63), view.token ^ 1, view.token ^ 0x800000};
  for (size_t i = 0; i < LENGTH(tokens); i++) STALE(weaveheap_borrow_end(heap, tokens[i], &err));
  STALE(weaveheap_borrow_end(other, view.token, &err));
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_buffer_free(heap, buffer, &err));
  OK(weaveheap_borrow_end(heap, view.token, &err));
  STALE(weaveheap_borrow_end(heap, view.token, &err));
  CHECK(weaveheap_borrow_end(heap, view.token, NULL) == WEAVEHEAP_ERROR_STALE_HANDLE);
  weaveheap_view next;
  OK(weaveheap_borrow_shared(heap, buffer, &next, &err));
  CHECK(next.token != view.token);
  STALE(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_borrow_end(heap, next.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
  finish(other);
}

enum { ROUNDS = 300, THREADS = 4 };

typedef struct shared_state {
  weaveheap_heap *heap;
  weaveheap_handle_t buffer;
  weaveheap_token_t tokens[ROUNDS];
  int arrived;
} shared_state;

static void *end_all(void *given) {
  shared_state *state = (shared_state *)given;
  uintptr_t ended = 0;
  meet(&state->arrived, THREADS);
  for (int i = 0; i < ROUNDS; i++) {
    int32_t code = weaveheap_borrow_end(state->heap, state->tokens[i], NULL);
    if (code == WEAVEHEAP_OK) ended++;
    else if (code != WEAVEHEAP_ERROR_STALE_HANDLE) ended += 1000000;
  }
  return (void *)ended;
}

/* B3, B7: any thread ends a borrow, and of several that end the same one, one succeeds. */
static void of_two_threads_that_end_a_token_one_succeeds(void) {
  shared_state state;
  state.heap = private_heap();
  weaveheap_handle_t region = some_region(state.heap);
  state.buffer = some_buffer(state.heap, region, 64);
  for (int i = 0; i < ROUNDS; i++) {
    weaveheap_view view;
    OK(weaveheap_borrow_shared(state.heap, state.buffer, &view, &err));
    state.tokens[i] = view.token;
  }
  pthread_t threads[THREADS];
  state.arrived = 0;
  for (int i = 0; i < THREADS; i++) REQUIRE(pthread_create(&threads[i], NULL, end_all, &state) == 0);
  uintptr_t ended = 0;
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    ended += (uintptr_t)result;
  }
  CHECK(ended == ROUNDS);
  OK(weaveheap_region_close(state.heap, region, &err));
  finish(state.heap);
}

static void *write_alone(void *given) {
  shared_state *state = (shared_state *)given;
  uintptr_t wrong = 0;
  meet(&state->arrived, THREADS);
  for (int done = 0; done < ROUNDS;) {
    weaveheap_view_mut view;
    int32_t code = weaveheap_borrow_unique(state->heap, state->buffer, &view, NULL);
    if (code == WEAVEHEAP_ERROR_BORROW_CONFLICT) continue;
    if (code != WEAVEHEAP_OK) return (void *)(uintptr_t)1;
    uint64_t count;
    memcpy(&count, view.data, sizeof count);
    count++;
    memcpy(view.data, &count, sizeof count);
    if (weaveheap_borrow_end(state->heap, view.token, NULL) != WEAVEHEAP_OK) wrong++;
    done++;
  }
  return (void *)wrong;
}

static void unique_borrows_of_many_threads_lose_no_write(void) {
  shared_state state;
  state.heap = private_heap();
  weaveheap_handle_t region = some_region(state.heap);
  state.buffer = some_buffer(state.heap, region, 64);
  pthread_t threads[THREADS];
  state.arrived = 0;
  for (int i = 0; i < THREADS; i++) REQUIRE(pthread_create(&threads[i], NULL, write_alone, &state) == 0);
  for (int i = 0; i < THREADS; i++) {
    void *wrong;
    pthread_join(threads[i], &wrong);
    CHECK(wrong == NULL);
  }
  weaveheap_view view;
  OK(weaveheap_borrow_shared(state.heap, state.buffer, &view, &err));
  uint64_t count;
  memcpy(&count, view.data, sizeof count);
  CHECK(count == (uint64_t)ROUNDS * THREADS);
  OK(weaveheap_borrow_end(state.heap, view.token, &err));
  OK(weaveheap_region_close(state.heap, region, &err));
  finish(state.heap);
}

static void null_arguments_are_refused(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 64);
  weaveheap_view view;
  weaveheap_view_mut mut;
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_borrow_shared(NULL, buffer, &view, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_borrow_shared(heap, buffer, NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_borrow_unique(NULL, buffer, &mut, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_borrow_unique(heap, buffer, NULL, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_borrow_end(NULL, 1, &err));
  CHECK(weaveheap_borrow_shared(NULL, buffer, NULL, NULL) == WEAVEHEAP_ERROR_INVALID_ARGUMENT);
  OK(weaveheap_buffer_free(heap, buffer, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

const test_case borrow_tests[] = {
    {"shared_and_unique_exclude_each_other", shared_and_unique_exclude_each_other},
    {"a_token_ends_once", a_token_ends_once},
    {"of_two_threads_that_end_a_token_one_succeeds", of_two_threads_that_end_a_token_one_succeeds},
    {"unique_borrows_of_many_threads_lose_no_write", unique_borrows_of_many_threads_lose_no_write},
    {"null_arguments_are_refused", null_arguments_are_refused},
    {NULL, NULL},
};
