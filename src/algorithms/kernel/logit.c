#include "algorithms/kernel/logit.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dense.h"
#include "algorithms/kernel/simd.h"

#include <math.h>
#include <string.h>

enum { STRIPE_ROWS = 1024, STRIPES_MAX = 64, ITERATIONS_MAX = 30, HALVINGS_MAX = 10, TILE = 16 };
/* Rows of a pass, and zeroes behind them: a power of two apart, features would share the same few
 * lines of the cache. */
enum { ROWS = 256, PITCH = ROWS + 8 };
static const char what[] = "the second derivatives";

struct run {
    struct logit *l;
    const struct simd *simd;
    const double *mean, *factor;
    size_t d, n; /* features; parameters: the intercept too, when there is one */
    size_t width, stripes, stripe_rows;
    const double *at; /* the parameters being looked at */
    double *sums;     /* [stripe]: second derivatives [n][width], first [n], loss */
    double *pieces;   /* [worker]: [n][PITCH] rows, the same by second derivatives */
    double *hessian, *gradient, *next, *step;
};

/* --- loss ------------------------------------------------------------------------------------- */

void log_sum_add(struct log_sum *l, double v)
{
    l->product *= v;
    if (l->product > 1e200) {
        l->sum += log(l->product);
        l->product = 1;
    }
}

double logit_loss(const uint32_t *classes, const double *weights, size_t n, double *scores,
                  double *second)
{
    struct log_sum logs = {1, 0};
    double t[LOGIT_PIECE_ROWS], loss = 0;

    for (size_t i = 0; i < n; i++) {
        t[i] = -fabs(scores[i]);
    }
    simd_get()->exp_f64(t, n);
    for (size_t i = 0; i < n; i++) {
        double z = scores[i], p = (z >= 0 ? 1 : t[i]) / (1 + t[i]), w = weights ? weights[i] : 1;
        double linear = (z > 0 ? z : 0) - (classes[i] ? z : 0);

        if (weights) {
            loss += w * (linear + log1p(t[i]));
        } else {
            loss += linear;
            log_sum_add(&logs, 1 + t[i]);
        }
        scores[i] = w * (p - classes[i]);
        if (second) {
            second[i] = w * p * (1 - p);
        }
    }
    return loss + logs.sum + log(logs.product);
}

/* --- standards -------------------------------------------------------------------------------- */

struct standards {
    const struct logit *l;
    double *mean, *factor;
};

static double value(const struct logit *l, size_t j, size_t row)
{
    double v = l->bound->columns[j][row];

    return isnan(v) ? l->features->fill[j] : v;
}

static void standards_of(void *ctx, size_t j, unsigned worker UNUSED)
{
    const struct standards *s = ctx;
    const struct logit *l = s->l;
    double mean = 0, squares = 0, deviation;

    for (size_t i = 0; l->intercept && i < l->bound->n_rows; i++) {
        mean += (l->weights ? l->weights[i] : 1) * value(l, j, i);
    }
    mean /= l->weight_sum;
    for (size_t i = 0; i < l->bound->n_rows; i++) {
        double by = value(l, j, i) - mean;

        squares += (l->weights ? l->weights[i] : 1) * by * by;
    }
    deviation = sqrt(squares / l->weight_sum);
    s->mean[j] = mean;
    s->factor[j] = deviation > 1e-14 * fabs(mean) && deviation > 0 ? 1 / deviation : 0;
}

void logit_standards(const struct logit *l, struct threads *threads, double *mean, double *factor)
{
    threads_each(threads, l->features->n, standards_of, &(struct standards){l, mean, factor});
}

/* --- a pass over the rows --------------------------------------------------------------------- */

