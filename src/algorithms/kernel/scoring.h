/* scoring - one number for how good predictions are: what cross_validate, tune and
 * permutation_importance compare by. */
#pragma once
#include "algorithms/kernel/model.h"

enum score {
    SCORE_ACCURACY,
    SCORE_AUC, /* of more than two classes: each against the rest, their mean */
    SCORE_F1,  /* macro, over the classes that occur */
    SCORE_LOGLOSS,
    SCORE_MCC,
    SCORE_RMSE,
    SCORE_MAE,
    SCORE_R2,
    SCORES
};

/* Choices of a parameter "metric". */
#define SCORING_CHOICES "auto|accuracy|auc|f1|logloss|mcc|rmse|mae|r2"
#define SCORING_HELP                                                                               \
    "What is compared; auto: auc for two classes, accuracy for more, rmse for numbers."

/* What was predicted, of the rows of one table. */
struct predicted {
    enum model_task task;
    size_t n, n_classes;
    const double *p;       /* [row][class]; of numbers [row] */
    const uint32_t *truth; /* TASK_CLASSES; anything not below n_classes is never right */
    const double *targets; /* TASK_NUMBER */
    const double *weights; /* of each row; NULL: all alike */
};

const char *score_name(enum score s);
bool score_falls(enum score s); /* less is better */
/* `a` is better than `b`; NaN is worse than all. */
bool score_better(enum score s, double a, double b);
/* By position among SCORING_CHOICES. ERR_INVALID: it is not for the task; `owner` is who predicts.
 */
int score_choose(unsigned choice, enum model_task task, size_t n_classes, const char *owner,
                 enum score *out, struct err *e) MUST_USE;
/* Whether the scores of this task have it; AUC of more than 64 classes is left out. */
bool score_is_of(enum score s, enum model_task task, size_t n_classes);
/* All scores of the task, NaN for the others and for those that are not defined. ERR_MEMORY. */
int scores_of(const struct predicted *p, double out[SCORES], struct err *e) MUST_USE;
