// The smallest program with the C++ header: it says 0 if header and library fit and a region closes.
#include <weaveheap.hpp>

int main() {
  const weaveheap::Heap heap = weaveheap::Heap::private_heap();
  const weaveheap::Region region = heap.region({"r"});
  region.close();
  return heap.check().regions == 0 ? 0 : 1;
}
