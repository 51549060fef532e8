#include "algorithms/kernel/scale.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fitted.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct scale {
    char **columns;
    double *shift, *factor;
    size_t n;
};

static struct scale *scale_new(char **columns, size_t n)
{
    struct scale *x = xnew(struct scale);

    *x = (struct scale){columns, xnew_array(double, n + 1), xnew_array(double, n + 1), n};
    return x;
}

static void scale_free(void *body)
{
    struct scale *x = body;

    if (x) {
        fitted_free(x->columns, x->n);
        free(x->shift);
        free(x->factor);
        free(x);
    }
}

static void scale_freep(struct scale **x)
{
    scale_free(*x);
}

static struct table *scale_apply(const void *body, const struct table *t, struct err *e)
{
    const struct scale *x = body;
    SCOPED(table_freep) struct table *out = table_copy(t, e);

    for (size_t i = 0; out && i < x->n; i++) {
        struct column *c = fitted_need(t, x->columns[i], COLUMN_NUMBER, e)
                               ? table_own_numbers(out, str_of(x->columns[i]), e)
                               : NULL;
        double shift = x->shift[i], factor = x->factor[i];

        if (c == NULL) {
            return NULL;
        }
        c->as = AS_REAL;
        for (size_t r = 0; r < t->n_rows; r++) {
            c->numbers[r] = (c->numbers[r] - shift) * factor;
        }
    }
    return TAKE(out);
}

static void scale_write(const void *body, struct binw *w)
{
    const struct scale *x = body;

    fitted_write(x->columns, x->n, w);
    binw_f64s(w, x->shift, x->n);
    binw_f64s(w, x->factor, x->n);
}

static void *scale_read(struct binr *r, struct err *e)
{
    size_t n = 0;
    char **columns = fitted_read(r, &n, e);
    SCOPED(scale_freep) struct scale *x = columns ? scale_new(columns, n) : NULL;

    if (x == NULL) {
        return NULL;
    }
    binr_f64s(r, x->shift, n);
    binr_f64s(r, x->factor, n);
    for (size_t i = 0; i < n && !r->bad; i++) {
        r->bad = !isfinite(x->shift[i]) || !isfinite(x->factor[i]);
    }
    if (r->bad) {
        err_set(e, ERR_DATA, "damaged: it ends inside a transform, or has no numbers there");
        return NULL;
    }
    return TAKE(x);
}

const struct transform_type transform_scale = {
    .kind = 1,
    .module = "standard_scaler",
    .same_columns = true,
    .apply = scale_apply,
    .write = scale_write,
    .read = scale_read,
    .free = scale_free,
};

/* --- fitting ---------------------------------------------------------------------------------- */

const struct port scale_inputs[] = {{"table", VALUE_TABLE, 0, "The rows to learn from."}, {0}};
const struct port scale_outputs[] = {
    {"table", VALUE_TABLE, 0, "The rows scaled; models trained on it carry the transform."},
    {"transform", VALUE_TRANSFORM, 0, "What was learned, for apply_transform and predict."},
    {0},
};

static int learn_column(const struct step *s, scale_rule rule, const struct column *c,
                        size_t n_rows, double *shift, double *factor, struct err *e)
{
    for (size_t r = 0; r < n_rows; r++) {
        if (isinf(c->numbers[r])) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: the value is infinite", c->name,
                           r + 1);
        }
    }
    if (rule(s, c, n_rows, shift, factor, e) < 0) {
        return -1;
    }
    if (!isfinite(*shift) || !isfinite(*factor)) {
        return err_set(e, ERR_DATA, "column '%s': its values are too large to be scaled", c->name);
    }
    return 0;
}

static struct scale *learn(const struct step *s, scale_rule rule, const struct table *t,
                           struct err *e)
{
    size_t n;
    SCOPED(freep)
    uint32_t *columns = select_columns(t, step_text(s, "cols"), /* never */ NULL, 0, &n, e);
    SCOPED(scale_freep) struct scale *x = NULL;

    if (columns == NULL) {
        err_wrap(e, "cols");
        return NULL;
    }
    x = scale_new(xnew_array(char *, n + 1), n);
    for (size_t i = 0; i < n; i++) {
        const struct column *c = &t->columns[columns[i]];

        x->columns[i] = xstrdup(c->name);
        if (table_need_numbers(t, str_of(c->name), e) == NULL ||
            learn_column(s, rule, c, t->n_rows, &x->shift[i], &x->factor[i], e) < 0) {
            return NULL;
        }
    }
    return TAKE(x);
}

int scale_run(struct step *s, scale_rule rule, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct scale *body = learn(s, rule, t, e);
    SCOPED(transform_freep)
    struct transform *x = body ? transform_new(&transform_scale, body) : NULL;
    struct table *scaled = x ? transform_apply(x, t, e) : NULL;

    if (scaled == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu columns scaled over %zu rows", body->n, t->n_rows);
    step_out_table(s, "table", scaled);
    step_out_transform(s, "transform", TAKE(x));
    return 0;
}

void scale_check(struct check *c)
{
    size_t n = 0;
    SCOPED(freep)
    uint32_t *found =
        check_columns(c, "table", "cols", CHECK_NUMBERS, /* never */ NULL, 0, /* fix */ NULL, &n);
    struct table *out = found ? check_copy(c, "table") : NULL;

    for (size_t i = 0; out && i < n; i++) {
        out->columns[found[i]].as = AS_REAL;
    }
    if (out) {
        check_out_table(c, "table", out, check_open(c, "table"));
    }
    check_out_transform(c, "transform");
}
