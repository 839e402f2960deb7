// view.hpp: handles and tokens, and views of borrowed bytes. Part of weaveheap.hpp, whose first lines say what holds for all.

#ifndef WEAVEHEAP_VIEW_HPP
#define WEAVEHEAP_VIEW_HPP

#include "error.hpp"

#include <cstddef>
#include <functional>
#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_span
#include <span>
#endif
#ifdef __cpp_lib_ranges
#include <ranges>
#endif

namespace weaveheap {
inline namespace WEAVEHEAP_KIND {

/// 64 bits that name a region or a buffer, the same in every process; 0 names nothing. It is data, and may be copied:
/// every use of it is checked.
struct Handle {
  weaveheap_handle_t bits = 0;

  bool is_null() const noexcept { return bits == 0; }
  friend bool operator==(Handle a, Handle b) noexcept { return a.bits == b.bits; }
  friend bool operator!=(Handle a, Handle b) noexcept { return a.bits != b.bits; }

  /// The text form: "b17:2043", "r3:77", "null". The handle is not checked. Any thread.
  Outcome<std::string> text() const {
    return detail::string([&](weaveheap_error* e) { return weaveheap_handle_to_text(bits, e); });
  }

  /// The handle with this text form; InvalidArgument for text that is none. Any thread.
  static Outcome<Handle> from_text(const std::string& text) {
    return detail::call<Handle>([&](weaveheap_error* e) { return weaveheap_handle_from_text(detail::words(text), e); },
                                [](weaveheap_handle_t bits) { return Handle{bits}; });
  }
};

/// 64 bits that name one live borrow; 0 names none. It ends once.
struct Token {
  weaveheap_token_t bits = 0;

  friend bool operator==(Token a, Token b) noexcept { return a.bits == b.bits; }
  friend bool operator!=(Token a, Token b) noexcept { return a.bits != b.bits; }
};

/// Values of one type in a view. It owns nothing: good as long as the view. It converts to std::span.
template <class T>
class Slice {
 public:
  constexpr Slice() noexcept = default;
  constexpr Slice(T* data, std::size_t size) noexcept : data_(data), size_(size) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }
  /// The value at an index below `size()`: not checked.
  constexpr T& operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

namespace detail {

/// A share of a heap object of C.
using Share = std::shared_ptr<weaveheap_heap>;

/// A live borrow with a share of its heap object. `Byte` is const for a shared one.
template <class Byte>
class Borrow {
 public:
  Borrow(Share heap, Byte* data, std::size_t size, Token token) noexcept
      : heap_(std::move(heap)), data_(data), size_(size), token_(token) {}
  Borrow(Borrow&& other) noexcept
      : heap_(std::move(other.heap_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        token_(std::exchange(other.token_, Token{})) {}
  Borrow& operator=(Borrow&& other) noexcept {
    Borrow taken(std::move(other));
    std::swap(heap_, taken.heap_);
    std::swap(data_, taken.data_);
    std::swap(size_, taken.size_);
    std::swap(token_, taken.token_);
    return *this;
  }
  Borrow(const Borrow&) = delete;
  Borrow& operator=(const Borrow&) = delete;
  /// Ends the borrow, unless `release` or `into_token` came before.
  ~Borrow() {
    if (token_ != Token{}) weaveheap_borrow_end(heap_.get(), token_.bits, nullptr);
  }

  /// The first byte; null after the end. Nobody else writes the bytes while the borrow lives.
  Byte* data() const noexcept { return data_; }
  /// Bytes; 0 after the end.
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  Byte* begin() const noexcept { return data_; }
  Byte* end() const noexcept { return data_ + size_; }
  /// The byte at an index below `size()`: not checked.
  Byte& operator[](std::size_t index) const noexcept { return data_[index]; }
  /// The borrow's name in the ledger; 0 after the end.
  Token token() const noexcept { return token_; }
  /// False after the end, and once moved from.
  explicit operator bool() const noexcept { return token_ != Token{}; }

  /// The bytes as text. They are not looked at: `Buffer::borrow_string` and `Buffer::validate_string` do that.
  std::string_view text() const& noexcept { return {reinterpret_cast<const char*>(data_), size_}; }
  std::string_view text() const&& = delete;

  /// The bytes as values of a type, in place. InvalidArgument if the first byte is not aligned for it or the size is no
  /// multiple of its size; StaleView after the end.
  template <class T>
  auto as() const& -> Outcome<Slice<std::conditional_t<std::is_const_v<Byte>, const T, T>>> {
    static_assert(std::is_trivially_copyable_v<T>, "bytes of a heap can be of trivially copyable types only");
    using Value = std::conditional_t<std::is_const_v<Byte>, const T, T>;
    if (token_ == Token{}) return refuse<Slice<Value>>(error(ErrorCode::StaleView, "the view was released"));
    if (reinterpret_cast<std::uintptr_t>(data_) % alignof(T) != 0) {
      return refuse<Slice<Value>>(error(ErrorCode::InvalidArgument, "the bytes are not aligned to " +
                                                                        std::to_string(alignof(T)) + ": allocate them so"));
    }
    if (size_ % sizeof(T) != 0) {
      return refuse<Slice<Value>>(
          error(ErrorCode::InvalidArgument, std::to_string(size_) + " bytes are no whole number of values of " +
                                                std::to_string(sizeof(T)) + " bytes: use another type or length"));
    }
    return Slice<Value>(reinterpret_cast<Value*>(data_), size_ / sizeof(T));
  }
  /// A view that nobody keeps ends before its values could be used.
  template <class T>
  void as() const&& = delete;

#ifdef __cpp_lib_span
  /// The bytes as a span, good as long as the view.
  std::span<Byte> span() const& noexcept { return {data_, size_}; }
  std::span<Byte> span() const&& = delete;
#endif

  /// Ends the borrow now; again, it does nothing. The view is empty afterwards. StaleHandle if somebody has ended the token.
  Outcome<void> release() {
    const Share heap = std::move(heap_);
    data_ = nullptr;
    size_ = 0;
    const Token token = std::exchange(token_, Token{});
    if (token == Token{}) return Outcome<void>();
    return call([&](weaveheap_error* e) { return weaveheap_borrow_end(heap.get(), token.bits, e); });
  }

  /// Gives the borrow up to its token: it lives until `Heap::end`, on any thread. The view is empty afterwards. It cannot
  /// fail.
  [[nodiscard]] Token into_token() noexcept {
    heap_.reset();
    data_ = nullptr;
    size_ = 0;
    return std::exchange(token_, Token{});
  }

 private:
  Share heap_;
  Byte* data_;
  std::size_t size_;
  Token token_;
};

}  // namespace detail

/// A shared borrow: bytes to read, together with any number of other readers.
using View = detail::Borrow<const std::byte>;
/// A unique borrow: bytes to read and write, alone.
using ViewMut = detail::Borrow<std::byte>;

/// A copy of bytes that the caller owns, outside the heap.
class Bytes {
 public:
  Bytes(std::uint8_t* data, std::size_t size) noexcept : data_(data, Free{size}) {}

  const std::byte* data() const noexcept { return reinterpret_cast<const std::byte*>(data_.get()); }
  std::size_t size() const noexcept { return data_ == nullptr ? 0 : data_.get_deleter().size; }
  const std::byte* begin() const noexcept { return data(); }
  const std::byte* end() const noexcept { return data() + size(); }

 private:
  struct Free {
    std::size_t size;
    void operator()(std::uint8_t* bytes) const noexcept { weaveheap_free_bytes(bytes, size); }
  };
  std::unique_ptr<std::uint8_t, Free> data_;
};

}  // inline namespace
}  // namespace weaveheap

/// Handles and tokens are keys of hashed containers.
template <>
struct std::hash<weaveheap::Handle> {
  std::size_t operator()(weaveheap::Handle handle) const noexcept { return std::hash<std::uint64_t>()(handle.bits); }
};
template <>
struct std::hash<weaveheap::Token> {
  std::size_t operator()(weaveheap::Token token) const noexcept { return std::hash<std::uint64_t>()(token.bits); }
};

#ifdef __cpp_lib_ranges
/// A slice is no owner: its iterators outlive it.
template <class T>
inline constexpr bool std::ranges::enable_borrowed_range<weaveheap::Slice<T>> = true;
#endif

#endif  // WEAVEHEAP_VIEW_HPP
