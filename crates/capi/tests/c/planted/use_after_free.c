/* Reads a string of the library's after it was released: AddressSanitizer and valgrind must say so. */
#include "weaveheap.h"

int main(void) {
  const char *text = weaveheap_handle_to_text(1, NULL);
  if (text == NULL) return 0;
  weaveheap_free_string(text);
  return *(const volatile char *)text == 'b' ? 0 : 3;
}
