/* groups - the rows of a column by its values, numbered: texts and numbers alike. */
#pragma once
#include "algorithms/kernel/table.h"

struct groups {
    uint32_t *of; /* [row]; big memory */
    size_t n;
};

void groups_done(struct groups *g);
/* ERR_DATA names the row whose value is missing. */
int groups_of(struct groups *g, const struct column *c, size_t n_rows, struct err *e) MUST_USE;
