/* linear - softmax over linear scores: what logistic_regression and svm_linear train (the body of
 * their models).
 * With two classes there is one score and its logistic function (the second class's probability).
 */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/platt.h"

struct linear {
    size_t n_features, n_scores; /* scores: 1 for two classes, else one per class */
    double *weights;             /* big memory: [feature][score], then one intercept per score */
    struct platt *curves;        /* [score] to probabilities, or NULL: as above; big memory */
};

static inline size_t linear_scores(size_t n_classes)
{
    return n_classes == 2 ? 1 : n_classes;
}

void linear_done(struct linear *l);
void linear_free(void *l); /* of the heap */
int linear_init(struct linear *l, size_t n_features, size_t n_classes, struct err *e) MUST_USE;
/* Room for curves. */
int linear_curves(struct linear *l, struct err *e) MUST_USE;
size_t linear_parameters(const struct linear *l);
/* z[row][score] for dense rows. */
void linear_score(const struct linear *l, const double *x, size_t rows, double *z);
/* p[row][class] from dense rows; `z` is scratch of rows x scores. */
void linear_predict(const struct linear *l, const double *x, size_t rows, double *z, double *p);

void linear_write(const struct linear *l, struct binw *w);
int linear_read(struct binr *r, struct linear *l, size_t n_features, size_t n_classes,
                struct err *e) MUST_USE;

/* Behind the weights, where there are any. */
int linear_read_curves(struct binr *r, struct linear *l, struct err *e) MUST_USE;

/* Rows of a model_type whose body this is. */
struct model;
void *linear_scratch(const struct model *m, struct err *e);
void linear_scratch_free(void *scratch);
void linear_model_predict(const struct model *m, const double *const *columns, size_t first,
                          size_t n, void *scratch, double *out);
void linear_model_write(const struct model *m, struct binw *w);
