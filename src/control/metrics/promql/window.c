#include "promql/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- sums --- */

void promql_sum_add(struct promql_sum *s, double v)
{
    double t = s->value + v;

    if (isinf(t)) {
        s->lost = 0;
    } else if (fabs(s->value) >= fabs(v)) {
        s->lost += (s->value - t) + v;
    } else {
        s->lost += (v - t) + s->value;
    }
    s->value = t;
}

double promql_sum_of(const struct promql_sum *s)
{
    return isinf(s->value) ? s->value : s->value + s->lost;
}

void promql_mean_add(struct promql_mean *m, double v)
{
    double share;

    m->count++;
    if (!m->by_means) {
        struct promql_sum sum = m->sum;

        promql_sum_add(&sum, v);
        if (m->count == 1 || !isinf(sum.value)) {
            m->sum = sum;
            return;
        }
        m->by_means = true;
        m->sum.value /= m->count - 1;
        m->sum.lost /= m->count - 1;
    }
    share = (m->count - 1) / m->count;
    m->sum.value *= share;
    m->sum.lost *= share;
    promql_sum_add(&m->sum, v / m->count);
}

double promql_mean_of(const struct promql_mean *m)
{
    return m->by_means ? m->sum.value + m->sum.lost
                       : m->sum.value / m->count + m->sum.lost / m->count;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    if (isnan(x) || isnan(y)) {
        return isnan(y) - isnan(x);
    }
    return x < y ? -1 : x > y;
}

double promql_quantile(double q, double *v, size_t n)
{
    double rank, lower, weight;
    size_t at;

    if (n == 0 || isnan(q)) {
        return (double)NAN;
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -(double)INFINITY : (double)INFINITY;
    }
    qsort(v, n, sizeof(double), by_value);
    rank = q * (double)(n - 1);
    lower = floor(rank);
    weight = rank - lower;
    at = (size_t)lower;
    return v[at] * (1 - weight) + v[at + 1 < n ? at + 1 : n - 1] * weight;
}

/* --- counters and slopes --- */

/* The part of the range at one end without a sample, in seconds: taken as it is when a sample could
 * have been there, half of a usual distance when the series begins or ends inside of the range. */
static double reach(double gap, double usual)
{
    return gap >= usual * 1.1 ? usual / 2 : gap;
}

void promql_find_falls(const double *v, size_t n, uint32_t *falls)
{
    uint32_t next = (uint32_t)n;

    for (size_t i = n; i-- > 0;) {
        falls[i] = next;
        next = i > 0 && v[i] < v[i - 1] ? (uint32_t)i : next;
    }
}

/* What a counter had reached each time when it began anew. */
static double before_falls(const struct promql_window *w, double sum)
{
    if (w->falls == NULL) {
        for (size_t i = 1; i < w->n; i++) {
            if (w->v[i] < w->v[i - 1]) {
                sum += w->v[i - 1];
            }
        }
        return sum;
    }
    for (size_t i = w->falls[0]; i < w->first + w->n; i = w->falls[i - w->first]) {
        sum += w->v[i - w->first - 1];
    }
    return sum;
}

static bool extrapolated(const struct promql_window *w, bool counter, bool per_second, double *out)
{
    size_t last = w->n - 1;
    double result, sampled, usual, before, after, factor;

    if (w->n < 2) {
        return false;
    }
    result = w->v[last] - w->v[0];
    result = counter ? before_falls(w, result) : result;
    sampled = (double)(w->ts_ms[last] - w->ts_ms[0]) / 1000;
    usual = sampled / (double)last;
    before = reach((double)(w->ts_ms[0] - w->start_ms) / 1000, usual);
    after = reach((double)(w->end_ms - w->ts_ms[last]) / 1000, usual);
    if (counter && result > 0 && w->v[0] >= 0) { /* it cannot have been below zero */
        double to_zero = sampled * (w->v[0] / result);

        before = to_zero < before ? to_zero : before;
    }
    factor = (sampled + before + after) / sampled;
    if (per_second) {
        factor /= (double)(w->end_ms - w->start_ms) / 1000;
    }
    *out = result * factor;
    return true;
}

bool promql_rate(const struct promql_window *w, double *out)
{
    return extrapolated(w, true, true, out);
}

bool promql_increase(const struct promql_window *w, double *out)
{
    return extrapolated(w, true, false, out);
}

bool promql_delta(const struct promql_window *w, double *out)
{
    return extrapolated(w, false, false, out);
}

static bool last_two(const struct promql_window *w, bool rate, double *out)
{
    size_t n = w->n;
    int64_t apart_ms = n < 2 ? 0 : w->ts_ms[n - 1] - w->ts_ms[n - 2];

    if (apart_ms == 0) {
        return false;
    }
    *out = rate && w->v[n - 1] < w->v[n - 2] ? w->v[n - 1] : w->v[n - 1] - w->v[n - 2];
    if (rate) {
        *out /= (double)apart_ms / 1000;
    }
    return true;
}

bool promql_irate(const struct promql_window *w, double *out)
{
    return last_two(w, true, out);
}

bool promql_idelta(const struct promql_window *w, double *out)
{
    return last_two(w, false, out);
}