/* x[feature][row], ones behind the features for the intercept; zeroes behind the rows. */
static void gather(const struct run *r, size_t first, size_t rows, double *x)
{
    for (size_t j = 0; j < r->d; j++, x += PITCH) {
        const double *from = r->l->bound->columns[j] + first;
        double mean = r->mean ? r->mean[j] : 0, factor = r->factor ? r->factor[j] : 1;
        double fill = r->l->features->fill[j];

        for (size_t i = 0; i < rows; i++) {
            x[i] = (from[i] - mean) * factor;
        }
        for (size_t i = 0; !isnan(fill) && i < rows; i++) {
            x[i] = isnan(x[i]) ? (fill - mean) * factor : x[i];
        }
        memset(x + rows, 0, (PITCH - rows) * sizeof(*x));
    }
    for (size_t i = 0; r->n > r->d && i < PITCH; i++) {
        x[i] = i < rows;
    }
}

static double take_piece(const struct run *r, size_t first, size_t rows, double *x, double *sums)
{
    const struct logit *l = r->l;
    double z[PITCH] = {0}, h[PITCH] = {0}, loss, g[LOGIT_FEATURES_MAX + 1];
    double *by_h = x + r->n * PITCH;

    gather(r, first, rows, x);
    r->simd->rows_add(r->n, PITCH, x, r->at, z);
    loss = logit_loss(l->classes + first, l->weights ? l->weights + first : NULL, rows, z, h);
    memset(z + rows, 0, (PITCH - rows) * sizeof(*z));
    r->simd->rows_dot(r->n, PITCH, x, z, g);
    for (size_t j = 0; j < r->n; j++) {
        sums[r->n * r->width + j] += g[j];
        for (size_t i = 0; i < PITCH; i++) {
            by_h[j * PITCH + i] = h[i] * x[j * PITCH + i];
        }
    }
    r->simd->gemm_f64(&(struct gemm_f64){.m = r->n,
                                         .n = r->n,
                                         .k = PITCH,
                                         .a = by_h,
                                         .a_row = PITCH,
                                         .a_col = 1,
                                         .b = x,
                                         .b_row = 1,
                                         .b_col = PITCH,
                                         .c = sums,
                                         .c_row = r->width});
    return loss;
}

static size_t sums_size(const struct run *r)
{
    return r->n * r->width + r->n + 1;
}

static void take_stripe(void *ctx, size_t task, unsigned worker)
{
    const struct run *r = ctx;
    size_t first = task * r->stripe_rows, end = first + r->stripe_rows;
    double *sums = r->sums + task * sums_size(r), loss = 0;
    double *x = r->pieces + (size_t)worker * 2 * r->n * PITCH;

    end = end < r->l->bound->n_rows ? end : r->l->bound->n_rows;
    memset(sums, 0, sums_size(r) * sizeof(*sums));
    for (; first < end; first += ROWS) {
        loss += take_piece(r, first, end - first < ROWS ? end - first : ROWS, x, sums);
    }
    sums[sums_size(r) - 1] = loss;
}

/* The value at some parameters; its derivatives go to gradient and hessian. */
static double look(struct run *r, struct threads *threads, const double *at)
{
    double loss = 0, squares = 0, scale = 1 / r->l->weight_sum;

    r->at = at;
    threads_each(threads, r->stripes, take_stripe, r);
    memset(r->gradient, 0, r->n * sizeof(double));
    memset(r->hessian, 0, r->n * r->n * sizeof(double));
    for (size_t s = 0; s < r->stripes; s++) {
        const double *sums = r->sums + s * sums_size(r);

        for (size_t i = 0; i < r->n; i++) {
            for (size_t j = 0; j < r->n; j++) {
                r->hessian[i * r->n + j] += sums[i * r->width + j] * scale;
            }
            r->gradient[i] += sums[r->n * r->width + i] * scale;
        }
        loss += sums[sums_size(r) - 1];
    }
    for (size_t j = 0; j < r->d; j++) {
        r->gradient[j] += r->l->l2 * at[j];
        r->hessian[j * r->n + j] += r->l->l2;
        squares += at[j] * at[j];
    }
    return loss * scale + r->l->l2 / 2 * squares;
}

/* --- iterations ------------------------------------------------------------------------------- */

static double largest(const double *v, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        most = fabs(v[i]) > most ? fabs(v[i]) : most;
    }
    return most;
}

