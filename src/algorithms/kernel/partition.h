/* partition - rows of a node to its children: those whose bin goes left to the front. Both parts
 * keep their order. */
#pragma once
#include "algorithms/kernel/bins.h"

struct partition {
    const struct bins *b;
    size_t feature;
    const uint8_t *left; /* [bin]: 1 or 0 */
    uint32_t *rows;      /* [n] */
    uint32_t *scratch;   /* [n] */
    size_t n;
};

/* How many went left. `threads` NULL: on this thread. `counts` holds partition_chunks(n) numbers,
 * when there are threads. */
size_t partition_chunks(size_t n);
size_t partition_rows(const struct partition *p, size_t *counts, struct threads *threads);
