/* kmeans - the model, which kmeans.c trains. Private to modules. */
#pragma once
#include "algorithms/kernel/centres.h"
#include "algorithms/kernel/model.h"

struct kmeans {
    struct centres centres;
    bool cosine;
    uint32_t iterations;
    double inertia;
    double *sizes; /* weight of the rows of each cluster; big memory */
};

int kmeans_init(struct kmeans *b, size_t k, size_t d, struct err *e) MUST_USE;
/* x[feature][row] of up to a block of rows, zeroes behind them. */
void kmeans_gather(const struct model *m, const double *const *columns, size_t first, size_t n,
                   double *x);
