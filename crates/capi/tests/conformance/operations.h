/* What a step of a conformance case may do, each operation by one call of the public C API. */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "case.h"

/* ---- Heaps ---- */

static int32_t do_private_heap(void) {
  weaveheap_heap_options given = options(run.step);
  return made_heap(weaveheap_heap_private(&given, &run.err));
}

static int32_t do_create_heap(void) {
  weaveheap_heap_options given = options(run.step);
  const char *name = text("name", NULL), *path = text("path", NULL);
  if ((name == NULL) == (path == NULL)) fail("a shared heap has a name or a path");
  if (path != NULL) return made_heap(weaveheap_heap_create_path(path, &given, &run.err));
  int32_t code = made_heap(weaveheap_heap_create(name, &given, &run.err));
  if (code == WEAVEHEAP_OK) remove_later(name);
  return code;
}

static int32_t do_open_heap(void) {
  const char *name = text("name", NULL), *path = text("path", NULL);
  if ((name == NULL) == (path == NULL)) fail("a shared heap has a name or a path");
  return made_heap(path != NULL ? weaveheap_heap_open_path(path, NULL, &run.err)
                                : weaveheap_heap_open(name, NULL, &run.err));
}

static int32_t do_remove_heap(void) {
  const char *name = text("name", NULL), *path = text("path", NULL);
  if ((name == NULL) == (path == NULL)) fail("a shared heap has a name or a path");
  return path != NULL ? weaveheap_heap_remove_path(path, &run.err) : weaveheap_heap_remove(name, &run.err);
}

static int32_t do_detach(void) {
  thing *heap = named("heap", HEAP);
  int32_t code = weaveheap_heap_detach(heap->object, &run.err);
  if (code == WEAVEHEAP_OK) heap->open = false;
  return code;
}

static int32_t do_check(void) {
  return weaveheap_heap_check(named("heap", HEAP)->object, NULL, &run.err);
}

static int32_t do_write_file(void) {
  size_t length;
  const char *path = text("path", NULL), *words = text("text", &length);
  FILE *file = path == NULL || words == NULL ? NULL : fopen(path, "wb");
  if (file == NULL || fwrite(words, 1, length, file) != length || fclose(file) != 0) fail("the file cannot be written");
  return WEAVEHEAP_OK;
}

/* ---- Regions ---- */

static int32_t do_create_region(void) {
  thing *heap = told_heap(NULL);
  uint64_t bits = weaveheap_region_create(heap->object, text("name", NULL), number("limit", 0), &run.err);
  make(HANDLE, heap, bits);
  return run.err.code;
}

#define ON_HANDLE(function, key, call)      \
  static int32_t do_##function(void) {      \
    weaveheap_heap *heap;                   \
    uint64_t bits = handle(key, &heap);     \
    return call(heap, bits, &run.err);      \
  }
ON_HANDLE(reset, "region", weaveheap_region_reset)
ON_HANDLE(close, "region", weaveheap_region_close)
ON_HANDLE(close_when_idle, "region", weaveheap_region_close_when_idle)
ON_HANDLE(free, "buffer", weaveheap_buffer_free)
ON_HANDLE(freeze, "buffer", weaveheap_buffer_freeze)
ON_HANDLE(clear_poison, "buffer", weaveheap_buffer_clear_poison)

static int32_t do_wait_idle(void) {
  weaveheap_heap *heap;
  uint64_t bits = handle("region", &heap);
  return weaveheap_region_wait_idle(heap, bits, arg("timeout")->number, &run.err);
}

/* A copy of the region's entry in the statistics, or the whole of them for 0. */
static json *statistics(weaveheap_heap *heap, uint64_t region, const char *part) {
  json *all = taken_json(weaveheap_heap_stats_json(heap, NULL)), *found = all;
  if (region != 0) {
    const char *name = weaveheap_handle_to_text(region, NULL);
    for (found = json_get(all, "regions")->child; found != NULL; found = found->next) {
      if (json_is_text(json_get(found, "handle"), name)) break;
    }
    weaveheap_free_string(name);
  }
  json *wanted = found == NULL || part == NULL ? found : json_get(found, part);
  json *copy = (json *)calloc(1, sizeof *copy);
  if (wanted != NULL) {
    copy->kind = wanted->kind;
    copy->child = wanted->child;
    wanted->child = NULL;
  }
  json_free(all);
  return copy;
}

static int32_t do_region_info(void) {
  weaveheap_heap *heap;
  uint64_t bits = handle("region", &heap);
  weaveheap_region_info_t info = {sizeof info, 0, 0, 0, 0, 0, 0, 0, 0};
  int32_t code = weaveheap_region_info(heap, bits, &info, &run.err);
  if (code != WEAVEHEAP_OK) return code;
  run.value = statistics(heap, bits, NULL);
  const json *buffers = json_get(run.value, "buffers");
  if (buffers == NULL || buffers->number != (double)info.buffers) fail("the region's info and the statistics differ");
  return code;
}

