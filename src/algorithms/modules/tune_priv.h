/* tune_priv - the two files of tune: the search, and what is told of it. */
#pragma once
#include "algorithms/kernel/space.h"
#include "algorithms/modules/validation.h"

struct trial {
    char *values[SPACE_DIMENSIONS];
    struct mean_scores scores;
    double part; /* of the rows that it saw last */
    char *failure;
};

struct search {
    struct step *s;
    struct learner learner;
    struct validation v;
    struct space space;
    struct trial *trials;
    size_t n;
    struct fold_scores *folds;
    size_t done, to_do; /* trainings */
    size_t best;
    double *curve; /* the best so far, by trial */
};

/* NaN until it was scored, and when it failed. */
double tune_score(const struct search *h, size_t trial);
/* Every trial as the output "table". */
int tune_table(struct search *h, struct err *e) MUST_USE;
/* The output "report"; all_rows: every trial saw all rows. */
int tune_report(struct search *h, bool all_rows, struct err *e) MUST_USE;
