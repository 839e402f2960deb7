/* Runs the conformance cases through the public C API, as conformance/README.md says.
 *
 *     runner FOLDER           every case of FOLDER/cases must pass
 *     runner FOLDER --wrong   every case of FOLDER/wrong must fail where it says
 *
 * The operations are in operations.h, what a running case has in case.h, the JSON reader in json.h. */
#include "operations.h"

static const char *const NEEDS[] = {"shared",     "two_attachments", "tokens",   "region_handles", "buffer_info",
                                    "address",    "raw_text",        "validate_text"};

/* `keys` are words; one with a question mark may be absent, one with a star is a handle that "heap" may go with. */
static void known_keys(const json *object, const char *keys, const char *what) {
  char found[512];
  for (const json *member = object->child; member != NULL; member = member->next) {
    snprintf(found, sizeof found, " %s ", keys);
    for (char *c = found; *c != '\0'; c++) *c = *c == '?' ? ' ' : *c;
    char word[160];
    snprintf(word, sizeof word, " %.150s ", member->key);
    if (strstr(found, word) == NULL) fail("%s has an unknown key \"%s\"", what, member->key);
  }
  snprintf(found, sizeof found, "%s", keys);
  for (char *word = strtok(found, " "); word != NULL; word = strtok(NULL, " ")) {
    if (strchr(word, '?') == NULL && json_get(object, word) == NULL) fail("%s lacks the key \"%s\"", what, word);
  }
}

/* An object has the keys that are asked for; a list of kinds is compared in any order. */
static bool same(const json *expected, const json *found) {
  if (found == NULL || expected->kind != found->kind) return false;
  switch (expected->kind) {
    case JSON_NULL: return true;
    case JSON_BOOL:
    case JSON_NUMBER: return expected->number == found->number;
    case JSON_TEXT:
      return expected->length == found->length && memcmp(expected->text, found->text, found->length) == 0;
    case JSON_OBJECT:
      for (const json *member = expected->child; member != NULL; member = member->next) {
        if (!same(member, json_get(found, member->key))) return false;
      }
      return true;
    case JSON_ARRAY: break;
  }
  size_t counts[2][3] = {{0, 0, 0}, {0, 0, 0}};
  for (int side = 0; side < 2; side++) {
    for (const json *item = (side == 0 ? expected : found)->child; item != NULL; item = item->next) {
      counts[side][json_is_text(item, "shared") ? 0 : json_is_text(item, "unique") ? 1 : 2]++;
    }
  }
  return memcmp(counts[0], counts[1], sizeof counts[0]) == 0 && counts[0][2] == 0;
}

/* The holders of the refusal: of this process and runtime, alive, of the step's buffer or region, and of these kinds. */
static void judge_holders(const json *expected) {
  json *holders = taken_json(weaveheap_error_last_holders_json(NULL)), kinds = {JSON_ARRAY, NULL, NULL, 0, 0, NULL, NULL};
  const char *subject = weaveheap_handle_to_text(run.subject, NULL);
  bool good = true;
  for (json *holder = holders->child; holder != NULL; holder = holder->next) {
    good = good && json_is_text(json_get(holder, "runtime"), "c") && json_get(holder, "alive")->number == 1 &&
           json_get(holder, "process")->number == (double)getpid() &&
           (run.subject == 0 || json_is_text(json_get(holder, "handle"), subject) ||
            json_is_text(json_get(holder, "region"), subject));
    json *kind = taken_json(NULL);
    kind->kind = JSON_TEXT;
    kind->text = strdup(json_get(holder, "kind")->text);
    kind->length = strlen(kind->text);
    kind->next = kinds.child;
    kinds.child = kind;
  }
  good = good && same(expected, &kinds);
  json_free(kinds.child);
  json_free(holders);
  weaveheap_free_string(subject);
  if (!good) fail("the error carries other holders: %s", run.err.message);
}

static void judge(const operation *op, int32_t code) {
  const json *expect = json_get(run.step, "expect"), *first = expect == NULL ? NULL : expect->child;
  if (expect == NULL || json_get(expect, "error") == NULL) {
    if (code != WEAVEHEAP_OK) fail("expected success, came %s", run.err.message);
  }
  if (expect == NULL) {
    bool kept = op->result == 'H' && json_get(run.step, "as") != NULL;
    if (strchr("VBH", op->result) != NULL && !kept) fail("the step has a result and no expectation");
  } else if (first == NULL || (first->next != NULL && json_get(expect, "error") == NULL)) {
    fail("the expectation is of no known kind");
  } else if (json_get(expect, "error") != NULL) {
    known_keys(expect, "error holders?", "the expectation");
    const json *error = json_get(expect, "error");
    int32_t expected = error->kind == JSON_TEXT ? weaveheap_error_number(error->text) : -1;
    if (expected <= 0) fail("the expectation names no error code");
    if (code != expected) {
      fail("expected %s, came %s", error->text, code == WEAVEHEAP_OK ? "success" : run.err.message);
    }
    if (json_get(expect, "holders") != NULL) judge_holders(json_get(expect, "holders"));
  } else if (strcmp(first->key, "value") == 0 && op->result == 'V') {
    if (!same(first, run.value)) fail("expected another value than came");
  } else if (strcmp(first->key, "hex") == 0 && op->result == 'B') {
    uint8_t *bytes;
    size_t length = from_hex(first, &bytes);
    if (length != run.length || memcmp(bytes, run.bytes, length) != 0) fail("expected other bytes than came");
  } else if (strcmp(first->key, "text") == 0 && op->result == 'B') {
    if (first->length != run.length || memcmp(first->text, run.bytes, run.length) != 0) {
      fail("expected the text \"%s\", came \"%.*s\"", first->text, (int)run.length, (const char *)run.bytes);
    }
  } else if (strcmp(first->key, "handle") == 0 && op->result == 'H') {
    if (find(first->text, HANDLE)->bits != run.bits) fail("expected another handle than came");
  } else {
    fail("no such expectation of \"%s\" is known", op->name);
  }
}

