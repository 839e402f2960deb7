// What the compiler must refuse. Each block is switched on alone by `cargo xtask test capi`, and must be an error.
#include "weaveheap.hpp"

#include <string>

inline void refused(const weaveheap::Buffer& buffer) {
  weaveheap::View view = buffer.borrow_shared();
  weaveheap::Buffer other = weaveheap::Heap::private_heap().buffer(weaveheap::Handle{});
  static_cast<void>(other);
#ifdef COPIED_VIEW
  weaveheap::View copy = view;
#endif
#ifdef COPIED_BUFFER
  weaveheap::Buffer copy = buffer;
#endif
#ifdef COPIED_HEAP
  const weaveheap::Heap heap = weaveheap::Heap::private_heap();
  weaveheap::Heap copy = heap;
#endif
#ifdef WRITTEN_THROUGH_A_SHARED_BORROW
  view[0] = std::byte{1};
#endif
#ifdef WRITTEN_THROUGH_VALUES_OF_A_SHARED_BORROW
  view.as<int>()[0] = 1;
#endif
#ifdef VALUES_OF_A_VIEW_THAT_NOBODY_KEEPS
  const auto values = buffer.borrow_shared().as<int>();
#endif
#ifdef TEXT_OF_A_VIEW_THAT_NOBODY_KEEPS
  const std::string_view text = buffer.borrow_shared().text();
#endif
#ifdef VALUES_WITH_A_DESTRUCTOR
  const auto values = view.as<std::string>();
#endif
#ifdef TOKEN_FOR_A_HANDLE
  const weaveheap::Handle handle = view.token();
#endif
}
