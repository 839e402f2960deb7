// The tests of the C++ header, one source for exceptions and results: moves, ends of borrows, errors, values, threads, and
// what is kept longer than a heap object.
#include "weaveheap.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <thread>
#include <unordered_set>

using namespace weaveheap;

int code_without_exceptions();  // other_kind.cc

static const char* running = "";
static int failures;

static void note(int line, const char* what) {
  failures++;
  std::fprintf(stderr, "%s: line %d: not so: %s\n", running, line, what);
}
#define CHECK(condition) ((condition) ? (void)0 : note(__LINE__, #condition))

// The value of a call that must succeed; the program ends if it does not.
template <class T>
static T must(Result<T> came, int line, const char* call) {
  if (!came) {
    std::fprintf(stderr, "%s: line %d: %s: %s\n", running, line, call, came.error().what());
    std::abort();
  }
  return std::move(came).value();
}
#define MUST(call) must(attempt([&] { return call; }), __LINE__, #call)
#define CODE(call) attempt([&] { return call; }).code()
#define FAILS(wanted, call) CHECK(CODE(call) == ErrorCode::wanted)

static HeapOptions small() {
  HeapOptions options;
  options.limit = 1 << 26;
  options.label = "tests";
  return options;
}
static Heap private_heap() {
  return MUST(Heap::private_heap(small()));
}
static std::string fresh_name() {
  static int count;
  return "cpp-test-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}
// The heap is sound and nothing in it is borrowed.
static void at_rest(const Heap& heap) {
  const CheckReport report = MUST(heap.check());
  CHECK(report.borrows == 0);
  CHECK(report.lost == 0);
}

static void bytes_are_written_and_read_in_place() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region({"frames"}));
  const Buffer buffer = MUST(region.alloc(64));
  {
    const ViewMut view = MUST(buffer.borrow_unique());
    CHECK(view.size() == 64 && !view.empty() && view);
    for (const std::byte byte : view) CHECK(byte == std::byte{0});
    std::memcpy(view.data(), "weave", 5);
    view[5] = std::byte{'!'};
  }
  const View view = MUST(buffer.borrow_shared()), second = MUST(buffer.borrow_shared());
  CHECK(view.text().substr(0, 6) == "weave!");
  CHECK(view.data() == second.data() && view.token() != second.token());
  CHECK(view.end() - view.begin() == 64);
  CHECK(MUST(buffer.length()) == 64);
  CHECK(MUST(region.name()) == "frames");
  CHECK(MUST(heap.info()).runtime == WEAVEHEAP_RUNTIME_CPP);
}

static void views_end_once_however_they_go() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region());
  const Buffer buffer = MUST(region.alloc(8));
  ViewMut view = MUST(buffer.borrow_unique());
  MUST(view.release());
  CHECK(!view && view.data() == nullptr && view.size() == 0 && view.begin() == view.end());
  MUST(view.release());
  FAILS(StaleView, view.as<int>());
  CHECK(view.text().empty());
  const Token token = MUST(buffer.borrow_unique()).into_token();
  CHECK(MUST(buffer.info()).unique);
  MUST(heap.end(token));
  FAILS(StaleHandle, heap.end(token));
  FAILS(StaleHandle, heap.end(Token{}));
  // A view whose token somebody else has ended says so, and its destructor is quiet.
  View ended = MUST(buffer.borrow_shared());
  MUST(heap.end(ended.token()));
  FAILS(StaleHandle, ended.release());
  {
    const View quiet = MUST(buffer.borrow_shared());
    MUST(heap.end(quiet.token()));
  }
  at_rest(heap);
}

