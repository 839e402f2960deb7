// What a running conformance case has, and what its steps may do: each operation by the public C++ API.
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "../conformance/json.h"
#include "weaveheap.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

using namespace weaveheap;

struct JsonFree {
  void operator()(json* tree) const { json_free(tree); }
};
using Json = std::unique_ptr<json, JsonFree>;

struct Named {  // a region or a buffer, made or forged
  Heap* heap;
  Handle handle;
};
struct Shown {
  Heap* heap;
  Handle buffer;
  std::variant<View, ViewMut> view;
};
struct Left {  // a borrow that is a token
  Heap* heap;
  Token token;
};
struct Mark {
  Heap* heap;
  Handle region;  // null for the heap
  Json counters;
};
using Thing = std::variant<Heap, Named, Shown, Left, Mark>;

struct Run {
  const json* step = nullptr;
  std::map<std::string, Thing> things;
  std::optional<Thing> made;
  std::vector<std::string> removals;  // names of shared heaps
  std::string unique, temp, bytes;
  Json value;
  Handle subject, found;
};
static Run run;

[[noreturn]] static void fail(const std::string& why) {
  throw std::runtime_error(why);
}

// The value of a call that is to succeed; the Error is thrown in builds without exceptions in the API, too.
template <class T>
static T raised(Result<T> came) {
  if (!came) throw Error(came.error());
  return std::move(came).value();
}
#define MUST(call) raised(attempt([&] { return call; }))

static std::string text_of(const json* text) {
  if (text == nullptr || text->kind != JSON_TEXT) fail("a text is missing");
  return std::string(text->text, text->length);
}

static const json* arg(const char* key) {
  return json_get(run.step, key);
}

static Json parse(const std::string& words) {
  Json tree(json_parse(words.c_str()));
  if (tree == nullptr) fail("no JSON: " + words);
  return tree;
}

static std::multiset<std::string> kinds(const json* list) {
  std::multiset<std::string> found;
  for (const json* item = list->child; item != nullptr; item = item->next) found.insert(text_of(item));
  return found;
}

static std::uint64_t number(const char* key, std::uint64_t otherwise = 0) {
  const json* value = arg(key);
  if (value == nullptr) return otherwise;
  return value->kind == JSON_TEXT ? std::strtoull(value->text, nullptr, 10) : static_cast<std::uint64_t>(value->number);
}

// A text with {unique} and {temp} replaced; empty if it is absent.
static std::string text(const char* key) {
  if (arg(key) == nullptr) return "";
  std::string out = text_of(arg(key));
  for (const auto& [place, with] : {std::pair("{unique}", &run.unique), std::pair("{temp}", &run.temp)}) {
    for (std::size_t at; (at = out.find(place)) != std::string::npos;) out.replace(at, std::strlen(place), *with);
  }
  return out;
}

static std::string from_hex(const json* hex) {
  std::string out;
  const std::string digits = text_of(hex);
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out += static_cast<char>(std::stoul(digits.substr(i, 2), nullptr, 16));
  }
  return out;
}

template <class T>
static T& thing(const std::string& name) {
  const auto found = run.things.find(name);
  T* of_kind = found == run.things.end() ? nullptr : std::get_if<T>(&found->second);
  if (of_kind == nullptr) fail("nothing of that kind is called " + name);
  return *of_kind;
}
template <class T>
static T& named(const char* key) {
  return thing<T>(text_of(arg(key)));
}

static Heap& told_heap(Heap* otherwise = nullptr) {
  return arg("heap") != nullptr ? named<Heap>("heap") : otherwise != nullptr ? *otherwise : thing<Heap>("h");
}

// The handle under a key, and the heap that it is to be used through.
static Named handle(const char* key) {
  const bool null = json_is_text(arg(key), "null");
  const Named found = null ? Named{nullptr, Handle{}} : named<Named>(key);
  run.subject = found.handle;
  return Named{&told_heap(found.heap), found.handle};
}
static Region region() {
  const Named found = handle("region");
  return found.heap->region_at(found.handle);
}
static Buffer buffer() {
  const Named found = handle("buffer");
  return found.heap->buffer(found.handle);
}

// A new buffer belongs to the heap of its region's name, whichever heap it was asked through.
static void keep(const Buffer& made) {
  run.made = Named{&told_heap(json_is_text(arg("region"), "null") ? nullptr : named<Named>("region").heap), made.handle()};
}
static void keep(const Named& made) {
  run.made = made;
}

