/* group_by - one row for all rows that are equal in some columns, with figures of the others. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/gather.h"
#include "algorithms/kernel/order.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/grouping.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The table."}, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "A row for each group."}, {0}};
static const struct param params[] = {
    {"keys", PARAM_COLUMNS, NULL, 0, 0, NULL, "Columns in which the rows of a group are equal."},
    {"aggs", PARAM_TEXT, "count()", 0, 0, NULL,
     "Figures of each group: count(), mean(price), total = sum(price). There are count, sum, mean, "
     "min, max, std, median, first, last, distinct."},
    {0},
};

static void grouping_done(struct grouping *g)
{
    for (size_t i = 0; i < g->n_aggs; i++) {
        free(g->aggs[i].name);
    }
    keys_done(&g->keys);
    big_free(g->first);
    big_free(g->ends);
}

static int find_groups(struct grouping *g, const uint32_t *columns, size_t n, struct err *e)
{
    const struct table *const tables[2] = {g->t, NULL};
    const uint32_t *const both[2] = {columns, NULL};

    if (keys_of(&g->keys, tables, both, n, KEYS_MISSING_EQUAL, e) < 0) {
        return -1;
    }
    g->first = big_alloc(g->keys.n, sizeof(*g->first), "the rows of groups", e);
    for (size_t r = g->t->n_rows; g->first && r-- > 0;) {
        g->first[g->keys.of_row[0][r]] = (uint32_t)r;
    }
    return g->first ? 0 : -1;
}

/* Groups in the order of their keys. */
static struct table *in_order(const struct table *groups, size_t n_keys, struct err *e)
{
    SCOPED(freep) struct order_key *keys = xnew_array(struct order_key, n_keys);
    SCOPED(big_freep) uint32_t *rows = NULL;

    for (size_t i = 0; i < n_keys; i++) {
        keys[i].column = &groups->columns[i];
    }
    rows = order_rows(keys, n_keys, groups->n_rows, e);
    return rows ? table_rows(groups, rows, groups->n_rows, e) : NULL;
}

static int run(struct step *s, struct err *e)
{
    SCOPED(grouping_done) struct grouping g = {.t = step_table(s, "table")};
    size_t n = 0;
    SCOPED(freep)
    uint32_t *columns = select_columns(g.t, step_text(s, "keys"), /* never */ NULL, 0, &n, e);
    SCOPED(table_freep) struct table *groups = NULL;
    struct table *out;

    if (columns == NULL) {
        return err_wrap(e, "keys");
    }
    if (group_read_aggs(&g, step_text(s, "aggs"), e) < 0) {
        return err_wrap(e, "aggs");
    }
    if (find_groups(&g, columns, n, e) < 0) {
        return -1;
    }
    groups = table_new(g.keys.n);
    for (size_t i = 0; i < n; i++) {
        const struct column *c = &g.t->columns[columns[i]];

        if (gather_column(groups, str_of(c->name), c, g.first, e) == NULL) {
            return -1;
        }
    }
    for (size_t i = 0; i < g.n_aggs; i++) {
        if (group_add_agg(&g, &g.aggs[i], groups, e) < 0) {
            return err_wrap(e, "aggs");
        }
    }
    out = in_order(groups, n, e);
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu rows in %zu groups", g.t->n_rows, out->n_rows);
    step_out_table(s, "table", out);
    return 0;
}

const struct module module_group_by = {
    .name = "group_by",
    .title = "Group by",
    .description = "Makes one row of all rows that are equal in the key columns, with figures of "
                   "the others, in the order of the keys. Missing values are not counted; a "
                   "missing key is a group of its own, the last.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+16*rows+64Mi",
    .run = run,
    .check = check_dry,
};
