/* forecast - continues a series by its model. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/forecasting.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>

static const struct port inputs[] = {{"model", VALUE_MODEL, 0, "Of holt_winters or arima."}, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "A row each step: step, time, forecast, lower, upper."}, {0}};
static const struct param params[] = {
    {"horizon", PARAM_INT, "12", 1, 1000, NULL, "How many steps to look ahead."},
    {"level", PARAM_REAL, "0.95", 0.01, 0.9999, NULL,
     "How likely the value is between lower and upper."},
    {0},
};

/* How many standard deviations to either side hold the part `level`: by bisection of erf. */
static double deviations(double level)
{
    double low = 0, high = 10;

    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;

        if (erf(middle / sqrt(2)) < level) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (low + high) / 2;
}

static int put(struct table *out, struct str name, enum column_as as, const double *v, double by,
               const double *spread, struct err *e)
{
    struct column *c = table_add_numbers(out, name, e);

    if (c == NULL) {
        return -1;
    }
    c->as = as;
    for (size_t i = 0; i < out->n_rows; i++) {
        c->numbers[i] = v[i] + (spread ? by * spread[i] : 0);
    }
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct model *m = step_model(s, "model");
    const struct forecaster *f = forecaster_of(m->type);
    const struct series_time *time;
    size_t h = (size_t)step_int(s, "horizon");
    double by = deviations(step_real(s, "level"));
    SCOPED(table_freep) struct table *out = table_new(h);
    SCOPED(big_freep) double *v = NULL;
    double *spread, *steps;

    if (f == NULL) {
        return err_set(e, ERR_INVALID,
                       "a model of %s does not forecast: take one of holt_winters or arima",
                       m->type->module);
    }
    time = f->time(m);
    v = big_alloc(h, 4 * sizeof(double), "the forecast", e);
    if (v == NULL || f->forecast(m, h, v, v + h, e) < 0) {
        return -1;
    }
    spread = v + h;
    steps = v + 2 * h;
    for (size_t i = 0; i < h; i++) {
        steps[i] = (double)(i + 1);
        steps[h + i] = time->last + (double)(i + 1) * time->delta;
    }
    if (put(out, STR("step"), AS_INT, steps, 0, NULL, e) < 0 ||
        (*time->name && time->delta > 0 &&
         put(out, str_of(time->name), time->as, steps + h, 0, NULL, e) < 0) ||
        put(out, STR("forecast"), AS_REAL, v, 0, NULL, e) < 0 ||
        put(out, STR("lower"), AS_REAL, v, -by, spread, e) < 0 ||
        put(out, STR("upper"), AS_REAL, v, by, spread, e) < 0) {
        return err_wrap(e, "time_col");
    }
    progress_say(s->progress, "%zu steps ahead of '%s'", h, m->label);
    step_out_table(s, "table", TAKE(out));
    return 0;
}

/* Whether there is a column of times, only the model knows. */
static void check(struct check *c)
{
    struct table *out = table_new(0);

    check_add_as(c, out, NULL, STR("step"), AS_INT);
    check_add_column(c, out, NULL, STR("forecast"), COLUMN_NUMBER);
    check_add_column(c, out, NULL, STR("lower"), COLUMN_NUMBER);
    check_add_column(c, out, NULL, STR("upper"), COLUMN_NUMBER);
    check_out_table(c, "table", out, true);
}

const struct module module_forecast = {
    .name = "forecast",
    .title = "Forecast",
    .description = "Continues a series by its model, with the range in which values will lie.",
    .category = "forecast",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