static void moves_take_everything_along() {
  Heap heap = private_heap();
  Region region = MUST(heap.region());
  Buffer buffer = MUST(region.alloc(8));
  View view = MUST(buffer.borrow_shared());
  View moved = std::move(view);
  CHECK(!view && moved && moved.size() == 8);
  MUST(view.release());
  CHECK(MUST(buffer.info()).shared == 1);
  // An assignment ends what was there.
  View other = MUST(buffer.borrow_shared());
  CHECK(MUST(buffer.info()).shared == 2);
  other = std::move(moved);
  CHECK(MUST(buffer.info()).shared == 1 && other && !moved);
  View& same = other;
  other = std::move(same);
  CHECK(other && MUST(buffer.info()).shared == 1);
  MUST(other.release());

  const Buffer moved_buffer = std::move(buffer);
  FAILS(InvalidArgument, buffer.length());
  FAILS(InvalidArgument, buffer.borrow_shared());
  CHECK(MUST(moved_buffer.length()) == 8);
  Region moved_region = std::move(region);
  FAILS(InvalidArgument, region.alloc(1));
  Region second = MUST(heap.region());
  const Handle gone = second.handle();
  second = std::move(moved_region);
  FAILS(StaleHandle, heap.region_at(gone).info());
  CHECK(MUST(moved_buffer.length()) == 8);
  const Heap moved_heap = std::move(heap);
  FAILS(InvalidArgument, heap.region());
  FAILS(InvalidArgument, heap.check());
  at_rest(moved_heap);
}

static void regions_of_private_heaps_close_with_their_object() {
  const Heap heap = private_heap();
  Handle region, left;
  std::optional<View> view;
  {
    const Region made = MUST(heap.region());
    region = made.handle();
    view = MUST(MUST(made.alloc(8)).borrow_shared());
    left = MUST(heap.region()).into_handle();
  }
  // A view keeps the region, which takes nothing new.
  CHECK(view->size() == 8 && (*view)[7] == std::byte{0});
  FAILS(StaleHandle, heap.region_at(region).alloc(1));
  CHECK(MUST(heap.check()).regions == 2);
  view.reset();
  CHECK(MUST(heap.check()).regions == 1);
  MUST(heap.region_at(left).close());
  FAILS(StaleHandle, heap.region_at(left).close());
  at_rest(heap);
}

static void regions_of_shared_heaps_stay() {
  const std::string name = fresh_name();
  Handle buffer;
  {
    const Heap heap = MUST(Heap::create(name, small()));
    FAILS(AlreadyExists, Heap::create(name, small()));
    const Buffer made = MUST(MUST(heap.region()).string("kept"));
    MUST(heap.publish("word", made.handle()));
    buffer = made.handle();
    CHECK(!MUST(heap.path()).empty());
  }
  {
    const Heap heap = MUST(Heap::open(name));
    const Heap same = MUST(Heap::by_id(MUST(heap.id())));
    CHECK(MUST(heap.lookup("word")) == buffer);
    const View view = MUST(same.buffer(buffer).borrow_string());
    CHECK(view.text() == "kept");
    FAILS(Borrowed, heap.detach());
  }
  MUST(Heap::remove(name));
  FAILS(NotFound, Heap::open(name));
  FAILS(NotFound, Heap::remove(name));
}

static void views_outlive_every_other_object() {
  std::optional<View> view;
  std::string id;
  {
    const Heap heap = private_heap();
    id = MUST(heap.id());
    const Region region = MUST(heap.region());
    view = MUST(MUST(region.string("still here")).borrow_string());
  }
  CHECK(view->text() == "still here");
  MUST(Heap::by_id(id));
  view.reset();
  FAILS(NotFound, Heap::by_id(id));
  // A borrow that is a token alone is ended through another object of the heap, which is found by its id.
  Token token;
  {
    const Heap heap = private_heap();
    id = MUST(heap.id());
    const Region region = MUST(heap.region());
    token = MUST(MUST(region.alloc(8)).borrow_unique()).into_token();
  }
  MUST(MUST(Heap::by_id(id)).end(token));
}

