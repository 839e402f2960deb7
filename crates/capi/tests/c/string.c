#include "harness.h"

static void text_is_kept_without_a_terminator(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap);
  const char text[] = "Gr\xc3\xbc\xc3\x9f" "e\0inside";
  weaveheap_handle_t string = weaveheap_string_alloc(heap, region, text, sizeof text - 1, &err);
  REQUIRE(GIVES(string));
  CHECK(weaveheap_buffer_length(heap, string, &err) == sizeof text - 1);
  OK(weaveheap_string_validate(heap, string, &err));
  weaveheap_string_view view;
  OK(weaveheap_string_borrow(heap, string, &view, &err));
  CHECK(view.length == sizeof text - 1 && memcmp(view.data, text, view.length) == 0);
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_buffer_free(heap, string, &err));
  OK(weaveheap_borrow_end(heap, view.token, &err));

  weaveheap_handle_t empty = weaveheap_string_alloc(heap, region, NULL, 0, &err);
  CHECK(GIVES(empty) && empty != 0);
  OK(weaveheap_string_borrow(heap, empty, &view, &err));
  CHECK(view.length == 0 && view.data != NULL);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void bytes_that_are_no_text_are_refused(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap);
  const char *texts[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80"};
  for (size_t i = 0; i < LENGTH(texts); i++) {
    REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8,
            weaveheap_string_alloc(heap, region, texts[i], strlen(texts[i]), &err));
    weaveheap_handle_t buffer =
        weaveheap_buffer_alloc_from(heap, region, (const uint8_t *)texts[i], strlen(texts[i]), 64, &err);
    weaveheap_string_view view = {NULL, 0, 0};
    FAILS(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_string_validate(heap, buffer, &err));
    FAILS(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_string_borrow(heap, buffer, &view, &err));
    CHECK(view.data == NULL && view.token == 0);
    OK(weaveheap_buffer_free(heap, buffer, &err));
  }
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

static void bad_arguments_are_refused(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 4);
  weaveheap_string_view view;
  BAD(weaveheap_string_alloc(NULL, region, "a", 1, &err));
  BAD(weaveheap_string_alloc(heap, region, NULL, 1, &err));
  BAD(weaveheap_string_alloc(heap, region, "a", SIZE_MAX, &err));
  REFUSES(WEAVEHEAP_ERROR_STALE_HANDLE, weaveheap_string_alloc(heap, 0, "a", 1, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_string_validate(NULL, buffer, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_string_borrow(NULL, buffer, &view, &err));
  FAILS(WEAVEHEAP_ERROR_INVALID_ARGUMENT, weaveheap_string_borrow(heap, buffer, NULL, &err));
  STALE(weaveheap_string_borrow(heap, 0, &view, &err));
  weaveheap_view_mut mut;
  OK(weaveheap_borrow_unique(heap, buffer, &mut, &err));
  FAILS(WEAVEHEAP_ERROR_BORROW_CONFLICT, weaveheap_string_validate(heap, buffer, &err));
  FAILS(WEAVEHEAP_ERROR_BORROW_CONFLICT, weaveheap_string_borrow(heap, buffer, &view, &err));
  OK(weaveheap_borrow_end(heap, mut.token, &err));
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

const test_case string_tests[] = {
    {"text_is_kept_without_a_terminator", text_is_kept_without_a_terminator},
    {"bytes_that_are_no_text_are_refused", bytes_that_are_no_text_are_refused},
    {"bad_arguments_are_refused", bad_arguments_are_refused},
    {NULL, NULL},
};
