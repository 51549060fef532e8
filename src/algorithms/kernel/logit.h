/* logit - logistic regression of two classes by Newton's method, from the columns of a table: the
 * rows are never all in memory as a matrix.
 *
 *   minimise  sum_i w_i (-log p(y_i | x_i)) / sum_i w_i  +  l2 / 2 |W|^2
 *
 * Few features make this cheap: an iteration is one pass and a small system of equations, and half
 * a dozen of them are enough. Rows are cut into stripes whose borders depend on the table alone;
 * their sums are added in their order, so threads never change a bit. */
#pragma once
#include "algorithms/kernel/features.h"
#include "algorithms/kernel/threads.h"

enum { LOGIT_FEATURES_MAX = 64, LOGIT_PIECE_ROWS = 512 };

struct logit {
    const struct features *features;
    const struct bound *bound;
    const uint32_t *classes; /* of each row: 0 or 1 */
    const double *weights;   /* of each row; NULL: all 1 */
    double weight_sum;
    bool intercept;
    double l2;
    unsigned max_iter;
    double epsilon; /* done when no component of the gradient is larger */
    void (*each)(void *ctx, unsigned iteration, double value, double gradient);
    void *ctx;
    /* out: */
    unsigned iterations;
    double value;
    bool converged;
};

/* What standardise() would find, without the matrix. */
void logit_standards(const struct logit *l, struct threads *threads, double *mean, double *factor);

/* From zero to `params`, a weight for each feature less its mean, times its factor, then the
 * intercept. 1: no minimum is found this way (the classes part, features depend on each other), and
 * params are zero again. ERR_MEMORY. */
int logit_newton(struct logit *l, struct threads *threads, const double *mean, const double *factor,
                 double *params, struct err *e) MUST_USE;

/* Scores become derivatives of the loss; `second` (or NULL) receives the second ones. Weights may
 * be NULL; n <= LOGIT_PIECE_ROWS. Returns the loss. */
double logit_loss(const uint32_t *classes, const double *weights, size_t n, double *scores,
                  double *second);

/* Adds up log(v) of many v >= 1 with few logarithms: of their product while that is finite. */
struct log_sum {
    double product, sum;
};
void log_sum_add(struct log_sum *l, double v);
