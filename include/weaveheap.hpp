// weaveheap.hpp: one heap for all runtimes, for C++17 and later. Header only, over the C ABI of weaveheap.h.
//
// First lines.
//
//     weaveheap::Heap heap = weaveheap::Heap::private_heap();
//     weaveheap::Region region = heap.region({"frames"});
//     weaveheap::Buffer buffer = region.alloc(1024);
//     {
//       weaveheap::ViewMut view = buffer.borrow_unique();
//       view[0] = std::byte{7};
//     }  // the borrow has ended
//     region.close();
//
// Errors. A call that can fail throws weaveheap::Error. With WEAVEHEAP_NO_EXCEPTIONS defined, or exceptions switched off in
// the compiler, it returns a weaveheap::Result instead. `Outcome<T>` below stands for what such a call returns: T, or
// Result<T>. Both kinds of source may be linked into one program.
//
// Ownership. Heap, Region, Buffer, View and ViewMut are moved and never copied. Each has a share of its heap object, so
// they may be destroyed in any order: bytes stay where they are as long as a view shows them. A view ends its borrow. A
// Region that `Heap::region` made in a private heap closes it when idle; regions of shared heaps stay. A Buffer is a
// reference: destroying it frees nothing. No destructor throws.
//
// Threads. Any thread may call a const function of any object at any time, and destroy what another made. Moving from,
// assigning to, releasing or destroying one object needs that no other thread uses that object then.
//
// An object that was moved from answers InvalidArgument; such a view is empty. All else is as weaveheap.h says at the
// function of C that a function here calls.

#ifndef WEAVEHEAP_HPP
#define WEAVEHEAP_HPP

#include "weaveheap/view.hpp"

#include <vector>

