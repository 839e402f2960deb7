// A buffer: made in a region, written under a unique borrow, read under a shared one, freed with its region.
//
//     c++ -std=c++17 buffer.cc $(pkg-config --cflags --libs weaveheap) -o buffer && ./buffer
#include <weaveheap.hpp>

#include <iostream>
#include <numeric>

int main() try {
  const weaveheap::Heap heap = weaveheap::Heap::private_heap();
  const weaveheap::Region region = heap.region({"frames"});
  const weaveheap::Buffer buffer = region.alloc(1024);
  {
    const weaveheap::ViewMut writing = buffer.borrow_unique();
    for (std::size_t i = 0; i < writing.size(); i++) writing[i] = static_cast<std::byte>(i);
  }  // the borrow has ended

  weaveheap::View reading = buffer.borrow_shared();
  const auto bytes = reading.as<std::uint8_t>();
  std::cout << "the bytes add up to " << std::accumulate(bytes.begin(), bytes.end(), 0u) << "\n";

  // While somebody reads, the region stays; the message says who it is.
  try {
    region.close();
    return 1;
  } catch (const weaveheap::Error& error) {
    std::cout << "refused: " << error.what() << "\n";
  }
  reading.release();

  region.close();
  try {
    buffer.length();
    return 1;
  } catch (const weaveheap::Error& error) {
    std::cout << "after closing: " << weaveheap::error_name(error.code()) << "\n";
  }
} catch (const weaveheap::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
