/* window - what PromQL's functions over a range make of the samples in it: one number or none.
 *
 *   rate(x[5m])        start            end = the moment asked for, less the offset
 *                        |  .   .   .   .|
 *
 * Threads: any. The samples lie in (start, end] and are in order, without markers of staleness.
 * Sums are compensated (Neumaier), as Prometheus' are, so that results agree to the last digits.
 * Source: https://prometheus.io/docs/prometheus/latest/querying/functions/ (3.x). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct promql_window {
    const int64_t *ts_ms;
    const double *v;
    size_t n; /* at least 1 */
    int64_t start_ms, end_ms;
    int64_t now_ms;   /* the moment asked for: predict_linear */
    double parameter; /* quantile_over_time, predict_linear */
    double *scratch;  /* room for n: quantile_over_time */
    /* For each sample the next one that is smaller than the one before it, from the first of the
     * window: a counter that began anew. What is past the window does not count. NULL: not known.
     */
    const uint32_t *falls;
    uint32_t first; /* what the first sample is called in `falls` */
};

/* True with a number; false when the samples give none (too few). */
typedef bool (*promql_window_fn)(const struct promql_window *w, double *out);

bool promql_rate(const struct promql_window *w, double *out);
bool promql_increase(const struct promql_window *w, double *out);
bool promql_delta(const struct promql_window *w, double *out);
bool promql_irate(const struct promql_window *w, double *out);
bool promql_idelta(const struct promql_window *w, double *out);
bool promql_deriv(const struct promql_window *w, double *out);
bool promql_predict_linear(const struct promql_window *w, double *out);
bool promql_changes(const struct promql_window *w, double *out);
bool promql_resets(const struct promql_window *w, double *out);
bool promql_avg_over_time(const struct promql_window *w, double *out);
bool promql_sum_over_time(const struct promql_window *w, double *out);
bool promql_min_over_time(const struct promql_window *w, double *out);
bool promql_max_over_time(const struct promql_window *w, double *out);
bool promql_count_over_time(const struct promql_window *w, double *out);
bool promql_last_over_time(const struct promql_window *w, double *out);
bool promql_present_over_time(const struct promql_window *w, double *out);
bool promql_stddev_over_time(const struct promql_window *w, double *out);
bool promql_stdvar_over_time(const struct promql_window *w, double *out);
bool promql_quantile_over_time(const struct promql_window *w, double *out);

/* falls[i] of n samples: the smallest j > i with v[j] < v[j - 1]; n when there is none. */
void promql_find_falls(const double *v, size_t n, uint32_t *falls);

/* Compensated sums: value + lost is the sum. */
struct promql_sum {
    double value, lost;
};
void promql_sum_add(struct promql_sum *s, double v);
double promql_sum_of(const struct promql_sum *s);
/* The mean of a growing number of values, which does not overflow before its result does. */
struct promql_mean {
    struct promql_sum sum; /* of the values; of their means once that overflows */
    double count;
    bool by_means;
};
void promql_mean_add(struct promql_mean *m, double v);
double promql_mean_of(const struct promql_mean *m);
/* Sorts `v`. NaN is less than any number. q outside of 0 to 1: -Inf, +Inf. */
double promql_quantile(double q, double *v, size_t n);