namespace weaveheap {
inline namespace WEAVEHEAP_KIND {

/// What the memory of a new buffer holds.
enum class Init : std::uint32_t {
  Zeroed = WEAVEHEAP_INIT_ZEROED,
  Uninit = WEAVEHEAP_INIT_UNINIT,  ///< whatever was there: faster, and never foreign to this heap
};

/// Why bytes were copied.
enum class CopyReason : std::uint32_t {
  Ingest = WEAVEHEAP_COPY_INGEST,
  Export = WEAVEHEAP_COPY_EXPORT,
  NoExternalBuffers = WEAVEHEAP_COPY_NO_EXTERNAL_BUFFERS,
  Serialize = WEAVEHEAP_COPY_SERIALIZE,
};

/// What a heap is made or opened with.
struct HeapOptions {
  std::uint64_t limit = 0;  ///< the most that it may hold, in bytes; 0 for 64 GiB or what the system gives
  bool inspect = false;     ///< the command line may see a private heap by process id
  bool verify = false;      ///< shared borrows of runtimes without read-only views are checksummed
  std::string label{};      ///< what the attachment calls itself in reports
};

/// What a region is made with.
struct RegionOptions {
  std::string name{};       ///< for people: UTF-8, up to 64 bytes
  std::uint64_t limit = 0;  ///< the most that it may hold, in bytes, kept to the size of a chunk; 0 for none
};

using HeapInfo = weaveheap_heap_info_t;
using RegionInfo = weaveheap_region_info_t;
using BufferInfo = weaveheap_buffer_info_t;
using CheckReport = weaveheap_check_report;
using Counters = weaveheap_counters;

/// A reference to a buffer: its handle, and a share of the heap object. Destroying it frees nothing; the buffer belongs to
/// its region. That the handle is live is checked at every use: StaleHandle if not. All functions may be called from any
/// thread.
class Buffer {
 public:
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  Handle handle() const noexcept { return handle_; }

  /// Bytes.
  Outcome<std::uint64_t> length() const {
    return detail::call<std::uint64_t>([&](weaveheap_error* e) { return weaveheap_buffer_length(c(), handle_.bits, e); },
                                       [](std::uint64_t bytes) { return bytes; });
  }

  /// Borrows it to read. It never waits. BorrowConflict while anyone has the bytes to write, Poisoned after a writer's
  /// death.
  Outcome<View> borrow_shared() const { return borrow<View, weaveheap_view>(weaveheap_borrow_shared); }

  /// Borrows it to write, alone. It never waits. BorrowConflict while anyone else has the bytes at all, Denied for a frozen
  /// buffer, Poisoned after a writer's death.
  Outcome<ViewMut> borrow_unique() const { return borrow<ViewMut, weaveheap_view_mut>(weaveheap_borrow_unique); }

  /// Borrows it to read once its bytes are known to be UTF-8: InvalidUtf8 if they are not. `View::text` has them.
  Outcome<View> borrow_string() const { return borrow<View, weaveheap_string_view>(weaveheap_string_borrow); }

  /// Succeeds if the bytes are UTF-8; InvalidUtf8 if not.
  Outcome<void> validate_string() const { return on(weaveheap_string_validate); }

  /// Frees the buffer: its handle is stale at once, in every process. Borrowed while it is borrowed.
  Outcome<void> free() const { return on(weaveheap_buffer_free); }

  /// Takes the right to write from it, for everyone and for good. BorrowConflict under a unique borrow.
  Outcome<void> freeze() const { return on(weaveheap_buffer_freeze); }

  /// Makes it usable again after a writer's death: the bytes may be half changed.
  Outcome<void> clear_poison() const { return on(weaveheap_buffer_clear_poison); }

  /// What it is, and who borrows it in numbers.
  Outcome<BufferInfo> info() const {
    return detail::filled<BufferInfo>(
        [&](BufferInfo* info, weaveheap_error* e) { return weaveheap_buffer_info(c(), handle_.bits, info, e); });
  }

  /// Copies the bytes out of the heap, and counts that. Borrow instead where a view will do.
  Outcome<Bytes> export_bytes() const {
    std::size_t length = 0;
    return detail::call<Bytes>(
        [&](weaveheap_error* e) { return weaveheap_buffer_export(c(), handle_.bits, &length, e); },
        [&](std::uint8_t* bytes) { return Bytes(bytes, length); });
  }

  /// Counts a copy of the bytes that the caller made.
  Outcome<void> count_copy(CopyReason reason, std::uint64_t bytes) const {
    return detail::call([&](weaveheap_error* e) {
      return weaveheap_buffer_count_copy(c(), handle_.bits, static_cast<std::uint32_t>(reason), bytes, e);
    });
  }

  /// Counts a native object that the caller made over the bytes of a view.
  Outcome<void> count_view() const { return on(weaveheap_buffer_count_view); }

 private:
  friend class Heap;
  friend class Region;
  Buffer(detail::Share heap, Handle handle) noexcept : heap_(std::move(heap)), handle_(handle) {}

  const weaveheap_heap* c() const noexcept { return heap_.get(); }

  template <class Function>
  Outcome<void> on(Function function) const {
    return detail::call([&](weaveheap_error* e) { return function(c(), handle_.bits, e); });
  }

  template <class Shown, class Filled, class Function>
  Outcome<Shown> borrow(Function function) const {
    using Byte = std::remove_pointer_t<decltype(std::declval<Shown&>().data())>;
    Filled view;
    return detail::call<Shown>([&](weaveheap_error* e) { return function(c(), handle_.bits, &view, e); },
                               [&](std::int32_t) {
                                 return Shown(heap_, reinterpret_cast<Byte*>(view.data), view.length, Token{view.token});
                               });
  }

  detail::Share heap_;
  Handle handle_;
};

/// A region. One that `Heap::region` made in a private heap is owned: its destructor closes it, when the last borrow has
/// ended. Others stay until they are closed. That the handle is live is checked at every use: StaleHandle if not. All
/// functions may be called from any thread.
class Region {
 public:
  Region(Region&& other) noexcept
      : heap_(std::move(other.heap_)), handle_(other.handle_), owns_(std::exchange(other.owns_, false)) {}
  Region& operator=(Region&& other) noexcept {
    Region taken(std::move(other));
    std::swap(heap_, taken.heap_);
    std::swap(handle_, taken.handle_);
    std::swap(owns_, taken.owns_);
    return *this;
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() {
    if (owns_) weaveheap_region_close_when_idle(c(), handle_.bits, nullptr);
  }

  Handle handle() const noexcept { return handle_; }
  /// Gives the region up to its handle: the destructor leaves it open. It cannot fail.
  Handle into_handle() noexcept {
    owns_ = false;
    return handle_;
  }

  /// Allocates. `align` is a power of two up to 4096. LimitReached for the region's limit, OutOfMemory for the heap's or the
  /// system's. The region owns the memory.
  Outcome<Buffer> alloc(std::uint64_t length, std::uint64_t align = WEAVEHEAP_ALIGN_DEFAULT,
                        Init init = Init::Zeroed) const {
    return buffer([&](weaveheap_error* e) {
      return weaveheap_buffer_alloc(c(), handle_.bits, length, align, static_cast<std::uint32_t>(init), e);
    });
  }

  /// Allocates a copy of `size` bytes, and counts that. Nothing of `bytes` is kept; nobody may write them meanwhile.
  Outcome<Buffer> alloc_from(const void* bytes, std::size_t size, std::uint64_t align = WEAVEHEAP_ALIGN_DEFAULT) const {
    return buffer([&](weaveheap_error* e) {
      return weaveheap_buffer_alloc_from(c(), handle_.bits, static_cast<const std::uint8_t*>(bytes), size, align, e);
    });
  }

  /// Allocates a string: a copy of UTF-8, without a terminator, counted. InvalidUtf8 for bytes that are none.
  Outcome<Buffer> string(std::string_view text) const {
    return buffer([&](weaveheap_error* e) {
      return weaveheap_string_alloc(c(), handle_.bits, text.empty() ? "" : text.data(), text.size(), e);
    });
  }

  /// Empties it and keeps it: the handles of its buffers are stale at once. Borrowed while one is borrowed.
  Outcome<void> reset() const { return on(weaveheap_region_reset); }

  /// Frees it and all in it: its handle and those of its buffers are stale at once, in every process. Borrowed while a buffer
  /// of it is borrowed; then nothing has changed.
  Outcome<void> close() const { return on(weaveheap_region_close); }

  /// Refuses new borrows and allocations from now on; the last borrow to end frees the region.
  Outcome<void> close_when_idle() const { return on(weaveheap_region_close_when_idle); }

  /// Sleeps until no buffer of it is borrowed. Only the calling thread sleeps.
  Outcome<void> wait_idle() const { return wait(detail::for_ever); }

  /// The same for this long at most: Timeout then.
  Outcome<void> wait_idle(std::chrono::duration<double> timeout) const { return wait(detail::seconds(timeout)); }

  /// What it is and holds.
  Outcome<RegionInfo> info() const {
    return detail::filled<RegionInfo>(
        [&](RegionInfo* info, weaveheap_error* e) { return weaveheap_region_info(c(), handle_.bits, info, e); });
  }

  /// Its name; empty for none.
  Outcome<std::string> name() const {
    return detail::string([&](weaveheap_error* e) { return weaveheap_region_name(c(), handle_.bits, e); });
  }

  /// The handles of its buffers, by index, at most `limit`.
  Outcome<std::vector<Handle>> buffers(std::size_t limit) const {
    static_assert(sizeof(Handle) == sizeof(weaveheap_handle_t), "a handle is its bits");
    std::vector<weaveheap_handle_t> bits(limit);
    return detail::call<std::vector<Handle>>(
        [&](weaveheap_error* e) { return weaveheap_region_buffers(c(), handle_.bits, bits.data(), limit, e); },
        [&](std::size_t count) {
          std::vector<Handle> handles;
          handles.reserve(count);
          for (std::size_t i = 0; i < count; i++) handles.push_back(Handle{bits[i]});
          return handles;
        });
  }

  /// Its counters since it was made.
  Outcome<Counters> counters() const {
    return detail::filled<Counters>(
        [&](Counters* counters, weaveheap_error* e) { return weaveheap_region_counters(c(), handle_.bits, counters, e); });
  }

 private:
  friend class Heap;
  Region(detail::Share heap, Handle handle, bool owns) noexcept
      : heap_(std::move(heap)), handle_(handle), owns_(owns) {}

  const weaveheap_heap* c() const noexcept { return heap_.get(); }

  template <class Function>
  Outcome<void> on(Function function) const {
    return detail::call([&](weaveheap_error* e) { return function(c(), handle_.bits, e); });
  }

  template <class Alloc>
  Outcome<Buffer> buffer(Alloc&& alloc) const {
    return detail::call<Buffer>(std::forward<Alloc>(alloc),
                                [&](weaveheap_handle_t bits) { return Buffer(heap_, Handle{bits}); });
  }

  Outcome<void> wait(double timeout) const {
    return detail::call([&](weaveheap_error* e) { return weaveheap_region_wait_idle(c(), handle_.bits, timeout, e); });
  }

  detail::Share heap_;
  Handle handle_;
  bool owns_;
};

/// An attached heap. Its destructor gives back its share of the heap object; when the last share is gone (of this, and of
/// the regions, buffers and views got from it), the attachment ends. Processes that share a heap must follow the borrow
/// rules, as threads of one process do. All functions may be called from any thread.
class Heap {
 public:
  Heap(Heap&&) noexcept = default;
  Heap& operator=(Heap&&) noexcept = default;
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// Makes a private heap: memory of this process. OutOfMemory if the system does not give it.
  static Outcome<Heap> private_heap(const HeapOptions& options = {}) {
    return made(options, [](const weaveheap_heap_options* o, weaveheap_error* e) { return weaveheap_heap_private(o, e); });
  }

  /// Makes a shared heap with this name. It stays until `remove`. AlreadyExists, InvalidName.
  static Outcome<Heap> create(const std::string& name, const HeapOptions& options = {}) {
    return made(options, [&](const weaveheap_heap_options* o, weaveheap_error* e) {
      return weaveheap_heap_create(detail::words(name), o, e);
    });
  }

  /// Makes a shared heap in this file. It stays until `remove_path`. AlreadyExists.
  static Outcome<Heap> create_path(const std::string& path, const HeapOptions& options = {}) {
    return made(options, [&](const weaveheap_heap_options* o, weaveheap_error* e) {
      return weaveheap_heap_create_path(detail::words(path), o, e);
    });
  }

  /// Opens the shared heap with this name. NotFound; Incompatible or Corrupt if the file is no heap of this version.
  static Outcome<Heap> open(const std::string& name, const HeapOptions& options = {}) {
    return made(options, [&](const weaveheap_heap_options* o, weaveheap_error* e) {
      return weaveheap_heap_open(detail::words(name), o, e);
    });
  }

  /// Opens the shared heap in this file. The codes are those of `open`.
  static Outcome<Heap> open_path(const std::string& path, const HeapOptions& options = {}) {
    return made(options, [&](const weaveheap_heap_options* o, weaveheap_error* e) {
      return weaveheap_heap_open_path(detail::words(path), o, e);
    });
  }

  /// Attaches to a heap that another copy of the library has mapped in this process. `base` is what `Heap::base` gave there,
  /// and that heap stays attached meanwhile; any other pointer is undefined.
  static Outcome<Heap> attach(void* base, const HeapOptions& options = {}) {
    return made(options, [&](const weaveheap_heap_options* o, weaveheap_error* e) {
      return weaveheap_heap_attach(base, o, e);
    });
  }

  /// Another object of the attachment that this library has of the heap with this id. NotFound if it has none.
  static Outcome<Heap> by_id(const std::string& id) {
    return made({}, [&](const weaveheap_heap_options*, weaveheap_error* e) {
      return weaveheap_heap_by_id(detail::words(id), e);
    });
  }

  /// Unlinks the shared heap with this name. Processes that are attached keep it. NotFound.
  static Outcome<void> remove(const std::string& name) {
    return detail::call([&](weaveheap_error* e) { return weaveheap_heap_remove(detail::words(name), e); });
  }

  /// Unlinks the shared heap in this file. NotFound; Incompatible if the file is no heap.
  static Outcome<void> remove_path(const std::string& path) {
    return detail::call([&](weaveheap_error* e) { return weaveheap_heap_remove_path(detail::words(path), e); });
  }

  /// The shared heaps in the folder of names, as JSON: `[{"name": ..., "path": ...}]`.
  static Outcome<std::string> list_json() { return detail::string(weaveheap_heap_list_json); }

  /// The folder of names.
  static Outcome<std::string> folder() { return detail::string(weaveheap_heap_folder); }

  /// Makes a region. In a private heap the object owns it: keep the object as long as the buffers are used.
  Outcome<Region> region(const RegionOptions& options = {}) const {
    weaveheap_heap_info_t info{};
    info.struct_size = sizeof info;
    const bool owns = weaveheap_heap_info(c(), &info, nullptr) == WEAVEHEAP_OK && !info.shared;
    // An empty name is none, and must not be taken for one with a NUL.
    const char* name = detail::words(options.name);
    if (name == nullptr) {
      return detail::refuse<Region>(
          detail::error(ErrorCode::InvalidArgument, "the name has a NUL in it: use other characters"));
    }
    return detail::call<Region>(
        [&](weaveheap_error* e) { return weaveheap_region_create(c(), name, options.limit, e); },
        [&](weaveheap_handle_t bits) { return Region(heap_, Handle{bits}, owns); });
  }

  /// The region with this handle, not owned. The handle is checked when the region is used. It cannot fail.
  Region region_at(Handle handle) const noexcept { return Region(heap_, handle, false); }

  /// The buffer with this handle. The handle is checked when the buffer is used. It cannot fail.
  Buffer buffer(Handle handle) const noexcept { return Buffer(heap_, handle); }

  /// Ends the borrow of a token: once, then StaleHandle.
  Outcome<void> end(Token token) const {
    return detail::call([&](weaveheap_error* e) { return weaveheap_borrow_end(c(), token.bits, e); });
  }

  /// Puts a handle into the heap's directory. AlreadyExists if the name has a live handle, InvalidName.
  Outcome<void> publish(const std::string& name, Handle handle) const {
    return detail::call(
        [&](weaveheap_error* e) { return weaveheap_directory_publish(c(), detail::words(name), handle.bits, e); });
  }

  /// The handle under this name; NotFound at once if there is none.
  Outcome<Handle> lookup(const std::string& name) const {
    return found([&](weaveheap_error* e) { return weaveheap_directory_lookup(c(), detail::words(name), e); });
  }

  /// The handle under this name, waited for this long at most: Timeout then. Only the calling thread sleeps.
  Outcome<Handle> lookup(const std::string& name, std::chrono::duration<double> timeout) const {
    return found([&](weaveheap_error* e) {
      return weaveheap_directory_lookup_wait(c(), detail::words(name), detail::seconds(timeout), e);
    });
  }

  /// The same, for as long as it takes.
  Outcome<Handle> lookup_wait(const std::string& name) const {
    return found([&](weaveheap_error* e) {
      return weaveheap_directory_lookup_wait(c(), detail::words(name), detail::for_ever, e);
    });
  }

  /// Takes a name out of the directory. NotFound.
  Outcome<void> unpublish(const std::string& name) const {
    return detail::call([&](weaveheap_error* e) { return weaveheap_directory_unpublish(c(), detail::words(name), e); });
  }

  /// Ends this attachment, for all objects of it: they answer NotAttached from now on. Borrowed while this process has
  /// borrows through it; then nothing has changed.
  Outcome<void> detach() const {
    return detail::call([&](weaveheap_error* e) { return weaveheap_heap_detach(c(), e); });
  }

  /// Walks the whole heap and verifies its invariants: Corrupt says which one does not hold.
  Outcome<CheckReport> check() const {
    return detail::filled<CheckReport>(
        [&](CheckReport* report, weaveheap_error* e) { return weaveheap_heap_check(c(), report, e); });
  }

  /// Gives freed memory back to the system now: how many bytes.
  Outcome<std::uint64_t> trim() const {
    return detail::call<std::uint64_t>([&](weaveheap_error* e) { return weaveheap_heap_trim(c(), e); },
                                       [](std::uint64_t bytes) { return bytes; });
  }

  /// What the heap is. It answers after detaching, too.
  Outcome<HeapInfo> info() const {
    return detail::filled<HeapInfo>(
        [&](HeapInfo* info, weaveheap_error* e) { return weaveheap_heap_info(c(), info, e); });
  }

  /// 32 hexadecimal digits that are this heap's alone.
  Outcome<std::string> id() const {
    return detail::string([&](weaveheap_error* e) { return weaveheap_heap_id(c(), e); });
  }

  /// The file of a shared heap; empty for a private one. InvalidUtf8 if the path is not UTF-8.
  Outcome<std::string> path() const {
    return detail::string([&](weaveheap_error* e) { return weaveheap_heap_path(c(), e); });
  }

  /// Where it is mapped: what `attach` takes. Read and write it through borrows only.
  Outcome<void*> base() const {
    return detail::call<void*>([&](weaveheap_error* e) { return weaveheap_heap_base(c(), e); },
                               [](void* base) { return base; });
  }

  /// The heap as it is now, as JSON. Nobody is stopped.
  Outcome<std::string> stats_json() const {
    return detail::string([&](weaveheap_error* e) { return weaveheap_heap_stats_json(c(), e); });
  }

  /// Who holds borrows of a buffer, or of any buffer of a region, as JSON.
  Outcome<std::string> holders_json(Handle handle) const {
    return detail::string([&](weaveheap_error* e) { return weaveheap_heap_holders_json(c(), handle.bits, e); });
  }

  /// The heap's counters since it was made.
  Outcome<Counters> counters() const {
    return detail::filled<Counters>(
        [&](Counters* counters, weaveheap_error* e) { return weaveheap_heap_counters(c(), counters, e); });
  }

  /// The object of C, for what is not here. This object keeps it; it is not to be released.
  const weaveheap_heap* c() const noexcept { return heap_.get(); }

 private:
  explicit Heap(weaveheap_heap* object) : heap_(object, weaveheap_heap_release) {}

  template <class Make>
  static Outcome<Heap> made(const HeapOptions& given, Make&& make) {
    weaveheap_heap_options options = WEAVEHEAP_HEAP_OPTIONS_INIT;
    options.limit = given.limit;
    options.runtime = WEAVEHEAP_RUNTIME_CPP;
    options.inspect = given.inspect;
    options.verify = given.verify;
    options.label = given.label.empty() ? nullptr : given.label.c_str();
    return detail::call<Heap>(
        [&](weaveheap_error* e) -> weaveheap_heap* {
          // A library that does not fit is refused before anything else of it is used.
          if (weaveheap_abi_check(WEAVEHEAP_ABI_VERSION, e) != WEAVEHEAP_OK) return nullptr;
          return make(&options, e);
        },
        [](weaveheap_heap* object) { return Heap(object); });
  }

  template <class Find>
  static Outcome<Handle> found(Find&& find) {
    return detail::call<Handle>(std::forward<Find>(find), [](weaveheap_handle_t bits) { return Handle{bits}; });
  }

  detail::Share heap_;
};

}  // inline namespace
}  // namespace weaveheap

#endif  // WEAVEHEAP_HPP
