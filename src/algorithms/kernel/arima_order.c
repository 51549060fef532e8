/* The order of a model by steps: Hyndman, Khandakar, Automatic Time Series Forecasting, 2008. */
#include "algorithms/kernel/arima_priv.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/season.h"

#include <math.h>

/* Of seasons longer than that one reach is looked at: the work grows with its square. */
enum { MOST_P = 5, MOST_SEASONAL = 2, MOST_TRIED = 94, SHORT_PERIOD = 12 };

/* --- differences ------------------------------------------------------------------------------ */

static double variance_of(const double *v, size_t n)
{
    double mean = 0, sum = 0;

    for (size_t i = 0; i < n; i++) {
        mean += v[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        sum += (v[i] - mean) * (v[i] - mean);
    }
    return sum;
}

/* The mean of a period around i. */
static double level_at(const double *y, size_t i, size_t period)
{
    size_t half = period / 2, whole = 2 * half + 1;
    double sum = 0;

    for (size_t j = 0; j < whole; j++) {
        bool part = period % 2 == 0 && (j == 0 || j == whole - 1);

        sum += y[i - half + j] * (part ? 0.5 : 1);
    }
    return sum / (double)period;
}

/* 1 - var(rest) / var(season and rest), of the series less its moving mean; > 0.64: a difference
 * (Wang, Smith, Hyndman 2006). */
static bool seasonal(const double *y, size_t n, size_t period, struct err *e, int *rc)
{
    size_t half = period / 2, left;
    SCOPED(big_freep) double *v = NULL;
    double bare, rest;

    if (period < 2 || n < 2 * period + 2 * half + 1) {
        return false;
    }
    left = n - 2 * half;
    v = big_alloc(left, sizeof(double), "the season", e);
    if (v == NULL) {
        *rc = -1;
        return false;
    }
    for (size_t i = 0; i < left; i++) {
        v[i] = y[i + half] - level_at(y, i + half, period);
    }
    bare = variance_of(v, left);
    for (size_t k = 0; k < period; k++) {
        double mean = 0;
        size_t count = (left - k + period - 1) / period;

        for (size_t i = k; i < left; i += period) {
            mean += v[i] / (double)count;
        }
        for (size_t i = k; i < left; i += period) {
            v[i] -= mean;
        }
    }
    rest = variance_of(v, left);
    return bare > 0 && 1 - rest / bare > 0.64;
}

static int find_differences(struct arima_order *o, const double *y, size_t n, struct err *e)
{
    SCOPED(big_freep) double *w = big_alloc(n + 1, sizeof(double), "the differences", e);
    int rc = 0;

    if (w == NULL) {
        return -1;
    }
    o->sd = seasonal(y, n, o->period, e, &rc);
    while (rc == 0 && o->d < ARIMA_DIFFERENCES_MAX) {
        arima_difference(o, y, n, w);
        if (n <= arima_lost(o) + 10 || !season_wanders(w, n - arima_lost(o))) {
            break;
        }
        o->d++;
    }
    return rc;
}

/* --- steps ------------------------------------------------------------------------------------ */

struct steps {
    const double *y;
    size_t n;
    struct arima_order tried[MOST_TRIED], best;
    unsigned n_tried;
    double least;
    struct progress *progress;
};

static bool same(const struct arima_order *a, const struct arima_order *b)
{
    return a->p == b->p && a->q == b->q && a->sp == b->sp && a->sq == b->sq &&
           a->constant == b->constant;
}

/* Whether it is the best so far; one that cannot be fitted is not. */
static bool better(struct steps *s, struct arima_order o)
{
    struct err ignored = {0};
    unsigned seasons = o.period <= SHORT_PERIOD ? MOST_SEASONAL : 1;
    double aicc;

    if (o.p > MOST_P || o.q > MOST_P || o.sp > seasons || o.sq > seasons ||
        (o.period < 2 && o.sp + o.sq > 0) || arima_states(&o) > ARIMA_STATES_MAX ||
        (o.constant && o.d + o.sd > 1) || s->n_tried == MOST_TRIED) {
        return false;
    }
    for (unsigned i = 0; i < s->n_tried; i++) {
        if (same(&s->tried[i], &o)) {
            return false;
        }
    }
    s->tried[s->n_tried++] = o;
    progress_update(s->progress, (double)s->n_tried / MOST_TRIED, NULL, 0,
                    "order %u: (%u,%u,%u)(%u,%u,%u)", s->n_tried, o.p, o.d, o.q, o.sp, o.sd, o.sq);
    if (arima_aicc(&o, s->y, s->n, &aicc, &ignored) < 0 || !(aicc < s->least)) {
        return false;
    }
    s->least = aicc;
    s->best = o;
    return true;
}

/* Neighbours: unsigned numbers below 0 wrap beyond every limit. */
static bool step(struct steps *s)
{
    static const int moves[][4] = {/* p, q, P, Q */
                                   {0, 0, -1, 0},  {0, 0, 0, -1}, {0, 0, 1, 0},   {0, 0, 0, 1},
                                   {0, 0, -1, -1}, {0, 0, 1, 1},  {-1, 0, 0, 0},  {0, -1, 0, 0},
                                   {1, 0, 0, 0},   {0, 1, 0, 0},  {-1, -1, 0, 0}, {1, 1, 0, 0}};
    struct arima_order o;

    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        o = s->best;
        o.p += (unsigned)moves[i][0];
        o.q += (unsigned)moves[i][1];
        o.sp += (unsigned)moves[i][2];
        o.sq += (unsigned)moves[i][3];
        if (better(s, o)) {
            return true;
        }
    }
    o = s->best;
    o.constant = !o.constant;
    return better(s, o);
}

