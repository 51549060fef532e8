/* learner - a learner as a parameter of another module: its name, and its parameters as text.
 *
 *   learner=logistic_regression  learner_params="l2=0.1;max_iter=50"
 *
 * It runs in the same process and on the same threads, silently. Private to modules. */
#pragma once
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/step.h"

/* Rows for tables; the table of rows comes by the port "train". */
#define LEARNER_PARAMS                                                                             \
    {"learner",                                                                                    \
     PARAM_TEXT,                                                                                   \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     "The module that learns, such as logistic_regression."},                                      \
        {"learner_params",                                                                         \
         PARAM_TEXT,                                                                               \
         "",                                                                                       \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         "Its parameters where they are not as by default: l2=0.1;max_iter=50."},                  \
    {                                                                                              \
        "label_col", PARAM_COLUMN, NULL, 0, 0, NULL, "The column to predict."                      \
    }

struct learner {
    struct step step; /* module and parameters; copies of it run */
    enum model_task task;
};

void learner_done(struct learner *l);
/* From the parameters of `s`, checked against the columns of the table "train". */
int learner_init(struct learner *l, const struct step *s, struct err *e) MUST_USE;
/* A parameter, checked; it takes the place of what was given. */
int learner_set(struct learner *l, struct str name, struct str value, struct err *e) MUST_USE;
struct model *learner_train(const struct learner *l, const struct table *train,
                            struct threads *threads, struct err *e) MUST_USE;
/* The learner's own check, its mistakes as those of `c`. The schema of its model goes to the output
 * `model` when that is not NULL. */
void learner_check(struct check *c, const char *model);
