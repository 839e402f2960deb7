// A second source of the test program, which is built without exceptions in the API whatever the first one is: both may be in
// one program.
#ifndef WEAVEHEAP_NO_EXCEPTIONS
#define WEAVEHEAP_NO_EXCEPTIONS
#endif
#include "weaveheap.hpp"

int code_without_exceptions();

// The code of a borrow that must fail, as a Result has it.
int code_without_exceptions() {
  weaveheap::HeapOptions options;
  options.limit = 1 << 24;
  const weaveheap::Result<weaveheap::Heap> heap = weaveheap::Heap::private_heap(options);
  const weaveheap::Result<weaveheap::View> view = heap->buffer(weaveheap::Handle{}).borrow_shared();
  return static_cast<int>(view.code());
}