static void errors_carry_code_message_and_holders() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region());
  const Buffer buffer = MUST(region.alloc(8));
  const View view = MUST(buffer.borrow_shared());
  const auto conflict = attempt([&] { return buffer.borrow_unique(); });
  CHECK(!conflict && conflict.code() == ErrorCode::BorrowConflict);
  const Error copy = conflict.error();
  const std::string text = MUST(buffer.handle().text());
  CHECK(std::string(copy.what()).rfind("BorrowConflict: ", 0) == 0);
  CHECK(std::string(copy.what()).find("shared borrow of " + text) != std::string::npos);
  CHECK(copy.holders().find("\"handle\":\"" + text + "\"") != std::string::npos);
  CHECK(copy.holders().find("\"runtime\":\"cpp\"") != std::string::npos);
  CHECK(copy.holders().find("\"label\":\"tests\"") != std::string::npos);
  const auto borrowed = attempt([&] { return region.close(); });
  CHECK(borrowed.code() == ErrorCode::Borrowed && borrowed.error().holders() != "[]");
  const auto stale = attempt([&] { return heap.buffer(Handle{}).free(); });
  CHECK(stale.code() == ErrorCode::StaleHandle && stale.error().holders() == "[]");
  CHECK(MUST(heap.holders_json(buffer.handle())).find("shared") != std::string::npos);
  // Every number that the library knows has its name here, and no other has one.
  for (std::int32_t number = 0; number <= 20; number++) {
    CHECK(weaveheap_error_number(std::string(error_name(static_cast<ErrorCode>(number))).c_str()) == number);
  }
  CHECK(error_name(static_cast<ErrorCode>(-1)).empty());
  CHECK(error_name(ErrorCode::Internal) == "Internal" && error_name(ErrorCode::StaleHandle) == "StaleHandle");
  CHECK(static_cast<ErrorCode>(code_without_exceptions()) == ErrorCode::StaleHandle);
}

static void failures_are_exceptions_or_results() {
  const Heap heap = private_heap();
  const Buffer nobody = heap.buffer(Handle{});
#ifdef WEAVEHEAP_NO_EXCEPTIONS
  static_assert(std::is_same_v<Outcome<View>, Result<View>>);
  const Result<View> none = nobody.borrow_shared();
  CHECK(!none && !none.has_value() && none.code() == ErrorCode::StaleHandle);
  Result<Region> region = heap.region();
  CHECK(region && region.code() == ErrorCode::Ok && region->alloc(8)->length().value() == 8);
  CHECK((*region).handle() == region.value().handle());
  CHECK(region->close().has_value());
#else
  static_assert(std::is_same_v<Outcome<View>, View>);
  int caught = 0;
  try {
    static_cast<void>(nobody.borrow_shared());
  } catch (const std::runtime_error& error) {
    caught += dynamic_cast<const Error*>(&error)->code() == ErrorCode::StaleHandle;
  }
  try {
    static_cast<void>(attempt([&] { return nobody.borrow_shared(); }).value());
  } catch (const Error& error) {
    caught += error.code() == ErrorCode::StaleHandle;
  }
  try {  // A view ends while an exception passes.
    const Region region = heap.region();
    const ViewMut view = region.alloc(8).borrow_unique();
    nobody.free();
  } catch (const Error&) {
    caught += heap.check().borrows == 0;
  }
  CHECK(caught == 3);
#endif
}

static void values_have_their_alignment_and_size() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region());
  const Buffer buffer = MUST(region.alloc(8 * sizeof(double), 4096, Init::Uninit));
  {
    const ViewMut view = MUST(buffer.borrow_unique());
    CHECK(reinterpret_cast<std::uintptr_t>(view.data()) % 4096 == 0);
    const Slice<double> values = MUST(view.as<double>());
    CHECK(values.size() == 8);
    std::iota(values.begin(), values.end(), 1.0);
    values[7] = 80;
  }
  const View view = MUST(buffer.borrow_shared());
  const auto values = MUST(view.as<double>());
  static_assert(std::is_same_v<decltype(values.data()), const double*>);
  CHECK(std::accumulate(values.begin(), values.end(), 0.0) == 108);
#ifdef __cpp_lib_span
  const std::span<const double> span = values;
  CHECK(span.size() == 8 && span.data() == values.data() && view.span().size_bytes() == 64);
  static_assert(std::ranges::borrowed_range<Slice<int>>);
