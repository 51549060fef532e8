/* The covariance for pca. Rows are cut into stripes whose borders depend on the table alone; a
 * stripe is one task with a matrix of its own, and these are added in the order of the stripes. */
#include "algorithms/modules/pca.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/shared.h"
#include "algorithms/kernel/simd.h"
#include "base/limits.h"

#include <math.h>

enum { STRIPE_ROWS = 1024, STRIPES_MAX = 64, TILE_WIDTH = 16 };
static const size_t matrix_bytes_max = 256 * MIB;

/* These rows were read and are not needed for a while. */
static void rest(const struct pca_products *f, size_t j, size_t first, size_t n)
{
    shared_rest(f->columns[j]->data, f->columns[j]->numbers + first, n * sizeof(double));
}

/* Products of the centred columns over one stripe. */
static void stripe(void *ctx, size_t task, unsigned worker)
{
    struct pca_products *f = ctx;
    size_t from = task * f->stripe_rows, to = from + f->stripe_rows;
    double *x = f->rows + (size_t)worker * PCA_BLOCK * f->width;

    to = to < f->t->n_rows ? to : f->t->n_rows;
    for (size_t first = from; first < to; first += PCA_BLOCK) {
        size_t n = to - first < PCA_BLOCK ? to - first : PCA_BLOCK;

        for (size_t j = 0; j < f->d; j++) {
            const double *v = f->columns[j]->numbers + first;

            for (size_t i = 0; i < n; i++) {
                x[i * f->width + j] = isnan(v[i]) ? 0 : v[i] - f->mean[j];
            }
        }
        simd_get()->gemm_f64(&(struct gemm_f64){.m = f->d,
                                                .n = f->width,
                                                .k = n,
                                                .a = x,
                                                .a_row = 1,
                                                .a_col = f->width,
                                                .b = x,
                                                .b_row = f->width,
                                                .b_col = 1,
                                                .c = f->sums + task * f->d * f->width,
                                                .c_row = f->width});
    }
    for (size_t j = 0; j < f->d; j++) {
        rest(f, j, from, to - from);
    }
}

static int means(struct pca_products *f, struct err *e)
{
    for (size_t j = 0; j < f->d; j++) {
        double sum = 0;
        size_t n = 0;

        for (size_t r = 0; r < f->t->n_rows; r++) {
            double v = f->columns[j]->numbers[r];

            sum += isnan(v) ? 0 : v;
            n += !isnan(v);
        }
        f->mean[j] = n > 0 ? sum / (double)n : 0;
        rest(f, j, 0, f->t->n_rows);
        if (!isfinite(f->mean[j])) {
            return err_set(e, ERR_DATA, "column '%s': its values are too large to be averaged",
                           f->columns[j]->name);
        }
    }
    return 0;
}

double *pca_covariance(struct pca_products *f, struct err *e)
{
    size_t most, n = f->t->n_rows;
    SCOPED(big_freep) double *out = big_alloc(f->d, f->d * sizeof(double), "the covariance", e);

    f->width = (f->d + TILE_WIDTH - 1) / TILE_WIDTH * TILE_WIDTH;
    most = matrix_bytes_max / ((f->d + 1) * f->width * sizeof(double) + 1);
    f->stripes = (n + STRIPE_ROWS - 1) / STRIPE_ROWS;
    f->stripes = f->stripes < STRIPES_MAX ? f->stripes : STRIPES_MAX;
    f->stripes = f->stripes < most ? f->stripes : most < 1 ? 1 : most;
    f->stripe_rows = (n + f->stripes - 1) / f->stripes;
    f->stripes = (n + f->stripe_rows - 1) / f->stripe_rows;
    f->sums =
        out ? big_alloc(f->stripes * f->d, f->width * sizeof(double), "the covariance", e) : NULL;
    f->rows = f->sums ? big_alloc((size_t)threads_count(f->threads) * PCA_BLOCK,
                                  f->width * sizeof(double), "the covariance", e)
                      : NULL;
    if (f->rows == NULL || means(f, e) < 0) {
        return NULL;
    }
    threads_each(f->threads, f->stripes, stripe, f);
    for (size_t task = 0; task < f->stripes; task++) {
        for (size_t i = 0; i < f->d; i++) {
            for (size_t j = 0; j < f->d; j++) {
                out[i * f->d + j] += f->sums[(task * f->d + i) * f->width + j] / (double)(n - 1);
            }
        }
    }
    for (size_t i = 0; i < f->d * f->d; i++) {
        if (!isfinite(out[i])) {
            err_set(e, ERR_DATA, "column '%s': its values are too large: scale it",
                    f->columns[i / f->d]->name);
            return NULL;
        }
    }
    return TAKE(out);
}
