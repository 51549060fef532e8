/* categories - numbers that mean no amount: kinds, codes of places. Their different values become
 * categories like those of texts (features.h). */
#pragma once
#include "algorithms/kernel/features.h"

/* The values that occur, as texts. ERR_DATA: too many, or infinite. */
int categories_of_numbers(struct categories *to, const struct column *c, size_t n_rows,
                          struct err *e) MUST_USE;
/* The number of each row's category; NaN where the value is missing or was never seen. Big memory.
 */
double *categories_bind(const struct categories *known, const struct column *c, size_t n_rows,
                        struct err *e) MUST_USE;
void categories_done(struct categories *c);
