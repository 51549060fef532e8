/* robust_scaler - columns to median 0 and a distance of quartiles of 1: outliers do not matter. */
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/quantile.h"
#include "algorithms/kernel/scale.h"
#include "algorithms/modules/modules.h"

#include <math.h>

static const struct param params[] = {
    SCALE_COLS,
    {"with_centering", PARAM_BOOL, "true", 0, 0, NULL, "Move the median to 0."},
    {"with_scaling", PARAM_BOOL, "true", 0, 0, NULL, "Stretch the distance of quantiles to 1."},
    {"q_low", PARAM_REAL, "0.25", 0, 1, NULL, "The lower of the two quantiles."},
    {"q_high", PARAM_REAL, "0.75", 0, 1, NULL, "The upper one."},
    {0},
};

static int rule(const struct step *s, const struct column *c, size_t n_rows, double *shift,
                double *factor, struct err *e)
{
    double q[3] = {step_real(s, "q_low"), 0.5, step_real(s, "q_high")}, at[3];
    ptrdiff_t n;

    if (q[2] <= q[0]) {
        return err_set(e, ERR_INVALID, "q_high: %g is not larger than q_low, which is %g", q[2],
                       q[0]);
    }
    n = quantiles_of(c->numbers, n_rows, q, 3, at, e);
    if (n < 0) {
        return -1;
    }
    *shift = n > 0 && step_true(s, "with_centering") ? at[1] : 0;
    *factor = n > 0 && at[2] > at[0] && step_true(s, "with_scaling") ? 1 / (at[2] - at[0]) : 1;
    return 0;
}

static int run(struct step *s, struct err *e)
{
    return scale_run(s, rule, e);
}

static void check(struct check *c)
{
    if (step_real(&c->step, "q_high") <= step_real(&c->step, "q_low")) {
        check_mistake(c, NULL, "q_high", NULL, "q_high is not larger than q_low");
    }
    scale_check(c);
}

const struct module module_robust_scaler = {
    .name = "robust_scaler",
    .title = "Robust scaler",
    .description = "Moves and stretches columns of numbers by median and quartiles, so that a few "
                   "wild values change nothing. A model trained on the result applies the same to "
                   "new rows by itself.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = scale_inputs,
    .outputs = scale_outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+32*rows",
    .run = run,
    .check = check,
};
