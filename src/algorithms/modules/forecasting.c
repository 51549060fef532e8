#include "algorithms/modules/forecasting.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
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
        order[r] = (struct moment){c ? c->numbers[r] : r, r};
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
    time->as = c ? c->as : AS_REAL;
    for (size_t i = 1; order && i < t->n_rows; i++) {
        double delta = order[i].time - order[i - 1].time;

        if (delta == 0) {
            err_set(e, ERR_DATA, "column '%s', row %u: its time is there twice", c ? c->name : "",
                    order[i].row + 1);
            return NULL;
        }
        time->delta =
            i == 1 || delta == time->delta ? delta : 0; /* months differ: no times ahead */
    }
    time->last = order && t->n_rows > 0 ? order[t->n_rows - 1].time : 0;
    return TAKE(order);
}

void series_done(struct series *s)
{
    big_free(s->rows);
    big_free(s->y);
    *s = (struct series){0};
}

int series_of(struct series *s, const struct step *step, const struct column *value,
              struct series_time *time, struct err *e)
{
    const struct table *t = step_table(step, "train");
    SCOPED(big_freep) struct moment *order = in_order(step, t, time, e);

    *s = (struct series){.n = t->n_rows};
    s->rows = order ? big_alloc(t->n_rows, sizeof(*s->rows), "the order of rows", e) : NULL;
    s->y = s->rows ? big_alloc(t->n_rows, 2 * sizeof(double), "the series", e) : NULL;
    for (size_t i = 0; s->y && i < s->n; i++) {
        s->rows[i] = order[i].row;
        s->y[i] = value->numbers[order[i].row];
        if (!isfinite(s->y[i])) {
            return err_set(e, ERR_DATA, "column '%s', row %u: the value is %s", value->name,
                           order[i].row + 1, isnan(s->y[i]) ? "missing" : "infinite");
        }
    }
    s->fitted = s->y ? s->y + s->n : NULL;
    return s->y ? 0 : -1;
}

struct table *series_fitted(const struct series *s, const struct step *step, struct err *e)
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
