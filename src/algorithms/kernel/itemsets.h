/* itemsets - the sets of items that many baskets hold, by FP-growth (Han, Pei, Yin 2000): baskets
 * in a tree with frequent items near the root; for each item, the paths above it are the baskets of
 * a smaller tree. One thread. */
#pragma once
#include "base/err.h"

#include <stdint.h>

struct itemset {
    size_t at; /* its first item in `items` */
    uint32_t n;
    uint64_t count; /* baskets that hold it */
};

struct itemsets {
    uint32_t *items; /* of all sets, each rising */
    size_t n_items, items_cap;
    struct itemset *sets;
    size_t n, cap;
};

struct baskets {
    size_t *start;   /* [n + 1] */
    uint32_t *items; /* below n_items, rising in each basket, none twice */
    size_t n, n_items;
};

void itemsets_done(struct itemsets *s);
/* All sets of up to max_len items in at least min_count >= 1 baskets: the most frequent first, then
 * the shorter, then by items. ERR_DATA when there are more than `most`. */
int itemsets_find(struct itemsets *s, const struct baskets *b, uint64_t min_count, uint32_t max_len,
                  size_t most, struct err *e) MUST_USE;
