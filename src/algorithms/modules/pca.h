/* pca - what the files pca*.c share. Private to modules. */
#pragma once
#include "algorithms/kernel/threads.h"
#include "algorithms/kernel/transform.h"

enum { PCA_BLOCK = 256 };

/* The transform: matrix x (row - mean). */
struct pca {
    char **columns;
    double *mean;
    double *matrix; /* [k][n], with scale and whitening in it; big memory */
    size_t n, k;
    bool fill; /* a missing value counts as the mean; else it is an error */
    char *prefix;
};

void pca_free(void *body);
void pca_freep(struct pca **x);
struct pca *pca_new(size_t n, size_t k, struct err *e) MUST_USE;

/* The columns of a table by their names, every value checked; for free(3). */
const struct column **pca_find_columns(const struct pca *x, const struct table *t,
                                       struct err *e) MUST_USE;

/* Products of the columns of a table, without a matrix of its rows. */
struct pca_products {
    const struct table *t;
    const struct column **columns;
    struct threads *threads;
    double *mean; /* [d] */
    size_t d, width, stripes, stripe_rows;
    double *sums; /* [stripe][d][width] */
    double *rows; /* [worker][PCA_BLOCK][width] */
};

/* [d][d], divisor n - 1; big memory. Fills mean, sums and rows. */
double *pca_covariance(struct pca_products *f, struct err *e) MUST_USE;
