/* One conformance case while it runs: its names, the arguments of its steps, its heaps, and what it leaves behind. */
#ifndef CASE_H
#define CASE_H

#include "json.h"
#include "weaveheap.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef enum thing_kind { HEAP, HANDLE, VIEW, TOKEN, MARK } thing_kind;

typedef struct thing {
  const char *name;
  thing_kind kind;
  struct thing *heap, *next; /* heap: where it belongs */
  uint64_t bits;             /* a handle; a view's buffer; a mark's region, 0 for the heap */
  weaveheap_token_t token;
  weaveheap_heap *object;
  uint8_t *data;
  size_t length;
  bool open; /* a view: not released; a heap: attached */
  json *counters;
} thing;

static struct {
  jmp_buf failed;
  char why[4096], unique[25], temp[64];
  const json *step;
  thing *things, *made;
  char *removals[64]; /* names of shared heaps */
  size_t removal_count;
  weaveheap_error err;
  json *value;
  const uint8_t *bytes;
  size_t length;
  uint64_t bits, subject;
  void *scratch[16];
  size_t scratch_count;
} run;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(run.why, sizeof run.why, format, arguments);
  va_end(arguments);
  longjmp(run.failed, 1);
}

/* ---- Arguments ---- */

static void *scratch(void *memory) {
  if (memory == NULL || run.scratch_count == 16) abort();
  return run.scratch[run.scratch_count++] = memory;
}

/* The JSON of a string of the library's, which is released; an empty tree for null. */
static json *taken_json(const char *text) {
  json *value = text == NULL ? (json *)calloc(1, sizeof *value) : json_parse(text);
  if (value == NULL) fail("the library's JSON cannot be read: %s", text);
  weaveheap_free_string(text);
  return value;
}

static const json *arg(const char *key) {
  return json_get(run.step, key);
}

static uint64_t number(const char *key, uint64_t otherwise) {
  const json *value = arg(key);
  if (value == NULL) return otherwise;
  return value->kind == JSON_TEXT ? strtoull(value->text, NULL, 10) : (uint64_t)value->number;
}

/* A text with {unique} and {temp} replaced. */
static const char *text(const char *key, size_t *length) {
  const json *value = arg(key);
  if (value == NULL || value->kind != JSON_TEXT) return NULL;
  char *out = (char *)scratch(calloc(1, value->length + 256));
  size_t used = 0;
  for (const char *from = value->text; from < value->text + value->length;) {
    const char *with = strncmp(from, "{unique}", 8) == 0 ? run.unique : strncmp(from, "{temp}", 6) == 0 ? run.temp : NULL;
    if (with == NULL) {
      out[used++] = *from++;
      continue;
    }
    if (used + strlen(with) > value->length + 250) fail("a text has too many places");
    used += (size_t)sprintf(out + used, "%s", with);
    from += with == run.unique ? 8 : 6;
  }
  if (length != NULL) *length = used;
  return out;
}