/* Least squares; x in seconds from `zero_ms`. */
static void regression(const struct promql_window *w, int64_t zero_ms, double *slope,
                       double *intercept)
{
    struct promql_sum sx = {0}, sy = {0}, sxy = {0}, sxx = {0};
    double n = (double)w->n, x, y, xy, xx;
    bool constant = true;

    for (size_t i = 0; i < w->n; i++) {
        double seconds = (double)(w->ts_ms[i] - zero_ms) / 1000;

        constant = constant && (i == 0 || w->v[i] == w->v[0]);
        promql_sum_add(&sx, seconds);
        promql_sum_add(&sy, w->v[i]);
        promql_sum_add(&sxy, seconds * w->v[i]);
        promql_sum_add(&sxx, seconds * seconds);
    }
    if (constant) {
        *slope = isinf(w->v[0]) ? (double)NAN : 0;
        *intercept = isinf(w->v[0]) ? (double)NAN : w->v[0];
        return;
    }
    x = sx.value + sx.lost;
    y = sy.value + sy.lost;
    xy = sxy.value + sxy.lost;
    xx = sxx.value + sxx.lost;
    *slope = (xy - x * y / n) / (xx - x * x / n);
    *intercept = y / n - *slope * x / n;
}

bool promql_deriv(const struct promql_window *w, double *out)
{
    double intercept;

    if (w->n < 2) {
        return false;
    }
    regression(w, w->ts_ms[0], out, &intercept);
    return true;
}

bool promql_predict_linear(const struct promql_window *w, double *out)
{
    double slope, intercept;

    if (w->n < 2) {
        return false;
    }
    regression(w, w->now_ms, &slope, &intercept);
    *out = slope * w->parameter + intercept;
    return true;
}

bool promql_changes(const struct promql_window *w, double *out)
{
    size_t n = 0;

    for (size_t i = 1; i < w->n; i++) {
        n += w->v[i] != w->v[i - 1] && !(isnan(w->v[i]) && isnan(w->v[i - 1]));
    }
    *out = (double)n;
    return true;
}

bool promql_resets(const struct promql_window *w, double *out)
{
    size_t n = 0;

    for (size_t i = 1; i < w->n; i++) {
        n += w->v[i] < w->v[i - 1];
    }
    *out = (double)n;
    return true;
}

/* --- over time --- */

/* A compensated sum in registers; not finite where one must look closer. */
static bool quick_sum(const struct promql_window *w, struct promql_sum *out)
{
    double value = 0, lost = 0;

    for (size_t i = 0; i < w->n; i++) {
        double v = w->v[i], t = value + v;
        bool larger = fabs(value) >= fabs(v);
        double high = larger ? value : v, low = larger ? v : value;

        lost += (high - t) + low;
        value = t;
    }
    *out = (struct promql_sum){value, lost};
    return isfinite(value) && isfinite(lost);
}

bool promql_avg_over_time(const struct promql_window *w, double *out)
{
    struct promql_mean m = {.count = 0};
    struct promql_sum s;

    if (quick_sum(w, &s)) {
        *out = s.value / (double)w->n + s.lost / (double)w->n;
        return true;
    }
    for (size_t i = 0; i < w->n; i++) {
        promql_mean_add(&m, w->v[i]);
    }
    *out = promql_mean_of(&m);
    return true;
}

bool promql_sum_over_time(const struct promql_window *w, double *out)
{
    struct promql_sum s = {0}, quick;

    if (quick_sum(w, &quick)) {
        *out = promql_sum_of(&quick);
        return true;
    }
    for (size_t i = 0; i < w->n; i++) {
        promql_sum_add(&s, w->v[i]);
    }
    *out = promql_sum_of(&s);
    return true;
}

bool promql_min_over_time(const struct promql_window *w, double *out)
{
    double least = w->v[0];

    for (size_t i = 1; i < w->n; i++) {
        least = w->v[i] < least || isnan(least) ? w->v[i] : least;
    }
    *out = least;
    return true;
}

bool promql_max_over_time(const struct promql_window *w, double *out)
{
    double most = w->v[0];

    for (size_t i = 1; i < w->n; i++) {
        most = w->v[i] > most || isnan(most) ? w->v[i] : most;
    }
    *out = most;
    return true;
}

bool promql_count_over_time(const struct promql_window *w, double *out)
{
    *out = (double)w->n;
    return true;
}

bool promql_last_over_time(const struct promql_window *w, double *out)
{
    *out = w->v[w->n - 1];
    return true;
}

bool promql_present_over_time(const struct promql_window *w, double *out)
{
    (void)w;
    *out = 1;
    return true;
}

static double variance(const struct promql_window *w)
{
    struct promql_sum mean = {0}, squares = {0};
    double count = 0;

    for (size_t i = 0; i < w->n; i++) {
        double delta = w->v[i] - (mean.value + mean.lost);

        count++;
        promql_sum_add(&mean, delta / count);
        promql_sum_add(&squares, delta * (w->v[i] - (mean.value + mean.lost)));
    }
    return (squares.value + squares.lost) / count;
}

bool promql_stddev_over_time(const struct promql_window *w, double *out)
{
    *out = sqrt(variance(w));
    return true;
}

bool promql_stdvar_over_time(const struct promql_window *w, double *out)
{
    *out = variance(w);
    return true;
}

bool promql_quantile_over_time(const struct promql_window *w, double *out)
{
    memcpy(w->scratch, w->v, w->n * sizeof(double));
    *out = promql_quantile(w->parameter, w->scratch, w->n);
    return true;
}
