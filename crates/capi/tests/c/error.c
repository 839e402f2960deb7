#include "harness.h"

static void every_code_has_a_name_a_meaning_and_a_remedy(void) {
  for (int32_t code = WEAVEHEAP_OK; code <= WEAVEHEAP_ERROR_INTERNAL; code++) {
    const char *name = weaveheap_error_name(code);
    REQUIRE(name != NULL);
    CHECK(weaveheap_error_number(name) == code);
    CHECK(weaveheap_error_meaning(code) != NULL && strlen(weaveheap_error_meaning(code)) > 5);
    CHECK(weaveheap_error_remedy(code) != NULL && strlen(weaveheap_error_remedy(code)) > 5);
    CHECK(weaveheap_error_name(code) == name);
  }
  CHECK(strcmp(weaveheap_error_name(WEAVEHEAP_OK), "Ok") == 0);
  CHECK(strcmp(weaveheap_error_name(WEAVEHEAP_ERROR_STALE_HANDLE), "StaleHandle") == 0);
  CHECK(strcmp(weaveheap_error_name(WEAVEHEAP_ERROR_INVALID_UTF8), "InvalidUtf8") == 0);
}

static void numbers_not_in_use_have_no_words(void) {
  const int32_t numbers[] = {-1, WEAVEHEAP_ERROR_INTERNAL + 1, 1000, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < LENGTH(numbers); i++) {
    CHECK(weaveheap_error_name(numbers[i]) == NULL);
    CHECK(weaveheap_error_meaning(numbers[i]) == NULL);
    CHECK(weaveheap_error_remedy(numbers[i]) == NULL);
  }
  CHECK(weaveheap_error_number(NULL) == -1);
  CHECK(weaveheap_error_number("") == -1);
  CHECK(weaveheap_error_number("stalehandle") == -1);
  CHECK(weaveheap_error_number("\xff\xfe") == -1);
}

static void clearing_twice_or_nothing_does_no_harm(void) {
  weaveheap_error_clear(NULL);
  CHECK(weaveheap_heap_detach(NULL, &err) == WEAVEHEAP_ERROR_INVALID_ARGUMENT);
  CHECK(err.code == WEAVEHEAP_ERROR_INVALID_ARGUMENT && err.message != NULL);
  weaveheap_error_clear(&err);
  CHECK(err.code == WEAVEHEAP_OK && err.message == NULL);
  weaveheap_error_clear(&err);
  CHECK(err.code == WEAVEHEAP_OK && err.message == NULL);
}

static void an_error_struct_need_not_be_initialised(void) {
  weaveheap_error rubbish;
  memset(&rubbish, 0xa5, sizeof rubbish);
  CHECK(weaveheap_abi_check(WEAVEHEAP_ABI_VERSION, &rubbish) == WEAVEHEAP_OK);
  CHECK(rubbish.code == WEAVEHEAP_OK && rubbish.message == NULL);
  memset(&rubbish, 0xa5, sizeof rubbish);
  CHECK(weaveheap_heap_detach(NULL, &rubbish) == WEAVEHEAP_ERROR_INVALID_ARGUMENT);
  CHECK(strstr(rubbish.message, "heap") != NULL);
  weaveheap_error_clear(&rubbish);
}

static void strings_and_blocks_that_are_null_are_released_as_nothing(void) {
  weaveheap_free_string(NULL);
  weaveheap_free_bytes(NULL, 0);
  weaveheap_free_bytes(NULL, 100);
}

static void the_last_refusal_carries_its_holders(void) {
  weaveheap_heap *heap = private_heap();
  weaveheap_handle_t region = some_region(heap), buffer = some_buffer(heap, region, 64);
  weaveheap_view view;
  OK(weaveheap_borrow_shared(heap, buffer, &view, &err));
  FAILS(WEAVEHEAP_ERROR_BORROWED, weaveheap_heap_detach(heap, &err));
  const char *holders = weaveheap_error_last_holders_json(&err);
  REQUIRE(GIVES(holders) && holders != NULL);
  CHECK(strstr(holders, "\"shared\"") != NULL);
  weaveheap_free_string(holders);
  OK(weaveheap_borrow_end(heap, view.token, &err));
  holders = weaveheap_error_last_holders_json(NULL);
  CHECK(holders != NULL && strcmp(holders, "[]") == 0);
  weaveheap_free_string(holders);
  CHECK(weaveheap_buffer_free(heap, 0, NULL) == WEAVEHEAP_ERROR_STALE_HANDLE);
  holders = weaveheap_error_last_holders_json(&err);
  CHECK(holders != NULL && strcmp(holders, "[]") == 0);
  weaveheap_free_string(holders);
  OK(weaveheap_region_close(heap, region, &err));
  finish(heap);
}

const test_case error_tests[] = {
    {"every_code_has_words", every_code_has_a_name_a_meaning_and_a_remedy},
    {"numbers_not_in_use_have_no_words", numbers_not_in_use_have_no_words},
    {"clearing_twice_does_no_harm", clearing_twice_or_nothing_does_no_harm},
    {"an_error_struct_need_not_be_initialised", an_error_struct_need_not_be_initialised},
    {"null_is_released_as_nothing", strings_and_blocks_that_are_null_are_released_as_nothing},
    {"the_last_refusal_carries_its_holders", the_last_refusal_carries_its_holders},
    {NULL, NULL},
};
