/* Forgets an error's message, a string and a heap: the leak checkers must say so. */
#include "weaveheap.h"

int main(void) {
  weaveheap_error err;
  if (weaveheap_heap_detach(NULL, &err) != WEAVEHEAP_ERROR_INVALID_ARGUMENT) return 0;
  if (weaveheap_handle_to_text(1, &err) == NULL) return 0;
  err.message = NULL;
  return 0;
}