/* ---- Buffers and strings ---- */

static int32_t made_buffer(uint64_t bits) {
  make(HANDLE, told_heap(json_is_text(arg("region"), "null") ? NULL : named("region", HANDLE)->heap), bits);
  return run.err.code;
}

static int32_t do_alloc(void) {
  weaveheap_heap *heap;
  uint64_t region = handle("region", &heap);
  uint32_t init = json_is_text(arg("init"), "uninit") ? WEAVEHEAP_INIT_UNINIT : WEAVEHEAP_INIT_ZEROED;
  uint64_t align = number("align", WEAVEHEAP_ALIGN_DEFAULT);
  return made_buffer(weaveheap_buffer_alloc(heap, region, number("length", 0), align, init, &run.err));
}

static int32_t do_string(void) {
  weaveheap_heap *heap;
  uint64_t region = handle("region", &heap);
  size_t length;
  const char *words = text("text", &length);
  return made_buffer(weaveheap_string_alloc(heap, region, words, length, &run.err));
}

static int32_t do_string_bytes(void) {
  weaveheap_heap *heap;
  uint64_t region = handle("region", &heap);
  uint8_t *bytes;
  size_t length = from_hex(arg("hex"), &bytes);
  return made_buffer(weaveheap_string_alloc(heap, region, (const char *)bytes, length, &run.err));
}

static int32_t do_length(void) {
  weaveheap_heap *heap;
  uint64_t bits = handle("buffer", &heap);
  value_number(weaveheap_buffer_length(heap, bits, &run.err));
  return run.err.code;
}

static int32_t do_buffer_info(void) {
  weaveheap_heap *heap;
  uint64_t bits = handle("buffer", &heap);
  weaveheap_buffer_info_t info = {sizeof info, 0, 0, 0, 0, 0, false, false, false};
  int32_t code = weaveheap_buffer_info(heap, bits, &info, &run.err);
  char words[256];
#define TRUTH(value) ((value) ? "true" : "false")
  snprintf(words, sizeof words,
           "{\"length\":%llu,\"shared\":%u,\"unique\":%s,\"frozen\":%s,\"poisoned\":%s}",
           (unsigned long long)info.length, (unsigned)info.shared, TRUTH(info.unique), TRUTH(info.frozen),
           TRUTH(info.poisoned));
  value_text(words);
  return code;
}

/* ---- Borrows ---- */

static int32_t borrow(thing_kind kind, bool unique) {
  weaveheap_heap *heap;
  uint64_t bits = handle("buffer", &heap);
  weaveheap_view view = {NULL, 0, 0};
  weaveheap_view_mut mut = {NULL, 0, 0};
  int32_t code = unique ? weaveheap_borrow_unique(heap, bits, &mut, &run.err)
                        : weaveheap_borrow_shared(heap, bits, &view, &run.err);
  if (code != WEAVEHEAP_OK) return code;
  thing *of = named("buffer", HANDLE), *made = make(kind, told_heap(of->heap), bits);
  made->token = unique ? mut.token : view.token;
  made->data = unique ? mut.data : (uint8_t *)(uintptr_t)view.data;
  made->length = unique ? mut.length : view.length;
  made->open = true;
  return code;
}

static int32_t do_borrow_shared(void) {
  return borrow(VIEW, false);
}

static int32_t do_borrow_unique(void) {
  return borrow(VIEW, true);
}

static int32_t do_begin(void) {
  if (!json_is_text(arg("kind"), "unique") && !json_is_text(arg("kind"), "shared")) fail("the kind is unknown");
  return borrow(TOKEN, json_is_text(arg("kind"), "unique"));
}

static int32_t do_release(void) {
  thing *view = named("view", VIEW);
  if (!view->open) return WEAVEHEAP_OK;
  view->open = false;
  return weaveheap_borrow_end(view->heap->object, view->token, &run.err);
}

static int32_t do_end(void) {
  thing *token = named("token", TOKEN);
  return weaveheap_borrow_end(told_heap(token->heap)->object, token->token, &run.err);
}

static thing *open_view(size_t *at) {
  thing *view = named("view", VIEW);
  *at = (size_t)number("at", 0);
  if (!view->open || *at > view->length) fail("the view does not reach there");
  return view;
}

static int32_t do_write(void) {
  size_t at, length;
  thing *view = open_view(&at);
  uint8_t *bytes = NULL;
  const char *words = text("text", &length);
  if (words == NULL) length = from_hex(arg("hex"), &bytes);
  if (length > view->length - at) fail("the view does not reach there");
  memcpy(view->data + at, words != NULL ? words : (const char *)bytes, length);
  return WEAVEHEAP_OK;
}

