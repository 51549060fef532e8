/* forecast - continues a series by its model. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/report.h"
#include "algorithms/modules/forecasting.h"
#include "algorithms/modules/modules.h"

#include <math.h>
#include <string.h>

static const struct port inputs[] = {{"model", VALUE_MODEL, 0, "Of holt_winters or arima."}, {0}};
static const struct port outputs[] = {
    {"table", VALUE_TABLE, 0, "A row each step: step, time, forecast, lower, upper."},
    {"report", VALUE_REPORT, PORT_OPTIONAL, "A chart of the past, the forecast and its range."},
    {0}};
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

static int put(struct table *out, struct str name, enum column_as as, const double *v,
               struct err *e)
{
    struct column *c = table_add_numbers(out, name, e);

    if (c == NULL) {
        return -1;
    }
    c->as = as;
    memcpy(c->numbers, v, out->n_rows * sizeof(*v));
    return 0;
}

/* What is said of the h steps to come; all in one block of big memory. */
struct ahead {
    size_t h;
    double *value, *spread, *step, *time, *lower, *upper;
};
enum { AHEAD_COLUMNS = 6 };

static int look_ahead(struct ahead *a, const struct step *s, const struct model *m,
                      const struct forecaster *f, struct err *e)
{
    double by = deviations(step_real(s, "level"));
    const struct series_time *time = f->time(m);

    a->h = (size_t)step_int(s, "horizon");
    a->value = big_alloc(a->h, AHEAD_COLUMNS * sizeof(double), "the forecast", e);
    if (a->value == NULL) {
        return -1;
    }
    a->spread = a->value + a->h;
    a->step = a->spread + a->h;
    a->time = a->step + a->h;
    a->lower = a->time + a->h;
    a->upper = a->lower + a->h;
    if (f->forecast(m, a->h, a->value, a->spread, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < a->h; i++) {
        a->step[i] = (double)(i + 1);
        a->time[i] = series_time_at(time, i + 1);
        a->lower[i] = a->value[i] - by * a->spread[i];
        a->upper[i] = a->value[i] + by * a->spread[i];
        if (time->logs) {
            a->lower[i] = exp(a->lower[i]);
            a->upper[i] = exp(a->upper[i]);
            a->value[i] = exp(a->value[i]); /* the median */
        }
    }
    return 0;
}

static struct table *table_of(const struct ahead *a, const struct series_time *time, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(a->h);

    if (put(out, STR("step"), AS_INT, a->step, e) < 0 ||
        (*time->name && time->delta > 0 &&
         put(out, str_of(time->name), time->as, a->time, e) < 0) ||
        put(out, STR("forecast"), AS_REAL, a->value, e) < 0 ||
        put(out, STR("lower"), AS_REAL, a->lower, e) < 0 ||
        put(out, STR("upper"), AS_REAL, a->upper, e) < 0) {
        err_wrap(e, "time_col");
        return NULL;
    }
    return TAKE(out);
}

/* The lines begin where the past ends, so that nothing gapes between them; of long forecasts every
 * few steps. */
static void put_line(struct report *r, const char *name, const struct ahead *a, const double *y,
                     const struct series_time *t)
{
    double xs[REPORT_POINTS], ys[REPORT_POINTS];
    size_t room = REPORT_POINTS - 1, n = a->h < room ? a->h : room, at = 0;

    if (t->n_past > 0) {
        xs[at] = t->past_times[t->n_past - 1];
        ys[at++] = t->past[t->n_past - 1];
    }
    for (size_t i = 0; i < n; i++) {
        size_t k = (i + 1) * a->h / n - 1;

        xs[at] = t->delta > 0 ? a->time[k] : a->step[k];
        ys[at++] = y[k];
    }
    report_series(r, name, xs, ys, at);
}

static int put_report(struct step *s, const struct ahead *a, const struct model *m,
                      const struct series_time *t, struct err *e)
{
    struct report r;

    report_begin(&r, "forecast");
    jw_kv_c(&r.w, "label_col", m->label);
    jw_kv_i64(&r.w, "rows", (int64_t)a->h);
    report_metrics(&r, NULL, 0);
    report_charts(&r);
    report_series_begin_as(&r,
                           &(struct chart){.kind = "forecast",
                                           .x_label = *t->name ? t->name : "row",
                                           .y_label = m->label},
                           as_name(t->as));
    report_series(&r, "past", t->past_times, t->past, t->n_past);
    put_line(&r, "forecast", a, a->value, t);
    put_line(&r, "lower", a, a->lower, t);
    put_line(&r, "upper", a, a->upper, t);
    report_series_end(&r);
    report_tables(&r);
    if (report_end(&r, e) < 0) {
        report_done(&r);
        return -1;
    }
    step_out_report(s, "report", r.out);
    return 0;
}

static int run(struct step *s, struct err *e)
{
    const struct model *m = step_model(s, "model");
    const struct forecaster *f = forecaster_of(m->type);
    struct ahead a = {0};
    struct table *out = NULL;
    int rc = -1;

    if (f == NULL) {
        return err_set(e, ERR_INVALID,
                       "a model of %s does not forecast: take one of holt_winters or arima",
                       m->type->module);
    }
    if (look_ahead(&a, s, m, f, e) == 0 && put_report(s, &a, m, f->time(m), e) == 0) {
        out = table_of(&a, f->time(m), e);
    }
    if (out) {
        progress_say(s->progress, "%zu steps ahead of '%s'", a.h, m->label);
        step_out_table(s, "table", out);
        rc = 0;
    }
    big_free(a.value);
    return rc;
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
    check_out_report(c, "report");
}

const struct module module_forecast = {
    .name = "forecast",
    .title = "Forecast",
    .description = "Continues a series by its model, with the range in which values will lie.",
    .category = "forecast",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
