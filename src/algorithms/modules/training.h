/* training - what all learners of classes share: label, features and weights of a table, checked.
 * Private to modules. */
#pragma once
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/step.h"

/* The parameters every learner has, first rows of its table. */
#define TRAINING_PARAMS                                                                            \
    {"label_col", PARAM_COLUMN, NULL, 0, 0, NULL, "The column to predict: text or numbers."},      \
        {"feature_cols",                                                                           \
         PARAM_COLUMNS,                                                                            \
         "@numeric",                                                                               \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         "Columns to learn from: names, @numeric, -name to leave one out; never label and "        \
         "weight."},                                                                               \
        {"weight_col", PARAM_TEXT, "", 0, 0, NULL, "How much each row counts; not negative."},     \
        {"class_weight",                                                                           \
         PARAM_CHOICE,                                                                             \
         "none",                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         "none|balanced",                                                                          \
         "balanced: rare classes count as much as frequent ones."},                                \
    {                                                                                              \
        "missing", PARAM_CHOICE, "error", 0, 0, "error|mean",                                      \
            "A missing value in a feature: an error, or the column's mean in its place."           \
    }

struct training {
    const struct table *table;
    struct model *model; /* label, classes, features and transforms filled; owned */
    uint32_t *classes;   /* of each row; big memory */
    double *weights;     /* of each row, or NULL when all are 1; big memory */
    double weight_sum;
    const double **columns; /* of the features; free(3) */
};

/* From the ports "train" and "transform". ERR_DATA names row and column. */
int training_init(struct training *t, struct step *s, enum model_kind kind, struct err *e) MUST_USE;
void training_done(struct training *t);
