/* eigen - values and vectors of a symmetric matrix: Householder's reduction to three diagonals,
 * then the implicit QL iteration (Golub, Van Loan, Matrix Computations, 2013, chapter 8.3).
 * One thread. */
#pragma once
#include "base/err.h"

/* `a` [n][n] becomes the eigenvectors, a row each with length 1 and its largest part positive;
 * `values` falls. The numbers must be finite. ERR_MEMORY; ERR_DATA when it does not converge. */
int eigen_symmetric(size_t n, double *a, double *values, struct err *e) MUST_USE;
