/* fp_growth - the baskets of a table. Private to modules. */
#pragma once
#include "algorithms/kernel/itemsets.h"
#include "algorithms/kernel/step.h"

struct entry {
    uint32_t basket, item;
};

struct shop {
    struct dict *names; /* of items, as they come */
    struct entry *entries;
    size_t n, cap;
    size_t n_baskets;
    uint32_t *by_rank; /* the most frequent item first: codes of names */
    struct baskets baskets;
    struct itemsets sets;
};

void shop_done(struct shop *b);
/* The items of every row, by the parameters of the step. */
int shop_collect(struct shop *b, const struct step *s, const struct table *t,
                 struct err *e) MUST_USE;
/* Entries to baskets of ranks, without items that are rare. */
int shop_arrange(struct shop *b, uint64_t min_count, struct err *e) MUST_USE;
