/* Bad input from outside the program: files that are no heap or a damaged one, folders that are not the user's, a folder
 * without room, full tables, a borrow that is left by a jump (H3, H4, H5, F5). Each gives the code that its rule names, and
 * the heap that still stands passes `check`. */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#endif

/* Where a heap's file says what it is; all behind it is state. */
enum { IDENTITY = 80 };

/* The code of the call that came last, which was one too many. */
static bool ended_with(int32_t code) {
  return failed(__FILE__, __LINE__, "the last", code);
}

/* A folder with a heap in it that has something in it, whose attachments are gone. */
typedef struct image {
  char folder[32], path[48];
  unsigned char *bytes;
  size_t length;
} image;

static bool make_image(image *it) {
  strcpy(it->folder, "/tmp/weaveheap-c-XXXXXX");
  if (mkdtemp(it->folder) == NULL) return false;
  snprintf(it->path, sizeof it->path, "%s/heap", it->folder);
  weaveheap_heap_options options = test_options();
  options.limit = 2 << 20;
  weaveheap_heap *heap = weaveheap_heap_create_path(it->path, &options, &err);
  if (!GIVES(heap)) return false;
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 5000);
  OK(weaveheap_directory_publish(heap, "kept", buffer, &err));
  finish(heap);
  struct stat status;
  FILE *file = fopen(it->path, "rb");
  if (file == NULL || fstat(fileno(file), &status) != 0) return false;
  it->length = (size_t)status.st_size;
  it->bytes = (unsigned char *)malloc(it->length);
  bool read = it->bytes != NULL && fread(it->bytes, 1, it->length, file) == it->length;
  fclose(file);
  return read;
}

/* The file becomes these bytes; its mode stays. */
static void write_file(const image *it, const unsigned char *bytes, size_t length) {
  FILE *file = fopen(it->path, "wb");
  CHECK(file != NULL && fwrite(bytes, 1, length, file) == length);
  if (file != NULL) fclose(file);
}

static void flip(const image *it, size_t at, unsigned char mask) {
  FILE *file = fopen(it->path, "r+b");
  CHECK(file != NULL && fseek(file, (long)at, SEEK_SET) == 0 && fputc(it->bytes[at] ^ mask, file) != EOF);
  if (file != NULL) fclose(file);
}

/* The code that opening gives, which inspecting gives as well. A heap that opens is sound. */
static int32_t opening_gives(const char *path) {
  weaveheap_inspector *inspector = weaveheap_inspector_open_path(path, &err);
  int32_t code = err.code;
  CHECK((inspector == NULL) == (code != WEAVEHEAP_OK));
  weaveheap_error_clear(&err);
  weaveheap_inspector_release(inspector);
  weaveheap_heap *heap = weaveheap_heap_open_path(path, NULL, &err);
  CHECK((heap == NULL) == (err.code != WEAVEHEAP_OK));
  CHECK(err.code == code);
  weaveheap_error_clear(&err);
  if (heap != NULL) finish(heap);
  return code;
}

static bool refused_as_no_heap(const char *path) {
  int32_t code = opening_gives(path);
  return code == WEAVEHEAP_ERROR_INCOMPATIBLE || code == WEAVEHEAP_ERROR_CORRUPT;
}

/* What was done to the file was all that was wrong: with its own bytes it is a sound heap again. */
static void drop_image(image *it) {
  write_file(it, it->bytes, it->length);
  CHECK(opening_gives(it->path) == WEAVEHEAP_OK);
  OK(weaveheap_heap_remove_path(it->path, &err));
  CHECK(rmdir(it->folder) == 0);
  free(it->bytes);
}

static void a_truncated_file_is_refused(void) {
  image it;
  REQUIRE(make_image(&it));
  const size_t lengths[] = {0, 1, 8, IDENTITY - 1, IDENTITY, 4095, 4096, 65536, it.length / 2, it.length - 1};
  for (size_t i = 0; i < LENGTH(lengths); i++) {
    write_file(&it, it.bytes, lengths[i]);
    CHECK(refused_as_no_heap(it.path));
  }
  drop_image(&it);
}

