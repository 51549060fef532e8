/* distinct - one row of those that are equal. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/keys.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The table."}, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "Its rows, each once."}, {0}};
static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@all", 0, 0, NULL,
     "Columns in which rows must be equal to count as one: names, @all, -name to leave one out."},
    {"keep", PARAM_CHOICE, "first", 0, 0, "first|last", "Which of the equal rows stays."},
    {0},
};

/* The rows that stay, in the order of the table. */
static size_t keep_rows(const struct keys *k, size_t n_rows, bool last, uint32_t *seen,
                        uint32_t *rows)
{
    size_t n = 0;

    for (size_t i = 0; i < n_rows; i++) {
        size_t r = last ? n_rows - 1 - i : i;
        uint32_t key = k->of_row[0][r];

        if (!seen[key]) {
            seen[key] = 1;
            rows[n++] = (uint32_t)r;
        }
    }
    for (size_t i = 0; last && i < n / 2; i++) {
        uint32_t r = rows[i];

        rows[i] = rows[n - 1 - i];
        rows[n - 1 - i] = r;
    }
    return n;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const struct table *const tables[2] = {t, NULL};
    size_t n = 0;
    SCOPED(freep)
    uint32_t *found = select_columns(t, step_text(s, "cols"), /* never */ NULL, 0, &n, e);
    const uint32_t *const columns[2] = {found, NULL};
    SCOPED(keys_done) struct keys k = {0};
    SCOPED(big_freep) uint32_t *seen = NULL;
    SCOPED(big_freep) uint32_t *rows = NULL;
    struct table *out;

    if (found == NULL) {
        return err_wrap(e, "cols");
    }
    if (keys_of(&k, tables, columns, n, KEYS_MISSING_EQUAL, e) < 0) {
        return -1;
    }
    seen = big_alloc(k.n, sizeof(*seen), "the different rows", e);
    rows = seen ? big_alloc(t->n_rows, sizeof(*rows), "the different rows", e) : NULL;
    if (rows == NULL) {
        return -1;
    }
    n = keep_rows(&k, t->n_rows, step_choice(s, "keep") == 1, seen, rows);
    out = table_rows(t, rows, n, e);
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu of %zu rows differ", n, t->n_rows);
    step_out_table(s, "table", out);
    return 0;
}

const struct module module_distinct = {
    .name = "distinct",
    .title = "Distinct rows",
    .description = "Leaves out rows that are equal to another one in all columns, or in those "
                   "that you name. Missing values are equal to each other.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+18*cells+16*rows+64Mi",
    .run = run,
    .check = check_dry,
};