#elif __cplusplus >= 202002L
#error "the library of C++20 has std::span"
#endif
  const Buffer odd = MUST(region.alloc(12));
  const View twelve = MUST(odd.borrow_shared());
  CHECK(MUST(twelve.as<float>()).size() == 3);
  FAILS(InvalidArgument, twelve.as<double>());
  struct alignas(256) Wide {
    char bytes[256];
  };
  // Of buffers that follow each other at the smallest alignment, some are not aligned to 256.
  int refused = 0;
  for (int i = 0; i < 8; i++) {
    const View shown = MUST(MUST(region.alloc(256, 1)).borrow_shared());
    const bool aligned = reinterpret_cast<std::uintptr_t>(shown.data()) % 256 == 0;
    const ErrorCode code = CODE(shown.as<Wide>());
    CHECK(code == (aligned ? ErrorCode::Ok : ErrorCode::InvalidArgument));
    refused += !aligned;
    static_cast<void>(MUST(region.alloc(1, 1)));
  }
  CHECK(refused > 0);
  const View empty = MUST(MUST(region.alloc(0)).borrow_shared());
  CHECK(empty && empty.empty() && empty.data() != nullptr && MUST(empty.as<double>()).empty());
}

static void bad_arguments_are_refused() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region());
  FAILS(InvalidArgument, region.alloc(1, 3));
  FAILS(InvalidArgument, region.alloc_from(nullptr, 1));
  FAILS(InvalidArgument, heap.region({std::string("a\0b", 3)}));
  FAILS(InvalidArgument, heap.region({std::string(65, 'x')}));
  FAILS(InvalidArgument, Heap::create(std::string("a\0b", 3)));
  FAILS(InvalidName, Heap::create("Not A Name"));
  FAILS(InvalidName, heap.publish("../up", region.handle()));
  FAILS(InvalidArgument, Handle::from_text("b17"));
  FAILS(InvalidArgument, Heap::attach(nullptr));
  FAILS(InvalidArgument, region.wait_idle(std::chrono::duration<double>(NAN)));
  FAILS(InvalidUtf8, region.string("\xff"));
  FAILS(NotFound, heap.lookup("absent"));
  FAILS(NotFound, heap.unpublish("absent"));
  // What is over is over: a negative time waits for nothing.
  FAILS(Timeout, heap.lookup("absent", std::chrono::seconds(-5)));
  const Buffer bytes = MUST(region.alloc_from("\xff\xfe", 2));
  FAILS(InvalidUtf8, bytes.validate_string());
  FAILS(InvalidUtf8, bytes.borrow_string());
  MUST(MUST(region.string("")).validate_string());
  MUST(bytes.freeze());
  FAILS(Denied, bytes.borrow_unique());
  MUST(bytes.clear_poison());
  // A buffer is no region, and a region no buffer.
  FAILS(StaleHandle, heap.region_at(bytes.handle()).close());
  FAILS(StaleHandle, heap.buffer(region.handle()).free());
  FAILS(StaleHandle, private_heap().buffer(bytes.handle()).length());
}

static void heaps_and_regions_say_what_they_hold() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region({"named", 1 << 20}));
  const Buffer first = MUST(region.string("one")), second = MUST(region.alloc(100));
  CHECK(MUST(region.buffers(10)).size() == 2 && MUST(region.buffers(1)).size() == 1 && MUST(region.buffers(0)).empty());
  const std::unordered_set<Handle> handles{first.handle(), second.handle()};
  for (const Handle handle : MUST(region.buffers(10))) CHECK(handles.count(handle) == 1);
  CHECK(MUST(region.info()).buffers == 2 && MUST(region.info()).limit == 1 << 20);
  const Bytes copy = MUST(first.export_bytes());
  CHECK(copy.size() == 3 && std::memcmp(copy.data(), "one", 3) == 0);
  MUST(first.count_copy(CopyReason::Serialize, 3));
  MUST(first.count_view());
  const Counters counters = MUST(region.counters());
  CHECK(counters.copies_ingest == 1 && counters.copies_export == 1 && counters.bytes_serialize == 3);
  CHECK(counters.views == 1 && MUST(heap.counters()).allocations == 2);
  CHECK(MUST(Handle::from_text(MUST(first.handle().text()))) == first.handle());
  MUST(second.free());
  FAILS(StaleHandle, second.length());
  MUST(region.reset());
  FAILS(StaleHandle, first.length());
  CHECK(MUST(heap.stats_json()).find("\"named\"") != std::string::npos);
  MUST(region.close());
  MUST(heap.trim());
  CHECK(MUST(heap.path()).empty() && MUST(heap.base()) != nullptr && MUST(heap.id()).size() == 32);
  CHECK(!MUST(Heap::folder()).empty() && MUST(Heap::list_json()).front() == '[');
  MUST(heap.detach());
  CHECK(MUST(heap.info()).detached);
  FAILS(NotAttached, heap.region());
}

