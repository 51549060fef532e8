/* spill - memory that lies in a file: columns that are larger than the budget go through the page
 * cache, which the kernel writes out and takes back, so that a table larger than the memory of the
 * job is worked on.
 *
 *   DIR/(a file without a name): | column | hole | column | ...   places only grow; a freed one is
 *                                                                 a hole
 *
 * Any thread. Disk is taken before the memory is used (fallocate), so a full disk is an error here
 * and no SIGBUS later; the kernel frees the file when the process ends, however it ends. */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPILL_LEAST_BYTES = 1 << 20 }; /* smaller pieces are not worth a place */

/* Where the file is made when it is first needed; before any other thread runs. NULL, or
 * a file system in memory: nowhere. */
void spill_set_dir(const char *dir);
bool spill_is_on(void);
/* `bytes` zeroes at *at (never 0). `what` goes into the sentence. ERR_NO_SPACE, ERR_IO. */
void *spill_map(size_t bytes, uint64_t *at, const char *what, struct err *e) MUST_USE;
/* The pages behind the first `to` bytes of the `from` are given back. */
void spill_trim(void *p, uint64_t at, size_t from, size_t to);
void spill_unmap(void *p, uint64_t at, size_t bytes);