static int32_t do_read(void) {
  size_t at;
  thing *view = open_view(&at);
  run.length = (size_t)number("length", view->length - at);
  if (run.length > view->length - at) fail("the view does not reach there");
  run.bytes = view->data + at;
  return WEAVEHEAP_OK;
}

static int32_t do_view_length(void) {
  size_t at;
  value_number(open_view(&at)->length);
  return WEAVEHEAP_OK;
}

static int32_t do_view_aligned(void) {
  size_t at;
  value_text(TRUTH((uintptr_t)open_view(&at)->data % number("to", 1) == 0));
  return WEAVEHEAP_OK;
}

static int32_t do_validate_text(void) {
  size_t at;
  thing *view = open_view(&at);
  weaveheap_string_view string;
  int32_t code = weaveheap_string_borrow(view->heap->object, view->bits, &string, &run.err);
  if (code != WEAVEHEAP_OK) return code;
  run.length = string.length;
  run.bytes = (const uint8_t *)memcpy(scratch(malloc(string.length + 1)), string.data, string.length);
  return weaveheap_borrow_end(view->heap->object, string.token, &run.err);
}

/* ---- Handles and tokens as data ---- */

static uint64_t forged(uint64_t bits) {
  const json *mask = arg("xor");
  return mask == NULL ? bits : bits ^ strtoull(mask->text, NULL, 16);
}

static int32_t do_forge(void) {
  thing *from = arg("handle") == NULL ? NULL : named("handle", HANDLE);
  make(HANDLE, from == NULL ? find("h", HEAP) : from->heap, forged(from == NULL ? number("bits", 0) : from->bits));
  return WEAVEHEAP_OK;
}

static int32_t do_forge_token(void) {
  thing *from = arg("token") == NULL ? NULL : named("token", TOKEN);
  uint64_t bits = forged(from == NULL ? number("bits", 0) : from->token);
  make(TOKEN, from == NULL ? find("h", HEAP) : from->heap, 0)->token = bits;
  return WEAVEHEAP_OK;
}

static int32_t do_compare(void) {
  weaveheap_heap *ignored;
  uint64_t a = handle("a", &ignored), b = handle("b", &ignored);
  value_text(TRUTH(a == b));
  return WEAVEHEAP_OK;
}

static int32_t do_holders(void) {
  weaveheap_heap *heap;
  uint64_t bits = handle("handle", &heap);
  json *holders = taken_json(weaveheap_heap_holders_json(heap, bits, &run.err));
  char words[4096] = "[";
  for (json *holder = holders->child; holder != NULL; holder = holder->next) {
    size_t used = strlen(words);
    snprintf(words + used, sizeof words - used, "%s\"%s\"", used > 1 ? "," : "", json_get(holder, "kind")->text);
  }
  json_free(holders);
  value_text(strcat(words, "]"));
  return run.err.code;
}

static int32_t do_format_handle(void) {
  const char *found = weaveheap_handle_to_text(number("bits", 0), &run.err);
  char words[64];
  snprintf(words, sizeof words, "\"%s\"", found == NULL ? "" : found);
  weaveheap_free_string(found);
  value_text(words);
  return run.err.code;
}

static int32_t do_parse_handle(void) {
  char words[32];
  uint64_t bits = weaveheap_handle_from_text(text("text", NULL), &run.err);
  snprintf(words, sizeof words, "\"%llu\"", (unsigned long long)bits);
  value_text(words);
  return run.err.code;
}

static int32_t do_text_of(void) {
  weaveheap_heap *ignored;
  uint64_t bits = handle("handle", &ignored);
  const char *found = weaveheap_handle_to_text(bits, &run.err);
  char words[] = "\"?\"";
  words[1] = found == NULL ? '?' : found[0];
  bool back = weaveheap_handle_from_text(found, &run.err) == bits;
  weaveheap_free_string(found);
  if (!back) fail("the text is not read back as the same handle");
  value_text(words);
  return run.err.code;
}

/* ---- The directory and the counters ---- */

static int32_t do_publish(void) {
  weaveheap_heap *heap;
  uint64_t bits = handle("handle", &heap);
  return weaveheap_directory_publish(heap, text("name", NULL), bits, &run.err);
}

static int32_t do_lookup(void) {
  thing *heap = told_heap(NULL);
  const char *name = text("name", NULL);
  run.bits = arg("timeout") == NULL
                 ? weaveheap_directory_lookup(heap->object, name, &run.err)
                 : weaveheap_directory_lookup_wait(heap->object, name, arg("timeout")->number, &run.err);
  if (arg("as") != NULL) make(HANDLE, heap, run.bits);
  return run.err.code;
}

static int32_t do_unpublish(void) {
  return weaveheap_directory_unpublish(told_heap(NULL)->object, text("name", NULL), &run.err);
}

