// A string: UTF-8 in a buffer, without a terminator, borrowed as a string_view without a copy.
//
//     c++ -std=c++17 string.cc $(pkg-config --cflags --libs weaveheap) -o string && ./string
#include <weaveheap.hpp>

#include <iostream>

int main() try {
  const weaveheap::Heap heap = weaveheap::Heap::private_heap();
  const weaveheap::Region region = heap.region({"words"});
  const weaveheap::Buffer string = region.string("Gr\xc3\xbc\xc3\x9f" "e aus dem Speicher");
  {
    const weaveheap::View view = string.borrow_string();
    std::cout << view.text() << " (" << view.size() << " bytes)\n";
  }

  // Bytes that are no text are refused when the string is made.
  try {
    region.string("\xff\xfe");
    return 1;
  } catch (const weaveheap::Error& error) {
    std::cout << "refused: " << error.what() << "\n";
  }
} catch (const weaveheap::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
