/* read_parquet - a table from an Apache Parquet file. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/parquet.h"
#include "algorithms/kernel/step.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/mem.h"

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows of the file."}, {0}};

static const struct param params[] = {
    SOURCE_PATH,
    {"cols", PARAM_COLUMNS, "@all", 0, 0, NULL,
     "Columns to read: names, @numeric, @date, @text, @all, -name to leave one out. Others cost "
     "nothing."},
    {0},
};

static void say(const struct step *s, const struct table *t, const struct parquet_report *r,
                const char *path)
{
    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, path);
    if (r->left_out > 0) {
        progress_say(s->progress,
                     "%zu columns are left out, since a table cannot hold lists, maps, structs and "
                     "intervals: %s%s",
                     r->left_out, r->names.p ? r->names.p : "", r->names.failed ? ", ..." : "");
    }
}

static int run(struct step *s, struct err *e)
{
    struct parquet_options o = {.columns = step_text(s, "cols")};
    const char *path = source_path(s, e);
    struct parquet_report report = {0};
    struct table *t;
    void *map;
    size_t len;

    if (path == NULL || map_file(path, &map, &len, e) < 0) {
        return -1;
    }
    t = parquet_read(str_n(map ? map : "", len), &o, s->threads, &report, e);
    unmap_file(map, len);
    if (t) {
        say(s, t, &report, path);
        step_out_table(s, "table", t);
    }
    buf_done(&report.names);
    return t ? 0 : err_wrap(e, "%s", path);
}

/* Before a run: the metadata at the end of the file. */
static void check(struct check *c)
{
    struct parquet_options o = {.columns = step_text(&c->step, "cols")};
    struct parquet_report report = {0};
    SCOPED(freep) char *tail = NULL;
    SCOPED(freep) char *metadata = NULL;
    struct table *t;
    struct err e = {0};
    uint64_t size = 0;
    SCOPED(closep) int fd = source_is_there(c) ? source_head_open(c, &size) : -1;
    size_t n = size < PARQUET_TAIL_BYTES ? (size_t)size : PARQUET_TAIL_BYTES, len;

    tail = fd < 0 ? NULL : source_head_read(c, fd, size - n, n);
    if (tail == NULL) {
        return;
    }
    len = parquet_tail(str_n(tail, n), size, &e);
    if (len == 0) {
        source_gives(c, NULL, &e);
        return;
    }
    metadata = len <= SOURCE_BYTES ? source_head_read(c, fd, size - n - len, len) : NULL;
    if (metadata == NULL) {
        return;
    }
    t = parquet_columns(str_n(metadata, len), &o, &report, &e);
    buf_done(&report.names);
    if (t == NULL && e.kind == ERR_INVALID) {
        check_mistake(c, /* port */ NULL, "cols", /* column */ NULL, "%s", e.msg);
    } else {
        source_gives(c, t, &e);
    }
}

const struct module module_read_parquet = {
    .name = "read_parquet",
    .title = "Read Parquet",
    .description =
        "Reads a table from an Apache Parquet file: all encodings and page versions in use, "
        "compressed by snappy, gzip, zstd or LZ4. Types are those of the file; integers past 2^53 "
        "and times outside of 1684 to 2255 become text. Nested columns are left out.",
    .category = "data",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
