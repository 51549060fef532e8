/* write_jsonl - a table to a file of JSON Lines. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/jsonl.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The rows to write."}, {0}};

static const struct param params[] = {
    {"path", PARAM_PATH, NULL, 0, 0, NULL, "The file to write; it appears whole or not at all."},
    {"missing", PARAM_CHOICE, "null", 0, 0, "null|leave_out",
     "A missing value: write null, or leave its key out."},
    {0},
};

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    const char *path = step_text(s, "path").p;
    SCOPED(binw_closep) struct binw *w = binw_open_named(path, e);

    if (w == NULL) {
        return -1;
    }
    if (jsonl_write(t, (enum jsonl_missing)step_choice(s, "missing"), w, e) < 0) {
        return err_wrap(e, "%s", path);
    }
    if (binw_commit(w, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu rows, %zu columns to %s, %llu bytes", t->n_rows, t->n_columns,
                 path, (unsigned long long)w->len);
    return 0;
}

const struct module module_write_jsonl = {
    .name = "write_jsonl",
    .title = "Write JSON Lines",
    .description = "Writes a table as JSON Lines: an object a row. Dates and times are ISO 8601 "
                   "texts; infinity, which JSON has not, is null.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = (const struct port[]){{0}},
    .params = params,
    .flags = MODULE_LIGHT | MODULE_WRITES,
    .run = run,
};