static void a_file_that_is_no_heap_is_refused(void) {
  image it;
  REQUIRE(make_image(&it));
  const char *texts[] = {"x", "#!/bin/sh\necho no heap\n", "PK\003\004"};
  for (size_t i = 0; i < LENGTH(texts); i++) {
    write_file(&it, (const unsigned char *)texts[i], strlen(texts[i]));
    CHECK(opening_gives(it.path) == WEAVEHEAP_ERROR_INCOMPATIBLE);
    FAILS(WEAVEHEAP_ERROR_INCOMPATIBLE, weaveheap_heap_remove_path(it.path, &err));
  }
  unsigned char *zeros = (unsigned char *)calloc(1, it.length);
  REQUIRE(zeros != NULL);
  write_file(&it, zeros, it.length);
  CHECK(opening_gives(it.path) == WEAVEHEAP_ERROR_INCOMPATIBLE);
  free(zeros);
  CHECK(opening_gives(it.folder) == WEAVEHEAP_ERROR_INCOMPATIBLE);
  CHECK(opening_gives("/dev/zero") == WEAVEHEAP_ERROR_INCOMPATIBLE);
  drop_image(&it);
}

/* The version stands behind the magic; its refusal names both. */
static void another_layout_version_is_refused_naming_both(void) {
  image it;
  REQUIRE(make_image(&it));
  const unsigned char mask = 0x40;
  char ours[16], theirs[16];
  snprintf(ours, sizeof ours, "%u", weaveheap_abi_layout_version());
  snprintf(theirs, sizeof theirs, "%u", weaveheap_abi_layout_version() ^ mask);
  flip(&it, 8, mask);
  CHECK(opening_gives(it.path) == WEAVEHEAP_ERROR_INCOMPATIBLE);
  CHECK(weaveheap_heap_open_path(it.path, NULL, &err) == NULL);
  CHECK(err.message != NULL && strstr(err.message, ours) != NULL && strstr(err.message, theirs) != NULL);
  weaveheap_error_clear(&err);
  drop_image(&it);
}

static void every_flipped_byte_of_the_identity_is_refused(void) {
  image it;
  REQUIRE(make_image(&it));
  const unsigned char masks[] = {0x01, 0x80, 0xff};
  for (size_t at = 0; at < IDENTITY; at++) {
    for (size_t i = 0; i < LENGTH(masks); i++) {
      flip(&it, at, masks[i]);
      CHECK(refused_as_no_heap(it.path));
    }
    flip(&it, at, 0);
  }
  CHECK(opening_gives(it.path) == WEAVEHEAP_OK);
  drop_image(&it);
}

static void every_function_of_names_is_denied(const char *folder) {
  weaveheap_heap_options options = test_options();
  CHECK(setenv("WEAVEHEAP_DIR", folder, 1) == 0);
  REFUSES(WEAVEHEAP_ERROR_DENIED, weaveheap_heap_create("one", &options, &err));
  REFUSES(WEAVEHEAP_ERROR_DENIED, weaveheap_heap_open("one", NULL, &err));
  REFUSES(WEAVEHEAP_ERROR_DENIED, weaveheap_inspector_open("one", &err));
  REFUSES(WEAVEHEAP_ERROR_DENIED, weaveheap_heap_list_json(&err));
  FAILS(WEAVEHEAP_ERROR_DENIED, weaveheap_heap_remove("one", &err));
}

