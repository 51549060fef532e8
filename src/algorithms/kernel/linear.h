/* linear - softmax over linear scores: what logistic_regression trains (the body of its model).
 * With two classes there is one score and its logistic function (the second class's probability).
 */
#pragma once
#include "algorithms/kernel/binary.h"

struct linear {
    size_t n_features, n_scores; /* scores: 1 for two classes, else one per class */
    double *weights;             /* big memory: [feature][score], then one intercept per score */
};

static inline size_t linear_scores(size_t n_classes)
{
    return n_classes == 2 ? 1 : n_classes;
}

void linear_done(struct linear *l);
void linear_free(void *l); /* of the heap */
int linear_init(struct linear *l, size_t n_features, size_t n_classes, struct err *e) MUST_USE;
size_t linear_parameters(const struct linear *l);
/* z[row][score] for dense rows. */
void linear_score(const struct linear *l, const double *x, size_t rows, double *z);
/* p[row][class] from dense rows; `z` is scratch of rows x scores. */
void linear_predict(const struct linear *l, const double *x, size_t rows, double *z, double *p);

void linear_write(const struct linear *l, struct binw *w);
int linear_read(struct binr *r, struct linear *l, size_t n_features, size_t n_classes,
                struct err *e) MUST_USE;
