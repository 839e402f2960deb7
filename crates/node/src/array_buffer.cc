// `ArrayBuffer`s over memory that V8 does not own (`lend.rs`). V8 counts the bytes of every other one as memory that
// its collector could free, and collects at once when 64 MiB are borrowed. What N-API makes is counted; only V8's own
// interface can say otherwise, by the deleter that stands for "managed by hand".
//
// The few declarations of V8 that are needed stand here, as its headers are not part of every Node. They are weak: a
// program that has not exactly these functions, by their mangled names, leaves them null, and nothing is lent.

#include <dlfcn.h>

#include <cstddef>
#include <memory>
#include <utility>

#define WEAK __attribute__((weak))

namespace v8 {

class Isolate {
 public:
  WEAK static Isolate *GetCurrent();
};

template <class T>
class Local {
 public:
  T *place;
};

class Value;

class BackingStore {
 public:
  WEAK ~BackingStore();
  WEAK static void EmptyDeleter(void *data, size_t length, void *deleter_data);
};

class ArrayBuffer {
 public:
  WEAK static std::unique_ptr<BackingStore> NewBackingStore(void *data, size_t length,
                                                            void (*deleter)(void *, size_t, void *),
                                                            void *deleter_data);
  WEAK static Local<ArrayBuffer> New(Isolate *isolate, std::shared_ptr<BackingStore> store);
  WEAK void SetDetachKey(Local<Value> key);
};

}  // namespace v8

namespace {

// Runs when the last `ArrayBuffer` over the memory is gone, on whichever thread that is.
struct Released {
  void (*call)(void *);
  void *hint;

  void operator()(v8::BackingStore *store) const {
    delete store;
    call(hint);
  }
};

bool has_all() {
  using NewStore = std::unique_ptr<v8::BackingStore> (*)(void *, size_t, void (*)(void *, size_t, void *), void *);
  using New = v8::Local<v8::ArrayBuffer> (*)(v8::Isolate *, std::shared_ptr<v8::BackingStore>);
  // Through `volatile`, or the compiler takes it that functions are there.
  v8::Isolate *(*volatile current)() = &v8::Isolate::GetCurrent;
  void (*volatile empty)(void *, size_t, void *) = &v8::BackingStore::EmptyDeleter;
  volatile NewStore new_store = &v8::ArrayBuffer::NewBackingStore;
  volatile New make = &v8::ArrayBuffer::New;
  void (v8::ArrayBuffer::*volatile set_key)(v8::Local<v8::Value>) = &v8::ArrayBuffer::SetDetachKey;
  return set_key != nullptr && current != nullptr && empty != nullptr && new_store != nullptr && make != nullptr;
}

// Keeps this library loaded: a worker's memory is let go of after Node has closed the libraries that it loaded.
bool stays_loaded() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void *>(&has_all), &info) == 0) return false;
  return dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

}  // namespace

// The `napi_value` of a new `ArrayBuffer` over the bytes, in the scope of the call that is under way; null if this
// runtime cannot lend. Otherwise `released(hint)` is called once, from any thread.
extern "C" void *weaveheap_lend(void *data, size_t length, void (*released)(void *), void *hint) {
  static const bool can = has_all() && stays_loaded();
  v8::Isolate *isolate = can ? v8::Isolate::GetCurrent() : nullptr;
  if (isolate == nullptr) return nullptr;
  auto store = v8::ArrayBuffer::NewBackingStore(data, length, v8::BackingStore::EmptyDeleter, nullptr);
  std::shared_ptr<v8::BackingStore> shared(store.release(), Released{released, hint});
  // A local is the address of its place, which is what a `napi_value` is.
  static_assert(sizeof(v8::Local<v8::ArrayBuffer>) == sizeof(void *), "a local is one word");
  return v8::ArrayBuffer::New(isolate, std::move(shared)).place;
}

// Takes away the key that a newer Node locks an untransferable `ArrayBuffer` with, so that it can be detached. Both are
// `napi_value`s; the array is one that was lent.
extern "C" void weaveheap_unlock(void *array, void *undefined) {
  static_cast<v8::ArrayBuffer *>(array)->SetDetachKey(v8::Local<v8::Value>{static_cast<v8::Value *>(undefined)});
}
