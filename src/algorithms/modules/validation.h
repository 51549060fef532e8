/* validation - how good a learner is on rows it has not seen: rows are dealt into folds once, then
 * any learner can be tried on them. Private to modules. */
#pragma once
#include "algorithms/kernel/folds.h"
#include "algorithms/kernel/scoring.h"
#include "algorithms/modules/learner.h"

#define VALIDATION_PARAMS                                                                          \
    {"folds",                                                                                      \
     PARAM_INT,                                                                                    \
     "5",                                                                                          \
     2,                                                                                            \
     1000,                                                                                         \
     NULL,                                                                                         \
     "Parts of the rows: each is predicted by what was learned from all others."},                 \
        {"group_col",                                                                              \
         PARAM_TEXT,                                                                               \
         "",                                                                                       \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         "Rows of one value stay in one fold, such as those of a patient; not learned from."},     \
        {"time_col",                                                                               \
         PARAM_TEXT,                                                                               \
         "",                                                                                       \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         "Folds follow each other in its order, and each is predicted by what was learned from "   \
         "those before; not learned from."},                                                       \
        {"weight_col",                                                                             \
         PARAM_TEXT,                                                                               \
         "",                                                                                       \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         "How much each row counts, for the learner and in the scores; not negative."},            \
        {"metric", PARAM_CHOICE, "auto", 0, 0, SCORING_CHOICES, SCORING_HELP},                     \
    {                                                                                              \
        "seed", PARAM_INT, "0", 0, 9007199254740992, NULL,                                         \
            "Which chance: the same seed gives the same folds."                                    \
    }

struct validation {
    const struct table *t;
    struct threads *threads;
    enum model_task task;
    enum score metric;
    struct classes classes; /* TASK_CLASSES: of all rows */
    uint32_t *truth;        /* of each row; big memory */
    const double *targets;  /* TASK_NUMBER */
    const double *weights;  /* or NULL */
    size_t width;           /* numbers that predict a row */
    struct folds folds;
    uint32_t *rows; /* scratch; big memory */
};

/* Of one learner: by fold and score. */
struct fold_scores {
    double of[SCORES];
    size_t train, test; /* rows */
};
struct mean_scores {
    double mean[SCORES], deviation[SCORES]; /* over the folds where they are defined */
};

/* From the parameters of `s` and the table "train". ERR_DATA names the row without a label. */
int validation_init(struct validation *v, const struct step *s, const struct learner *l,
                    struct err *e) MUST_USE;
void validation_done(struct validation *v);
/* Trains and scores fold `fold` on the rows of turn < part (folds.h). `out` (NULL, or [row][width])
 * gets the predictions of its rows. */
int validation_fold(struct validation *v, const struct learner *l, uint32_t fold, double part,
                    struct fold_scores *scores, double *out, struct err *e) MUST_USE;
/* The schema part: the columns that rows are dealt and weighed by. */
void validation_check(struct check *c);
struct mean_scores validation_mean(const struct fold_scores *of, size_t n);
