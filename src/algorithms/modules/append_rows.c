/* append_rows - the rows of several tables below each other. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/gather.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/modules/modules.h"

#include <assert.h>

static const struct port inputs[] = {
    {"first", VALUE_TABLE, 0, "The rows on top; its column names are kept."},
    {"second", VALUE_TABLE, 0, "The rows below."},
    {"third", VALUE_TABLE, PORT_OPTIONAL, "More rows."},
    {"fourth", VALUE_TABLE, PORT_OPTIONAL, "More rows."},
    {0},
};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "All rows."}, {0}};
static const struct param params[] = {
    {"align", PARAM_CHOICE, "name", 0, 0, "name|position",
     "Which columns are the same: those of one name, or those in one place."},
    {0},
};

/* rows[0]: of a; rows[1]: of b. */
static uint32_t *rows_of(size_t before, size_t n, size_t behind, struct err *e)
{
    uint32_t *rows = big_alloc(before + n + behind, sizeof(*rows), "the rows of two tables", e);

    for (size_t i = 0; rows && i < before + n + behind; i++) {
        rows[i] = i < before || i >= before + n ? GATHER_NONE : (uint32_t)(i - before);
    }
    return rows;
}

/* The place in b of what continues column i of a, or -1. */
static ptrdiff_t partner(const struct table *a, const struct table *b, size_t i, bool by_name)
{
    const struct column *c = by_name ? table_column(b, str_of(a->columns[i].name)) : NULL;

    if (by_name) {
        return c ? c - b->columns : -1;
    }
    return i < b->n_columns ? (ptrdiff_t)i : -1;
}

static struct table *append(const struct table *a, const struct table *b, bool by_name,
                            struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(a->n_rows + b->n_rows);
    SCOPED(big_freep) uint32_t *rows_a = rows_of(0, a->n_rows, b->n_rows, e);
    SCOPED(big_freep) uint32_t *rows_b = rows_a ? rows_of(a->n_rows, b->n_rows, 0, e) : NULL;

    if (rows_b == NULL) {
        return NULL;
    }
    if (out->n_rows > ML_LIMIT_ROWS) {
        err_set(e, ERR_DATA, "together they have %zu rows, and at most %llu are taken", out->n_rows,
                ML_LIMIT_ROWS);
        return NULL;
    }
    for (size_t i = 0; i < a->n_columns; i++) {
        const struct column *c = &a->columns[i];
        ptrdiff_t k = partner(a, b, i, by_name);

        if ((k >= 0 ? gather_two(out, str_of(c->name), c, rows_a, &b->columns[k], rows_b, e)
                    : gather_column(out, str_of(c->name), c, rows_a, e)) == NULL) {
            return NULL;
        }
    }
    for (size_t i = 0; i < b->n_columns; i++) { /* those that only b has */
        const struct column *d = &b->columns[i];

        if ((by_name ? table_column(a, str_of(d->name)) == NULL : i >= a->n_columns) &&
            gather_column(out, str_of(d->name), d, rows_b, e) == NULL) {
            return NULL;
        }
    }
    return TAKE(out);
}

/* What went through different transforms cannot be told apart afterwards. */
static int same_transforms(const struct table *a, const struct table *b, struct err *e)
{
    bool same = a->n_applied == b->n_applied;

    for (size_t i = 0; same && i < a->n_applied; i++) {
        same = transform_id(a->applied[i]) == transform_id(b->applied[i]);
    }
    return same ? 0
                : err_set(e, ERR_DATA,
                          "the tables went through different transforms: append them before");
}

static int run(struct step *s, struct err *e)
{
    const struct table *first = step_table(s, "first");
    bool by_name = step_choice(s, "align") == 0;
    SCOPED(table_freep) struct table *out = NULL;

    for (int i = 1; i < MODULE_PORTS; i++) {
        const struct table *more = step_table(s, inputs[i].name);
        struct table *next;

        if (more == NULL) {
            continue;
        }
        next = same_transforms(first, more, e) < 0 ? NULL
                                                   : append(out ? out : first, more, by_name, e);
        table_free(out);
        out = next;
        if (out == NULL) {
            return err_wrap(e, "%s", inputs[i].name);
        }
    }
    assert(out); /* the second table is there */
    for (size_t i = 0; i < first->n_applied; i++) {
        if (table_note_applied(out, first->applied[i], e) < 0) {
            return -1;
        }
    }
    progress_say(s->progress, "%zu rows in %zu columns", out->n_rows, out->n_columns);
    step_out_table(s, "table", TAKE(out));
    return 0;
}

const struct module module_append_rows = {
    .name = "append_rows",
    .title = "Append rows",
    .description = "Puts the rows of two to four tables below each other. A column that a table "
                   "has not is missing in its rows.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+24*cells+64Mi",
    .memory_spilled = "64Mi+24*all_rows",
    .run = run,
    .check = check_dry,
};
