/* optimise - smallest value of a smooth function: L-BFGS with a strong Wolfe line search
 * (Nocedal, Wright, Numerical Optimization 2006, algorithms 7.5, 3.5 and 3.6); with a penalty on
 * absolute values by OWL-QN (Andrew, Gao 2007). One thread; the function itself may use many. */
#pragma once
#include "base/err.h"

#include <stdbool.h>

/* Value at x; its gradient goes to g. */
typedef double (*optimise_fn)(void *ctx, const double *x, double *g);

struct optimise {
    optimise_fn fn;
    void (*each)(void *ctx, unsigned iteration, double value, double gradient); /* or NULL */
    void *ctx;
    const double *l1; /* of each parameter: the value is fn + sum of l1 |x|; NULL: none */
    unsigned max_iter;
    double epsilon;   /* done when the largest component of the gradient is not above it, */
    double f_epsilon; /* or an iteration lowers the value by less than this part of it */
    /* out: */
    unsigned iterations;
    unsigned calls;
    double value;
    double gradient; /* largest component at the end */
    bool converged;
};

/* From x, which receives the result. ERR_MEMORY; ERR_DATA when the value is not finite at x. */
int optimise_lbfgs(struct optimise *o, size_t n, double *x, struct err *e) MUST_USE;
