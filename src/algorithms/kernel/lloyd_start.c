#include "algorithms/kernel/lloyd_priv.h"

#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Squared distances from the trials, or from the nearest centre so far if that is less, and what
 * the sum of w x distance would be with each. */
static void try_stripe(void *ctx, size_t task, unsigned worker)
{
    struct lloyd *f = ctx;
    struct lloyd_range range = lloyd_stripe(f, task);
    double *z = lloyd_z(f, worker), *sum = f->stripe + task * f->n_trials;

    memset(sum, 0, f->n_trials * sizeof(*sum));
    for (size_t at = range.from; at < range.to; at++) {
        size_t first = at * CENTRES_BLOCK, n = lloyd_block_rows(f, at);
        float *tried = f->tried + first * f->n_trials;

        centres_scores(&f->trial, lloyd_block(f, at), z);
        for (size_t t = 0; t < f->n_trials; t++) {
            for (size_t i = 0; i < n; i++) {
                double norm = f->norm[first + i], d = norm - 2 * z[t * CENTRES_BLOCK + i];

                d = d > 1e-14 * norm ? d : 0; /* the row itself, up to rounding */
                d = d < f->far[first + i] ? d : f->far[first + i];
                tried[t * CENTRES_BLOCK + i] = (float)d;
                sum[t] += d * lloyd_weight(f, first + i);
            }
        }
    }
}

/* A row by chance, likelier the farther and the heavier; `total` > 0 is the sum of the stripes. */
static size_t draw(const struct lloyd *f, const double *stripe, double total, struct rng *rng)
{
    double left = rng_unit(rng) * total;
    size_t task = 0, row, last, end;

    while (task + 1 < f->stripes && left >= stripe[task]) {
        left -= stripe[task++];
    }
    row = last = lloyd_stripe(f, task).from * CENTRES_BLOCK;
    end = lloyd_stripe(f, task).to * CENTRES_BLOCK;
    for (; row < end && row < f->n; row++) {
        double v = f->far[row] * lloyd_weight(f, row);

        if (v > 0) {
            last = row;
            left -= v;
            if (left < 0) {
                break;
            }
        }
    }
    return last;
}

/* Which of the trials leaves the least. */
static size_t best_trial(struct lloyd *f)
{
    size_t best = 0;

    centres_prepare(&f->trial);
    threads_each(f->threads, f->stripes, try_stripe, f);
    for (size_t t = 1; t < f->n_trials; t++) {
        best = lloyd_add_up(f, f->stripe, f->n_trials, t) <
                       lloyd_add_up(f, f->stripe, f->n_trials, best)
                   ? t
                   : best;
    }
    return best;
}

/* The trial becomes a centre; the distances are what was tried, `shares` their sums. */
static void take_trial(struct lloyd *f, size_t t, size_t k, double *shares)
{
    memcpy(f->centres->at + k * f->d, f->trial.at + t * f->d, f->d * sizeof(double));
    for (size_t i = 0; i < f->n; i++) {
        f->far[i] =
            f->tried[(i / CENTRES_BLOCK * f->n_trials + t) * CENTRES_BLOCK + i % CENTRES_BLOCK];
    }
    for (size_t i = 0; i < f->stripes; i++) {
        shares[i] = f->stripe[i * f->n_trials + t];
    }
}

/* Before the first centre: every row as likely as its weight. */
static void start_even(struct lloyd *f, double *shares)
{
    for (size_t i = 0; i < f->n; i++) {
        f->far[i] = 1;
        shares[i / CENTRES_BLOCK / f->stripe_blocks] += lloyd_weight(f, i);
    }
}

int lloyd_start_apart(struct lloyd *f, struct rng *rng, struct err *e)
{
    SCOPED(freep) double *shares = xnew_array(double, f->stripes);

    start_even(f, shares);
    for (size_t k = 0; k < f->k; k++) {
        double total = lloyd_add_up(f, shares, 1, 0);

        if (!isfinite(total)) {
            return err_set(e, ERR_DATA, "the values are too large to be compared: scale them");
        }
        if (total <= 0) {
            return err_set(e, ERR_DATA, "only %zu of %zu centres differ: give k a smaller value", k,
                           f->k);
        }
        for (size_t t = 0; t < f->n_trials; t++) {
            lloyd_put_row(f, draw(f, shares, total, rng), f->trial.at + t * f->d);
        }
        for (size_t i = 0; k == 0 && i < f->n; i++) {
            f->far[i] = DBL_MAX;
        }
        take_trial(f, best_trial(f), k, shares);
    }
    return 0;
}

/* k different rows: a shuffle of their numbers that ends after k. */
void lloyd_start_anywhere(struct lloyd *f, struct rng *rng)
{
    uint32_t *order = f->cluster;

    for (size_t i = 0; i < f->n; i++) {
        order[i] = (uint32_t)i;
    }
    for (size_t k = 0; k < f->k; k++) {
        size_t other = k + rng_below(rng, f->n - k);
        uint32_t row = order[other];

        order[other] = order[k];
        order[k] = row;
        lloyd_put_row(f, row, f->centres->at + k * f->d);
    }
}