int arima_order_find(struct arima_order *o, const double *y, size_t n, struct progress *progress,
                     struct err *e)
{
    struct steps s = {.y = y, .n = n, .least = INFINITY, .progress = progress};
    static const unsigned starts[][4] = {{2, 2, 1, 1}, {0, 0, 0, 0}, {1, 0, 1, 0}, {0, 1, 0, 1}};
    struct arima_order bare = {.period = o->period};

    if (find_differences(&bare, y, n, e) < 0) {
        return -1;
    }
    s.best = bare;
    (void)better(&s, bare);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        bare.p = starts[i][0];
        bare.q = starts[i][1];
        bare.sp = bare.period > 1 ? starts[i][2] : 0;
        bare.sq = bare.period > 1 ? starts[i][3] : 0;
        bare.constant = bare.d + bare.sd <= 1;
        (void)better(&s, bare);
    }
    while (step(&s)) {
    }
    *o = s.best;
    return 0;
}

/* --- logarithms ------------------------------------------------------------------------------- */

/* The density of a value is that of its logarithm over the value itself. */
static double aicc_of_logs(const struct arima_order *o, const double *y, size_t n, double *logs)
{
    double aicc = INFINITY, sum = 0;
    struct err ignored = {0};

    for (size_t i = 0; i < n; i++) {
        logs[i] = log(y[i]);
        sum += i < arima_lost(o) ? 0 : logs[i];
    }
    return arima_aicc(o, logs, n, &aicc, &ignored) < 0 ? INFINITY : aicc + 2 * sum;
}

int arima_logs(size_t period, const double *y, size_t n, bool *out, struct err *e)
{
    const double least = 3; /* log 20 */
    struct arima_order o = {.d = 1, .q = 1, .period = (unsigned)period};
    SCOPED(big_freep) double *logs = NULL;
    struct err ignored = {0};
    double plain = INFINITY;

    *out = false;
    o.sd = o.sq = period > 1;
    for (size_t i = 0; i < n; i++) {
        if (!(y[i] > 0)) {
            return 0;
        }
    }
    if (arima_states(&o) > ARIMA_STATES_MAX || arima_aicc(&o, y, n, &plain, &ignored) < 0) {
        return 0;
    }
    logs = big_alloc(n, sizeof(*logs), "the logarithms", e);
    if (logs == NULL) {
        return -1;
    }
    *out = plain - aicc_of_logs(&o, y, n, logs) > 2 * least;
    return 0;
}
