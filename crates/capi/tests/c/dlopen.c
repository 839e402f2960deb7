/* Loads the library, uses it, closes it while a thread that used it lives and while a view of it is mapped, and loads it
 * again: `dlclose` must be safe. Not linked with the library; its path is the argument. */
#include "meeting.h"
#include "weaveheap.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTION(library, name) __typeof__(&name) name##_ = (__typeof__(&name))dlsym(library, #name)

static int used, closed;
static void *library;
static const uint8_t *bytes;

static void ignore(void *context, const weaveheap_log_record *record) {
  (void)context;
  (void)record;
}

/* A thread whose thread-local destructors belong to the library, and run after it was closed. */
static void *use(void *result) {
  FUNCTION(library, weaveheap_heap_private);
  FUNCTION(library, weaveheap_region_create);
  FUNCTION(library, weaveheap_buffer_alloc);
  FUNCTION(library, weaveheap_borrow_shared);
  FUNCTION(library, weaveheap_heap_release);
  FUNCTION(library, weaveheap_log_register);
  FUNCTION(library, weaveheap_log_unregister);
  weaveheap_heap_options options = WEAVEHEAP_HEAP_OPTIONS_INIT;
  const char *limit = getenv("WEAVEHEAP_TEST_LIMIT");
  if (limit != NULL) options.limit = strtoull(limit, NULL, 10);
  weaveheap_heap *heap = weaveheap_heap_private_(&options, NULL);
  weaveheap_handle_t region = weaveheap_region_create_(heap, "r", 0, NULL);
  weaveheap_handle_t buffer = weaveheap_buffer_alloc_(heap, region, 4096, 64, WEAVEHEAP_INIT_ZEROED, NULL);
  weaveheap_view view = {NULL, 0, 0};
  if (weaveheap_borrow_shared_(heap, buffer, &view, NULL) == WEAVEHEAP_OK) *(int *)result = 0;
  bytes = view.data;
  weaveheap_log_id_t id = weaveheap_log_register_(ignore, NULL, WEAVEHEAP_LOG_TRACE, NULL);
  if (weaveheap_log_unregister_(id, NULL) != WEAVEHEAP_OK) *(int *)result = 2;
  weaveheap_heap_release_(heap);
  meet(&used, 2);
  meet(&closed, 2);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  int result = 1;
  pthread_t thread;
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 2;
  if (pthread_create(&thread, NULL, use, &result) != 0) return 2;
  meet(&used, 2);
  if (dlclose(library) != 0) return 3;
  int sum = 0;
  for (int i = 0; bytes != NULL && i < 4096; i++) sum += bytes[i];
  meet(&closed, 2);
  pthread_join(thread, NULL);
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return 4;
  FUNCTION(library, weaveheap_abi_check);
  if (weaveheap_abi_check_(WEAVEHEAP_ABI_VERSION, NULL) != WEAVEHEAP_OK) return 5;
  dlclose(library);
  if (result == 0 && sum == 0) puts("1 passed, 0 failed");
  return result + sum;
}
