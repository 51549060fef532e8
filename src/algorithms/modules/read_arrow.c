/* read_arrow - a table from an Apache Arrow file. */
#include "algorithms/kernel/arrow.h"
#include "algorithms/kernel/table_file.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/mem.h"

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows of the file."}, {0}};

static const struct param params[] = {
    SOURCE_PATH,
    {0},
};

static int run(struct step *s, struct err *e)
{
    const char *path = source_path(s, e);
    struct table *t = path ? table_load(path, e) : NULL;

    if (t == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, path);
    step_out_table(s, "table", t);
    return 0;
}

/* Before a run: the schema, which lies at the end of a file, or at the beginning of a stream. */
static void check(struct check *c)
{
    SCOPED(freep) char *first = NULL;
    SCOPED(freep) char *last = NULL;
    SCOPED(freep) char *schema = NULL;
    struct err e = {0};
    uint64_t size = 0, at = 0;
    SCOPED(closep) int fd = source_is_there(c) ? source_head_open(c, &size) : -1;
    size_t n = size < ARROW_EDGE_BYTES ? (size_t)size : ARROW_EDGE_BYTES, len = 0;

    first = fd < 0 ? NULL : source_head_read(c, fd, 0, n);
    last = first ? source_head_read(c, fd, size - n, n) : NULL;
    if (last == NULL) {
        return;
    }
    if (arrow_schema_lies(str_n(first, n), str_n(last, n), size, &at, &len, &e) < 0) {
        source_gives(c, NULL, &e);
        return;
    }
    schema = len <= SOURCE_BYTES ? source_head_read(c, fd, at, len) : NULL;
    if (schema) {
        source_gives(c, arrow_columns(str_n(first, n), str_n(schema, len), &e), &e);
    }
}

const struct module module_read_arrow = {
    .name = "read_arrow",
    .title = "Read Arrow",
    .description =
        "Reads a table from an Apache Arrow IPC file or stream (Feather V2), as pandas and "
        "polars write them, plain or compressed by zstd or LZ4. Integers past 2^53 and "
        "times outside of 1684 to 2255 become text.",
    .category = "data",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory_spilled = "64Mi+4*rows",
    .run = run,
    .check = check,
};
