#include "algorithms/modules/forecasting.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/season.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

const struct forecaster *forecaster_of(const struct model_type *type)
{
    static const struct forecaster *const all[] = {&forecaster_holt_winters, &forecaster_arima};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i]->type == type) {
            return all[i];
        }
    }
    return NULL;
}

struct moment {
    double time;
    uint32_t row;
};

static int by_time(const void *a, const void *b)
{
    const struct moment *x = a, *y = b;

    return x->time < y->time ? -1 : x->time > y->time ? 1 : (x->row > y->row) - (x->row < y->row);
}

/* The rows of the table in order; times that are missing or there twice are errors. Big memory. */
static struct moment *in_order(const struct step *s, const struct table *t,
                               struct series_time *time, struct err *e)
{
    struct str name = step_text(s, "time_col");
    const struct column *c = name.len > 0 ? table_need_numbers(t, name, e) : NULL;
    SCOPED(big_freep) struct moment *order = NULL;

    if (name.len > 0 && c == NULL) {
        err_wrap(e, "time_col");
        return NULL;
    }
    order = big_alloc(t->n_rows, sizeof(*order), "the order of rows", e);
    for (uint32_t r = 0; order && r < t->n_rows; r++) {
        order[r] = (struct moment){c ? c->numbers[r] : r + 1, r};
        if (!isfinite(order[r].time)) {
            err_set(e, ERR_DATA, "column '%s', row %u: the time is missing", c ? c->name : "",
                    r + 1);
            return NULL;
        }
    }
    if (order && c) {
        qsort(order, t->n_rows, sizeof(*order), by_time);
    }
    time->name = str_dup(name);
    time->as = c ? c->as : AS_INT;
    for (size_t i = 1; order && i < t->n_rows; i++) {
        if (order[i].time == order[i - 1].time) {
            err_set(e, ERR_DATA, "column '%s', row %u: its time is there twice", c ? c->name : "",
                    order[i].row + 1);
            return NULL;
        }
    }
    return TAKE(order);
}

static void series_done(struct series *s)
{
    big_free(s->rows);
    big_free(s->y);
    *s = (struct series){0};
}

static int series_of(struct series *s, const struct step *step, const struct column *value,
                     struct series_time *time, struct err *e)
{
    const struct table *t = step_table(step, "train");
    SCOPED(big_freep) struct moment *order = in_order(step, t, time, e);
    double *times;

    *s = (struct series){.n = t->n_rows, .period = 1};
    s->rows = order ? big_alloc(t->n_rows, sizeof(*s->rows), "the order of rows", e) : NULL;
    s->y = s->rows ? big_alloc(t->n_rows, 3 * sizeof(double), "the series", e) : NULL;
    if (s->y == NULL) {
        return -1;
    }
    s->fitted = s->y + s->n;
    s->times = times = s->y + 2 * s->n;
    for (size_t i = 0; i < s->n; i++) {
        s->rows[i] = order[i].row;
        times[i] = order[i].time;
        s->y[i] = value->numbers[order[i].row];
        if (!isfinite(s->y[i])) {
            return err_set(e, ERR_DATA, "column '%s', row %u: the value is %s", value->name,
                           order[i].row + 1, isnan(s->y[i]) ? "missing" : "infinite");
        }
    }
    return series_time_learn(time, times, s->y, s->n, e);
}

static struct table *series_fitted(const struct series *s, const struct step *step, struct err *e)
{
    SCOPED(table_freep)
    struct table *out = table_rows(step_table(step, "train"), s->rows, s->n, e);
    struct column *c = out ? table_add_numbers(out, step_text(step, "fitted_col"), e) : NULL;

    for (size_t i = 0; c && i < s->n; i++) {
        c->numbers[i] = s->fitted[i];
    }
    if (out && c == NULL) {
        err_wrap(e, "fitted_col");
    }
    return c ? TAKE(out) : NULL;
}

/* --- learning ----------------------------------------------------------------------------------
 */

const struct port series_inputs[] = {{"train", VALUE_TABLE, 0, "The series, a row each step."},
                                     {0}};
const struct port series_outputs[] = {
    {"model", VALUE_MODEL, 0, "For forecast."},
    {"table", VALUE_TABLE, PORT_OPTIONAL, "The rows in order of time, with what was expected."},
    {0}};

/* Two seasons are the least that show one. */
static int find_period(struct series *v, const struct step *s, const struct series_time *time,
                       size_t longest, struct err *e)
{
    v->period = (size_t)step_int(s, "period");
    if (v->period > 0) {
        return 0;
    }
    v->period = series_time_period(time);
    if (v->period == 0 && season_find(v->y, v->n, longest, &v->period, e) < 0) {
        return -1;
    }
    v->period = v->n >= 2 * v->period ? v->period : 1;
    if (v->period > 1) {
        progress_say(s->progress, "a season of %zu steps was found", v->period);
    }
    return 0;
}

int series_no_season(const struct step *s, struct err *e)
{
    return step_int(s, "period") == 1
               ? err_set(e, ERR_INVALID, "parameter period: a season has 2 steps or more")
               : err_set(e, ERR_DATA,
                         "parameter period: no season is to be seen in the values: say how many "
                         "steps it has");
}

static int learn(struct step *s, struct model *m, struct series_time *time, size_t longest,
                 struct series *v,
                 int (*fit)(struct step *s, void *body, struct series *v, struct err *e),
                 struct err *e)
{
    const struct column *value =
        table_need_numbers(step_table(s, "train"), step_text(s, "value_col"), e);
    struct table *out;

    if (value == NULL) {
        return err_wrap(e, "value_col");
    }
    if (series_of(v, s, value, time, e) < 0 || find_period(v, s, time, longest, e) < 0 ||
        fit(s, m->body, v, e) < 0) {
        return -1;
    }
    if (time->uneven && *time->name) {
        progress_say(s->progress,
                     "the times of '%s' do not lie evenly: they go on by the usual step",
                     time->name);
    }
    out = series_fitted(v, s, e);
    if (out == NULL) {
        return -1;
    }
    step_out_table(s, "table", out);
    return 0;
}

int series_learn(struct step *s, const struct model_type *type, void *body,
                 struct series_time *time, size_t longest,
                 int (*fit)(struct step *s, void *body, struct series *v, struct err *e),
                 struct err *e)
{
    SCOPED(model_freep) struct model *m = NULL;
    struct series v = {0};
    int rc;

    m = model_new(type, TASK_OTHER, step_text(s, "value_col").p);
    m->body = body;
    rc = learn(s, m, time, longest, &v, fit, e);
    series_done(&v);
    if (rc < 0) {
        return -1;
    }
    step_out_model(s, "model", TAKE(m));
    return 0;
}

void series_check(struct check *c)
{
    const struct column *value = check_column(c, "train", "value_col", CHECK_NUMBERS);
    struct table *out = check_copy(c, "train");

    if (step_text(&c->step, "time_col").len > 0) {
        (void)check_column(c, "train", "time_col", CHECK_NUMBERS);
    }
    check_add_column(c, out, "fitted_col", step_text(&c->step, "fitted_col"), COLUMN_NUMBER);
    check_out_table(c, "table", out, check_open(c, "train"));
    check_out_model(c, "model", TASK_OTHER, value, NULL);
}