static size_t from_hex(const json *hex, uint8_t **bytes) {
  size_t count = hex->length / 2;
  *bytes = (uint8_t *)scratch(calloc(1, count + 1));
  for (size_t i = 0; i < count; i++) {
    char digits[3] = {hex->text[2 * i], hex->text[2 * i + 1], '\0'};
    (*bytes)[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  return count;
}

static thing *known(const char *name) {
  thing *found = run.things;
  while (found != NULL && strcmp(found->name, name) != 0) found = found->next;
  return found;
}

static thing *find(const char *name, thing_kind kind) {
  thing *found = known(name);
  if (found == NULL || found->kind != kind) fail("nothing of that kind is called \"%s\"", name);
  return found;
}

static thing *named(const char *key, thing_kind kind) {
  const json *name = arg(key);
  if (name == NULL || name->kind != JSON_TEXT) fail("\"%s\" is no name", key);
  return find(name->text, kind);
}

static thing *told_heap(thing *otherwise) {
  return arg("heap") != NULL ? named("heap", HEAP) : otherwise != NULL ? otherwise : find("h", HEAP);
}

/* The handle under a key, and the heap that it is to be used through. */
static uint64_t handle(const char *key, weaveheap_heap **heap) {
  thing *found = json_is_text(arg(key), "null") ? NULL : named(key, HANDLE);
  *heap = told_heap(found == NULL ? NULL : found->heap)->object;
  return run.subject = found == NULL ? 0 : found->bits;
}

static thing *make(thing_kind kind, thing *heap, uint64_t bits) {
  free(run.made);
  run.made = (thing *)calloc(1, sizeof *run.made);
  if (run.made == NULL) abort();
  run.made->kind = kind;
  run.made->heap = heap;
  run.made->bits = bits;
  return run.made;
}

static void value_text(const char *words) {
  run.value = json_parse(words);
}

static void value_number(uint64_t found) {
  char words[32];
  snprintf(words, sizeof words, "%llu", (unsigned long long)found);
  value_text(words);
}

/* ---- Heaps ---- */

static int32_t made_heap(weaveheap_heap *object) {
  if (object == NULL) return run.err.code;
  make(HEAP, NULL, 0)->object = object;
  run.made->open = true;
  return run.err.code;
}

static weaveheap_heap_options options(const json *from) {
  weaveheap_heap_options given = WEAVEHEAP_HEAP_OPTIONS_INIT;
  const json *limit = json_get(from, "limit"), *verify = json_get(from, "verify"), *inspect = json_get(from, "inspect");
  const char *most = getenv("WEAVEHEAP_TEST_LIMIT"); /* tools that cannot map 64 GiB set it */
  given.limit = limit != NULL ? (uint64_t)limit->number : most != NULL ? strtoull(most, NULL, 10) : 0;
  given.verify = verify != NULL && verify->number != 0;
  given.inspect = inspect != NULL && inspect->number != 0;
  return given;
}

static void remove_later(const char *name) {
  if (run.removal_count == 64) abort();
  run.removals[run.removal_count++] = strdup(name);
}

/* ---- The life of a case ---- */

static void keep_made(const char *name) {
  run.made->name = name;
  run.made->next = run.things;
  run.things = run.made;
  run.made = NULL;
}

static void forget_step(void) {
  if (run.made != NULL) {
    weaveheap_heap_release(run.made->object);
    json_free(run.made->counters);
    free(run.made);
  }
  run.made = NULL;
  json_free(run.value);
  run.value = NULL;
  while (run.scratch_count > 0) free(run.scratch[--run.scratch_count]);
  weaveheap_error_clear(&run.err);
  run.subject = 0;
}

static void begin_case(void) {
  static unsigned count;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  memset(&run, 0, sizeof run);
  snprintf(run.unique, sizeof run.unique, "%08x%08x%08x", (unsigned)getpid(), (unsigned)now.tv_nsec, ++count);
  snprintf(run.temp, sizeof run.temp, "/tmp/weaveheap-XXXXXX");
  if (mkdtemp(run.temp) == NULL) abort();
}

static void make_first_heap(const json *heap) {
  weaveheap_heap_options given = options(heap);
  const json *kind = json_get(heap, "kind");
  int32_t code;
  if (json_is_text(kind, "shared")) {
    code = made_heap(weaveheap_heap_create(run.unique, &given, &run.err));
    if (code == WEAVEHEAP_OK) remove_later(run.unique);
  } else if (kind == NULL || json_is_text(kind, "private")) {
    code = made_heap(weaveheap_heap_private(&given, &run.err));
  } else {
    fail("the heap is of an unknown kind");
  }
  if (code != WEAVEHEAP_OK) fail("the heap cannot be made: %s", run.err.message);
  keep_made("h");
}

static void verify_end(void) {
  for (thing *heap = run.things; heap != NULL; heap = heap->next) {
    if (heap->kind != HEAP || !heap->open) continue;
    json *all = taken_json(weaveheap_heap_stats_json(heap->object, NULL));
    bool borrowed = json_get(all, "borrows") == NULL || json_get(all, "borrows")->child != NULL;
    json_free(all);
    if (borrowed) fail("the heap \"%s\" has live borrows", heap->name);
    if (weaveheap_heap_check(heap->object, NULL, &run.err) != WEAVEHEAP_OK) fail("check: %s", run.err.message);
  }
  for (thing *heap = run.things; heap != NULL; heap = heap->next) {
    if (heap->kind != HEAP || !heap->open) continue;
    if (weaveheap_heap_detach(heap->object, &run.err) != WEAVEHEAP_OK) fail("detach: %s", run.err.message);
  }
}

/* Lets go of everything without complaint. */
static void end_case(void) {
  forget_step();
  for (thing *left = run.things; left != NULL; left = left->next) {
    if ((left->kind == VIEW && left->open) || left->kind == TOKEN) {
      weaveheap_borrow_end(left->heap->object, left->token, NULL);
    }
  }
  while (run.things != NULL) {
    thing *left = run.things;
    run.things = left->next;
    weaveheap_heap_release(left->object);
    json_free(left->counters);
    free(left);
  }
  while (run.removal_count > 0) {
    char *name = run.removals[--run.removal_count];
    weaveheap_heap_remove(name, NULL);
    free(name);
  }
  DIR *folder = opendir(run.temp);
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", run.temp, entry->d_name);
    unlink(path);
  }
  if (folder != NULL) closedir(folder);
  rmdir(run.temp);
}

#endif
