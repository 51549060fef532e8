#include "algorithms/kernel/lloyd_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRIPES_MAX = 64 };
static const size_t sums_bytes_max = 256 * 1024 * 1024;

int lloyd_init(struct lloyd *f, struct err *e)
{
    size_t most = sums_bytes_max / (f->k * (f->d + 1) * sizeof(double)), rows;

    f->n_trials = 2 + (size_t)log((double)f->k);
    f->blocks = (f->n + CENTRES_BLOCK - 1) / CENTRES_BLOCK;
    f->stripes = f->blocks < STRIPES_MAX ? f->blocks : STRIPES_MAX;
    f->stripes = f->stripes < most ? f->stripes : most < 1 ? 1 : most;
    f->stripe_blocks = (f->blocks + f->stripes - 1) / f->stripes;
    f->stripes = (f->blocks + f->stripe_blocks - 1) / f->stripe_blocks;
    if (centres_init(&f->trial, f->n_trials, f->d, e) < 0) {
        return -1;
    }
    rows = f->centres->rows > f->trial.rows ? f->centres->rows : f->trial.rows;
    f->x = big_alloc(f->blocks * f->d, CENTRES_BLOCK * sizeof(double), "the matrix of features", e);
    f->norm =
        f->x ? big_alloc(f->blocks * CENTRES_BLOCK, sizeof(double), "the distances", e) : NULL;
    f->far = f->norm ? big_alloc(f->n, sizeof(double), "the distances", e) : NULL;
    f->tried = f->far ? big_alloc(f->blocks * f->n_trials, CENTRES_BLOCK * sizeof(float),
                                  "the distances", e)
                      : NULL;
    f->cluster = f->tried ? big_alloc(f->n, sizeof(uint32_t), "the clusters of the rows", e) : NULL;
    f->sums = f->cluster ? big_alloc(f->stripes * f->k, (f->d + 1) * sizeof(double),
                                     "the sums of the clusters", e)
                         : NULL;
    f->stripe =
        f->sums ? big_alloc(f->stripes, f->n_trials * sizeof(double), "the distances", e) : NULL;
    f->z = f->stripe ? big_alloc(threads_count(f->threads) * rows, CENTRES_BLOCK * sizeof(double),
                                 "the scores", e)
                     : NULL;
    return f->z ? 0 : -1;
}

void lloyd_done(struct lloyd *f)
{
    big_free(f->x);
    big_free(f->norm);
    big_free(f->far);
    big_free(f->tried);
    big_free(f->cluster);
    big_free(f->sums);
    big_free(f->stripe);
    big_free(f->z);
    centres_done(&f->trial);
}

size_t lloyd_block_rows(const struct lloyd *f, size_t at)
{
    return f->n - at * CENTRES_BLOCK < CENTRES_BLOCK ? f->n - at * CENTRES_BLOCK : CENTRES_BLOCK;
}

/* --- iterations ------------------------------------------------------------------------------- */

static void measure_stripe(void *ctx, size_t task, unsigned worker)
{
    struct lloyd *f = ctx;
    struct lloyd_range range = lloyd_stripe(f, task);

    (void)worker;
    for (size_t at = range.from; at < range.to; at++) {
        const double *x = lloyd_block(f, at);
        double *norm = f->norm + at * CENTRES_BLOCK;

        for (size_t j = 0; j < f->d; j++) {
            for (size_t i = 0; i < CENTRES_BLOCK; i++) {
                norm[i] += x[j * CENTRES_BLOCK + i] * x[j * CENTRES_BLOCK + i];
            }
        }
    }
}

double lloyd_measure(struct lloyd *f)
{
    double sum = 0, squares = 0, weights = 0;

    threads_each(f->threads, f->stripes, measure_stripe, f);
    for (size_t i = 0; i < f->n; i++) {
        squares += lloyd_weight(f, i) * f->norm[i];
        weights += lloyd_weight(f, i);
    }
    f->least = 1e-9 * weights / (double)f->n;
    for (size_t j = 0; j < f->d; j++) {
        double mean = 0;

        for (size_t i = 0; i < f->n; i++) {
            mean += lloyd_weight(f, i) *
                    lloyd_block(f, i / CENTRES_BLOCK)[j * CENTRES_BLOCK + i % CENTRES_BLOCK];
        }
        sum += mean / weights * (mean / weights);
    }
    return (squares / weights - sum) / (double)f->d;
}

