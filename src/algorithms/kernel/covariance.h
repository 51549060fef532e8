/* covariance - means and products of columns over all rows of a table, in one pass each.
 *
 *   c[i][j] = sum over rows of w (x_i - mean_i)(x_j - mean_j) / sum of w
 *
 * Rows are cut into stripes whose borders depend on the table alone; sums are added in their
 * order, so threads never change a bit. The rows are never all in memory as a matrix. */
#pragma once
#include "algorithms/kernel/features.h"
#include "algorithms/kernel/threads.h"
#include "base/err.h"

struct covariance_of {
    const double *const *columns; /* d of n_rows */
    const double *fill;           /* of each column, for NaN; or NULL: there is none */
    size_t d, n_rows;
    const double *weights; /* of rows; or NULL: 1 */
    double weight_sum;
    bool centre;               /* false: all means are taken for 0 */
    const struct bound *bound; /* whose columns the first are, to let them rest; or NULL */
};

/* mean[d] and c[d][d]. ERR_MEMORY; ERR_DATA when the values are too large. */
int covariance(const struct covariance_of *of, struct threads *threads, double *mean, double *c,
               struct err *e) MUST_USE;
