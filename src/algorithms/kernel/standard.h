/* standard - rows brought to mean 0 and deviation 1 for training, and weights brought back. One
 * thread: one order of additions. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* x[n][d] becomes (x - mean) x factor; mean[d] and factor[d] begin as zeroes. `weights` of rows may
 * be NULL. !centre: means stay 0. A constant column becomes 0, its factor is 0. */
void standardise(double *x, size_t n, size_t d, const double *weights, double weight_sum,
                 bool centre, double *mean, double *factor);
/* Weights [d][k] of such rows, and k intercepts behind them, to those of rows as they were. */
void unstandardise(double *weights, size_t d, size_t k, const double *mean, const double *factor);
