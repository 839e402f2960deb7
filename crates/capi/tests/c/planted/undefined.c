/* Overflows an int: UBSan must say so. */
#include "weaveheap.h"

#include <limits.h>

int main(int argc, char **argv) {
  (void)argv;
  int number = INT_MAX - 1 + argc;
  return number + argc == (int)weaveheap_abi_version() ? 1 : 0;
}
