/* predicting - the columns that predictions become, for those that do the work of predict. Private
 * to modules. */
#pragma once
#include "algorithms/kernel/labels.h"
#include "algorithms/kernel/step.h"

/* The class and probabilities of every row, p[row][class], behind the columns of `out`; named by
 * the parameters pred_col and prob_prefix of the step. */
int predicting_classes(const struct step *s, const struct classes *c, const double *p,
                       struct table *out, struct err *e) MUST_USE;
/* The column pred_col, for writing. */
struct column *predicting_column(const struct step *s, struct table *out, struct err *e) MUST_USE;