/* step = hessian^-1 gradient; returns what a whole step would bring, or NaN. */
static double solve(struct run *r)
{
    double most = 0, gain = 0;

    for (size_t j = 0; j < r->n; j++) {
        most = r->hessian[j * r->n + j] > most ? r->hessian[j * r->n + j] : most;
    }
    if (dense_cholesky(r->hessian, r->n, 1e-11 * most) < 0) {
        return NAN;
    }
    memcpy(r->step, r->gradient, r->n * sizeof(double));
    dense_cholesky_solve(r->hessian, r->n, r->step);
    for (size_t j = 0; j < r->n; j++) {
        gain += r->step[j] * r->gradient[j] / 2;
    }
    return gain;
}

/* A whole step, or half of it while that is no better; false when none is. */
static bool move(struct run *r, struct threads *threads, double *params)
{
    double by = 1, before = r->l->value;

    for (int i = 0; i < HALVINGS_MAX; i++, by /= 2) {
        for (size_t j = 0; j < r->n; j++) {
            r->next[j] = params[j] - by * r->step[j];
        }
        r->l->value = look(r, threads, r->next);
        if (r->l->value <= before + 1e-14 * fabs(before)) {
            memcpy(params, r->next, r->n * sizeof(double));
            return true;
        }
    }
    return false;
}

static int iterate(struct run *r, struct threads *threads, double *params)
{
    struct logit *l = r->l;

    l->value = look(r, threads, params);
    for (l->iterations = 0; l->iterations < l->max_iter; l->iterations++) {
        double gain, gradient = largest(r->gradient, r->n);

        l->converged = gradient <= l->epsilon;
        if (l->converged) {
            return 0;
        }
        gain = solve(r);
        if (!(gain >= 0) || l->iterations == ITERATIONS_MAX || !move(r, threads, params)) {
            return 1;
        }
        l->each(l->ctx, l->iterations + 1, l->value, largest(r->gradient, r->n));
        if (gain <= 1e-15 * fabs(l->value)) { /* as near as rounding lets us */
            l->converged = true;
            return 0;
        }
    }
    return 0;
}

static int make_room(struct run *r, struct threads *threads, struct err *e)
{
    size_t rows = r->l->bound->n_rows;

    r->width = (r->n + TILE - 1) / TILE * TILE;
    r->stripes = (rows + STRIPE_ROWS - 1) / STRIPE_ROWS;
    r->stripes = r->stripes < STRIPES_MAX ? r->stripes : STRIPES_MAX;
    r->stripe_rows = (rows + r->stripes - 1) / r->stripes;
    r->stripes = (rows + r->stripe_rows - 1) / r->stripe_rows;
    r->sums = big_alloc(r->stripes * sums_size(r), sizeof(double), what, e);
    r->pieces = r->sums ? big_alloc((size_t)threads_count(threads) * 2 * r->n * PITCH,
                                    sizeof(double), what, e)
                        : NULL;
    r->hessian = r->pieces ? big_alloc(r->n * (r->n + 3), sizeof(double), what, e) : NULL;
    if (r->hessian == NULL) {
        return -1;
    }
    r->gradient = r->hessian + r->n * r->n;
    r->next = r->gradient + r->n;
    r->step = r->next + r->n;
    return 0;
}

int logit_newton(struct logit *l, struct threads *threads, const double *mean, const double *factor,
                 double *params, struct err *e)
{
    struct run r = {.l = l,
                    .simd = simd_get(),
                    .mean = mean,
                    .factor = factor,
                    .d = l->features->n,
                    .n = l->features->n + l->intercept};
    int rc = make_room(&r, threads, e);

    memset(params, 0, (r.d + 1) * sizeof(*params));
    if (rc == 0) {
        rc = iterate(&r, threads, params);
    }
    if (rc > 0) {
        memset(params, 0, (r.d + 1) * sizeof(*params));
    }
    big_free(r.sums);
    big_free(r.pieces);
    big_free(r.hessian);
    return rc;
}
