#include "algorithms/kernel/quantile.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/rng.h"

#include <math.h>

static void swap(double *a, double *b)
{
    double t = *a;

    *a = *b;
    *b = t;
}

/* Puts the k-th smallest at v[k], none larger before it and none smaller behind it: quickselect in
 * three parts. Pivots by chance, so that no order of the data makes it slow. */
static void select_kth(double *v, size_t n, size_t k, struct rng *rng)
{
    size_t lo = 0, hi = n;

    while (hi - lo > 1) {
        double pivot = v[lo + rng_below(rng, hi - lo)];
        size_t less = lo, more = hi, i = lo;

        while (i < more) {
            if (v[i] < pivot) {
                swap(&v[i++], &v[less++]);
            } else if (v[i] > pivot) {
                swap(&v[i], &v[--more]);
            } else {
                i++;
            }
        }
        if (k >= less && k < more) {
            return;
        }
        lo = k < less ? lo : more;
        hi = k < less ? less : hi;
    }
}

double quantile_select(double *v, size_t n, double q)
{
    double at = q * (double)(n - 1), next;
    size_t k = (size_t)at;
    struct rng rng;

    rng_init(&rng, 1, 1);
    select_kth(v, n, k, &rng);
    if (at == (double)k || k + 1 >= n) {
        return v[k];
    }
    next = v[k + 1];
    for (size_t i = k + 2; i < n; i++) {
        next = v[i] < next ? v[i] : next;
    }
    return v[k] + (next - v[k]) * (at - (double)k);
}

ptrdiff_t quantiles_of(const double *v, size_t n_rows, const double *q, size_t n_q, double *out,
                       struct err *e)
{
    SCOPED(big_freep) double *copy = big_alloc(n_rows, sizeof(*copy), "a column in order", e);
    size_t n = 0;

    if (copy == NULL) {
        return -1;
    }
    for (size_t r = 0; r < n_rows; r++) {
        if (!isnan(v[r])) {
            copy[n++] = v[r];
        }
    }
    for (size_t i = 0; i < n_q; i++) {
        out[i] = n > 0 ? quantile_select(copy, n, q[i]) : NAN;
    }
    return (ptrdiff_t)n;
}