static HeapOptions options(const json* from) {
  HeapOptions given;
  const json *limit = json_get(from, "limit"), *verify = json_get(from, "verify"), *inspect = json_get(from, "inspect");
  const char* most = std::getenv("WEAVEHEAP_TEST_LIMIT");  // tools that cannot map 64 GiB set it
  given.limit = limit != nullptr  ? static_cast<std::uint64_t>(limit->number)
                : most != nullptr ? std::strtoull(most, nullptr, 10)
                                  : 0;
  given.verify = verify != nullptr && verify->number != 0;
  given.inspect = inspect != nullptr && inspect->number != 0;
  return given;
}

static void begin_case() {
  static unsigned count;
  char unique[25], temp[] = "/tmp/weaveheap-XXXXXX";
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  std::snprintf(unique, sizeof unique, "%08x%08x%08x", static_cast<unsigned>(getpid()), static_cast<unsigned>(now), ++count);
  if (mkdtemp(temp) == nullptr) std::abort();
  run.unique = unique;
  run.temp = temp;
}

static bool by_path() {
  if ((arg("name") == nullptr) == (arg("path") == nullptr)) fail("a shared heap has a name or a path");
  return arg("path") != nullptr;
}

// The entry of a region in the statistics, or the whole of them for null.
static const json* entry(const Json& all, Handle region) {
  if (region.is_null()) return all.get();
  const std::string name = MUST(region.text());
  const json* found = json_get(all.get(), "regions")->child;
  while (found != nullptr && !json_is_text(json_get(found, "handle"), name.c_str())) found = found->next;
  return found;
}

static void do_region_info() {
  const Named told = handle("region");
  const RegionInfo info = MUST(told.heap->region_at(told.handle).info());
  run.value = parse(MUST(told.heap->stats_json()));
  // The entry is taken out of the tree, so that it alone is the value.
  json* region = const_cast<json*>(entry(run.value, told.handle));
  Json alone(static_cast<json*>(std::calloc(1, sizeof(json))));
  if (region == nullptr || alone == nullptr) fail("the region is not in the statistics");
  alone->kind = JSON_OBJECT;
  std::swap(alone->child, region->child);
  run.value = std::move(alone);
  const json* buffers = json_get(run.value.get(), "buffers");
  if (buffers == nullptr || buffers->number != static_cast<double>(info.buffers)) fail("info and statistics differ");
}

static void do_buffer_info() {
  const BufferInfo info = MUST(buffer().info());
  const auto truth = [](bool value) { return value ? "true" : "false"; };
  run.value = parse("{\"length\":" + std::to_string(info.length) + ",\"shared\":" + std::to_string(info.shared) +
                    ",\"unique\":" + truth(info.unique) + ",\"frozen\":" + truth(info.frozen) +
                    ",\"poisoned\":" + truth(info.poisoned) + "}");
}

static void do_alloc() {
  const Init init = json_is_text(arg("init"), "uninit") ? Init::Uninit : Init::Zeroed;
  keep(MUST(region().alloc(number("length"), number("align", WEAVEHEAP_ALIGN_DEFAULT), init)));
}

static void do_begin() {
  const Buffer of = buffer();
  const bool unique = json_is_text(arg("kind"), "unique");
  if (!unique && !json_is_text(arg("kind"), "shared")) fail("the kind is unknown");
  const Token token = unique ? MUST(of.borrow_unique()).into_token() : MUST(of.borrow_shared()).into_token();
  run.made = Left{&told_heap(named<Named>("buffer").heap), token};
}

template <class Shows>
static void show(Shows view) {
  run.made = Shown{&told_heap(named<Named>("buffer").heap), run.subject, std::move(view)};
}

// The bytes of the step's view from the offset `at`, as many as asked for.
static std::string_view bytes() {
  Shown& shown = named<Shown>("view");
  const auto all = std::visit([](const auto& view) { return view ? view.text() : (fail("the view was released"), std::string_view()); }, shown.view);
  const std::size_t at = number("at");
  if (at > all.size() || number("length", all.size() - at) > all.size() - at) fail("the view does not reach there");
  return all.substr(at, number("length", all.size() - at));
}

static void do_write() {
  const std::string given = arg("text") != nullptr ? text("text") : from_hex(arg("hex"));
  ViewMut* view = std::get_if<ViewMut>(&named<Shown>("view").view);
  const std::size_t at = number("at");
  if (view == nullptr || at + given.size() > view->size()) fail("the view does not reach there");
  if (!given.empty()) std::memcpy(view->data() + at, given.data(), given.size());
}

