/* training - what all learners share: label, features and weights of a table, checked.
 * Private to modules. */
#pragma once
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/step.h"

/* The parameters that learners have by these names, rows for their tables. What a module's table
 * has not is not looked at. */
#define TRAINING_LABEL                                                                             \
    {                                                                                              \
        "label_col", PARAM_COLUMN, NULL, 0, 0, NULL, "The column to predict."                      \
    }
#define TRAINING_FEATURES(def)                                                                     \
    {                                                                                              \
        "feature_cols", PARAM_COLUMNS, def, 0, 0, NULL,                                            \
            "Columns to learn from: names, @numeric, @all, -name to leave one out; never label "   \
            "and "                                                                                 \
            "weight."                                                                              \
    }
#define TRAINING_WEIGHT                                                                            \
    {                                                                                              \
        "weight_col", PARAM_TEXT, "", 0, 0, NULL, "How much each row counts; not negative."        \
    }
#define TRAINING_CLASS_WEIGHT                                                                      \
    {                                                                                              \
        "class_weight", PARAM_CHOICE, "none", 0, 0, "none|balanced",                               \
            "balanced: rare classes count as much as frequent ones."                               \
    }
/* Of learners that take categories as they are. */
#define TRAINING_CATEGORICAL                                                                       \
    {                                                                                              \
        "categorical_cols", PARAM_COLUMNS, "", 0, 0, NULL,                                         \
            "Features whose numbers are names, such as codes of places; texts are anyway."         \
    }
#define TRAINING_MISSING                                                                           \
    {                                                                                              \
        "missing", PARAM_CHOICE, "error", 0, 0, "error|mean",                                      \
            "A missing value in a feature: an error, or the column's mean in its place."           \
    }
/* Learners of classes from numbers. */
#define TRAINING_PARAMS                                                                            \
    TRAINING_LABEL, TRAINING_FEATURES("@numeric"), TRAINING_WEIGHT, TRAINING_CLASS_WEIGHT,         \
        TRAINING_MISSING

/* What a learner can take. */
struct training_wants {
    const struct model_type *type;
    enum model_task task;      /* TASK_CLASSES, TASK_NUMBER need label_col */
    enum features_kinds kinds; /* FEATURES_WITH_TEXT: categories as they are */
    bool missing_kept;         /* NaN reaches the learner; else by `missing`, or an error */
};

struct training {
    const struct table *table;
    struct model *model;   /* label, classes, features and transforms filled; owned */
    uint32_t *classes;     /* TASK_CLASSES: of each row; big memory */
    const double *targets; /* TASK_NUMBER: of each row, finite; points into the table */
    double *weights;       /* of each row, or NULL when all are 1; big memory */
    double weight_sum;
    struct bound bound;
    const double **columns; /* of the features: bound.columns */
};

/* From the port "train". ERR_DATA names row and column. */
int training_init(struct training *t, struct step *s, const struct training_wants *wants,
                  struct err *e) MUST_USE;
void training_done(struct training *t);
/* Numbers from 0 up; ERR_DATA names the row. */
int training_check_weights(const struct column *c, size_t n_rows, struct err *e) MUST_USE;
/* The schema part of the same: label, features and weights of the input "train", and the output
 * "model". */
void training_check(struct check *c, const struct training_wants *wants);
