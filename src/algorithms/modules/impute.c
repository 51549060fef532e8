/* impute - something in place of what is missing. */
#include "algorithms/modules/impute.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fit.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/quantile.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL,
     "Columns to fill: names, @numeric, @text, @all, -name to leave one out."},
    {"strategy", PARAM_CHOICE, "mean", 0, 0, "mean|median|mode|value|drop_row",
     "mean and median of numbers, mode (the most frequent value), a given value, or leave out the "
     "rows where one is missing."},
    {"value", PARAM_TEXT, "0", 0, 0, NULL, "What to put there (value)."},
    {"indicator", PARAM_BOOL, "false", 0, 0, NULL,
     "Add a column NAME_missing for each: 1 where the value was missing."},
    {0},
};

enum strategy { MEAN, MEDIAN, MODE, VALUE, DROP_ROW };

static void filling_freep(struct filling **x)
{
    filling_free(*x);
}

static int learn_number(enum strategy how, const struct column *c, size_t n_rows, double *out,
                        struct err *e)
{
    double half = 0.5, sum = 0;
    ptrdiff_t n = 0;

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
    *out = sum / (double)n;
    if (how == MEDIAN) {
        n = quantiles_of(c->numbers, n_rows, &half, 1, out, e);
    }
    if (n < 0) {
        return -1;
    }
    *out = c->as >= AS_DATE ? floor(*out) : *out; /* days and times are whole */
    if (n == 0 || !isfinite(*out)) {
        return err_set(e, ERR_DATA, "column '%s' has no %s: %s; leave it out or use strategy=value",
                       c->name, how == MEAN ? "mean" : "median",
                       n == 0 ? "all its values are missing" : "its values are too large");
    }
    return 0;
}

static int learn_mode(const struct column *c, size_t n_rows, struct fill *f, struct err *e)
{
    struct vocab_rule rule = {VOCAB_BY_COUNT, 1, 1};
    SCOPED(vocab_done) struct vocab v;

    if (vocab_learn(&v, c, n_rows, &rule, e) < 0) {
        return -1;
    }
    if (v.n == 0) {
        return err_set(e, ERR_DATA,
                       "column '%s' has no most frequent value: all its values are missing; leave "
                       "it out or use strategy=value",
                       c->name);
    }
    if (c->kind == COLUMN_TEXT) {
        if (str_find_char(dict_text(v.texts, 0), '\0') >= 0) {
            return err_set(e, ERR_DATA, "column '%s': its most frequent text holds a NUL byte",
                           c->name);
        }
        f->text = str_dup(dict_text(v.texts, 0));
    } else {
        f->number = v.values[0];
    }
    return 0;
}

static int given_value(const struct column *c, struct str value, struct fill *f, struct err *e)
{
    if (c->kind == COLUMN_TEXT) {
        f->text = str_dup(value);
        return 0;
    }
    if (number_parse(value, &f->number) < 0 || isnan(f->number)) {
        return err_set(e, ERR_INVALID,
                       "value: '%.*s' is not a number, and column '%s' holds numbers",
                       STR_ARG(str_first(value, 60)), c->name);
    }
    return 0;
}

static int learn_fill(const struct step *s, const struct column *c, size_t n_rows, struct fill *f,
                      struct err *e)
{
    enum strategy how = step_choice(s, "strategy");

    f->kind = c->kind;
    switch (how) {
    case MODE:
        return learn_mode(c, n_rows, f, e);
    case VALUE:
        return given_value(c, step_text(s, "value"), f, e);
    default:
        if (c->kind == COLUMN_TEXT) {
            return err_set(e, ERR_DATA,
                           "column '%s' holds text, which has no %s: use strategy=mode or value",
                           c->name, how == MEAN ? "mean" : "median");
        }
        return learn_number(how, c, n_rows, &f->number, e);
    }
}

static struct filling *learn(const struct step *s, const uint32_t *columns, size_t n, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(filling_freep)
    struct filling *x = filling_new(xnew_array(char *, n + 1), n, step_true(s, "indicator"));

    for (size_t i = 0; i < n; i++) {
        const struct column *c = &t->columns[columns[i]];

        x->columns[i] = xstrdup(c->name);
        if (learn_fill(s, c, t->n_rows, &x->fills[i], e) < 0) {
            return NULL;
        }
    }
    return TAKE(x);
}

/* The rows where nothing is missing. The transform does nothing: rows to be predicted stay. */
static int drop_rows(struct step *s, const uint32_t *columns, size_t n, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(big_freep) uint32_t *rows = big_alloc(t->n_rows, sizeof(*rows), "the rows to keep", e);
    struct table *kept;
    size_t left = 0;

    for (size_t r = 0; rows && r < t->n_rows; r++) {
        bool whole = true;

        for (size_t i = 0; whole && i < n; i++) {
            const struct column *c = &t->columns[columns[i]];

            whole = c->kind == COLUMN_TEXT ? c->codes[r] != DICT_MISSING : !isnan(c->numbers[r]);
        }
        rows[left] = (uint32_t)r;
        left += whole;
    }
    kept = rows ? table_rows(t, rows, left, e) : NULL;
    if (kept == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu of %zu rows are whole", left, t->n_rows);
    step_out_table(s, "table", kept);
    step_out_transform(
        s, "transform",
        transform_new(&transform_impute, filling_new(xnew_array(char *, 1), 0, /* indicator */ 0)));
    return 0;
}

static int run(struct step *s, struct err *e)
{
    size_t n = 0;
    SCOPED(freep) uint32_t *columns = fit_columns(s, &n, e);

    if (columns == NULL) {
        return -1;
    }
    if (step_choice(s, "strategy") == DROP_ROW) {
        return drop_rows(s, columns, n, e);
    }
    if (fit_finish(s, &transform_impute, learn(s, columns, n, e), e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu columns filled", n);
    return 0;
}

static void check(struct check *c)
{
    unsigned how = step_choice(&c->step, "strategy");
    enum check_kind kind = how == MEAN || how == MEDIAN ? CHECK_NUMBERS : CHECK_ANY;
    size_t n = 0;
    SCOPED(freep)
    uint32_t *found = check_columns(c, "table", "cols", kind, /* never */ NULL, 0, NULL, &n);
    struct table *out = found ? check_copy(c, "table") : NULL;

    check_out_transform(c, "transform");
    for (size_t i = 0; out && i < n; i++) {
        const struct column *col = &check_table(c, "table")->columns[found[i]];
        struct fill f = {0};
        struct err e = {0};

        if (how == VALUE && given_value(col, step_text(&c->step, "value"), &f, &e) < 0) {
            check_mistake(c, NULL, "value", col->name, "%s", e.msg + strlen("value: "));
        }
        if (how != DROP_ROW && step_true(&c->step, "indicator")) {
            SCOPED(freep) char *name = xasprintf("%s_missing", col->name);

            check_add_column(c, out, "indicator", str_of(name), COLUMN_NUMBER);
            out->columns[out->n_columns - 1].as = AS_INT;
        }
        free(f.text);
    }
    if (out) {
        check_out_table(c, "table", out, check_open(c, "table"));
    }
}

const struct module module_impute = {
    .name = "impute",
    .title = "Fill what is missing",
    .description =
        "Puts a value in place of every missing one: mean, median or most frequent value of the "
        "column, or one that you give; or leaves out the rows. A model trained on the result "
        "fills new rows in the same way by itself (drop_row does nothing to them).",
    .category = "transform",
    .version = "1.0.0",
    .inputs = fit_inputs,
    .outputs = fit_outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+32*rows",
    .run = run,
    .check = check,
};
