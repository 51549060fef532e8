/* compute_columns - new columns from others by expressions. A transform, so that predict computes
 * them again from raw rows. */
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/expr.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fit.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <stdlib.h>

enum { SOURCE_BYTES = 65536 };

static const struct param params[] = {
    {"exprs", PARAM_TEXT, NULL, 0, 0, NULL,
     "name = expression, one a line or parted by ; each may use the columns before it: "
     "bmi = weight / height ^ 2; heavy = bmi > 30."},
    {0},
};

/* The body is the text of the parameter. */
static struct table *with_column(const struct table *t, struct str name, const struct expr *x,
                                 struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);
    bool placed = false;

    for (size_t i = 0; i < t->n_columns; i++) {
        bool here = str_eq_c(name, t->columns[i].name);

        placed = placed || here;
        if ((here ? expr_add_column(x, out, name, e) : table_add_copy(out, &t->columns[i], e)) <
            0) {
            return NULL;
        }
    }
    return !placed && expr_add_column(x, out, name, e) < 0 ? NULL : TAKE(out);
}

static struct table *compute_apply(const void *body, const struct table *t, struct err *e)
{
    struct str rest = str_of(body);
    SCOPED(table_freep) struct table *out = table_copy(t, e);
    int more = 1;

    while (out && more > 0) {
        SCOPED(freep) char *name = NULL;
        SCOPED(expr_freep) struct expr *x = NULL;
        struct str source = STR_EMPTY;
        struct table *next = NULL;

        more = expr_next_assignment(&rest, &name, &source, e);
        if (more > 0) {
            x = expr_parse(source, out, e);
            next = x ? with_column(out, str_of(name), x, e) : NULL;
        }
        if (more > 0 && next == NULL) {
            err_wrap(e, "%.100s", name);
        }
        if (more != 0) {
            table_free(out);
            out = next;
        }
    }
    if (out == NULL && e->kind == ERR_INVALID) {
        err_wrap(e, "exprs");
    }
    return TAKE(out);
}

static void compute_write(const void *body, struct binw *w)
{
    binw_str(w, str_of(body));
}

static void *compute_read(struct binr *r, struct err *e)
{
    struct str text = binr_str(r);

    if (r->bad || text.len > SOURCE_BYTES || str_find_char(text, '\0') >= 0) {
        err_set(e, ERR_DATA, "damaged: expressions that are no text");
        return NULL;
    }
    return str_dup(text);
}

const struct transform_type transform_compute = {
    .kind = 54,
    .module = "compute_columns",
    .apply = compute_apply,
    .write = compute_write,
    .read = compute_read,
    .free = free,
};

static int run(struct step *s, struct err *e)
{
    struct str exprs = step_text(s, "exprs");
    size_t before = step_table(s, "table")->n_columns;

    if (str_trim(exprs).len == 0 || exprs.len > SOURCE_BYTES) {
        return err_set(e, ERR_INVALID, "exprs: write name = expression, at most %d bytes",
                       SOURCE_BYTES);
    }
    if (fit_finish(s, &transform_compute, str_dup(exprs), e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu columns became %zu", before, s->out[0].table->n_columns);
    return 0;
}

/* Each expression copies the list of columns. */
enum { CHECK_COLUMNS = 200000 };

/* Where it would take long, nothing is foretold: a server asks this. */
static void check(struct check *c)
{
    const struct table *t = check_table(c, "table");
    struct str exprs = step_text(&c->step, "exprs");
    size_t n = 1;

    for (size_t i = 0; i < exprs.len; i++) {
        n += exprs.p[i] == ';' || exprs.p[i] == '\n';
    }
    if (t == NULL || n * (t->n_columns + n) <= CHECK_COLUMNS) {
        check_dry(c);
    }
}

const struct module module_compute_columns = {
    .name = "compute_columns",
    .title = "Compute columns",
    .description =
        "Makes new columns, or puts others in place of columns, by expressions: numbers, text, "
        "dates and truth, with functions and if(). A model trained on the result computes them "
        "for new rows by itself.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = fit_inputs,
    .outputs = fit_outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+8*cells+64Mi",
    .memory_spilled = "64Mi+48*rows",
    .run = run,
    .check = check,
};
