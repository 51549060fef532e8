#include "algorithms/kernel/softmax.h"

#include "algorithms/kernel/logit.h"
#include "algorithms/kernel/simd.h"

#include <math.h>

/* Subtracts the top score of each row and returns the sum of w (top - score of the label). */
static double lower_scores(const struct softmax *s, size_t rows, double *z)
{
    const double *w = s->weights;
    double loss = 0;

    for (size_t i = 0; i < rows; i++) {
        double *row = z + i * s->width, top = row[0];

        for (size_t k = 1; k < s->k; k++) {
            top = row[k] > top ? row[k] : top;
        }
        for (size_t k = 0; k < s->k; k++) {
            row[k] -= top;
        }
        loss -= (w ? w[i] : 1) * row[s->classes[i]];
    }
    return loss;
}

double softmax_loss(const struct softmax *s, size_t rows, double *z)
{
    const double *w = s->weights;
    struct log_sum logs = {1, 0};
    double loss = lower_scores(s, rows, z);

    simd_get()->exp_f64(z, rows * s->width); /* the padding too: no harm */
    for (size_t i = 0; i < rows; i++) {
        double *row = z + i * s->width, sum = 0, scale;

        for (size_t k = 0; k < s->k; k++) {
            sum += row[k];
        }
        scale = (w ? w[i] : 1) / sum;
        for (size_t k = 0; k < s->k; k++) {
            row[k] *= scale;
        }
        row[s->classes[i]] -= w ? w[i] : 1;
        if (w) {
            loss += w[i] * log(sum);
        } else {
            log_sum_add(&logs, sum);
        }
    }
    return loss + logs.sum + log(logs.product);
}
