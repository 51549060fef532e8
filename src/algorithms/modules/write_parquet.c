/* write_parquet - a table to an Apache Parquet file. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/parquet.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The rows to write."}, {0}};

static const struct param params[] = {
    {"path", PARAM_PATH, NULL, 0, 0, NULL, "The file to write; it appears whole or not at all."},
    {"compression", PARAM_CHOICE, "zstd", 0, 0, "none|snappy|gzip|zstd",
     "How pages are compressed."},
    {"row_group_rows", PARAM_INT, "1000000", 1, 2147483647, NULL,
     "Rows of a row group: readers take one at a time, or one each."},
    {0},
};

static int run(struct step *s, struct err *e)
{
    static const enum parquet_codec codecs[] = {PARQUET_PLAIN, PARQUET_SNAPPY, PARQUET_GZIP,
                                                PARQUET_ZSTD};
    const struct table *t = step_table(s, "table");
    const char *path = step_text(s, "path").p;
    SCOPED(binw_closep) struct binw *w = binw_open_named(path, e);

    if (w == NULL) {
        return -1;
    }
    if (parquet_write(t, codecs[step_choice(s, "compression")],
                      (size_t)step_int(s, "row_group_rows"), w, e) < 0) {
        return err_wrap(e, "%s", path);
    }
    if (binw_commit(w, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu rows, %zu columns to %s, %llu bytes", t->n_rows, t->n_columns,
                 path, (unsigned long long)w->len);
    return 0;
}

const struct module module_write_parquet = {
    .name = "write_parquet",
    .title = "Write Parquet",
    .description = "Writes a table to an Apache Parquet file that pandas, Spark, DuckDB and others "
                   "read. Types are kept; text is stored by dictionary where it repeats.",
    .category = "data",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = (const struct port[]){{0}},
    .params = params,
    .flags = MODULE_LIGHT | MODULE_WRITES,
    .memory_spilled = "96Mi+4*rows",
    .run = run,
};
