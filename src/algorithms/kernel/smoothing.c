#include "algorithms/kernel/smoothing.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/optimise.h"

#include <math.h>
#include <string.h>

void smoothing_done(struct smoothing *m)
{
    big_free(m->seasons);
    m->seasons = NULL;
}

/* What comes next, and without the season in *base. */
static double expect(const struct smoothing *m, size_t at, double *base)
{
    *base = m->trend == SMOOTHING_NONE  ? m->level
            : m->trend == SMOOTHING_ADD ? m->level + m->phi * m->slope
                                        : m->level * pow(m->slope, m->phi);
    return m->season == SMOOTHING_NONE  ? *base
           : m->season == SMOOTHING_ADD ? *base + m->seasons[at]
                                        : *base * m->seasons[at];
}

static void follow(struct smoothing *m, size_t at, double base, double y)
{
    double old = m->level, s = m->seasons[at];
    double bare = m->season == SMOOTHING_ADD ? y - s : m->season == SMOOTHING_MUL ? y / s : y;

    m->level = m->alpha * bare + (1 - m->alpha) * base;
    if (m->trend == SMOOTHING_ADD) {
        m->slope = m->beta * (m->level - old) + (1 - m->beta) * m->phi * m->slope;
    } else if (m->trend == SMOOTHING_MUL) {
        m->slope = m->beta * (m->level / old) + (1 - m->beta) * pow(m->slope, m->phi);
    }
    if (m->season == SMOOTHING_ADD) {
        m->seasons[at] = m->gamma * (y - base) + (1 - m->gamma) * s;
    } else if (m->season == SMOOTHING_MUL) {
        m->seasons[at] = m->gamma * (y / base) + (1 - m->gamma) * s;
    }
}

/* --- fitting ---------------------------------------------------------------------------------- */

/* alpha, beta, gamma, phi, level, slope; then seasons, which are not searched when there are more:
 * a gradient walks the series twice for each number. */
enum { PARAMETERS = 6, SEASONS_SEARCHED = 50, MAX_ITER = 500, STARTS = 3 };

struct search {
    struct smoothing m;
    const double *y;
    size_t n;
    double scale;  /* of the data: the unit of the states */
    double *moved; /* all parameters */
    unsigned start;
    struct progress *progress;
    double *fitted; /* or NULL */
};

static double squash(double x)
{
    return 1 / (1 + exp(-x));
}

static double unsquash(double p)
{
    return log(p / (1 - p));
}

/* Free numbers to parameters inside their bounds: beta* and gamma by alpha as in state space. */
static void take(struct search *f, const double *x)
{
    struct smoothing *m = &f->m;

    m->alpha = squash(x[0]);
    m->beta = m->trend == SMOOTHING_NONE ? 0 : squash(x[1]);
    m->gamma = m->season == SMOOTHING_NONE ? 0 : squash(x[2]) * (1 - m->alpha);
    m->phi = m->damped ? 0.8 + 0.195 * squash(x[3]) : 1;
    m->level = x[4] * f->scale;
    m->slope = m->trend == SMOOTHING_MUL   ? exp(x[5])
               : m->trend == SMOOTHING_ADD ? x[5] * f->scale
                                           : 0;
    for (size_t i = 0; i < m->period; i++) {
        double s = m->season == SMOOTHING_NONE ? 0 : x[PARAMETERS + i];

        m->seasons[i] = m->season == SMOOTHING_MUL ? s : s * f->scale;
    }
}

static double squares(struct search *f, const double *x)
{
    double sum = 0;

    take(f, x);
    for (size_t i = 0; i < f->n; i++) {
        double base, was = expect(&f->m, i % f->m.period, &base), error = f->y[i] - was;

        if (f->fitted) {
            f->fitted[i] = was;
        }
        sum += error * error;
        follow(&f->m, i % f->m.period, base, f->y[i]);
    }
    return sum;
}

