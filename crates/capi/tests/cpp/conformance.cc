// Runs the conformance cases through the public C++ API, as conformance/README.md says. It lacks no need.
//
//     conformance FOLDER           every case of FOLDER/cases must pass
//     conformance FOLDER --wrong   every case of FOLDER/wrong must fail where it says
//
// The JSON reader is that of the C runner; the operations are in operations.h.
#include "operations.h"

static const char* const NEEDS[] = {"shared",  "two_attachments", "tokens",   "region_handles", "buffer_info",
                                    "address", "raw_text",        "validate_text"};

// `keys` are words; one with a question mark may be absent.
static void known_keys(const json* object, const std::string& keys, const std::string& what) {
  std::set<std::string> known;
  std::istringstream words(keys);
  for (std::string word; words >> word;) {
    const bool optional = word.back() == '?';
    if (optional) word.pop_back();
    known.insert(word);
    if (!optional && json_get(object, word.c_str()) == nullptr) fail(what + " lacks the key " + word);
  }
  for (const json* member = object->child; member != nullptr; member = member->next) {
    if (known.count(member->key) == 0) fail(what + " has an unknown key " + member->key);
  }
}

// An object has the keys that are asked for; a list of kinds is compared in any order.
static bool same(const json* expected, const json* found) {
  if (found == nullptr || expected->kind != found->kind) return false;
  switch (expected->kind) {
    case JSON_NULL: return true;
    case JSON_BOOL:
    case JSON_NUMBER: return expected->number == found->number;
    case JSON_TEXT: return text_of(expected) == text_of(found);
    case JSON_OBJECT:
      for (const json* member = expected->child; member != nullptr; member = member->next) {
        if (!same(member, json_get(found, member->key))) return false;
      }
      return true;
    case JSON_ARRAY: break;
  }
  return kinds(expected) == kinds(found);
}

// The holders of the refusal: of this process and runtime, alive, of the step's buffer or region, and of these kinds.
static void judge_holders(const json* expected, const Error& error) {
  const Json holders = parse(error.holders());
  std::multiset<std::string> found;
  const std::string subject = MUST(run.subject.text());
  for (const json* holder = holders->child; holder != nullptr; holder = holder->next) {
    found.insert(text_of(json_get(holder, "kind")));
    const bool ours = json_is_text(json_get(holder, "runtime"), "cpp") && json_get(holder, "alive")->number == 1 &&
                      json_get(holder, "process")->number == static_cast<double>(getpid());
    const bool about = run.subject.is_null() || json_is_text(json_get(holder, "handle"), subject.c_str()) ||
                       json_is_text(json_get(holder, "region"), subject.c_str());
    if (!ours || !about) fail("the error carries other holders: " + error.holders());
  }
  if (found != kinds(expected)) fail("the error carries other holders: " + error.holders());
}

static void judge(const Operation& op, const Result<void>& came) {
  const json *expect = arg("expect"), *first = expect == nullptr ? nullptr : expect->child;
  const json* error = json_get(expect, "error");
  if (error == nullptr && !came) fail(std::string("expected success, came ") + came.error().what());
  if (expect == nullptr) {
    const bool kept = op.result == 'H' && arg("as") != nullptr;
    if (std::strchr("VBH", op.result) != nullptr && !kept) fail("the step has a result and no expectation");
  } else if (error != nullptr) {
    known_keys(expect, "error holders?", "the expectation");
    const std::int32_t code = error->kind == JSON_TEXT ? weaveheap_error_number(error->text) : -1;
    if (code <= 0) fail("the expectation names no error code");
    if (came.code() != static_cast<ErrorCode>(code)) {
      fail(std::string("expected ") + error->text + ", came " + (came ? "success" : came.error().what()));
    }
    if (const json* holders = json_get(expect, "holders")) judge_holders(holders, came.error());
  } else if (first == nullptr || first->next != nullptr) {
    fail("the expectation is of no known kind");
  } else if (std::strcmp(first->key, "value") == 0 && op.result == 'V') {
    if (!same(first, run.value.get())) fail("expected another value than came");
  } else if (std::strcmp(first->key, "hex") == 0 && op.result == 'B') {
    if (from_hex(first) != run.bytes) fail("expected other bytes than came");
  } else if (std::strcmp(first->key, "text") == 0 && op.result == 'B') {
    if (text_of(first) != run.bytes) fail("expected the text \"" + text_of(first) + "\", came \"" + run.bytes + "\"");
  } else if (std::strcmp(first->key, "handle") == 0 && op.result == 'H') {
    if (thing<Named>(text_of(first)).handle != run.found) fail("expected another handle than came");
  } else {
    fail(std::string("no such expectation of ") + op.name + " is known");
  }
}

static void step(const json* at) {
  run.step = at;
  run.made.reset();
  run.value.reset();
  run.subject = Handle{};
  const json* as = arg("as");
  const Operation* op = OPERATIONS;
  while (op->name != nullptr && !json_is_text(arg("do"), op->name)) op++;
  if (op->name == nullptr) fail("the operation is unknown");
  known_keys(at, op->keys, op->name);
  if (as != nullptr && run.things.count(text_of(as)) != 0) fail("the name " + text_of(as) + " is given twice");
  Result<void> came;
  try {
    op->does();
  } catch (const Error& error) {
    came = error;
  }
  judge(*op, came);
  if (came && run.made.has_value() && as != nullptr) run.things.emplace(text_of(as), std::move(*run.made));
}

