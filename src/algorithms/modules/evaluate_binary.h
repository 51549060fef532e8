/* evaluate_binary - what was found, and the report of it. Private to modules. */
#pragma once
#include "algorithms/kernel/labels.h"
#include "algorithms/kernel/ranking.h"
#include "algorithms/kernel/step.h"

enum { BINARY_BINS_MAX = 100 };

struct binary_evaluation {
    struct classes classes;
    uint32_t *truth; /* of each row; big memory */
    uint32_t positive;
    const struct table *t;
    const double *score, *weights;
    double sum; /* of weights */
    struct ranking ranking;
    bool probable; /* all scores are probabilities */
    double auc, precision, ks, ks_at, logloss, brier, calibration;
    size_t bins;
    double bin_weight[BINARY_BINS_MAX], bin_score[BINARY_BINS_MAX], bin_truth[BINARY_BINS_MAX];
};

/* The output "report". */
int binary_report(struct step *s, const struct binary_evaluation *v, struct err *e) MUST_USE;