static void move_row(const struct lloyd *f, double *to, size_t row, double by)
{
    const double *x = lloyd_block(f, row / CENTRES_BLOCK) + row % CENTRES_BLOCK;

    for (size_t j = 0; j < f->d; j++) {
        to[j] += by * x[j * CENTRES_BLOCK];
    }
    to[f->d] += by;
}

/* The nearest centre of every row; its sum goes where it goes. */
static void assign_stripe(void *ctx, size_t task, unsigned worker)
{
    struct lloyd *f = ctx;
    struct lloyd_range range = lloyd_stripe(f, task);
    double *sums = f->sums + task * f->k * (f->d + 1);
    double nearest[CENTRES_BLOCK], score[CENTRES_BLOCK];
    size_t changed = 0;

    for (size_t at = range.from; at < range.to; at++) {
        size_t first = at * CENTRES_BLOCK, n = lloyd_block_rows(f, at);

        centres_nearest(f->centres, lloyd_block(f, at), lloyd_z(f, worker), nearest, score);
        for (size_t i = 0; i < n; i++) {
            uint32_t new = (uint32_t)nearest[i], old = f->cluster[first + i];

            f->far[first + i] = f->norm[first + i] - 2 * score[i];
            if (new != old) {
                changed++;
                f->cluster[first + i] = new;
                move_row(f, sums + new *(f->d + 1), first + i, lloyd_weight(f, first + i));
                if (old != UINT32_MAX) {
                    move_row(f, sums + old * (f->d + 1), first + i, -lloyd_weight(f, first + i));
                }
            }
        }
    }
    f->stripe[task * f->n_trials] = (double)changed;
}

/* A cluster without rows gets the row that is farthest from its own centre; one each. */
static void refill(struct lloyd *f, double *to)
{
    size_t best = 0;

    for (size_t i = 1; i < f->n; i++) {
        best = f->far[i] * (lloyd_weight(f, i) > 0) > f->far[best] ? i : best;
    }
    if (f->far[best] > 0) {
        lloyd_put_row(f, best, to);
        f->far[best] = 0;
    }
}

static void unit_length(double *v, size_t d)
{
    double sum = 0;

    for (size_t j = 0; j < d; j++) {
        sum += v[j] * v[j];
    }
    for (size_t j = 0; sum > 0 && j < d; j++) {
        v[j] /= sqrt(sum);
    }
}

/* Centres to the means of their rows; returns how far they moved, squared. */
static double update(struct lloyd *f)
{
    SCOPED(freep) double *mean = xnew_array(double, f->d + 1);
    double moved = 0;

    for (size_t k = 0; k < f->k; k++) {
        double *at = f->centres->at + k * f->d;

        memset(mean, 0, (f->d + 1) * sizeof(double));
        for (size_t task = 0; task < f->stripes; task++) {
            const double *sum = f->sums + (task * f->k + k) * (f->d + 1);

            for (size_t j = 0; j <= f->d; j++) {
                mean[j] += sum[j];
            }
        }
        if (mean[f->d] > f->least) {
            for (size_t j = 0; j < f->d; j++) {
                mean[j] /= mean[f->d];
            }
        } else {
            memcpy(mean, at, f->d * sizeof(double));
            refill(f, mean);
        }
        if (f->unit) {
            unit_length(mean, f->d);
        }
        for (size_t j = 0; j < f->d; j++) {
            moved += (mean[j] - at[j]) * (mean[j] - at[j]);
            at[j] = mean[j];
        }
    }
    centres_prepare(f->centres);
    return moved;
}

static double assign(struct lloyd *f)
{
    threads_each(f->threads, f->stripes, assign_stripe, f);
    return lloyd_add_up(f, f->stripe, f->n_trials, 0);
}

double lloyd_run(struct lloyd *f)
{
    double inertia = 0;

    memset(f->sums, 0, f->stripes * f->k * (f->d + 1) * sizeof(double));
    memset(f->cluster, 0xff, f->n * sizeof(*f->cluster));
    centres_prepare(f->centres);
    f->converged = false;
    for (f->iterations = 0; f->iterations < f->max_iter && !f->converged; f->iterations++) {
        bool same = assign(f) == 0;

        f->converged = update(f) <= f->epsilon || same;
    }
    (void)assign(f);
    for (size_t i = 0; i < f->n; i++) {
        inertia += (f->far[i] > 0 ? f->far[i] : 0) * lloyd_weight(f, i);
    }
    return inertia;
}