static void a_folder_that_is_not_the_users_alone_is_denied(void) {
  const char *usual = getenv("WEAVEHEAP_DIR");
  char before[4096], top[] = "/tmp/weaveheap-c-XXXXXX", folder[64], link[64], path[80], alias[80];
  snprintf(before, sizeof before, "%s", usual == NULL ? "" : usual);
  REQUIRE(mkdtemp(top) != NULL);
  snprintf(folder, sizeof folder, "%s/heaps", top);
  snprintf(link, sizeof link, "%s/link", top);
  snprintf(path, sizeof path, "%s/one", folder);
  snprintf(alias, sizeof alias, "%s/alias", folder);
  REQUIRE(mkdir(folder, 0700) == 0 && symlink(folder, link) == 0);

  every_function_of_names_is_denied(link);
  const mode_t open_to_others[] = {0755, 0770, 0707, 0777, 01777};
  for (size_t i = 0; i < LENGTH(open_to_others); i++) {
    CHECK(chmod(folder, open_to_others[i]) == 0);
    every_function_of_names_is_denied(folder);
  }
  CHECK(chmod(folder, 0700) == 0);
  /* Root makes a folder of another user's; everybody else has one that is root's. */
  bool root = geteuid() == 0;
  CHECK(!root || chown(folder, 65534, 65534) == 0);
  every_function_of_names_is_denied(root ? folder : "/");
  CHECK(!root || chown(folder, 0, 0) == 0);

  weaveheap_heap_options options = test_options();
  CHECK(setenv("WEAVEHEAP_DIR", folder, 1) == 0);
  weaveheap_heap *heap = weaveheap_heap_create("one", &options, &err);
  REQUIRE(GIVES(heap));
  /* Neither is a heap that is a link followed, nor one opened that others may touch. */
  CHECK(symlink(path, alias) == 0);
  REFUSES(WEAVEHEAP_ERROR_DENIED, weaveheap_heap_open("alias", NULL, &err));
  CHECK(unlink(alias) == 0 && chmod(path, 0644) == 0);
  REFUSES(WEAVEHEAP_ERROR_DENIED, weaveheap_heap_open("one", NULL, &err));
  CHECK(chmod(path, 0600) == 0);
  some_buffer(heap, some_region(heap), 100);
  finish(heap);
  OK(weaveheap_heap_remove("one", &err));
  CHECK(unlink(link) == 0 && rmdir(folder) == 0 && rmdir(top) == 0);
  CHECK((usual == NULL ? unsetenv("WEAVEHEAP_DIR") : setenv("WEAVEHEAP_DIR", before, 1)) == 0);
}

#ifdef __linux__
static bool write_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY);
  bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
  if (file >= 0) close(file);
  return written;
}

