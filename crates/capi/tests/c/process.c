/* Two processes on one shared heap, and what a forked child inherits. The second process is this program again. */
#include "harness.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t start_child(const char *role, const char *name) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    execl(program, program, "--child", role, name, (char *)NULL);
    _exit(99);
  }
  return child;
}

int child_ended(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* With `fork`, a child of it outlives it, with all that it had open; the number is in the bytes. */
static void die(const char *role, weaveheap_view_mut *mut) {
  if (strcmp(role, "fork") == 0) {
    pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    memcpy(mut->data, &child, sizeof child);
  }
  kill(getpid(), SIGKILL);
}

/* The second process: it changes the bytes of `table`, holds `held` until `done` is published, and says 0. */
int child_main(const char *role, const char *name) {
#ifdef __linux__
  if (strcmp(role, "small-folder") == 0) {
    in_a_small_folder(name);
    return failures() == 0 ? 0 : 1;
  }
#endif
  weaveheap_heap *heap = weaveheap_heap_open(name, NULL, &err);
  if (heap == NULL) return 10;
  weaveheap_handle_t table = weaveheap_directory_lookup_wait(heap, "table", 20, &err);
  weaveheap_view_mut mut;
  weaveheap_view view;
  if (table == 0 || weaveheap_borrow_unique(heap, table, &mut, &err) != WEAVEHEAP_OK) return 11;
  for (size_t i = 0; i < mut.length; i++) mut.data[i] = (uint8_t)(mut.data[i] * 2);
  if (strcmp(role, "die") == 0 || strcmp(role, "fork") == 0) die(role, &mut);
  if (weaveheap_borrow_end(heap, mut.token, &err) != WEAVEHEAP_OK) return 12;
  if (weaveheap_borrow_shared(heap, table, &view, &err) != WEAVEHEAP_OK) return 13;
  if (weaveheap_directory_publish(heap, "changed", table, &err) != WEAVEHEAP_OK) return 14;
  if (weaveheap_directory_lookup_wait(heap, "done", 20, &err) == 0) return 15;
  if (view.data[1] != 2) return 16;
  if (weaveheap_borrow_end(heap, view.token, &err) != WEAVEHEAP_OK) return 17;
  if (weaveheap_heap_detach(heap, &err) != WEAVEHEAP_OK) return 18;
  weaveheap_heap_release(heap);
  return 0;
}

static weaveheap_heap *shared_table(const char *name, weaveheap_handle_t *region, weaveheap_handle_t *table) {
  weaveheap_heap_options options = test_options();
  weaveheap_heap *heap = weaveheap_heap_create(name, &options, &err);
  if (!GIVES(heap)) return NULL;
  *region = some_region(heap);
  *table = some_buffer(heap, *region, 100);
  weaveheap_view_mut mut;
  OK(weaveheap_borrow_unique(heap, *table, &mut, &err));
  for (size_t i = 0; i < mut.length; i++) mut.data[i] = (uint8_t)i;
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  OK(weaveheap_directory_publish(heap, "table", *table, &err));
  return heap;
}

static void two_processes_share_exclude_and_wait(void) {
  const char *name = fresh_name();
  weaveheap_handle_t region = 0, table = 0;
  weaveheap_heap *heap = shared_table(name, &region, &table);
  REQUIRE(heap != NULL);
  pid_t child = start_child("reader", name);
  REQUIRE(child > 0);
  CHECK(weaveheap_directory_lookup_wait(heap, "changed", 20, &err) == table);
  weaveheap_view view;
  weaveheap_view_mut mut;
  OK(weaveheap_borrow_shared(heap, table, &view, &err));
  CHECK(view.data[1] == 2 && view.data[50] == 100);
  OK(weaveheap_borrow_end(heap, view.token, &err));

  char process[32];
  snprintf(process, sizeof process, "process %ld", (long)child);
  CHECK(weaveheap_borrow_unique(heap, table, &mut, &err) == WEAVEHEAP_ERROR_BORROW_CONFLICT);
  CHECK(err.message != NULL && strstr(err.message, process) != NULL);
  weaveheap_error_clear(&err);
  CHECK(weaveheap_region_close(heap, region, &err) == WEAVEHEAP_ERROR_BORROWED);
  CHECK(err.message != NULL && strstr(err.message, process) != NULL);
  weaveheap_error_clear(&err);
  FAILS(WEAVEHEAP_ERROR_TIMEOUT, weaveheap_region_wait_idle(heap, region, 0.05, &err));
  OK(weaveheap_directory_publish(heap, "done", region, &err));
  OK(weaveheap_region_wait_idle(heap, region, 20, &err));
  CHECK(child_ended(child) == 0);
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_heap_remove(name, &err));
  finish(heap);
}

/* C2: what a dead process could have half written is poisoned until somebody looks. */
static void a_writer_that_dies_leaves_poison(void) {
  const char *name = fresh_name();
  weaveheap_handle_t region = 0, table = 0;
  weaveheap_heap *heap = shared_table(name, &region, &table);
  REQUIRE(heap != NULL);
  pid_t child = start_child("die", name);
  REQUIRE(child > 0);
  CHECK(child_ended(child) == 1000 + SIGKILL);
  weaveheap_view view;
  FAILS(WEAVEHEAP_ERROR_POISONED, weaveheap_borrow_shared(heap, table, &view, &err));
  weaveheap_buffer_info_t info = {sizeof info, 0, 0, 0, 0, 0, false, false, false};
  OK(weaveheap_buffer_info(heap, table, &info, &err));
  CHECK(info.poisoned);
  OK(weaveheap_buffer_clear_poison(heap, table, &err));
  OK(weaveheap_borrow_shared(heap, table, &view, &err));
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_heap_remove(name, &err));
  finish(heap);
}

