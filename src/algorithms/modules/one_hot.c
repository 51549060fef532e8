/* one_hot - a column of 0 and 1 for every category. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fit.h"
#include "algorithms/kernel/fitted.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@text", 0, 0, NULL,
     "Columns to encode: names, @text, @all, -name to leave one out. Leave the label out."},
    {"max_categories", PARAM_INT, "100", 1, 65535, NULL,
     "So many of the most frequent categories of a column get a column; others are 0 everywhere."},
    {"min_count", PARAM_INT, "1", 1, 1e9, NULL, "Categories that occur less often get no column."},
    {"drop_first", PARAM_BOOL, "false", 0, 0, NULL,
     "No column for the first category: it is what all zeros mean (linear models)."},
    {0},
};

/* flag: drop_first. What is missing, rare or was never seen is 0 in every column. */
static int add_columns(struct table *out, const struct vocab *v, unsigned drop_first,
                       const struct column *c, struct err *e)
{
    SCOPED(big_freep) uint32_t *codes = vocab_encode(v, c, out->n_rows, e);
    size_t first = out->n_columns;

    for (size_t k = drop_first; codes && k < v->n; k++) {
        char number[32];
        struct str text = vocab_text(v, k, number);
        SCOPED(freep) char *name = xasprintf("%s_%.*s", c->name, STR_ARG(text));

        if (table_add_numbers(out, str_of(name), e) == NULL) {
            return err_wrap(e, "column '%s', category '%.*s'", c->name,
                            STR_ARG(str_first(text, 60)));
        }
    }
    for (size_t k = first; k < out->n_columns; k++) {
        out->columns[k].as = AS_INT;
    }
    for (size_t r = 0; codes && r < out->n_rows; r++) {
        if (codes[r] >= drop_first && codes[r] < v->n) {
            out->columns[first + codes[r] - drop_first].numbers[r] = 1;
        }
    }
    return codes ? 0 : -1;
}

static struct table *one_hot_apply(const void *body, const struct table *t, struct err *e)
{
    const struct encoding *x = body;
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);
    SCOPED(map_done) struct map index = fitted_index(x->columns, x->n);

    for (size_t i = 0; i < x->n; i++) {
        if (fitted_need(t, x->columns[i], x->vocabs[i].kind, e) == NULL) {
            return NULL;
        }
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        size_t at = (size_t)map_get(&index, str_of(c->name));

        if ((at > 0 ? add_columns(out, &x->vocabs[at - 1], x->flag, c, e)
                    : table_add_copy(out, c, e)) < 0) {
            return NULL;
        }
    }
    return TAKE(out);
}

const struct transform_type transform_one_hot = {
    .kind = 51,
    .module = "one_hot",
    .apply = one_hot_apply,
    .write = encoding_write,
    .read = encoding_read,
    .free = encoding_free,
};

static int run(struct step *s, struct err *e)
{
    struct vocab_rule rule = {VOCAB_BY_VALUE, (size_t)step_int(s, "max_categories"),
                              (size_t)step_int(s, "min_count")};
    struct encoding *x = encoding_learn(s, &rule, step_true(s, "drop_first"), e);
    size_t n = x ? x->n : 0, before = step_table(s, "table")->n_columns;

    if (fit_finish(s, &transform_one_hot, x, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu columns became %zu", n, s->out[0].table->n_columns + n - before);
    return 0;
}

/* The columns that stay; which ones come, only the run knows. */
static void check(struct check *c)
{
    const struct table *t = check_table(c, "table");
    size_t n = 0, kept = 0;
    SCOPED(freep)
    uint32_t *found = check_columns(c, "table", "cols", CHECK_ANY, /* never */ NULL, 0, NULL, &n);
    SCOPED(freep) uint32_t *rest = NULL;

    check_out_transform(c, "transform");
    if (found == NULL) {
        return;
    }
    rest = xnew_array(uint32_t, t->n_columns + 1);
    for (uint32_t i = 0, k = 0; i < t->n_columns; i++) {
        if (k < n && found[k] == i) {
            k++;
        } else {
            rest[kept++] = i;
        }
    }
    check_out_table(c, "table", check_some(c, "table", rest, kept), /* open */ true);
}

const struct module module_one_hot = {
    .name = "one_hot",
    .title = "One-hot encoding",
    .description = "Puts a column of 0 and 1 for every category in place of a column of text (or "
                   "of numbers that are codes), named column_category. Categories that were not "
                   "there when it was fitted are 0 everywhere. A model trained on the result "
                   "applies the same to new rows by itself.",
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
