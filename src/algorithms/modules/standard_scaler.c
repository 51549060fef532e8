/* standard_scaler - columns to mean 0 and standard deviation 1. */
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* --- the transform: x -> (x - shift) x factor per column ----------------------------------------
 */

struct scale {
    char **columns;
    double *shift, *factor;
    size_t n;
};

static struct scale *scale_new(size_t n)
{
    struct scale *x = xnew(struct scale);

    *x = (struct scale){xnew_array(char *, n + 1), xnew_array(double, n + 1),
                        xnew_array(double, n + 1), n};
    return x;
}

static void scale_free(void *body)
{
    struct scale *x = body;

    for (size_t i = 0; x && i < x->n; i++) {
        free(x->columns[i]);
    }
    if (x) {
        free(x->columns);
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
        struct column *c = table_own_numbers(out, str_of(x->columns[i]), e);

        if (c == NULL) {
            e->kind = e->kind == ERR_INVALID ? ERR_DATA : e->kind;
            err_wrap(e, "the transform was fitted on column '%s'", x->columns[i]);
            return NULL;
        }
        c->as = AS_REAL;
        for (size_t r = 0; r < t->n_rows; r++) {
            c->numbers[r] = (c->numbers[r] - x->shift[i]) * x->factor[i];
        }
    }
    return TAKE(out);
}

static void scale_write(const void *body, struct binw *w)
{
    const struct scale *x = body;

    binw_u32(w, (uint32_t)x->n);
    for (size_t i = 0; i < x->n; i++) {
        binw_str(w, str_of(x->columns[i]));
    }
    binw_f64s(w, x->shift, x->n);
    binw_f64s(w, x->factor, x->n);
}

static void *scale_read(struct binr *r, struct err *e)
{
    uint32_t n = binr_u32(r);
    SCOPED(scale_freep) struct scale *x = NULL;

    if (r->bad || n > ML_LIMIT_COLUMNS) {
        err_set(e, ERR_DATA, "damaged: a transform of %u columns", n);
        return NULL;
    }
    x = scale_new(n);
    for (uint32_t i = 0; i < n; i++) {
        x->columns[i] = binr_name(r);
        if (x->columns[i] == NULL) {
            err_set(e, ERR_DATA, "damaged: column %u of a transform has no name", i);
            return NULL;
        }
    }
    binr_f64s(r, x->shift, n);
    binr_f64s(r, x->factor, n);
    if (r->bad) {
        err_set(e, ERR_DATA, "damaged: it ends inside a transform");
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

static struct scale *learn(const struct step *s, const struct table *t, struct err *e)
{
    size_t n;
    SCOPED(freep)
    uint32_t *columns = select_columns(t, step_text(s, "cols"), /* never */ NULL, 0, &n, e);
    SCOPED(scale_freep) struct scale *x = columns ? scale_new(n) : NULL;

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
    struct scale *body = learn(s, t, e);
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

static void check(struct check *c)
{
    size_t n;

    free(check_columns(c, "table", "cols", CHECK_NUMBERS, /* never */ NULL, 0, /* fix */ NULL, &n));
    check_out_same(c, "table", "table");
    check_out_transform(c, "transform");
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
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
