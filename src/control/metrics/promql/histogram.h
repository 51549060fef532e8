/* histogram - quantiles and fractions of classic histograms: cumulative counts by upper bound
 * ("le"). Source: Prometheus 3, promql/quantile.go (bucketQuantile, histogramFraction for classic
 * buckets). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct promql_bucket {
    double upper, count;
};

/* Sorts and merges. NaN without a +Inf bucket, with less than two, or without observations.
 * `forced` tells when counts were not monotonic and were made so (beyond rounding): worth a note.
 */
double promql_bucket_quantile(double q, struct promql_bucket *b, size_t n, bool *forced);
double promql_bucket_fraction(double lower, double upper, struct promql_bucket *b, size_t n);
