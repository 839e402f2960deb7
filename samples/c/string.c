/* A string: UTF-8 in a buffer, without a terminator, borrowed as pointer and length without a copy.
 *
 *     cc -std=c11 string.c $(pkg-config --cflags --libs weaveheap) -o string && ./string */
#include <weaveheap.h>

#include <stdio.h>
#include <string.h>

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
  weaveheap_handle_t region = weaveheap_region_create(heap, "words", 0, &err);
  if (region == 0) return failed(&err);

  const char *words = "Gr\xc3\xbc\xc3\x9f" "e aus dem Speicher";
  weaveheap_handle_t string = weaveheap_string_alloc(heap, region, words, strlen(words), &err);
  if (string == 0) return failed(&err);

  weaveheap_string_view view;
  if (weaveheap_string_borrow(heap, string, &view, &err) != WEAVEHEAP_OK) return failed(&err);
  printf("%.*s (%zu bytes)\n", (int)view.length, view.data, view.length);
  weaveheap_borrow_end(heap, view.token, NULL);

  /* Bytes that are no text are refused when the string is made. */
  if (weaveheap_string_alloc(heap, region, "\xff\xfe", 2, &err) != 0) return 1;
  printf("refused: %s\n", err.message);
  weaveheap_error_clear(&err);

  if (weaveheap_region_close(heap, region, &err) != WEAVEHEAP_OK) return failed(&err);
  weaveheap_heap_release(heap);
  return 0;
}
