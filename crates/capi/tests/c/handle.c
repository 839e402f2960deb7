#include "harness.h"

static void text_form_is_written_and_read(void) {
  const struct {
    weaveheap_handle_t handle;
    const char *text;
  } pairs[] = {
      {UINT64_C(0x7fb00000011), "b17:2043"},
      {(UINT64_C(77) << 32) | 0x80000003u, "r3:77"},
      {0, "null"},
      {UINT64_MAX, "r2147483647:4294967295"},
  };
  for (size_t i = 0; i < LENGTH(pairs); i++) {
    const char *text = weaveheap_handle_to_text(pairs[i].handle, &err);
    REQUIRE(GIVES(text) && text != NULL);
    CHECK(strcmp(text, pairs[i].text) == 0);
    CHECK(weaveheap_handle_from_text(text, &err) == pairs[i].handle);
    CHECK(err.code == WEAVEHEAP_OK);
    weaveheap_free_string(text);
  }
  const char *text = weaveheap_handle_to_text(1, NULL);
  CHECK(text != NULL);
  weaveheap_free_string(text);
}

static void text_that_is_no_handle_is_refused(void) {
  const char *texts[] = {"", "b", "b1", "x1:1", "b1:0", "b4294967296:1", "r 1:1", "17", "b1:1 "};
  for (size_t i = 0; i < LENGTH(texts); i++) BAD(weaveheap_handle_from_text(texts[i], &err));
  BAD(weaveheap_handle_from_text(NULL, &err));
  CHECK(weaveheap_handle_from_text(NULL, NULL) == 0);
  REFUSES(WEAVEHEAP_ERROR_INVALID_UTF8, weaveheap_handle_from_text("b1:\xff", &err));
}

const test_case handle_tests[] = {
    {"text_form_is_written_and_read", text_form_is_written_and_read},
    {"text_that_is_no_handle_is_refused", text_that_is_no_handle_is_refused},
    {NULL, NULL},
};
