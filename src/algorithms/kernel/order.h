/* order - numbers in ascending order, by a radix sort: stable, so the same for any machine. */
#pragma once
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The indexes of n <= 2^32 - 1 numbers (no NaN), v[0], v[stride], ..., from the least up; equal
 * ones (-0 is 0) stay as they are. Big memory. ERR_MEMORY. */
uint32_t *order_numbers(const double *v, size_t stride, size_t n, struct err *e) MUST_USE;
/* Their ranks from 1, equal ones have the mean of theirs. ERR_MEMORY. */
int order_ranks(const double *v, size_t n, double *ranks, struct err *e) MUST_USE;
