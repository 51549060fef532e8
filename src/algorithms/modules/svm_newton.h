/* svm_newton - the end of a problem of svm_linear that coordinate descent does not come to:
 * Newton's steps on what is minimised, which is of second degree wherever no row changes its side.
 * Private to modules. */
#pragma once
#include "algorithms/kernel/simd.h"

#include <stdbool.h>
#include <stdint.h>

/* More features than this make the steps dear. */
enum { SVM_NEWTON_FEATURES = 128 };

/* |w|^2 / 2 + C sum_i c_i max(0, 1 - y_i w x_i)^2 */
struct svm_newton {
    const struct simd *simd;
    size_t n, d;
    const double *x;       /* [row][feature] */
    const double *squares; /* [row] |x|^2 */
    const uint32_t *classes;
    uint32_t positive;     /* class */
    const double *weights; /* of rows, or NULL */
    double c, epsilon;
    bool intercept;
};

/* From w[d + 1], the intercept last. True: gradients of all rows are within epsilon. False: w is as
 * it was. */
bool svm_newton(const struct svm_newton *p, double *w);