static void do_forge() {
  const Named from = arg("handle") == nullptr ? Named{&thing<Heap>("h"), Handle{number("bits")}} : named<Named>("handle");
  const std::uint64_t mask = arg("xor") == nullptr ? 0 : std::stoull(text("xor"), nullptr, 16);
  keep(Named{from.heap, Handle{from.handle.bits ^ mask}});
}

static void do_forge_token() {
  const Left from = arg("token") == nullptr ? Left{&thing<Heap>("h"), Token{number("bits")}} : named<Left>("token");
  const std::uint64_t mask = arg("xor") == nullptr ? 0 : std::stoull(text("xor"), nullptr, 16);
  run.made = Left{from.heap, Token{from.token.bits ^ mask}};
}

static void do_holders() {
  const Named of = handle("handle");
  const Json holders = parse(MUST(of.heap->holders_json(of.handle)));
  std::string words;
  for (const json* holder = holders->child; holder != nullptr; holder = holder->next) {
    words += (words.empty() ? "\"" : ",\"") + text_of(json_get(holder, "kind")) + "\"";
  }
  run.value = parse("[" + words + "]");
}

static void do_text_of() {
  const Handle of = handle("handle").handle;
  const std::string words = MUST(of.text());
  if (MUST(Handle::from_text(words)) != of) fail("the text is not read back as the same handle");
  run.value = parse("\"" + words.substr(0, 1) + "\"");
}

static void do_lookup() {
  Heap& heap = told_heap();
  const std::chrono::duration<double> timeout(arg("timeout") == nullptr ? 0 : arg("timeout")->number);
  run.found = arg("timeout") == nullptr ? MUST(heap.lookup(text("name"))) : MUST(heap.lookup(text("name"), timeout));
  if (arg("as") != nullptr) keep(Named{&heap, run.found});
}

static void do_mark() {
  const Named* of = std::get_if<Named>(&run.things.at(text("of")));
  Heap* heap = of == nullptr ? &named<Heap>("of") : of->heap;
  run.made = Mark{heap, of == nullptr ? Handle{} : of->handle, parse(MUST(heap->stats_json()))};
}

static void do_counted() {
  Mark& mark = named<Mark>("since");
  const Json now = parse(MUST(mark.heap->stats_json()));
  const auto counter = [&](const Json& all, const json* key) {
    json* found = json_path(json_get(entry(all, mark.region), "counters"), key->key);
    if (found == nullptr || found->kind != JSON_NUMBER) fail(std::string("no counter is called ") + key->key);
    return found->number;
  };
  std::string words;
  const json* expected = json_get(arg("expect"), "value");
  for (const json* key = expected == nullptr ? nullptr : expected->child; key != nullptr; key = key->next) {
    const double grown = counter(now, key) - counter(mark.counters, key);
    words += (words.empty() ? "\"" : ",\"") + std::string(key->key) + "\":" + std::to_string(grown);
  }
  run.value = parse("{" + words + "}");
}

static void do_create_heap() {
  if (by_path()) {
    run.made = MUST(Heap::create_path(text("path"), options(run.step)));
  } else {
    run.made = MUST(Heap::create(text("name"), options(run.step)));
    run.removals.push_back(text("name"));
  }
}

static void value(bool truth) {
  run.value = parse(truth ? "true" : "false");
}

// The result is N none, T a thing, V a value, B bytes, H a handle.
struct Operation {
  const char *name, *keys;
  char result;
  void (*does)();
};