static void step(const json *at) {
  run.step = at;
  forget_step();
  const json *name = json_get(at, "do"), *as = json_get(at, "as");
  const operation *op = OPERATIONS;
  while (op->name != NULL && !json_is_text(name, op->name)) op++;
  if (op->name == NULL) fail("the operation is unknown");
  known_keys(at, op->keys, op->name);
  if (as != NULL && known(as->text)) fail("the name \"%s\" is given twice", as->text);
  int32_t code = op->does();
  judge(op, code);
  if (code == WEAVEHEAP_OK && run.made != NULL && as != NULL) keep_made(as->text);
  forget_step();
}

/* Where a case failed: a step's number from 1, 0 for the file itself, -1 after the last step, -2 nowhere. */
static int run_case(const json *test, const char *extra) {
  volatile int at = 0;
  int failed = -2;
  begin_case();
  if (setjmp(run.failed) != 0) {
    failed = at;
  } else {
    char keys[64];
    snprintf(keys, sizeof keys, "title rules needs? heap? steps %s", extra);
    if (test == NULL || test->kind != JSON_OBJECT) fail("the file is no JSON object");
    known_keys(test, keys, "the case");
    const json *needs = json_get(test, "needs"), *heap = json_get(test, "heap");
    for (const json *need = needs == NULL ? NULL : needs->child; need != NULL; need = need->next) {
      size_t index = 0;
      while (index < sizeof NEEDS / sizeof *NEEDS && !json_is_text(need, NEEDS[index])) index++;
      if (index == sizeof NEEDS / sizeof *NEEDS) fail("the need \"%s\" is unknown", need->text);
    }
    if (heap != NULL && heap->kind == JSON_OBJECT) known_keys(heap, "kind limit? verify? inspect?", "the heap");
    if (heap == NULL || heap->kind != JSON_NULL) make_first_heap(heap);
    for (const json *next = json_get(test, "steps")->child; next != NULL; next = next->next) {
      at++;
      step(next);
    }
    at = -1;
    verify_end();
  }
  end_case();
  return failed;
}

static json *load(const char *path) {
  FILE *file = fopen(path, "rb");
  char *text = (char *)calloc(1, 1 << 20);
  if (file == NULL || text == NULL || fread(text, 1, (1 << 20) - 1, file) == 0) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(2);
  }
  fclose(file);
  json *value = json_parse(text);
  free(text);
  return value;
}

static int expected_failure(const json *test) {
  const json *at = json_get(test, "fails_at");
  return at == NULL ? -2 : at->kind == JSON_NUMBER ? (int)at->number : json_is_text(at, "end") ? -1 : 0;
}

static unsigned passed, failures;

static void run_file(const char *path, const char *name, bool wrong) {
  json *test = load(path);
  int at = run_case(test, wrong ? "fails_at" : "");
  if (at == (wrong ? expected_failure(test) : -2)) {
    passed++;
  } else {
    failures++;
    if (at == -2) printf("FAILED %s: it failed nowhere\n", name);
    else if (at == -1) printf("FAILED %s: after the last step: %s\n", name, run.why);
    else printf("FAILED %s: step %d: %s\n", name, at, run.why);
  }
  json_free(test);
}

static int visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

/* Every .json file of a folder and of those in it, by name. */
static void run_folder(const char *folder, const char *prefix, bool wrong) {
  struct dirent **entries;
  int count = scandir(folder, &entries, visible, alphasort);
  for (int i = 0; i < count; i++) {
    char path[2048], name[512];
    const char *found = entries[i]->d_name, *dot = strrchr(found, '.');
    snprintf(path, sizeof path, "%s/%s", folder, found);
    if (dot != NULL && strcmp(dot, ".json") == 0) {
      snprintf(name, sizeof name, "%s%.*s", prefix, (int)(dot - found), found);
      run_file(path, name, wrong);
    } else {
      snprintf(name, sizeof name, "%s/", found);
      run_folder(path, name, wrong);
    }
    free(entries[i]);
  }
  if (count >= 0) free(entries);
}

int main(int argc, char **argv) {
  bool wrong = argc == 3 && strcmp(argv[2], "--wrong") == 0;
  if (argc != 2 && !wrong) return fprintf(stderr, "usage: %s FOLDER [--wrong]\n", argv[0]), 2;
  char path[1024];
  snprintf(path, sizeof path, "%s/manifest.json", argv[1]);
  json *manifest = load(path);
  const json *count = json_get(manifest, wrong ? "wrong" : "cases");
  snprintf(path, sizeof path, "%s/%s", argv[1], wrong ? "wrong" : "cases");
  run_folder(path, "", wrong);
  bool all = count != NULL && count->number == (double)(passed + failures);
  if (!all) printf("FAILED: the manifest says that there are %g cases\n", count == NULL ? 0.0 : count->number);
  json_free(manifest);
  printf("%u passed, %u failed\n", passed, failures + !all);
  printf("conformance%s: %u passed, %u failed, 0 not applicable\n", wrong ? " (wrong cases)" : "", passed,
         failures + !all);
  return failures == 0 && all && passed > 0 ? 0 : 1;
}