static int32_t do_mark(void) {
  thing *of = known(arg("of")->text);
  if (of == NULL || (of->kind != HEAP && of->kind != HANDLE)) fail("nothing with counters has that name");
  thing *heap = of->kind == HEAP ? of : of->heap;
  json *counters = statistics(heap->object, of->bits, "counters");
  make(MARK, heap, of->bits)->counters = counters;
  return WEAVEHEAP_OK;
}

static int32_t do_counted(void) {
  thing *mark = named("since", MARK);
  json *now = statistics(mark->heap->object, mark->bits, "counters");
  const json *expected = json_get(arg("expect"), "value");
  run.value = (json *)calloc(1, sizeof *run.value);
  run.value->kind = JSON_OBJECT;
  for (json *key = expected == NULL ? NULL : expected->child; key != NULL; key = key->next) {
    json *after = json_path(now, key->key), *before = json_path(mark->counters, key->key);
    if (after == NULL || before == NULL || after->kind != JSON_NUMBER) {
      json_free(now);
      fail("no counter is called \"%s\"", key->key);
    }
    json *grown = (json *)calloc(1, sizeof *grown);
    grown->kind = JSON_NUMBER;
    grown->key = strdup(key->key);
    grown->number = after->number - before->number;
    grown->next = run.value->child;
    run.value->child = grown;
  }
  json_free(now);
  return WEAVEHEAP_OK;
}

/* ---- The table: result is N none, T a thing, V a value, B bytes, H a handle ---- */

typedef struct operation {
  const char *name, *keys;
  char result;
  int32_t (*does)(void);
} operation;

static const operation OPERATIONS[] = {
    {"private_heap", "do expect? limit? verify? inspect? as", 'T', do_private_heap},
    {"create_heap", "do expect? name? path? limit? verify? inspect? as", 'T', do_create_heap},
    {"open_heap", "do expect? name? path? as", 'T', do_open_heap},
    {"remove_heap", "do expect? name? path?", 'N', do_remove_heap},
    {"detach", "do expect? heap", 'N', do_detach},
    {"check", "do expect? heap", 'N', do_check},
    {"write_file", "do expect? path text", 'N', do_write_file},
    {"create_region", "do expect? name? limit? heap? as", 'T', do_create_region},
    {"reset", "do expect? heap? region", 'N', do_reset},
    {"close", "do expect? heap? region", 'N', do_close},
    {"close_when_idle", "do expect? heap? region", 'N', do_close_when_idle},
    {"wait_idle", "do expect? heap? region timeout", 'N', do_wait_idle},
    {"region_info", "do expect? heap? region", 'V', do_region_info},
    {"alloc", "do expect? heap? region length align? init? as", 'T', do_alloc},
    {"string", "do expect? heap? region text as", 'T', do_string},
    {"string_bytes", "do expect? heap? region hex as", 'T', do_string_bytes},
    {"free", "do expect? heap? buffer", 'N', do_free},
    {"freeze", "do expect? heap? buffer", 'N', do_freeze},
    {"clear_poison", "do expect? heap? buffer", 'N', do_clear_poison},
    {"length", "do expect? heap? buffer", 'V', do_length},
    {"buffer_info", "do expect? heap? buffer", 'V', do_buffer_info},
    {"borrow_shared", "do expect? heap? buffer as", 'T', do_borrow_shared},
    {"borrow_unique", "do expect? heap? buffer as", 'T', do_borrow_unique},
    {"release", "do expect? view", 'N', do_release},
    {"write", "do expect? view at? hex? text?", 'N', do_write},
    {"read", "do expect? view at? length?", 'B', do_read},
    {"view_length", "do expect? view", 'V', do_view_length},
    {"view_aligned", "do expect? view to", 'V', do_view_aligned},
    {"validate_text", "do expect? view", 'B', do_validate_text},
    {"begin", "do expect? heap? buffer kind as", 'T', do_begin},
    {"end", "do expect? heap? token", 'N', do_end},
    {"forge_token", "do expect? token? bits? xor? as", 'T', do_forge_token},
    {"forge", "do expect? handle? bits? xor? as", 'T', do_forge},
    {"compare", "do expect? heap? a b", 'V', do_compare},
    {"holders", "do expect? heap? handle", 'V', do_holders},
    {"format_handle", "do expect? bits", 'V', do_format_handle},
    {"parse_handle", "do expect? text", 'V', do_parse_handle},
    {"text_of", "do expect? heap? handle", 'V', do_text_of},
    {"publish", "do expect? heap? name handle", 'N', do_publish},
    {"lookup", "do expect? heap? name timeout? as?", 'H', do_lookup},
    {"unpublish", "do expect? heap? name", 'N', do_unpublish},
    {"mark", "do expect? of as", 'T', do_mark},
    {"counted", "do expect? since", 'V', do_counted},
    {NULL, NULL, 'N', NULL},
};

#endif
