/* bigmem - memory whose size comes from the data: counted against one budget, so that a job that
 * does not fit ends with a sentence and exit code 4 instead of the kernel's OOM killer.
 *
 *   budget = the least of --memory, the cgroup's limit, RLIMIT_AS and the machine's memory,
 *            less 1/32 that stays for code, stacks and the allocator itself
 *
 * Any thread. Freed with big_free(), never with free(3). */
#pragma once
#include "base/str.h"

#include <stdlib.h>

/* The budget from now on; 0: what the machine and its cgroup give. */
void big_set_budget(uint64_t bytes);
uint64_t big_budget(void);
uint64_t big_in_use(void);

/* n x size zeroed bytes, aligned for doubles. `what` goes into the sentence: "the design matrix".
 * Never NULL on success, not even for n = 0. ERR_MEMORY. */
void *big_alloc(size_t n, size_t size, const char *what, struct err *e) MUST_USE;
/* Grows or shrinks *(void **)pp to n x size bytes; new bytes are not zeroed. */
int big_resize(void *pp, size_t n, size_t size, const char *what, struct err *e) MUST_USE;
/* The same for the values of columns, which are read and written from the first row to the last:
 * where there is a spill file (spill.h) they lie there rather than take more than half of the
 * budget, and are not counted. */
void *big_alloc_column(size_t n, size_t size, const char *what, struct err *e) MUST_USE;
int big_resize_column(void *pp, size_t n, size_t size, const char *what, struct err *e) MUST_USE;
void big_free(void *p);
void big_freep(void *pp); /* for SCOPED */

/* Counts memory that another allocator holds (hash indexes). */
int big_charge(size_t bytes, const char *what, struct err *e) MUST_USE;
void big_refund(size_t bytes);