/* H7: the child is no attachment, and what it inherited ends nothing. It answers through a pipe: its exit status is that
 * of the leak checkers, for which what the parent's threads own is lost in the child. */
static void a_forked_child_is_not_attached(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 64);
  weaveheap_view view;
  int answer[2];
  unsigned char wrong = 0xff;
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  REQUIRE(pipe(answer) == 0);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    weaveheap_view other;
    wrong = weaveheap_borrow_shared(heap, buffer, &other, NULL) != WEAVEHEAP_ERROR_NOT_ATTACHED;
    wrong |= (weaveheap_borrow_end(heap, view.token, NULL) != WEAVEHEAP_ERROR_NOT_ATTACHED) << 1;
    wrong |= (weaveheap_region_close(heap, region, NULL) != WEAVEHEAP_ERROR_NOT_ATTACHED) << 2;
    wrong |= (weaveheap_heap_check(heap, NULL, NULL) != WEAVEHEAP_ERROR_NOT_ATTACHED) << 3;
    wrong |= (weaveheap_region_create(heap, NULL, 0, NULL) != 0) << 4;
    _exit(write(answer[1], &wrong, 1) == 1 ? 0 : 1);
  }
  REQUIRE(child > 0);
  CHECK(read(answer[0], &wrong, 1) == 1 && wrong == 0);
  child_ended(child);
  close(answer[0]);
  close(answer[1]);
  CHECK(view.data[0] == 0);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

/* H7: without exec, the child attaches anew, and that is an attachment like any other. */
static void a_forked_child_attaches_anew(void) {
  const char *name = fresh_name();
  weaveheap_handle_t region = 0, table = 0;
  weaveheap_heap *heap = shared_table(name, &region, &table);
  REQUIRE(heap != NULL);
  weaveheap_view view;
  OK(weaveheap_borrow_shared(heap, table, &view, &err));
  int answer[2];
  unsigned char wrong = 0xff;
  REQUIRE(pipe(answer) == 0);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    weaveheap_view own;
    weaveheap_view_mut mut;
    weaveheap_heap *anew = weaveheap_heap_open(name, NULL, NULL);
    wrong = anew == NULL;
    wrong |= (weaveheap_borrow_end(anew, view.token, NULL) != WEAVEHEAP_ERROR_STALE_HANDLE) << 1;
    wrong |= (weaveheap_borrow_unique(anew, table, &mut, NULL) != WEAVEHEAP_ERROR_BORROW_CONFLICT) << 2;
    wrong |= (weaveheap_borrow_shared(anew, table, &own, NULL) != WEAVEHEAP_OK || own.data[50] != 50) << 3;
    wrong |= (weaveheap_heap_detach(anew, NULL) != WEAVEHEAP_ERROR_BORROWED) << 4;
    wrong |= (weaveheap_borrow_end(anew, own.token, NULL) != WEAVEHEAP_OK) << 5;
    wrong |= (weaveheap_heap_detach(anew, NULL) != WEAVEHEAP_OK) << 6;
    _exit(write(answer[1], &wrong, 1) == 1 ? 0 : 1);
  }
  REQUIRE(child > 0);
  CHECK(read(answer[0], &wrong, 1) == 1 && wrong == 0);
  child_ended(child);
  close(answer[0]);
  close(answer[1]);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_heap_remove(name, &err));
  finish(heap);
}

/* C1: what a dead process held is recovered though its child lives, which has its mark of life open too. */
static void a_forked_child_that_outlives_its_parent_holds_nothing(void) {
  const char *name = fresh_name();
  weaveheap_handle_t region = 0, table = 0;
  weaveheap_heap *heap = shared_table(name, &region, &table);
  REQUIRE(heap != NULL);
  pid_t parent = start_child("fork", name), child = 0;
  REQUIRE(parent > 0);
  CHECK(child_ended(parent) == 1000 + SIGKILL);
  weaveheap_view view;
  FAILS(WEAVEHEAP_ERROR_POISONED, weaveheap_borrow_shared(heap, table, &view, &err));
  OK(weaveheap_buffer_clear_poison(heap, table, &err));
  OK(weaveheap_borrow_shared(heap, table, &view, &err));
  memcpy(&child, view.data, sizeof child);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  REQUIRE(child > 1);
  CHECK(kill(child, 0) == 0);
  CHECK(kill(child, SIGKILL) == 0);
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_heap_remove(name, &err));
  finish(heap);
}

const test_case process_tests[] = {
    {"two_processes_share_exclude_and_wait", two_processes_share_exclude_and_wait},
    {"a_writer_that_dies_leaves_poison", a_writer_that_dies_leaves_poison},
    {"a_forked_child_is_not_attached", a_forked_child_is_not_attached},
    {"a_forked_child_attaches_anew", a_forked_child_attaches_anew},
    {"a_forked_child_that_outlives_its_parent_holds_nothing", a_forked_child_that_outlives_its_parent_holds_nothing},
    {NULL, NULL},
};
