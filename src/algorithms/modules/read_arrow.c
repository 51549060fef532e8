/* read_arrow - a table from an Apache Arrow file. */
#include "algorithms/kernel/step.h"
#include "algorithms/kernel/table_file.h"
#include "algorithms/modules/modules.h"

static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows of the file."}, {0}};

static const struct param params[] = {
    {"path", PARAM_PATH, NULL, 0, 0, NULL, "The file to read."},
    {0},
};

static int run(struct step *s, struct err *e)
{
    const char *path = step_text(s, "path").p;
    struct table *t = table_load(path, e);

    if (t == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, path);
    step_out_table(s, "table", t);
    return 0;
}

const struct module module_read_arrow = {
    .name = "read_arrow",
    .title = "Read Arrow",
    .description =
        "Reads a table from an Apache Arrow IPC file or stream (Feather V2), as pandas and "
        "polars write them, plain or compressed by zstd or LZ4. Integers past 2^53 and "
        "times outside of 1684 to 2255 become text.",
    .category = "data",
    .version = "1.0.0",
    .inputs = (const struct port[]){{0}},
    .outputs = outputs,
    .params = params,
    .run = run,
};
