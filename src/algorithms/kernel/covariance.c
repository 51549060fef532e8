#include "algorithms/kernel/covariance.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/simd.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { PIECE_ROWS = 256, STRIPES_MAX = 64, BLOCK = 96, GATHER_ROWS = 64 };
static const size_t stripe_bytes_max = 256 * MIB;

struct work {
    const struct covariance_of *of;
    double *mean;
    size_t stripes, stripe_rows;
    double *products; /* [stripe][d][d], the upper triangle by blocks */
    double *pieces;   /* [worker][PIECE_ROWS][d] */
};

static double filled(const struct covariance_of *of, size_t j, double v)
{
    return isnan(v) && of->fill ? of->fill[j] : v;
}

/* Sums of pieces, then their sum: many rows lose few digits. */
static void mean_of(void *ctx, size_t j, unsigned worker UNUSED)
{
    struct work *k = ctx;
    const struct covariance_of *of = k->of;
    double sum = 0;

    for (size_t first = 0; first < of->n_rows; first += PIECE_ROWS) {
        size_t end = of->n_rows - first < PIECE_ROWS ? of->n_rows : first + PIECE_ROWS;
        double part = 0;

        for (size_t i = first; i < end; i++) {
            part += (of->weights ? of->weights[i] : 1) * filled(of, j, of->columns[j][i]);
        }
        sum += part;
    }
    k->mean[j] = sum / of->weight_sum;
    if (of->bound && j < of->bound->n) {
        bound_rest_column(of->bound, j);
    }
}

/* Rows less their means, times the root of their weight. */
static void gather(const struct work *k, size_t first, size_t n, double *to)
{
    const struct covariance_of *of = k->of;

    for (size_t from = 0; from < n; from += GATHER_ROWS) {
        size_t end = n - from < GATHER_ROWS ? n : from + GATHER_ROWS;

        for (size_t j = 0; j < of->d; j++) {
            for (size_t i = from; i < end; i++) {
                to[i * of->d + j] = filled(of, j, of->columns[j][first + i]) - k->mean[j];
            }
        }
    }
    for (size_t i = 0; of->weights && i < n; i++) {
        double root = sqrt(of->weights[first + i]);

        for (size_t j = 0; j < of->d; j++) {
            to[i * of->d + j] *= root;
        }
    }
}

static void run_stripe(void *ctx, size_t task, unsigned worker)
{
    struct work *k = ctx;
    size_t d = k->of->d, at = task * k->stripe_rows, end = at + k->stripe_rows;
    double *x = k->pieces + worker * PIECE_ROWS * d, *c = k->products + task * d * d;

    end = end < k->of->n_rows ? end : k->of->n_rows;
    while (at < end) {
        size_t rows = end - at < PIECE_ROWS ? end - at : PIECE_ROWS;

        gather(k, at, rows, x);
        for (size_t b = 0; b < d; b += BLOCK) {
            simd_get()->gemm_f64(&(struct gemm_f64){.m = d - b < BLOCK ? d - b : BLOCK,
                                                    .n = d - b,
                                                    .k = rows,
                                                    .a = x + b,
                                                    .a_row = 1,
                                                    .a_col = d,
                                                    .b = x + b,
                                                    .b_row = d,
                                                    .b_col = 1,
                                                    .c = c + b * d + b,
                                                    .c_row = d});
        }
        at += rows;
    }
    if (k->of->bound) {
        bound_rest(k->of->bound, task * k->stripe_rows, end - task * k->stripe_rows);
    }
}

static void add_up(const struct work *k, double *c)
{
    size_t d = k->of->d;

    memset(c, 0, d * d * sizeof(*c));
    for (size_t s = 0; s < k->stripes; s++) {
        for (size_t i = 0; i < d * d; i++) {
            c[i] += k->products[s * d * d + i];
        }
    }
    for (size_t i = 0; i < d; i++) {
        for (size_t j = i; j < d; j++) {
            c[i * d + j] /= k->of->weight_sum;
            c[j * d + i] = c[i * d + j];
        }
    }
}

static int check_finite(const struct covariance_of *of, const double *mean, const double *c,
                        struct err *e)
{
    for (size_t i = 0; i < of->d * of->d; i++) {
        if (!isfinite(c[i]) || !isfinite(mean[i / of->d])) {
            return err_set(
                e, ERR_DATA,
                "the values are too large for sums of their products: scale the columns");
        }
    }
    return 0;
}

int covariance(const struct covariance_of *of, struct threads *threads, double *mean, double *c,
               struct err *e)
{
    struct work k = {.of = of, .mean = mean};
    size_t most = stripe_bytes_max / (of->d * of->d * sizeof(double) + 1);
    SCOPED(big_freep) double *products = NULL, *pieces = NULL;

    k.stripes = (of->n_rows + PIECE_ROWS - 1) / PIECE_ROWS;
    k.stripes = k.stripes < STRIPES_MAX ? k.stripes : STRIPES_MAX;
    k.stripes = k.stripes < most ? k.stripes : most;
    k.stripes = k.stripes < 1 ? 1 : k.stripes;
    k.stripe_rows = (of->n_rows + k.stripes - 1) / k.stripes;
    products = k.products =
        big_alloc(k.stripes * of->d * of->d, sizeof(double), "the products of the columns", e);
    pieces = k.pieces = products ? big_alloc(threads_count(threads) * PIECE_ROWS * of->d,
                                             sizeof(double), "the products of the columns", e)
                                 : NULL;
    if (pieces == NULL) {
        return -1;
    }
    memset(mean, 0, of->d * sizeof(*mean));
    if (of->centre) {
        threads_each(threads, of->d, mean_of, &k);
    }
    threads_each(threads, k.stripes, run_stripe, &k);
    add_up(&k, c);
    return check_finite(of, mean, c, e);
}
