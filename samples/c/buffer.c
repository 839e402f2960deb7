/* A buffer: made in a region, written under a unique borrow, read under a shared one, freed with its region.
 *
 *     cc -std=c11 buffer.c $(pkg-config --cflags --libs weaveheap) -o buffer && ./buffer */
#include <weaveheap.h>

#include <stdio.h>

/* Prints what went wrong, and releases the message. */
static int failed(weaveheap_error *err) {
  fprintf(stderr, "%s\n", err->message);
  weaveheap_error_clear(err);
  return 1;
}

int main(void) {
  weaveheap_error err;
  weaveheap_heap *heap = weaveheap_heap_private(NULL, &err);
  if (heap == NULL) return failed(&err);

  weaveheap_handle_t region = weaveheap_region_create(heap, "frames", 0, &err);
  if (region == 0) return failed(&err);
  weaveheap_handle_t buffer =
      weaveheap_buffer_alloc(heap, region, 1024, WEAVEHEAP_ALIGN_DEFAULT, WEAVEHEAP_INIT_ZEROED, &err);
  if (buffer == 0) return failed(&err);

  weaveheap_view_mut writing;
  if (weaveheap_borrow_unique(heap, buffer, &writing, &err) != WEAVEHEAP_OK) return failed(&err);
  for (size_t i = 0; i < writing.length; i++) writing.data[i] = (uint8_t)i;
  weaveheap_borrow_end(heap, writing.token, NULL);

  weaveheap_view reading;
  if (weaveheap_borrow_shared(heap, buffer, &reading, &err) != WEAVEHEAP_OK) return failed(&err);
  unsigned sum = 0;
  for (size_t i = 0; i < reading.length; i++) sum += reading.data[i];
  printf("the bytes add up to %u\n", sum);

  /* While somebody reads, the region stays; the message says who it is. */
  if (weaveheap_region_close(heap, region, &err) != WEAVEHEAP_ERROR_BORROWED) return 1;
  printf("refused: %s\n", err.message);
  weaveheap_error_clear(&err);
  weaveheap_borrow_end(heap, reading.token, NULL);

  if (weaveheap_region_close(heap, region, &err) != WEAVEHEAP_OK) return failed(&err);
  if (weaveheap_buffer_length(heap, buffer, &err) != 0 || err.code != WEAVEHEAP_ERROR_STALE_HANDLE) return 1;
  printf("after closing: %s\n", weaveheap_error_name(err.code));
  weaveheap_error_clear(&err);
  weaveheap_heap_release(heap);
  return 0;
}
