/* cluster_plot - rows on a plane, each in the colour of its cluster: by the two columns where there
 * are two, else by the two directions in which the rows differ most, of columns of equal deviation.
 *
 * Few points, evenly from the rows that are given. Private to modules. */
#pragma once
#include "algorithms/kernel/report.h"

struct cluster_plot {
    const double *x; /* [n][d] */
    size_t n, d;
    const char *const *columns;  /* [d] */
    const uint32_t *cluster;     /* [n]: below k */
    const char *const *clusters; /* [k] */
    size_t k;
};

/* Nothing where nothing can be seen: one column, one row, many columns or many clusters. */
int cluster_plot(struct report *r, const struct cluster_plot *p, struct err *e) MUST_USE;
