/* dense - small symmetric matrices in memory: factors and eigenvalues. Row-major, n x n; plain
 * loops in one order, so the result is the same bytes everywhere. One thread each. */
#pragma once
#include "base/err.h"

#include <stddef.h>

/* a = L L^T: L takes the place of the lower triangle (the upper is not read). -1 when a pivot is
 * not above `least`: the matrix is not positive definite, or nearly so. */
int dense_cholesky(double *a, size_t n, double least) MUST_USE;
/* b := (L L^T)^-1 b */
void dense_cholesky_solve(const double *l, size_t n, double *b);

/* Eigenvalues, falling, and their vectors: row i of `a` becomes the vector of values[i], of length
 * 1, its largest component positive. Householder tridiagonal form, then QR steps with Wilkinson's
 * shift (Golub, Van Loan, Matrix Computations 2013, 8.3.1 to 8.3.3). ERR_MEMORY; ERR_DATA when
 * values are not finite. */
int dense_eigen(double *a, size_t n, double *values, struct err *e) MUST_USE;
