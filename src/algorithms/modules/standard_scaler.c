/* standard_scaler - columns to mean 0 and standard deviation 1. */
#include "algorithms/kernel/scale.h"
#include "algorithms/modules/modules.h"

#include <math.h>

static const struct param params[] = {
    SCALE_COLS,
    {"with_mean", PARAM_BOOL, "true", 0, 0, NULL, "Move the mean to 0."},
    {"with_std", PARAM_BOOL, "true", 0, 0, NULL, "Stretch the standard deviation to 1."},
    {0},
};

/* Mean and standard deviation (divisor n) of what is not missing, in two passes. */
static void moments(const struct column *c, size_t n_rows, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    size_t n = 0;

    for (size_t r = 0; r < n_rows; r++) {
        if (!isnan(c->numbers[r])) {
            sum += c->numbers[r];
            n++;
        }
    }
    *mean = n > 0 ? sum / (double)n : 0;
    for (size_t r = 0; r < n_rows; r++) {
        double d = isnan(c->numbers[r]) ? 0 : c->numbers[r] - *mean;

        squares += d * d;
    }
    *deviation = n > 0 ? sqrt(squares / (double)n) : 0;
}

/* A column whose values are all the same up to rounding is only moved. */
static double factor_for(double mean, double deviation)
{
    return deviation > 1e-14 * fabs(mean) && deviation > 0 ? 1 / deviation : 1;
}

static int rule(const struct step *s, const struct column *c, size_t n_rows, double *shift,
                double *factor, struct err *e)
{
    double mean = 0, deviation = 0;

    (void)e;
    moments(c, n_rows, &mean, &deviation);
    *shift = step_true(s, "with_mean") ? mean : 0;
    *factor = !step_true(s, "with_std") || isfinite(deviation) ? 1 : NAN;
    if (step_true(s, "with_std") && isfinite(deviation)) {
        *factor = factor_for(mean, deviation);
    }
    return 0;
}

static int run(struct step *s, struct err *e)
{
    return scale_run(s, rule, e);
}

const struct module module_standard_scaler = {
    .name = "standard_scaler",
    .title = "Standard scaler",
    .description = "Moves and stretches columns of numbers to mean 0 and standard deviation 1. "
                   "Constant columns become 0. A model trained on the result applies the same to "
                   "new rows by itself.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = scale_inputs,
    .outputs = scale_outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+16*rows",
    .run = run,
    .check = scale_check,
};
