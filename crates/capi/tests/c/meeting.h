/* Threads that wait for each other; not every system has barriers. */
#ifndef MEETING_H
#define MEETING_H

#include <sched.h>

/* Returns when so many threads have come; once for one counter, which starts at 0. */
static inline void meet(int *arrived, int threads) {
  __atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < threads) sched_yield();
}

#endif
