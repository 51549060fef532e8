#include "algorithms/kernel/standard.h"

#include <math.h>

void standardise(double *x, size_t n, size_t d, const double *weights, double weight_sum,
                 bool centre, double *mean, double *factor)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d; j++) {
            mean[j] += (weights ? weights[i] : 1) * x[i * d + j];
        }
    }
    for (size_t j = 0; j < d; j++) {
        mean[j] = centre ? mean[j] / weight_sum : 0;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d; j++) {
            double by = x[i * d + j] -= mean[j];

            factor[j] += (weights ? weights[i] : 1) * by * by;
        }
    }
    for (size_t j = 0; j < d; j++) {
        double deviation = sqrt(factor[j] / weight_sum);

        factor[j] = deviation > 1e-14 * fabs(mean[j]) && deviation > 0 ? 1 / deviation : 0;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d; j++) {
            x[i * d + j] *= factor[j];
        }
    }
}

void unstandardise(double *weights, size_t d, size_t k, const double *mean, const double *factor)
{
    double *bias = weights + d * k;

    for (size_t j = 0; j < d; j++) {
        for (size_t i = 0; i < k; i++) {
            weights[j * k + i] *= factor[j];
            bias[i] -= weights[j * k + i] * mean[j];
        }
    }
}
