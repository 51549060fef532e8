/* min_max_scaler - columns to a range, 0 to 1 unless told otherwise. */
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/scale.h"
#include "algorithms/modules/modules.h"

#include <math.h>

static const struct param params[] = {
    SCALE_COLS,
    {"min", PARAM_REAL, "0", -1e9, 1e9, NULL, "What the smallest value becomes."},
    {"max", PARAM_REAL, "1", -1e9, 1e9, NULL, "What the largest value becomes."},
    {0},
};

/* A constant column is only moved, to the minimum. */
static int rule(const struct step *s, const struct column *c, size_t n_rows, double *shift,
                double *factor, struct err *e)
{
    double low = INFINITY, high = -INFINITY, min = step_real(s, "min"), max = step_real(s, "max");

    if (max <= min) {
        return err_set(e, ERR_INVALID, "max: %g is not larger than min, which is %g", max, min);
    }
    for (size_t r = 0; r < n_rows; r++) {
        low = c->numbers[r] < low ? c->numbers[r] : low;
        high = c->numbers[r] > high ? c->numbers[r] : high;
    }
    if (low > high) { /* nothing is there */
        low = high = 0;
    }
    *factor = high > low ? (max - min) / (high - low) : 1;
    *shift = low - min / *factor;
    return 0;
}

static int run(struct step *s, struct err *e)
{
    return scale_run(s, rule, e);
}

static void check(struct check *c)
{
    if (step_real(&c->step, "max") <= step_real(&c->step, "min")) {
        check_mistake(c, NULL, "max", NULL, "max is not larger than min");
    }
    scale_check(c);
}

const struct module module_min_max_scaler = {
    .name = "min_max_scaler",
    .title = "Min-max scaler",
    .description = "Moves and stretches columns of numbers so that their smallest and largest "
                   "values become min and max. New rows may lie outside. A model trained on the "
                   "result applies the same to new rows by itself.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = scale_inputs,
    .outputs = scale_outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+16*rows",
    .run = run,
    .check = check,
};
