/* ranking - rows in falling order of a score, and how soon the positive ones come: the ROC curve
 * and all that is read off it. */
#pragma once
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* All rows down to a score, those of equal scores together: how much weighs what is positive (tp)
 * and what is not (fp). */
struct ranked {
    double score, tp, fp;
};

struct ranking {
    struct ranked *points; /* falling scores; big memory */
    size_t n;
    double positives, negatives;
};

void ranking_done(struct ranking *r);
/* Of n rows with finite scores score[0], score[stride], ...; positive are those whose class is
 * `positive`. `weights` NULL: 1 each. ERR_MEMORY. */
int ranking_of(const double *score, size_t stride, const uint32_t *classes, uint32_t positive,
               const double *weights, size_t n, struct ranking *r, struct err *e) MUST_USE;

/* NaN when there are no positive rows, or no others. */
double ranking_auc(const struct ranking *r);       /* by the trapezoidal rule */
double ranking_precision(const struct ranking *r); /* average precision: sum of (R_i - R_i-1) P_i */
double ranking_ks(const struct ranking *r, double *score); /* Kolmogorov-Smirnov, and where */
/* How much of the positives lies in the first part of the weight: 0.1 -> 0.35. Within equal scores
 * as if they were mixed evenly. */
double ranking_gain(const struct ranking *r, double part);
