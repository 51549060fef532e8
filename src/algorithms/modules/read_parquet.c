/* read_parquet - a table from an Apache Parquet file, or from all of a folder. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/parquet.h"
#include "algorithms/modules/folder.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows of the file."}, {0}};

static const struct param params[] = {
    FOLDER_PARAM_PATH,
    {"cols", PARAM_COLUMNS, "@all", 0, 0, NULL,
     "Columns to read: names, @numeric, @date, @text, @all, -name to leave one out. Others cost "
     "nothing."},
    FOLDER_PARAM_FILE,
    FOLDER_PARAM_OTHERS,
    {0},
};

static const char SUFFIXES[] = ".parquet|.parq|.pq";

static void say(const struct step *s, const struct folder *f, const struct table *t,
                const struct parquet_report *r)
{
    SCOPED(freep) char *from = folder_text(f, s);

    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, from);
    if (r->left_out > 0) {
        progress_say(s->progress,
                     "%zu columns are left out, since a table cannot hold lists, maps, structs and "
                     "intervals: %s%s",
                     r->left_out, r->names.p ? r->names.p : "", r->names.failed ? ", ..." : "");
    }
}

static struct table *read_file(const struct step *s, const char *path, struct parquet_report *r,
                               struct err *e)
{
    struct parquet_options o = {.columns = step_text(s, "cols")};
    struct table *t;
    void *map;
    size_t len;

    if (map_file(path, &map, &len, e) < 0) {
        return NULL;
    }
    t = parquet_read(str_n(map ? map : "", len), &o, s->threads, r, e);
    unmap_file(map, len);
    if (t == NULL) {
        (void)err_wrap(e, "%s", path);
    }
    return t;
}

/* --- several files ---------------------------------------------------------------------------- */

struct parts {
    struct folder folder;
    struct table **of;
    struct parquet_report report; /* of the first file */
};

static void parts_done(struct parts *p)
{
    for (size_t i = 0; p->of && i < p->folder.files.n; i++) {
        table_free(p->of[i]);
    }
    free(p->of);
    buf_done(&p->report.names);
    folder_done(&p->folder);
}

static int read_files(struct parts *p, const struct step *s, struct err *e)
{
    for (size_t i = 0; i < p->folder.files.n; i++) {
        struct parquet_report more = {0};

        p->of[i] = read_file(s, p->folder.files.paths[i], i == 0 ? &p->report : &more, e);
        buf_done(&more.names);
        if (p->of[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

static int run(struct step *s, struct err *e)
{
    SCOPED(parts_done) struct parts p = {0};
    struct table *t;

    if (folder_open(&p.folder, s, SUFFIXES, e) < 0) {
        return -1;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    p.of = xnew_array(struct table *, p.folder.files.n);
    if (read_files(&p, s, e) < 0) {
        return -1;
    }
    t = p.folder.files.n == 1 && p.folder.each == NULL ? TAKE(p.of[0])
                                                       : folder_stack(&p.folder, p.of, s, e);
    if (t == NULL) {
        return -1;
    }
    say(s, &p.folder, t, &p.report);
    step_out_table(s, "table", t);
    return 0;
}

/* --- before a run: the metadata at the end of the first file ------------------------------------
 */

/* *rows: of the file. */
static struct table *columns_of(struct check *c, const char *path, int fd, uint64_t size,
                                int64_t *rows)
{
    struct parquet_options o = {.columns = step_text(&c->step, "cols")};
    struct parquet_report report = {0};
    SCOPED(freep) char *tail = NULL;
    SCOPED(freep) char *metadata = NULL;
    struct table *t;
    struct err e = {0};
    size_t n = size < PARQUET_TAIL_BYTES ? (size_t)size : PARQUET_TAIL_BYTES, len;

    tail = source_head_read(c, fd, size - n, n);
    if (tail == NULL) {
        return NULL;
    }
    len = parquet_tail(str_n(tail, n), size, &e);
    if (len == 0) {
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s: %s", path, e.msg);
        return NULL;
    }
    metadata = len <= SOURCE_BYTES ? source_head_read(c, fd, size - n - len, len) : NULL;
    if (metadata == NULL) {
        return NULL;
    }
    t = parquet_columns(str_n(metadata, len), &o, &report, &e);
    buf_done(&report.names);
    *rows = report.rows;
    if (t == NULL) {
        bool is_cols = e.kind == ERR_INVALID;

        check_mistake(c, /* port */ NULL, is_cols ? "cols" : "path", /* column */ NULL, "%s%s%s",
                      is_cols ? "" : path, is_cols ? "" : ": ", e.msg);
    }
    return t;
}

static void check(struct check *c)
{
    SCOPED(folder_done) struct folder f = {0};
    uint64_t size = 0;
    int64_t rows = 0;
    SCOPED(closep) int fd = folder_look(&f, c, SUFFIXES, &size);

    if (fd >= 0) {
        folder_gives(&f, c, columns_of(c, f.files.paths[0], fd, size, &rows), /* open */ false);
        c->out[0].rows = rows;
    }
}

const struct module module_read_parquet = {
    .name = "read_parquet",
    .title = "Read Parquet",
    .description =
        "Reads a table from an Apache Parquet file: all encodings and page versions in use, "
        "compressed by snappy, gzip, zstd or LZ4. Types are those of the file; integers past 2^53 "
        "and times outside of 1684 to 2255 become text. Nested columns are left out. Of a folder, "
        "all files are "
        "read; folders like year=2024 give columns.",
    .category = "data",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "96Mi+4*rows",
    .run = run,
    .check = check,
};
