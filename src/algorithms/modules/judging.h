/* judging - what modules share that compare predictions with the truth. Private to modules. */
#pragma once
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/labels.h"
#include "algorithms/kernel/report.h"
#include "algorithms/kernel/step.h"

/* Rows for their tables. */
#define JUDGING_LABEL                                                                              \
    {                                                                                              \
        "label_col", PARAM_COLUMN, NULL, 0, 0, NULL, "The column with the truth."                  \
    }
#define JUDGING_WEIGHT                                                                             \
    {                                                                                              \
        "weight_col", PARAM_TEXT, "", 0, 0, NULL, "How much each row counts; not negative."        \
    }
#define JUDGING_NAME                                                                               \
    {                                                                                              \
        "name", PARAM_TEXT, "test", 0, 0, NULL, "What these rows are called in the result."        \
    }

/* The column of numbers that a parameter names, every one finite. ERR_DATA names the row. */
const struct column *judging_numbers(const struct step *s, const struct table *t, const char *param,
                                     struct err *e) MUST_USE;
/* *w is the column weight_col, or NULL when it is not given; *sum is of all rows. */
int judging_weights(const struct step *s, const struct table *t, const double **w, double *sum,
                    struct err *e) MUST_USE;
/* "binary", "name", "label_col" and "rows" of the report's head. */
void judging_begin(struct report *r, const char *kind, const struct step *s, size_t rows);
/* The report is complete: metrics are said, and it becomes the output "report". */
int judging_end(struct report *r, struct step *s, const struct metric *m, size_t n,
                struct err *e) MUST_USE;
