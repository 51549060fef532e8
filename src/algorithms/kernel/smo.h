/* smo - the dual of support vectors with a kernel, two classes: sequential minimal optimisation
 * with second-order choice of the pair (Platt 1998; Fan, Chen, Lin 2005).
 *
 *   minimise  sum_ij a_i a_j y_i y_j K(i,j) / 2 - sum_i a_i,   0 <= a_i <= c_i,  sum_i y_i a_i = 0
 *   f(x) = sum_i y_i a_i K(i,x) - rho
 *
 * Rows of K come from the caller and are kept while there is room; how many changes no bit. One
 * thread each; the scratch memory serves one problem after the other. */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smo {
    /* in: */
    size_t n;
    const int8_t *y;                             /* 1 or -1 */
    const double *c;                             /* above 0 */
    void (*row)(void *ctx, size_t i, float *to); /* K(i, 0 .. n-1); K(i,i) is 1 */
    void *ctx;
    double epsilon; /* done when no pair violates its condition by more */
    uint64_t max_iter;
    /* out: */
    double *alpha;
    double rho;
    uint64_t iterations;
    bool converged;
    /* scratch, big memory: */
    double *f; /* the slope: sum_j y_j a_j K(i,j) - y_i */
    float *cache;
    uint32_t *slot_of, *row_of;
    uint64_t *used;
    size_t most, slots;
    uint64_t clock;
};

/* For problems of up to `most` rows. ERR_MEMORY. */
int smo_init(struct smo *s, size_t most, size_t cache_bytes, struct err *e) MUST_USE;
void smo_done(struct smo *s);
void smo_solve(struct smo *s);
