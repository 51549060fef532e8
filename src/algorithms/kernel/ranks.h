/* ranks - the order of plain numbers, and the rank of each (order.h does the work). */
#pragma once
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The indexes of n numbers without NaN, v[0], v[stride], ..., from the least up; equal ones stay as
 * they are. Big memory. ERR_MEMORY. */
uint32_t *ranks_order(const double *v, size_t stride, size_t n, struct err *e) MUST_USE;
/* Ranks from 1; equal numbers have the mean of theirs. ERR_MEMORY. */
int ranks_of(const double *v, size_t n, double *ranks, struct err *e) MUST_USE;
