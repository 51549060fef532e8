#include "promql/histogram.h"

#include <math.h>
#include <stdlib.h>

/* Rounding: differences this small between counts say nothing. */
static const double SMALL = 1e-12;

static int by_upper(const void *a, const void *b)
{
    double x = ((const struct promql_bucket *)a)->upper,
           y = ((const struct promql_bucket *)b)->upper;

    return x < y ? -1 : x > y;
}

static bool nearly(double a, double b)
{
    double sum = fabs(a) + fabs(b);

    return a == b || (sum > 0 && fabs(a - b) / sum < SMALL);
}

/* Sorted, those of one bound added up, counts that fall raised to the one before. */
static size_t prepare(struct promql_bucket *b, size_t n, bool *forced)
{
    size_t kept = 0;

    *forced = false;
    qsort(b, n, sizeof(*b), by_upper);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && b[kept - 1].upper == b[i].upper) {
            b[kept - 1].count += b[i].count;
        } else {
            b[kept++] = b[i];
        }
    }
    for (size_t i = 1; i < kept; i++) {
        if (b[i].count < b[i - 1].count || nearly(b[i].count, b[i - 1].count)) {
            *forced = *forced || !nearly(b[i].count, b[i - 1].count);
            b[i].count = b[i - 1].count;
        }
    }
    return kept;
}

double promql_bucket_quantile(double q, struct promql_bucket *b, size_t n, bool *forced)
{
    double rank, start = 0, count;
    size_t i = 0;

    *forced = false;
    if (isnan(q)) {
        return (double)NAN;
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -(double)INFINITY : (double)INFINITY;
    }
    if (n == 0) {
        return (double)NAN;
    }
    n = prepare(b, n, forced);
    if (n < 2 || !(isinf(b[n - 1].upper) && b[n - 1].upper > 0) || b[n - 1].count == 0) {
        return (double)NAN;
    }
    rank = q * b[n - 1].count;
    while (i < n - 1 && !(b[i].count >= rank)) { /* NaN reaches no rank */
        i++;
    }
    if (i == n - 1) {
        return b[n - 2].upper;
    }
    if (i == 0 && b[0].upper <= 0) {
        return b[0].upper;
    }
    count = b[i].count;
    if (i > 0) {
        start = b[i - 1].upper;
        count -= b[i - 1].count;
        rank -= b[i - 1].count;
    }
    return start + (b[i].upper - start) * (rank / count);
}

double promql_bucket_fraction(double lower, double upper, struct promql_bucket *b, size_t n)
{
    double total, ranks[2] = {0, 0}, bounds[2] = {lower, upper};
    bool forced;

    if (n == 0) {
        return (double)NAN;
    }
    n = prepare(b, n, &forced);
    total = b[n - 1].count;
    if (!(isinf(b[n - 1].upper) && b[n - 1].upper > 0) || total == 0 || isnan(total) ||
        isnan(lower) || isnan(upper)) {
        return (double)NAN;
    }
    if (lower >= upper) {
        return 0;
    }
    for (int k = 0; k < 2; k++) {
        double start = 0, before = 0;
        size_t i = 0;

        if (isinf(bounds[k])) {
            ranks[k] = bounds[k] > 0 ? total : 0;
            continue;
        }
        while (i < n && b[i].upper <= bounds[k]) {
            before = b[i].count;
            start = b[i].upper;
            i++;
        }
        /* Below the first bound nothing is said of where it begins: zero, when that lies before it.
         */
        if (i == 0) {
            start = b[0].upper > 0 ? 0 : -(double)INFINITY;
        }
        ranks[k] = before;
        if (i < n && !isinf(b[i].upper) && !isinf(start) && bounds[k] > start) {
            ranks[k] += (b[i].count - before) * (bounds[k] - start) / (b[i].upper - start);
        }
    }
    return (ranks[1] - ranks[0]) / total;
}