static const Operation OPERATIONS[] = {
    {"private_heap", "do expect? limit? verify? inspect? as", 'T', [] { run.made = MUST(Heap::private_heap(options(run.step))); }},
    {"create_heap", "do expect? name? path? limit? verify? inspect? as", 'T', do_create_heap},
    {"open_heap", "do expect? name? path? as", 'T', [] { run.made = by_path() ? MUST(Heap::open_path(text("path"))) : MUST(Heap::open(text("name"))); }},
    {"remove_heap", "do expect? name? path?", 'N', [] { by_path() ? MUST(Heap::remove_path(text("path"))) : MUST(Heap::remove(text("name"))); }},
    {"detach", "do expect? heap", 'N', [] { MUST(named<Heap>("heap").detach()); }},
    {"check", "do expect? heap", 'N', [] { MUST(named<Heap>("heap").check()); }},
    {"write_file", "do expect? path text", 'N', [] { std::ofstream(text("path"), std::ios::binary) << text("text"); }},
    {"create_region", "do expect? name? limit? heap? as", 'T', [] { keep(Named{&told_heap(), MUST(told_heap().region({text("name"), number("limit")})).into_handle()}); }},
    {"reset", "do expect? heap? region", 'N', [] { MUST(region().reset()); }},
    {"close", "do expect? heap? region", 'N', [] { MUST(region().close()); }},
    {"close_when_idle", "do expect? heap? region", 'N', [] { MUST(region().close_when_idle()); }},
    {"wait_idle", "do expect? heap? region timeout", 'N', [] { MUST(region().wait_idle(std::chrono::duration<double>(arg("timeout")->number))); }},
    {"region_info", "do expect? heap? region", 'V', do_region_info},
    {"alloc", "do expect? heap? region length align? init? as", 'T', do_alloc},
    {"string", "do expect? heap? region text as", 'T', [] { keep(MUST(region().string(text("text")))); }},
    {"string_bytes", "do expect? heap? region hex as", 'T', [] { keep(MUST(region().string(from_hex(arg("hex"))))); }},
    {"free", "do expect? heap? buffer", 'N', [] { MUST(buffer().free()); }},
    {"freeze", "do expect? heap? buffer", 'N', [] { MUST(buffer().freeze()); }},
    {"clear_poison", "do expect? heap? buffer", 'N', [] { MUST(buffer().clear_poison()); }},
    {"length", "do expect? heap? buffer", 'V', [] { run.value = parse(std::to_string(MUST(buffer().length()))); }},
    {"buffer_info", "do expect? heap? buffer", 'V', do_buffer_info},
    {"borrow_shared", "do expect? heap? buffer as", 'T', [] { show(MUST(buffer().borrow_shared())); }},
    {"borrow_unique", "do expect? heap? buffer as", 'T', [] { show(MUST(buffer().borrow_unique())); }},
    {"release", "do expect? view", 'N', [] { std::visit([](auto& view) { MUST(view.release()); }, named<Shown>("view").view); }},
    {"write", "do expect? view at? hex? text?", 'N', do_write},
    {"read", "do expect? view at? length?", 'B', [] { run.bytes = bytes(); }},
    {"view_length", "do expect? view", 'V', [] { run.value = parse(std::to_string(bytes().size())); }},
    {"view_aligned", "do expect? view to", 'V', [] { value(reinterpret_cast<std::uintptr_t>(bytes().data()) % number("to", 1) == 0); }},
    {"validate_text", "do expect? view", 'B', [] { const Shown& of = named<Shown>("view"); const View view = MUST(of.heap->buffer(of.buffer).borrow_string()); run.bytes = view.text(); }},
    {"begin", "do expect? heap? buffer kind as", 'T', do_begin},
    {"end", "do expect? heap? token", 'N', [] { const Left& left = named<Left>("token"); MUST(told_heap(left.heap).end(left.token)); }},
    {"forge_token", "do expect? token? bits? xor? as", 'T', do_forge_token},
    {"forge", "do expect? handle? bits? xor? as", 'T', do_forge},
    {"compare", "do expect? heap? a b", 'V', [] { value(handle("a").handle == handle("b").handle); }},
    {"holders", "do expect? heap? handle", 'V', do_holders},
    {"format_handle", "do expect? bits", 'V', [] { run.value = parse("\"" + MUST(Handle{number("bits")}.text()) + "\""); }},
    {"parse_handle", "do expect? text", 'V', [] { run.value = parse("\"" + std::to_string(MUST(Handle::from_text(text("text"))).bits) + "\""); }},
    {"text_of", "do expect? heap? handle", 'V', do_text_of},
    {"publish", "do expect? heap? name handle", 'N', [] { const Named of = handle("handle"); MUST(of.heap->publish(text("name"), of.handle)); }},
    {"lookup", "do expect? heap? name timeout? as?", 'H', do_lookup},
    {"unpublish", "do expect? heap? name", 'N', [] { MUST(told_heap().unpublish(text("name"))); }},
    {"mark", "do expect? of as", 'T', do_mark},
    {"counted", "do expect? since", 'V', do_counted},
    {nullptr, nullptr, 'N', nullptr},
};

#endif
