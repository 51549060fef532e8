#include "algorithms/kernel/centres.h"

#include "algorithms/kernel/bigmem.h"

#include <math.h>
#include <string.h>

enum { TILE_ROWS = 12 }; /* a multiple of what every instruction set takes */

int centres_init(struct centres *c, size_t k, size_t d, struct err *e)
{
    size_t rows = (k + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;

    *c = (struct centres){.k = k, .d = d, .rows = rows};
    c->at = big_alloc(k * d, sizeof(double), "the centres", e);
    c->origin = c->at ? big_alloc(d, sizeof(double), "the centres", e) : NULL;
    c->matrix = c->origin ? big_alloc(rows * d, sizeof(double), "the centres", e) : NULL;
    c->half = c->matrix ? big_alloc(rows, sizeof(double), "the centres", e) : NULL;
    return c->half ? 0 : -1;
}

void centres_done(struct centres *c)
{
    big_free(c->at);
    big_free(c->origin);
    big_free(c->matrix);
    big_free(c->half);
    *c = (struct centres){0};
}

void centres_prepare(struct centres *c)
{
    memcpy(c->matrix, c->at, c->k * c->d * sizeof(double));
    for (size_t k = 0; k < c->rows; k++) {
        const double *at = c->matrix + k * c->d;
        double sum = 0;

        for (size_t j = 0; j < c->d; j++) {
            sum += at[j] * at[j];
        }
        c->half[k] = k < c->k ? sum / 2 : INFINITY;
    }
}

void centres_scores(const struct centres *c, const double *x, double *z)
{
    for (size_t k = 0; k < c->rows; k++) {
        for (size_t i = 0; i < CENTRES_BLOCK; i++) {
            z[k * CENTRES_BLOCK + i] = -c->half[k];
        }
    }
    simd_get()->gemm_f64(&(struct gemm_f64){.m = c->rows,
                                            .n = CENTRES_BLOCK,
                                            .k = c->d,
                                            .a = c->matrix,
                                            .a_row = c->d,
                                            .a_col = 1,
                                            .b = x,
                                            .b_row = CENTRES_BLOCK,
                                            .b_col = 1,
                                            .c = z,
                                            .c_row = CENTRES_BLOCK});
}

void centres_nearest(const struct centres *c, const double *x, double *z,
                     double nearest[CENTRES_BLOCK], double score[CENTRES_BLOCK])
{
    centres_scores(c, x, z);
    for (size_t i = 0; i < CENTRES_BLOCK; i++) {
        nearest[i] = 0;
        score[i] = z[i];
    }
    for (size_t k = 1; k < c->k; k++) {
        const double *row = z + k * CENTRES_BLOCK;
        double number = (double)k;

        for (size_t i = 0; i < CENTRES_BLOCK; i++) {
            nearest[i] = row[i] > score[i] ? number : nearest[i];
            score[i] = row[i] > score[i] ? row[i] : score[i];
        }
    }
}
