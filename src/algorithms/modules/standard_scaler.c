/* standard_scaler - columns to mean 0 and standard deviation 1. */
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/select.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The rows to learn from."}, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "The rows scaled; models trained on it carry the transform."},
    {"transform", VALUE_TRANSFORM, 0, "What was learned, for predict."},
    {0},
};
static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL,
     "Columns to scale: names, @numeric, @all, -name to leave one out. Leave the label out."},
    {"with_mean", PARAM_BOOL, "true", 0, 0, NULL, "Move the mean to 0."},
    {"with_std", PARAM_BOOL, "true", 0, 0, NULL, "Stretch the standard deviation to 1."},
    {0},
};

/* Mean and standard deviation (divisor n) of what is not missing, in two passes. */
static int moments(const struct column *c, size_t n_rows, double *mean, double *deviation,
                   struct err *e)
{
    double sum = 0, squares = 0;
    size_t n = 0;

    for (size_t r = 0; r < n_rows; r++) {
        if (isinf(c->numbers[r])) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: the value is infinite", c->name,
                           r + 1);
        }
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
    if (!isfinite(*mean) || !isfinite(*deviation)) {
        return err_set(e, ERR_DATA, "column '%s': its values are too large to be averaged",
                       c->name);
    }
    return 0;
}

/* A column whose values are all the same up to rounding is only moved. */
static double factor_for(double mean, double deviation)
{
    return deviation > 1e-14 * fabs(mean) && deviation > 0 ? 1 / deviation : 1;
}

static struct transform *learn(const struct step *s, const struct table *t, struct err *e)
{
    size_t n;
    SCOPED(freep)
    uint32_t *columns = select_columns(t, step_text(s, "cols"), /* never */ NULL, 0, &n, e);
    SCOPED(transform_freep) struct transform *x = columns ? transform_new(n, e) : NULL;

    if (columns == NULL) {
        err_wrap(e, "cols");
        return NULL;
    }
    for (size_t i = 0; x && i < n; i++) {
        const struct column *c = &t->columns[columns[i]];
        double mean = 0, deviation = 0;

        x->columns[i] = xstrdup(c->name);
        if (table_need_numbers(t, str_of(c->name), e) == NULL ||
            moments(c, t->n_rows, &mean, &deviation, e) < 0) {
            return NULL;
        }
        x->shift[i] = step_true(s, "with_mean") ? mean : 0;
        x->factor[i] = step_true(s, "with_std") ? factor_for(mean, deviation) : 1;
    }
    return TAKE(x);
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(transform_freep) struct transform *x = learn(s, t, e);
    SCOPED(table_freep) struct table *scaled = x ? table_copy(t, e) : NULL;

    if (scaled == NULL || transform_apply(x, scaled, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu columns scaled over %zu rows", x->n, t->n_rows);
    step_out_table(s, "table", TAKE(scaled));
    step_out_transform(s, "transform", TAKE(x));
    return 0;
}

const struct module module_standard_scaler = {
    .name = "standard_scaler",
    .title = "Standard scaler",
    .description = "Moves and stretches columns of numbers to mean 0 and standard deviation 1. "
                   "Constant columns become 0. A model trained on the result applies the same to "
                   "new rows by itself.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .run = run,
};
