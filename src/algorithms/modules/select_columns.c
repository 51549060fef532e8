/* select_columns - some of a table's columns. */
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The table."}, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "Its columns that were chosen."},
                                      {0}};
static const struct param params[] = {
    {"columns", PARAM_COLUMNS, NULL, 0, 0, NULL,
     "Columns to keep: names, @all, @numeric, @text, -name to leave one out."},
    {0},
};

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);
    size_t n = 0;
    SCOPED(freep)
    uint32_t *kept = select_columns(t, step_text(s, "columns"), /* never */ NULL, 0, &n, e);

    if (kept == NULL) {
        return err_wrap(e, "columns");
    }
    for (size_t i = 0; i < n; i++) {
        if (table_add_copy(out, &t->columns[kept[i]], e) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < t->n_applied; i++) {
        if (table_note_applied(out, t->applied[i], e) < 0) {
            return -1;
        }
    }
    progress_say(s->progress, "%zu of %zu columns", n, t->n_columns);
    step_out_table(s, "table", TAKE(out));
    return 0;
}

const struct module module_select_columns = {
    .name = "select_columns",
    .title = "Select columns",
    .description = "Keeps some columns of a table, in the order of the table, and leaves out the "
                   "others.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory_spilled = "64Mi",
    .run = run,
    .check = check_dry,
};
