/* read_jsonl - a table from JSON Lines, of a file or of all of a folder. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/jsonl.h"
#include "algorithms/kernel/stack.h"
#include "algorithms/modules/folder.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/mem.h"

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "A row a line."}, {0}};

static const struct param params[] = {
    FOLDER_PARAM_PATH,
    {"nested", PARAM_CHOICE, "text", 0, 0, "text|error",
     "Objects and arrays as values: keep them as JSON text, or stop."},
    {"on_bad_row", PARAM_CHOICE, "error", 0, 0, "error|skip|null",
     "A line that is no JSON object: stop, leave it out, or make a row of missing values of it."},
    {"text_cols", PARAM_COLUMNS, "", 0, 0, NULL,
     "Keys whose values are text whatever they are (postal codes, dates), comma-separated."},
    {"max_rows", PARAM_INT, "0", 0, 2147483647, NULL, "Stop after so many rows; 0: all."},
    FOLDER_PARAM_FILE,
    {0},
};

static const char SUFFIXES[] = ".jsonl|.ndjson|.json";

static struct jsonl_options options_of(const struct step *s)
{
    return (struct jsonl_options){
        .bad_row = (enum jsonl_bad_row)step_choice(s, "on_bad_row"),
        .nested = (enum jsonl_nested)step_choice(s, "nested"),
        .text_columns = step_text(s, "text_cols"),
        .max_rows = (uint64_t)step_int(s, "max_rows"),
    };
}

static int read_file(struct cells *c, const char *path, const struct jsonl_options *o,
                     struct jsonl_report *r, struct err *e)
{
    void *map;
    size_t len;
    int rc;

    if (map_file(path, &map, &len, e) < 0) {
        return -1;
    }
    rc = jsonl_read(c, str_n(map ? map : "", len), o, r, e);
    unmap_file(map, len);
    return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

/* What the paths say, in the rows that each file gave: `ends` of them. */
static struct table *with_paths(const struct folder *f, struct table *t, const size_t *ends,
                                struct err *e)
{
    SCOPED(table_freep) struct table *out = t;

    for (size_t k = 0; f->each && k < f->each->n_columns; k++) {
        if (stack_spread(out, &f->each->columns[k], ends, f->files.n, e) < 0) {
            return NULL;
        }
    }
    return TAKE(out);
}

static struct table *read_files(const struct folder *f, const struct jsonl_options *o,
                                struct jsonl_report *r, struct err *e)
{
    SCOPED(cells_freep) struct cells *c = cells_new();
    SCOPED(freep) size_t *ends = xnew_array(size_t, f->files.n);
    struct table *t;

    for (size_t i = 0; i < f->files.n; i++) {
        if (read_file(c, f->files.paths[i], o, r, e) < 0) {
            return NULL;
        }
        ends[i] = cells_rows(c);
    }
    if (jsonl_check_names(c, o, e) < 0) {
        return NULL;
    }
    t = cells_table(c, e);
    return t ? with_paths(f, t, ends, e) : NULL;
}

static int run(struct step *s, struct err *e)
{
    SCOPED(folder_done) struct folder f = {0};
    SCOPED(freep) char *from = NULL;
    struct jsonl_options o = options_of(s);
    struct jsonl_report r = {0};
    struct table *t = folder_open(&f, s, SUFFIXES, e) < 0 ? NULL : read_files(&f, &o, &r, e);

    if (t == NULL) {
        return -1;
    }
    from = folder_text(&f, s);
    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, from);
    if (r.bad > 0) {
        progress_say(s->progress, "%llu lines that are no JSON objects were %s",
                     (unsigned long long)r.bad,
                     o.bad_row == JSONL_BAD_SKIP ? "left out" : "made rows of missing values");
    }
    step_out_table(s, "table", t);
    return 0;
}

/* --- before the run: the first lines ---------------------------------------------------------- */

enum { HEAD_BYTES = 64 * 1024, HEAD_ROWS = 500 };

/* How many a file has when all its lines are as long as those that were read. */
static int64_t rows_about(size_t read, struct str head, uint64_t file_bytes)
{
    struct str rest = head;

    for (size_t i = 0; i < read; i++) {
        (void)str_cut(&rest, '\n');
    }
    return head.len > rest.len
               ? (int64_t)((double)read * (double)file_bytes / (double)(head.len - rest.len))
               : (int64_t)read;
}

static void check(struct check *c)
{
    struct jsonl_options o = options_of(&c->step);
    struct jsonl_report r = {0};
    SCOPED(folder_done) struct folder f = {0};
    SCOPED(cells_freep) struct cells *cells = cells_new();
    SCOPED(freep) char *head = NULL;
    struct err e = {0};
    uint64_t size = 0;
    SCOPED(closep) int fd = folder_look(&f, c, SUFFIXES, &size);
    size_t n = size < HEAD_BYTES ? (size_t)size : HEAD_BYTES;
    bool all = n == size && f.files.n == 1;
    int64_t max_rows = (int64_t)o.max_rows, rows;

    head = fd < 0 ? NULL : source_head_read(c, fd, 0, n);
    if (head == NULL) {
        return;
    }
    while (n < size && n > 0 && head[n - 1] != '\n') { /* whole lines */
        n--;
    }
    all = all && (o.max_rows == 0 || o.max_rows > HEAD_ROWS);
    o.max_rows = o.max_rows > 0 && o.max_rows < HEAD_ROWS ? o.max_rows : HEAD_ROWS;
    if (jsonl_read(cells, str_n(head, n), &o, &r, &e) < 0) {
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s: %s", f.files.paths[0],
                      e.msg);
        return;
    }
    all = all && cells_rows(cells) < HEAD_ROWS;
    if (all && jsonl_check_names(cells, &o, &e) < 0) {
        check_mistake(c, /* port */ NULL, "text_cols", /* column */ NULL, "%s", e.msg);
    }
    rows = all ? (int64_t)cells_rows(cells) : rows_about(cells_rows(cells), str_n(head, n), size);
    folder_gives(&f, c, cells_table(cells, &e), /* open */ !all);
    c->out[0].rows = max_rows > 0 && rows > max_rows ? max_rows : rows;
}

const struct module module_read_jsonl = {
    .name = "read_jsonl",
    .title = "Read JSON Lines",
    .description =
        "Reads a table from JSON Lines: one object a line, a column a key. A column is what its "
        "values are: int, real, bool, date, time or text. Integers past 2^53 become text; nested "
        "values are kept as JSON text. Of a folder, all files are read.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "10*input+16*cells+64Mi",
    .run = run,
    .check = check,
};
