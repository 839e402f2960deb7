/* The smallest program: it says 0 if the installed header and library fit. */
#include <weaveheap.h>

int main(void) {
  if (weaveheap_abi_check(WEAVEHEAP_ABI_VERSION, NULL) != WEAVEHEAP_OK) return 1;
  weaveheap_heap *heap = weaveheap_heap_private(NULL, NULL);
  weaveheap_handle_t region = weaveheap_region_create(heap, "r", 0, NULL);
  int32_t code = weaveheap_region_close(heap, region, NULL);
  weaveheap_heap_release(heap);
  return code;
}
