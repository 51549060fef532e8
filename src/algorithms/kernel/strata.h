/* strata - rows in groups whose proportions are kept, and how many of each are taken. */
#pragma once
#include "algorithms/kernel/table.h"

/* Rows of group g are order[start[g]] .. order[start[g + 1] - 1], in the order of the table. */
struct strata {
    uint32_t *order; /* big memory */
    size_t *start;   /* n + 1 */
    size_t n;
};

/* By the values of a column (rows without one are the last group), or one group when it is NULL. */
int strata_of(struct strata *g, const struct column *by, size_t n_rows, struct err *e) MUST_USE;
void strata_done(struct strata *g);
/* How many rows of each group make up this part of all: largest remainders, so that the whole is
 * exact. For free(3). */
size_t *strata_shares(const struct strata *g, double fraction) MUST_USE;
