/* quantile - the values at some parts of a column in ascending order, linear between neighbours
 * (type 7 of Hyndman, Fan 1996: what numpy and R do). */
#pragma once
#include "base/err.h"

/* out[i]: the quantile q[i] (0 .. 1) of what is not NaN; all NaN when that is nothing. Returns how
 * many values there were, or -1 (ERR_MEMORY). */
ptrdiff_t quantiles_of(const double *v, size_t n_rows, const double *q, size_t n_q, double *out,
                       struct err *e) MUST_USE;
/* The same of values without NaN, which are put into another order. n > 0. */
double quantile_select(double *v, size_t n, double q);