static void threads_that_borrow_in_turn_lose_no_write() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region());
  const Buffer buffer = MUST(region.alloc(sizeof(std::uint64_t)));
  constexpr int turns = 2000;
  const auto add = [&] {
    for (int done = 0; done < turns;) {
      const auto view = attempt([&] { return buffer.borrow_unique(); });
      if (!view) {
        if (view.code() != ErrorCode::BorrowConflict) std::abort();
        std::this_thread::yield();
        continue;
      }
      MUST(view->as<std::uint64_t>())[0]++;
      done++;
    }
  };
  std::thread first(add), second(add);
  first.join();
  second.join();
  const View view = MUST(buffer.borrow_shared());
  CHECK(MUST(view.as<std::uint64_t>())[0] == 2 * turns);
}

static void another_thread_ends_a_borrow() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region());
  const Buffer buffer = MUST(region.alloc(8));
  ViewMut view = MUST(buffer.borrow_unique());
  std::thread([moved = std::move(view)] { CHECK(moved.size() == 8); }).join();
  CHECK(!MUST(buffer.info()).unique);
  View shared = MUST(buffer.borrow_shared());
  const Token token = MUST(buffer.borrow_shared()).into_token();
  std::atomic<int> ended{0};
  std::thread end_view([&] { MUST(shared.release()); });
  const auto end_token = [&] { ended += CODE(heap.end(token)) == ErrorCode::Ok; };
  std::thread first(end_token), second(end_token);
  for (std::thread* thread : {&end_view, &first, &second}) thread->join();
  CHECK(ended == 1);
  MUST(region.wait_idle(std::chrono::seconds(5)));
  // One thread waits for the borrow that another ends.
  view = MUST(buffer.borrow_unique());
  FAILS(Timeout, region.wait_idle(std::chrono::milliseconds(1)));
  std::thread end([&] { MUST(view.release()); });
  MUST(region.wait_idle());
  end.join();
  std::thread publish([&] { MUST(heap.publish("late", buffer.handle())); });
  CHECK(MUST(heap.lookup_wait("late")) == buffer.handle());
  publish.join();
  MUST(heap.unpublish("late"));
  at_rest(heap);
}

static void a_forked_child_ends_nothing() {
  const Heap heap = private_heap();
  const Region region = MUST(heap.region());
  const Buffer buffer = MUST(region.alloc(8));
  std::optional<ViewMut> view = MUST(buffer.borrow_unique());
  const pid_t child = fork();
  if (child == 0) {
    const bool refused = CODE(buffer.length()) == ErrorCode::NotAttached;
    view.reset();
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(MUST(buffer.info()).unique && view->size() == 8);
}

static const struct {
  const char* name;
  void (*run)();
} TESTS[] = {
#define TEST(name) {#name, name}
    TEST(bytes_are_written_and_read_in_place),
    TEST(views_end_once_however_they_go),
    TEST(moves_take_everything_along),
    TEST(regions_of_private_heaps_close_with_their_object),
    TEST(regions_of_shared_heaps_stay),
    TEST(views_outlive_every_other_object),
    TEST(errors_carry_code_message_and_holders),
    TEST(failures_are_exceptions_or_results),
    TEST(values_have_their_alignment_and_size),
    TEST(bad_arguments_are_refused),
    TEST(heaps_and_regions_say_what_they_hold),
    TEST(threads_that_borrow_in_turn_lose_no_write),
    TEST(another_thread_ends_a_borrow),
    TEST(a_forked_child_ends_nothing),
};

int main() {
  unsigned passed = 0, failed = 0;
  for (const auto& test : TESTS) {
    running = test.name;
    failures = 0;
    test.run();
    (failures == 0 ? passed : failed)++;
  }
  std::printf("%u passed, %u failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
