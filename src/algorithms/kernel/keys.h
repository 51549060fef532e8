/* keys - rows that are equal in some columns get the same number: what joins, groups and the
 * search for duplicates are made of. Missing is equal to missing, -0 to 0.
 *
 * One pass and one hash table per column: (number by the columns before, value) -> number, counted
 * from 0 in the order of the rows. */
#pragma once
#include "algorithms/kernel/table.h"

struct keys {
    uint32_t *of_row[2]; /* of each row of each table; big memory */
    size_t n;            /* different ones */
};

enum keys_missing { KEYS_MISSING_EQUAL, KEYS_MISSING_NEVER };
#define KEYS_NONE UINT32_MAX /* of a row with a missing value, for KEYS_MISSING_NEVER */

void keys_done(struct keys *k);
/* tables[1] may be NULL. columns[table][i]: index of the i-th column; text meets text and numbers
 * meet numbers. */
int keys_of(struct keys *k, const struct table *const tables[2], const uint32_t *const columns[2],
            size_t n_columns, enum keys_missing missing, struct err *e) MUST_USE;
/* Splits the numbers further by one more column of tables[0]. */
int keys_refine(struct keys *k, const struct column *c, size_t n_rows, struct err *e) MUST_USE;