static size_t parameters(const struct smoothing *m)
{
    return PARAMETERS + (m->season == SMOOTHING_NONE ? 0 : m->period);
}

static size_t searched(const struct smoothing *m)
{
    return m->period > SEASONS_SEARCHED ? PARAMETERS : parameters(m);
}

/* Mean square in units of the scale; the gradient from differences. */
static double objective(void *ctx, const double *x, double *g)
{
    struct search *f = ctx;
    double unit = 1 / (f->scale * f->scale * (double)f->n);
    size_t n = searched(&f->m);

    memcpy(f->moved, x, n * sizeof(double));
    for (size_t i = 0; i < n; i++) {
        double h = 1e-5 * (1 + fabs(x[i])), up, down;

        f->moved[i] = x[i] + h;
        up = squares(f, f->moved);
        f->moved[i] = x[i] - h;
        down = squares(f, f->moved);
        f->moved[i] = x[i];
        g[i] = (up - down) * unit / (2 * h);
        g[i] = isfinite(g[i]) ? g[i] : 0;
    }
    return squares(f, f->moved) * unit;
}

/* First states: means of the first periods, and what is left of the first one. */
static void guess(const struct search *f, double alpha, double *x)
{
    const struct smoothing *m = &f->m;
    size_t p = m->period > 1 ? m->period : f->n < 10 ? f->n / 2 : 5;
    double first = 0, second = 0;

    for (size_t i = 0; i < p; i++) {
        first += f->y[i] / (double)p;
        second += f->y[p + i < f->n ? p + i : i] / (double)p;
    }
    x[0] = unsquash(alpha);
    x[1] = unsquash(0.1);
    x[2] = unsquash(0.2);
    x[3] = unsquash(0.9);
    x[4] = first / f->scale;
    x[5] = m->trend == SMOOTHING_MUL ? log(second / first) / (double)p
                                     : (second - first) / ((double)p * f->scale);
    for (size_t i = 0; m->season != SMOOTHING_NONE && i < m->period; i++) {
        x[PARAMETERS + i] =
            m->season == SMOOTHING_MUL ? f->y[i] / first : (f->y[i] - first) / f->scale;
    }
}

static void told(void *ctx, unsigned iteration, double value, double gradient)
{
    const struct search *f = ctx;
    double part = (double)iteration / MAX_ITER;

    (void)gradient;
    progress_update(f->progress, (f->start + part) / STARTS, NULL, 0,
                    "start %u of %d, iteration %u: mean square %.6g", f->start + 1, STARTS,
                    iteration, value * f->scale * f->scale);
}

static int search(struct search *f, double *best, double *x, struct err *e)
{
    static const double starts[STARTS] = {0.1, 0.5, 0.9};
    double least = INFINITY;

    for (f->start = 0; f->start < STARTS; f->start++) {
        struct optimise o = {.fn = objective,
                             .each = told,
                             .ctx = f,
                             .max_iter = MAX_ITER,
                             .epsilon = 1e-9,
                             .f_epsilon = 1e-12};

        guess(f, starts[f->start], x);
        memcpy(f->moved, x, parameters(&f->m) * sizeof(double));
        if (optimise_lbfgs(&o, searched(&f->m), x, e) < 0) {
            return -1;
        }
        if (o.value < least) {
            least = o.value;
            memcpy(best, x, parameters(&f->m) * sizeof(double));
        }
    }
    return 0;
}

static int check_series(const struct smoothing *m, const double *y, size_t n, double *scale,
                        struct err *e)
{
    size_t least = m->period > 1 ? 2 * m->period : 4;
    bool positive = m->trend == SMOOTHING_MUL || m->season == SMOOTHING_MUL;

