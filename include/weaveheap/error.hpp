// error.hpp: error codes, Error and Result, and how a call of C becomes one of the two. Part of weaveheap.hpp, whose first lines
// say what holds for all.

#ifndef WEAVEHEAP_ERROR_HPP
#define WEAVEHEAP_ERROR_HPP

#include "../weaveheap.h"
#include "error_code.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#if !defined(WEAVEHEAP_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define WEAVEHEAP_NO_EXCEPTIONS
#endif

// The two kinds of source have names of their own, so that the linker does not take one for the other.
#ifdef WEAVEHEAP_NO_EXCEPTIONS
#define WEAVEHEAP_KIND results
#else
#define WEAVEHEAP_KIND exceptions
#endif

namespace weaveheap {
inline namespace WEAVEHEAP_KIND {

/// The name of a code, the same in all languages: "StaleHandle". Empty for a number that is not in use. It cannot fail;
/// any thread; the text is static.
inline std::string_view error_name(ErrorCode code) noexcept {
  const char* name = weaveheap_error_name(static_cast<std::int32_t>(code));
  return name == nullptr ? std::string_view() : std::string_view(name);
}

/// A call that failed. `what()` is one line: the code's name, what was wrong, what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::string holders = "[]")
      : std::runtime_error(message), code_(code), holders_(std::move(holders)) {}

  /// Which error it is.
  ErrorCode code() const noexcept { return code_; }

  /// Who held what was in the way, as JSON: an array as from `Heap::holders_json`, gathered when the call failed. "[]"
  /// where no borrow was in the way.
  const std::string& holders() const noexcept { return holders_; }

 private:
  ErrorCode code_;
  std::string holders_;
};

namespace detail {

[[noreturn]] inline void no_value(const Error& error) {
#ifdef WEAVEHEAP_NO_EXCEPTIONS
  std::fprintf(stderr, "weaveheap: the value of a failure was asked for: %s\n", error.what());
  std::abort();
#else
  throw error;
#endif
}

}  // namespace detail

/// A value, or the Error that there is instead. `value()` of a failure throws the error; without exceptions it ends the
/// program (std::abort), as `error()` of a success does in both.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : either_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : either_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return either_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  /// Ok for a value.
  ErrorCode code() const noexcept { return has_value() ? ErrorCode::Ok : error().code(); }
  T& value() & { return checked(), *std::get_if<0>(&either_); }
  const T& value() const& { return checked(), *std::get_if<0>(&either_); }
  T&& value() && { return checked(), std::move(*std::get_if<0>(&either_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const noexcept {
    if (has_value()) std::abort();
    return *std::get_if<1>(&either_);
  }

 private:
  void checked() const {
    if (!has_value()) detail::no_value(error());
  }
  std::variant<T, Error> either_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  ErrorCode code() const noexcept { return error_.has_value() ? error_->code() : ErrorCode::Ok; }
  void value() const {
    if (error_.has_value()) detail::no_value(*error_);
  }
  const Error& error() const noexcept {
    if (!error_.has_value()) std::abort();
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

/// What a call that can fail returns: T, or Result<T> without exceptions.
#ifdef WEAVEHEAP_NO_EXCEPTIONS
template <class T>
using Outcome = Result<T>;
#else
template <class T>
using Outcome = T;
#endif

namespace detail {

struct Release {
  void operator()(const char* text) const noexcept { weaveheap_free_string(text); }
};
/// A string of the library's, until it is copied.
using Text = std::unique_ptr<const char, Release>;

inline std::string text(const char* taken) {
  Text owned(taken);
  return owned == nullptr ? std::string() : std::string(owned.get());
}

inline Error error(ErrorCode code, const std::string& words) {
  return Error(code, std::string(error_name(code)) + ": " + words);
}

/// The Error of a failed call. The message is released, whatever happens.
inline Error taken(weaveheap_error& failed) {
  struct Clear {
    weaveheap_error& error;
    ~Clear() { weaveheap_error_clear(&error); }
  } clear{failed};
  const auto code = static_cast<ErrorCode>(failed.code);
  const bool held = code == ErrorCode::Borrowed || code == ErrorCode::BorrowConflict;
  std::string holders = held ? text(weaveheap_error_last_holders_json(nullptr)) : std::string();
  const std::string message = failed.message == nullptr ? std::string(error_name(code)) : std::string(failed.message);
  return Error(code, message, holders.empty() ? "[]" : std::move(holders));
}

template <class T>
Outcome<T> refuse(Error error) {
#ifdef WEAVEHEAP_NO_EXCEPTIONS
  return Result<T>(std::move(error));
#else
  throw error;
#endif
}

/// Calls C with an error to fill; `make` turns what C gave into what is returned.
template <class T, class Call, class Make>
Outcome<T> call(Call&& c, Make&& make) {
  weaveheap_error failed;
  auto given = c(&failed);
  if (failed.code != WEAVEHEAP_OK) return refuse<T>(taken(failed));
  return make(given);
}

/// The same for a function of C that returns the code alone.
template <class Call>
Outcome<void> call(Call&& c) {
  weaveheap_error failed;
  c(&failed);
  if (failed.code != WEAVEHEAP_OK) return refuse<void>(taken(failed));
  return Outcome<void>();
}

/// For a function of C that fills a struct which begins with its size.
template <class T, class Call>
Outcome<T> filled(Call&& c) {
  T into{};
  into.struct_size = sizeof into;
  return call<T>([&](weaveheap_error* e) { return c(&into, e); }, [&](std::int32_t) { return into; });
}

/// For a function of C that returns a string.
template <class Call>
Outcome<std::string> string(Call&& c) {
  return call<std::string>(std::forward<Call>(c), [](const char* given) { return text(given); });
}

/// A text with its end in NUL. A NUL inside would cut it off: it is given as null then, which C refuses.
inline const char* words(const std::string& text) noexcept {
  return text.find('\0') == std::string::npos ? text.c_str() : nullptr;
}

/// Seconds to wait: what is over is 0, for C takes what is negative as for ever.
inline double seconds(std::chrono::duration<double> timeout) noexcept {
  return timeout.count() < 0 ? 0 : timeout.count();
}
constexpr double for_ever = -1;

}  // namespace detail

/// What `f()` comes to as a Result, with exceptions and without: `attempt([&] { return region.alloc(64); })`. An exception
/// that is no Error goes through.
template <class F>
auto attempt(F&& f) {
#ifdef WEAVEHEAP_NO_EXCEPTIONS
  return std::forward<F>(f)();
#else
  using T = std::decay_t<decltype(f())>;
  try {
    if constexpr (std::is_void_v<T>) {
      std::forward<F>(f)();
      return Result<void>();
    } else {
      return Result<T>(std::forward<F>(f)());
    }
  } catch (const Error& error) {
    return Result<T>(error);
  }
#endif
}

}  // inline namespace
}  // namespace weaveheap

#endif  // WEAVEHEAP_ERROR_HPP
