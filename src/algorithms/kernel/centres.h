/* centres - which of k points is nearest, for many rows at once: a block of rows is one matrix
 * product.
 *
 *   nearest = largest of  x.c - |c|^2 / 2        with x and c measured from `origin`, so that
 *                                                little is lost when the data lie far from 0
 *
 * A block holds CENTRES_BLOCK rows by feature: x[feature][row]. By cosine, rows and centres have
 * length 1. Immutable once prepared; any thread with a z of its own. */
#pragma once
#include "algorithms/kernel/simd.h"
#include "base/err.h"

#include <stdint.h>

enum { CENTRES_BLOCK = 32 };

struct centres {
    size_t k, d;
    double *at;     /* [k][d], from origin; big memory */
    double *origin; /* [d]; big memory */
    /* prepared: */
    size_t rows; /* k rounded up to whole tiles of the product */
    double *matrix, *half;
};

int centres_init(struct centres *c, size_t k, size_t d, struct err *e) MUST_USE;
void centres_done(struct centres *c);
/* After `at` was changed. */
void centres_prepare(struct centres *c);
/* z[centre][row] for a block; room for c->rows blocks. */
void centres_scores(const struct centres *c, const double *x, double *z);
/* Of each row of a block, the first nearest centre and its score. z as above. */
void centres_nearest(const struct centres *c, const double *x, double *z,
                     double nearest[CENTRES_BLOCK], double score[CENTRES_BLOCK]);
