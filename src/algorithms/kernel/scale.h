/* scale - the transform x -> (x - shift) x factor per column, which the scalers fit, each by its
 * own rule. */
#pragma once
#include "algorithms/kernel/check.h"

/* What one column needs, told by what is there of it (missing is NaN, infinite is refused before).
 */
typedef int (*scale_rule)(const struct step *s, const struct column *c, size_t n_rows,
                          double *shift, double *factor, struct err *e);

/* run() of a scaler: input "table", parameter "cols", outputs "table" and "transform". */
int scale_run(struct step *s, scale_rule rule, struct err *e) MUST_USE;
void scale_check(struct check *c);

extern const struct port scale_inputs[], scale_outputs[];
#define SCALE_COLS                                                                                 \
    {                                                                                              \
        "cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL,                                             \
            "Columns to scale: names, @numeric, @all, -name to leave one out. Leave the label "    \
            "out."                                                                                 \
    }
