#include "harness.h"

static void versions_fit_the_header(void) {
  CHECK(weaveheap_abi_version() == WEAVEHEAP_ABI_VERSION);
  CHECK(weaveheap_abi_layout_version() >= 1);
  CHECK(strchr(weaveheap_abi_library_version(), '.') != NULL);
  OK(weaveheap_abi_check(WEAVEHEAP_ABI_VERSION, &err));
  CHECK(weaveheap_abi_check(WEAVEHEAP_ABI_VERSION, NULL) == WEAVEHEAP_OK);
}

static void another_major_or_a_later_minor_version_is_refused_with_both_named(void) {
  CHECK(weaveheap_abi_check(WEAVEHEAP_ABI_VERSION + 1, &err) == WEAVEHEAP_ERROR_INCOMPATIBLE);
  REQUIRE(err.message != NULL);
  CHECK(strstr(err.message, "0.2") != NULL);
  CHECK(strstr(err.message, "0.1") != NULL);
  weaveheap_error_clear(&err);
  FAILS(WEAVEHEAP_ERROR_INCOMPATIBLE, weaveheap_abi_check((7u << 16) | 1, &err));
  CHECK(weaveheap_abi_check(UINT32_MAX, NULL) == WEAVEHEAP_ERROR_INCOMPATIBLE);
}

/* What every caller compiles in. */
static void structs_begin_with_their_size(void) {
  CHECK(offsetof(weaveheap_heap_options, struct_size) == 0);
  CHECK(offsetof(weaveheap_heap_info_t, struct_size) == 0);
  CHECK(offsetof(weaveheap_check_report, struct_size) == 0);
  CHECK(offsetof(weaveheap_region_info_t, struct_size) == 0);
  CHECK(offsetof(weaveheap_buffer_info_t, struct_size) == 0);
  CHECK(offsetof(weaveheap_counters, struct_size) == 0);
  CHECK(offsetof(weaveheap_log_record, struct_size) == 0);
  CHECK(sizeof(weaveheap_handle_t) == 8 && sizeof(weaveheap_token_t) == 8);
}

const test_case abi_tests[] = {
    {"versions_fit_the_header", versions_fit_the_header},
    {"another_version_is_refused", another_major_or_a_later_minor_version_is_refused_with_both_named},
    {"structs_begin_with_their_size", structs_begin_with_their_size},
    {NULL, NULL},
};
