/* gather - new columns of rows picked from others, some of them from nowhere. */
#pragma once
#include "algorithms/kernel/table.h"

#define GATHER_NONE UINT32_MAX /* missing */

/* rows[i]: the row of `from` that row i of `to` gets. */
struct column *gather_column(struct table *to, struct str name, const struct column *from,
                             const uint32_t *rows, struct err *e) MUST_USE;
/* The same of two columns of one kind: from `b` where rows_a has none. Different meanings of
 * numbers become real. */
struct column *gather_two(struct table *to, struct str name, const struct column *a,
                          const uint32_t *rows_a, const struct column *b, const uint32_t *rows_b,
                          struct err *e) MUST_USE;

/* All texts of `a`, by the same codes, and those of `b`: *codes (big memory; NULL when they are one
 * dictionary) has their codes by those in b. */
struct dict *dict_both(struct dict *a, const struct dict *b, uint32_t **codes,
                       struct err *e) MUST_USE;
