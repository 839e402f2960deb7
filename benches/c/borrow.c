/* Borrows from C, as a program that uses the C ABI has them: begin with a handle, end with a token. Compiled by
   `cargo xtask bench` with -O2 into a library that `weaveheap-bench` loads beside libweaveheap. */
#include <stddef.h>
#include <stdlib.h>
#include <weaveheap.h>

static weaveheap_heap *heap;
static weaveheap_handle_t *buffers;
static size_t count;

/* A private heap with so many buffers of 64 bytes. 0 if all went well. */
int bench_prepare(size_t wanted) {
  heap = weaveheap_heap_private(NULL, NULL);
  weaveheap_handle_t region = weaveheap_region_create(heap, NULL, 0, NULL);
  buffers = malloc(wanted * sizeof *buffers);
  if (!heap || !region || !buffers) return 1;
  for (count = 0; count < wanted; count++) {
    buffers[count] =
        weaveheap_buffer_alloc(heap, region, 64, WEAVEHEAP_ALIGN_DEFAULT, WEAVEHEAP_INIT_UNINIT, NULL);
    if (!buffers[count]) return 1;
  }
  return 0;
}

/* Borrows and ends each buffer once in each pass. 0 if all went well. */
int bench_borrow(size_t passes) {
  int failed = 0;
  for (size_t pass = 0; pass < passes; pass++) {
    for (size_t i = 0; i < count; i++) {
      weaveheap_view view;
      failed |= weaveheap_borrow_shared(heap, buffers[i], &view, NULL);
      failed |= view.length != 64;
      failed |= weaveheap_borrow_end(heap, view.token, NULL);
    }
  }
  return failed;
}