/* Puts a file system of 2 MiB over this folder, for this process alone. */
static bool mount_small_folder(const char *folder) {
  char users[64], groups[64];
  uid_t user = geteuid();
  snprintf(users, sizeof users, "%u %u 1", (unsigned)user, (unsigned)user);
  snprintf(groups, sizeof groups, "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
  if (unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  if (user != 0 && !(write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", users) &&
                     write_text("/proc/self/gid_map", groups))) {
    return false;
  }
  return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("tmpfs", folder, "tmpfs", 0, "size=2m,mode=0700") == 0;
}

void in_a_small_folder(const char *folder) {
  REQUIRE(mount_small_folder(folder) && setenv("WEAVEHEAP_DIR", folder, 1) == 0);
  weaveheap_heap_options options = test_options();
  weaveheap_heap *heap = weaveheap_heap_create("full", &options, &err);
  REQUIRE(GIVES(heap));
  weaveheap_handle_t region = some_region(heap), first = some_buffer(heap, region, 100000), buffer = first;
  /* The room ends in the middle of the first; then piece by piece, and no write into a view is the first to learn it. */
  REFUSES(WEAVEHEAP_ERROR_OUT_OF_MEMORY,
          weaveheap_buffer_alloc(heap, region, 64 << 20, 64, WEAVEHEAP_INIT_ZEROED, &err));
  OK(weaveheap_heap_check(heap, NULL, &err));
  int made = 0;
  for (; buffer != 0 && made < 30; made++) {
    weaveheap_view_mut view;
    OK(weaveheap_borrow_unique(heap, buffer, &view, &err));
    memset(view.data, 7, view.length);
    OK(weaveheap_borrow_end(heap, view.token, &err));
    buffer = weaveheap_buffer_alloc(heap, region, 100000, 64, WEAVEHEAP_INIT_ZEROED, &err);
  }
  CHECK(made > 3 && made < 30 && ended_with(WEAVEHEAP_ERROR_OUT_OF_MEMORY));
  OK(weaveheap_heap_check(heap, NULL, &err));
  OK(weaveheap_buffer_free(heap, first, &err));
  some_buffer(heap, region, 100000);
  OK(weaveheap_region_close(heap, region, &err));
  region = some_region(heap);
  some_buffer(heap, region, 100000);
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_heap_remove("full", &err));
  finish(heap);
}

static void a_full_folder_is_out_of_memory(void) {
  char folder[] = "/tmp/weaveheap-c-XXXXXX";
  REQUIRE(mkdtemp(folder) != NULL);
  CHECK(child_ended(start_child("small-folder", folder)) == 0);
  CHECK(rmdir(folder) == 0);
}
#endif

/* The smallest heap there is. */
static weaveheap_heap *small_heap(weaveheap_handle_t *region) {
  weaveheap_heap_options options = test_options();
  options.limit = 1;
  weaveheap_heap *heap = weaveheap_heap_private(&options, &err);
  if (GIVES(heap)) *region = some_region(heap);
  return heap;
}

static void a_heap_full_of_regions_is_refused_and_goes_on(void) {
  weaveheap_handle_t first = 0, last = 0, next;
  weaveheap_heap *heap = small_heap(&first);
  REQUIRE(first != 0);
  unsigned made = 0;
  while (made < 1000000 && (next = weaveheap_region_create(heap, NULL, 0, &err)) != 0) last = next, made++;
  CHECK(made > 10 && ended_with(WEAVEHEAP_ERROR_LIMIT_REACHED));
  OK(weaveheap_heap_check(heap, NULL, &err));
  OK(weaveheap_region_close(heap, last, &err));
  some_region(heap);
  finish(heap);
}

static void a_heap_full_of_buffers_is_refused_and_goes_on(void) {
  const uint64_t lengths[] = {0, 1, 1000, 100000};
  for (size_t i = 0; i < LENGTH(lengths); i++) {
    weaveheap_handle_t region = 0, last = 0, next;
    weaveheap_heap *heap = small_heap(&region);
    REQUIRE(region != 0);
    unsigned made = 0;
    while (made < 1000000 &&
           (next = weaveheap_buffer_alloc(heap, region, lengths[i], 64, WEAVEHEAP_INIT_ZEROED, &err)) != 0) {
      last = next;
      made++;
    }
    CHECK(made > 0 && ended_with(WEAVEHEAP_ERROR_OUT_OF_MEMORY));
    OK(weaveheap_heap_check(heap, NULL, &err));
    OK(weaveheap_buffer_free(heap, last, &err));
    some_buffer(heap, region, lengths[i]);
    OK(weaveheap_region_reset(heap, region, &err));
    some_buffer(heap, region, lengths[i]);
    finish(heap);
  }
}

static void a_heap_full_of_borrows_is_refused_and_goes_on(void) {
  enum { MOST = 1 << 20 };
  weaveheap_handle_t region = 0;
  weaveheap_heap *heap = small_heap(&region);
  weaveheap_token_t *tokens = (weaveheap_token_t *)malloc(MOST * sizeof *tokens);
  REQUIRE(region != 0 && tokens != NULL);
  weaveheap_handle_t buffer = some_buffer(heap, region, 8);
  weaveheap_view view;
  weaveheap_view_mut mut;
  size_t held = 0;
  while (held < MOST && weaveheap_borrow_shared(heap, buffer, &view, &err) == WEAVEHEAP_OK) tokens[held++] = view.token;
  CHECK(held > 100 && ended_with(WEAVEHEAP_ERROR_LIMIT_REACHED));
  OK(weaveheap_heap_check(heap, NULL, &err));
  OK(weaveheap_borrow_end(heap, tokens[held / 2], &err));
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  tokens[held / 2] = view.token;
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_region_close(heap, region, &err));
  for (size_t i = 0; i < held; i++) OK(weaveheap_borrow_end(heap, tokens[i], &err));
  STALE(weaveheap_borrow_end(heap, tokens[0], &err));
  OK(weaveheap_borrow_unique(heap, buffer, &mut, &err));
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  free(tokens);
  finish(heap);
}