static void make_first_heap(const json* heap) {
  const json* kind = json_get(heap, "kind");
  if (json_is_text(kind, "shared")) {
    run.removals.push_back(run.unique);
    run.things.emplace("h", MUST(Heap::create(run.unique, options(heap))));
  } else if (kind == nullptr || json_is_text(kind, "private")) {
    run.things.emplace("h", MUST(Heap::private_heap(options(heap))));
  } else {
    fail("the heap is of an unknown kind");
  }
}

static void verify_end() {
  for (const bool detaching : {false, true}) {
    for (auto& [name, found] : run.things) {
      const Heap* heap = std::get_if<Heap>(&found);
      if (heap == nullptr || MUST(heap->info()).detached) continue;
      if (detaching) {
        MUST(heap->detach());
        continue;
      }
      const Json all = parse(MUST(heap->stats_json()));
      const json* borrows = json_get(all.get(), "borrows");
      if (borrows == nullptr || borrows->child != nullptr) fail("the heap " + name + " has live borrows");
      MUST(heap->check());
    }
  }
}

// Lets go of everything without complaint.
static void end_case() {
  for (auto& [name, found] : run.things) {
    if (Left* left = std::get_if<Left>(&found)) static_cast<void>(attempt([&] { return left->heap->end(left->token); }));
  }
  for (const std::string& name : run.removals) static_cast<void>(attempt([&] { return Heap::remove(name); }));
  std::filesystem::remove_all(run.temp);
  run = Run();
}

// Where a case failed: a step's number from 1, 0 for the file itself, -1 after the last step, -2 nowhere.
static int run_case(const json* test, const std::string& extra, std::string& why) {
  int at = 0;
  try {
    begin_case();
    if (test == nullptr || test->kind != JSON_OBJECT) fail("the file is no JSON object");
    known_keys(test, "title rules needs? heap? steps " + extra, "the case");
    const json *needs = json_get(test, "needs"), *heap = json_get(test, "heap");
    for (const json* need = needs == nullptr ? nullptr : needs->child; need != nullptr; need = need->next) {
      const auto is = [&](const char* known) { return json_is_text(need, known); };
      if (std::none_of(std::begin(NEEDS), std::end(NEEDS), is)) fail("the need " + text_of(need) + " is unknown");
    }
    if (heap != nullptr && heap->kind == JSON_OBJECT) known_keys(heap, "kind limit? verify? inspect?", "the heap");
    if (heap == nullptr || heap->kind != JSON_NULL) make_first_heap(heap);
    for (const json* next = json_get(test, "steps")->child; next != nullptr; next = next->next) {
      at++;
      step(next);
    }
    at = -1;
    verify_end();
    at = -2;
  } catch (const std::exception& error) {
    why = error.what();
  }
  end_case();
  return at;
}

static Json load(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream words;
  words << file.rdbuf();
  return Json(json_parse(words.str().c_str()));
}

static int expected_failure(const json* test, bool wrong) {
  const json* at = json_get(test, "fails_at");
  if (!wrong || at == nullptr) return -2;
  return at->kind == JSON_NUMBER ? static_cast<int>(at->number) : json_is_text(at, "end") ? -1 : 0;
}

int main(int argc, char** argv) {
  const bool wrong = argc == 3 && std::strcmp(argv[2], "--wrong") == 0;
  if (argc != 2 && !wrong) return std::fprintf(stderr, "usage: %s FOLDER [--wrong]\n", argv[0]), 2;
  const std::filesystem::path folder(argv[1]), cases = folder / (wrong ? "wrong" : "cases");
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cases)) {
    if (entry.path().extension() == ".json") files.insert(entry.path());
  }
  unsigned passed = 0, failed = 0;
  for (const auto& file : files) {
    const Json test = load(file);
    std::string why = "it failed nowhere";
    const int at = run_case(test.get(), wrong ? "fails_at" : "", why);
    if (at == expected_failure(test.get(), wrong)) {
      passed++;
      continue;
    }
    failed++;
    const std::string name = file.lexically_relative(cases).replace_extension().string();
    std::printf("FAILED %s: step %d (-1 is after the last, -2 none): %s\n", name.c_str(), at, why.c_str());
  }
  const Json manifest = load(folder / "manifest.json");
  const json* count = json_get(manifest.get(), wrong ? "wrong" : "cases");
  const bool all = count != nullptr && count->number == static_cast<double>(passed + failed);
  if (!all) std::printf("FAILED: the manifest says another number of cases than %u\n", passed + failed);
  failed += !all;
  std::printf("%u passed, %u failed\n", passed, failed);
  std::printf("conformance%s: %u passed, %u failed, 0 not applicable\n", wrong ? " (wrong cases)" : "", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