    if (n < least) {
        return err_set(e, ERR_DATA, "the series has %zu values: at least %zu are needed%s", n,
                       least, m->period > 1 ? ", two whole periods" : "");
    }
    *scale = 0;
    for (size_t i = 0; i < n; i++) {
        *scale += fabs(y[i]) / (double)n;
        if (positive && !(y[i] > 0)) {
            return err_set(e, ERR_DATA,
                           "value %zu is %g: what multiplies needs values above 0: take add", i + 1,
                           y[i]);
        }
    }
    if (!isfinite(*scale) || *scale > 1e150) {
        return err_set(e, ERR_DATA, "the values are too large: scale the column");
    }
    *scale = *scale > 1e-150 ? *scale : 1;
    return 0;
}

int smoothing_fit(struct smoothing *m, const double *y, size_t n, double *fitted,
                  struct progress *progress, struct err *e)
{
    struct search f = {.m = *m, .y = y, .n = n, .progress = progress};
    size_t k = parameters(m), used;
    SCOPED(big_freep) double *memory = NULL;
    double *best;

    if (check_series(m, y, n, &f.scale, e) < 0) {
        return -1;
    }
    memory = big_alloc(k, 3 * sizeof(double), "the search", e);
    m->seasons = f.m.seasons =
        memory ? big_alloc(m->period, sizeof(double), "the seasons", e) : NULL;
    if (m->seasons == NULL) {
        return -1;
    }
    f.moved = memory;
    best = memory + k;
    if (search(&f, best, memory + 2 * k, e) < 0) {
        return -1;
    }
    f.fitted = fitted;
    f.m.sse = squares(&f, best);
    used = 2 + 2 * (m->trend != SMOOTHING_NONE) + m->damped +
           (m->season == SMOOTHING_NONE ? 0 : m->period);
    f.m.sigma = sqrt(f.m.sse / (double)(n > used ? n - used : 1));
    *m = f.m;
    if (!isfinite(m->sse) || !isfinite(m->level) || !isfinite(m->slope)) {
        return err_set(e, ERR_DATA, "no parameters fit the series: take add in place of mul");
    }
    memcpy(memory, m->seasons, (m->period < k ? m->period : k) * sizeof(double));
    for (size_t i = 0; m->season != SMOOTHING_NONE && i < m->period; i++) {
        m->seasons[i] = memory[(n + i) % m->period];
    }
    return 0;
}

/* --- forecasts -------------------------------------------------------------------------------- */

/* The course of the expected value when the step `at` turns out `error` away; SIZE_MAX: none. */
static void course(const struct smoothing *from, double *seasons, size_t at, double error, size_t h,
                   double *out)
{
    struct smoothing m = *from;

    memcpy(seasons, from->seasons, from->period * sizeof(double));
    m.seasons = seasons;
    for (size_t i = 0; i < h; i++) {
        double base;

        out[i] = expect(&m, i % m.period, &base);
        follow(&m, i % m.period, base, out[i] + (i == at ? error : 0));
    }
}

int smoothing_forecast(const struct smoothing *m, size_t h, double *mean, double *deviation,
                       struct err *e)
{
    SCOPED(big_freep) double *seasons = big_alloc(m->period + h, sizeof(double), "a forecast", e);
    double error = m->sigma > 0 ? m->sigma * 1e-3 : 1e-9, *moved;

    if (seasons == NULL) {
        return -1;
    }
    moved = seasons + m->period;
    course(m, seasons, SIZE_MAX, 0, h, mean);
    for (size_t i = 0; i < h; i++) {
        deviation[i] = 1;
    }
    for (size_t at = 0; at < h; at++) { /* the error of a step goes into all that follow */
        course(m, seasons, at, error, h, moved);
        for (size_t i = at + 1; i < h; i++) {
            double by = (moved[i] - mean[i]) / error;

            deviation[i] += by * by;
        }
    }
    for (size_t i = 0; i < h; i++) {
        deviation[i] = m->sigma * sqrt(deviation[i]);
        if (!isfinite(mean[i]) || !isfinite(deviation[i])) {
            return err_set(e, ERR_DATA, "the forecast grows without bound after %zu steps", i);
        }
    }
    return 0;
}
