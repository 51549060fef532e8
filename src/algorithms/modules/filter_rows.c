/* filter_rows - the rows for which an expression is true. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/expr.h"
#include "algorithms/modules/modules.h"

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The table."}, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows that are kept."}, {0}};
static const struct param params[] = {
    {"expr", PARAM_TEXT, NULL, 0, 0, NULL,
     "What holds for the rows to keep: age >= 18 and city in ('Taipei', 'Tainan')."},
    {0},
};

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(expr_freep) struct expr *x = expr_parse(step_text(s, "expr"), t, e);
    SCOPED(big_freep) uint32_t *rows = NULL;
    struct table *out;
    size_t n = 0;

    if (x && (expr_is_text(x) || expr_as(x) != AS_BOOL)) {
        return err_set(e, ERR_INVALID,
                       "expr: it gives %s, and true or false is needed: compare it with something",
                       expr_is_text(x) ? "text" : as_name(expr_as(x)));
    }
    rows = x ? expr_rows(x, &n, e) : NULL;
    if (rows == NULL) {
        return err_wrap(e, "expr");
    }
    out = table_rows(t, rows, n, e);
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu of %zu rows", n, t->n_rows);
    step_out_table(s, "table", out);
    return 0;
}

const struct module module_filter_rows = {
    .name = "filter_rows",
    .title = "Filter rows",
    .description = "Keeps the rows for which an expression over the columns is true. Rows for "
                   "which it is missing, because a value in it is, are left out.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+32*rows",
    .run = run,
    .check = check_dry,
};
