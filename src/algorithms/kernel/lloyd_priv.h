/* lloyd_priv - what the files lloyd*.c share. */
#pragma once
#include "algorithms/kernel/lloyd.h"

static inline double lloyd_weight(const struct lloyd *f, size_t row)
{
    return f->weights ? f->weights[row] : 1;
}

static inline const double *lloyd_block(const struct lloyd *f, size_t at)
{
    return f->x + at * CENTRES_BLOCK * f->d;
}

struct lloyd_range {
    size_t from, to; /* blocks */
};

static inline struct lloyd_range lloyd_stripe(const struct lloyd *f, size_t task)
{
    size_t from = task * f->stripe_blocks, to = from + f->stripe_blocks;

    return (struct lloyd_range){from, to < f->blocks ? to : f->blocks};
}

static inline double *lloyd_z(const struct lloyd *f, unsigned worker)
{
    size_t rows = f->centres->rows > f->trial.rows ? f->centres->rows : f->trial.rows;

    return f->z + (size_t)worker * rows * CENTRES_BLOCK;
}

static inline void lloyd_put_row(const struct lloyd *f, size_t row, double *to)
{
    const double *x = lloyd_block(f, row / CENTRES_BLOCK) + row % CENTRES_BLOCK;

    for (size_t j = 0; j < f->d; j++) {
        to[j] = x[j * CENTRES_BLOCK];
    }
}

static inline double lloyd_add_up(const struct lloyd *f, const double *v, size_t each, size_t which)
{
    double sum = 0;

    for (size_t i = 0; i < f->stripes; i++) {
        sum += v[i * each + which];
    }
    return sum;
}