static void a_full_directory_is_refused_and_goes_on(void) {
  weaveheap_handle_t region = 0;
  weaveheap_heap *heap = small_heap(&region);
  REQUIRE(region != 0);
  char name[32] = "n0";
  unsigned made = 0;
  while (made < 1000000 && weaveheap_directory_publish(heap, name, region, &err) == WEAVEHEAP_OK) {
    snprintf(name, sizeof name, "n%u", ++made);
  }
  CHECK(made >= 64 && ended_with(WEAVEHEAP_ERROR_LIMIT_REACHED));
  OK(weaveheap_heap_check(heap, NULL, &err));
  CHECK(weaveheap_directory_lookup(heap, "n63", &err) == region);
  OK(weaveheap_directory_unpublish(heap, "n0", &err));
  OK(weaveheap_directory_publish(heap, "another", region, &err));
  /* Names of what is stale make room for others. */
  OK(weaveheap_region_close(heap, region, &err));
  OK(weaveheap_directory_publish(heap, "fresh", some_region(heap), &err));
  finish(heap);
}

static void a_heap_full_of_attachments_is_refused_and_goes_on(void) {
  weaveheap_heap *attached[2000];
  weaveheap_handle_t region = 0;
  weaveheap_heap *heap = small_heap(&region);
  REQUIRE(region != 0);
  void *base = weaveheap_heap_base(heap, &err);
  size_t held = 0;
  while (held < LENGTH(attached) && (attached[held] = weaveheap_heap_attach(base, NULL, &err)) != NULL) held++;
  CHECK(held >= 15 && held < LENGTH(attached) && ended_with(WEAVEHEAP_ERROR_LIMIT_REACHED));
  OK(weaveheap_heap_check(attached[held / 2], NULL, &err));
  weaveheap_heap_release(attached[--held]);
  attached[held] = weaveheap_heap_attach(base, NULL, &err);
  CHECK(GIVES(attached[held]));
  some_buffer(attached[held], region, 100);
  for (size_t i = 0; i <= held; i++) weaveheap_heap_release(attached[i]);
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

typedef struct holder {
  pthread_t thread;
  weaveheap_heap *heap;
  weaveheap_handle_t buffer;
  pthread_mutex_t *gate;
  int32_t code;
  int began;
} holder;

/* Holds a borrow until the gate opens. */
static void *hold(void *context) {
  holder *self = (holder *)context;
  weaveheap_view view;
  self->code = weaveheap_borrow_shared(self->heap, self->buffer, &view, NULL);
  __atomic_store_n(&self->began, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_lock(self->gate);
  pthread_mutex_unlock(self->gate);
  if (self->code == WEAVEHEAP_OK) self->code = weaveheap_borrow_end(self->heap, view.token, NULL);
  return NULL;
}

static void a_heap_full_of_threads_is_refused_and_goes_on(void) {
  static holder holders[450];
  static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  weaveheap_handle_t region = 0;
  weaveheap_heap *heap = small_heap(&region);
  REQUIRE(region != 0);
  weaveheap_handle_t buffer = some_buffer(heap, region, 8);
  size_t started = 0;
  int32_t code = WEAVEHEAP_OK;
  pthread_mutex_lock(&gate);
  while (started < LENGTH(holders) && code == WEAVEHEAP_OK) {
    holder *next = &holders[started++];
    next->heap = heap, next->buffer = buffer, next->gate = &gate, next->began = 0;
    REQUIRE(pthread_create(&next->thread, NULL, hold, next) == 0);
    while (!__atomic_load_n(&next->began, __ATOMIC_SEQ_CST)) usleep(100);
    code = next->code;
  }
  CHECK(started > 10 && code == WEAVEHEAP_ERROR_LIMIT_REACHED);
  OK(weaveheap_heap_check(heap, NULL, &err));
  pthread_mutex_unlock(&gate);
  for (size_t i = 0; i < started; i++) {
    pthread_join(holders[i].thread, NULL);
    CHECK(holders[i].code == WEAVEHEAP_OK || i + 1 == started);
  }
  weaveheap_view_mut mut;
  OK(weaveheap_borrow_unique(heap, buffer, &mut, &err));
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  finish(heap);
}

/* An exception, or a jump in C, leaves a borrow: a guard of C++ ends it, and without one it stays on record. */
static void leave_a_borrow(weaveheap_heap *heap, weaveheap_handle_t buffer, weaveheap_token_t *token, jmp_buf *back) {
  weaveheap_view_mut view;
  OK(weaveheap_borrow_unique(heap, buffer, &view, &err));
  *token = view.token;
  view.data[0] = 1;
#ifdef __cplusplus
  (void)back;
  struct guard {
    weaveheap_heap *heap;
    weaveheap_token_t token;
    ~guard() { weaveheap_borrow_end(heap, token, NULL); }
  } held = {heap, view.token};
  throw 1;
#else
  longjmp(*back, 1);
#endif
}

static void a_borrow_that_is_left_by_a_jump_can_be_ended(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 8);
  weaveheap_token_t token = 0;
  weaveheap_view_mut mut;
  jmp_buf back;
#ifdef __cplusplus
  bool thrown = false;
  try {
    leave_a_borrow(heap, buffer, &token, &back);
  } catch (int) {
    thrown = true;
  }
  CHECK(thrown);
#else
  if (setjmp(back) == 0) leave_a_borrow(heap, buffer, &token, &back);
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_buffer_free(heap, buffer, &err));
  OK(weaveheap_heap_check(heap, NULL, &err));
  OK(weaveheap_borrow_end(heap, token, &err));
#endif
  STALE(weaveheap_borrow_end(heap, token, &err));
  OK(weaveheap_borrow_unique(heap, buffer, &mut, &err));
  CHECK(mut.data[0] == 1);
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

const test_case bad_input_tests[] = {
    {"a_truncated_file_is_refused", a_truncated_file_is_refused},
    {"a_file_that_is_no_heap_is_refused", a_file_that_is_no_heap_is_refused},
    {"another_layout_version_is_refused_naming_both", another_layout_version_is_refused_naming_both},
    {"every_flipped_byte_of_the_identity_is_refused", every_flipped_byte_of_the_identity_is_refused},
    {"a_folder_that_is_not_the_users_alone_is_denied", a_folder_that_is_not_the_users_alone_is_denied},
#ifdef __linux__
    {"a_full_folder_is_out_of_memory", a_full_folder_is_out_of_memory},
#endif
    {"a_heap_full_of_regions_is_refused_and_goes_on", a_heap_full_of_regions_is_refused_and_goes_on},
    {"a_heap_full_of_buffers_is_refused_and_goes_on", a_heap_full_of_buffers_is_refused_and_goes_on},
    {"a_heap_full_of_borrows_is_refused_and_goes_on", a_heap_full_of_borrows_is_refused_and_goes_on},
    {"a_full_directory_is_refused_and_goes_on", a_full_directory_is_refused_and_goes_on},
    {"a_heap_full_of_attachments_is_refused_and_goes_on", a_heap_full_of_attachments_is_refused_and_goes_on},
    {"a_heap_full_of_threads_is_refused_and_goes_on", a_heap_full_of_threads_is_refused_and_goes_on},
    {"a_borrow_that_is_left_by_a_jump_can_be_ended", a_borrow_that_is_left_by_a_jump_can_be_ended},
    {NULL, NULL},
};
