/* order - rows in the order of some columns: numbers by value, texts by bytes, what is missing
 * last, equal ones as they were. */
#pragma once
#include "algorithms/kernel/table.h"

struct order_key {
    const struct column *column;
    bool descending;
};

/* Row numbers in order; big memory. keys[0] decides first. */
uint32_t *order_rows(const struct order_key *keys, size_t n_keys, size_t n_rows,
                     struct err *e) MUST_USE;
/* The place of each text of a dictionary in byte order; big memory. */
uint32_t *order_texts(const struct dict *d, struct err *e) MUST_USE;
