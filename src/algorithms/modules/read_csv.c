/* read_csv - a text table from a file. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/csv.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/fs.h"
#include "base/mem.h"

#include <unistd.h>

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows of the file."}, {0}};

static const struct param params[] = {
    SOURCE_PATH,
    {"delim", PARAM_CHOICE, "auto", 0, 0, "auto|comma|semicolon|tab|pipe|space",
     "What separates cells; auto takes the one that fits the first lines."},
    {"quote", PARAM_CHOICE, "double", 0, 0, "double|single|none",
     "The quote around cells that hold separators or line breaks (RFC 4180)."},
    {"header", PARAM_CHOICE, "auto", 0, 0, "auto|yes|no",
     "Whether the first line names the columns; auto looks at its cells and says what it took."},
    {"null_values", PARAM_TEXT, "NA,N/A,NaN,nan,null,NULL,None,?", 0, 0, NULL,
     "Words that mean a missing value, comma-separated; an empty cell always does."},
    {"on_bad_row", PARAM_CHOICE, "error", 0, 0, "error|skip|null",
     "A line with too many or too few cells: stop, leave it out, or fill and cut it."},
    {"encoding", PARAM_CHOICE, "utf-8", 0, 0, "utf-8|latin1", "The encoding of the text."},
    {"types", PARAM_TEXT, "", 0, 0, NULL,
     "Columns whose type is known, as column:type with real, int, bool, date, time or text, "
     "comma-separated; another value there is an error."},
    {"text_cols", PARAM_COLUMNS, "", 0, 0, NULL,
     "Columns that are text whatever they hold (postal codes), comma-separated."},
    {"number_cols", PARAM_COLUMNS, "", 0, 0, NULL,
     "Columns where a cell that is no number, or an integer past 2^53 that would be rounded, is an "
     "error, comma-separated. Leading zeros are dropped."},
    {"max_rows", PARAM_INT, "0", 0, 2147483647, NULL, "Stop after so many rows; 0: all."},
    {0},
};

static struct csv_options options_of(const struct step *s)
{
    static const char delims[] = {0, ',', ';', '\t', '|', ' '}, quotes[] = {'"', '\'', 0};

    return (struct csv_options){
        .delim = delims[step_choice(s, "delim")],
        .quote = quotes[step_choice(s, "quote")],
        .header = (enum csv_header)step_choice(s, "header"),
        .bad_row = (enum csv_bad_row)step_choice(s, "on_bad_row"),
        .encoding = (enum csv_encoding)step_choice(s, "encoding"),
        .null_values = step_text(s, "null_values"),
        .types = step_text(s, "types"),
        .text_columns = step_text(s, "text_cols"),
        .number_columns = step_text(s, "number_cols"),
        .max_rows = (uint64_t)step_int(s, "max_rows"),
    };
}

static void say(const struct step *s, const struct table *t, const struct csv_report *r,
                const char *path)
{
    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, path);
    if (step_choice(s, "header") == CSV_HEADER_AUTO) {
        progress_say(s->progress, "%s",
                     r->header
                         ? "header: the first line names the columns (header=no makes it data)"
                         : "no header: the first line is data (header=yes makes it names)");
    }
    if (r->as_text > 0) {
        progress_say(s->progress,
                     "%zu columns of numbers are text, '%s' (line %llu) first: leading zeros or "
                     "digits past 2^53 would be lost; number_cols makes them numbers",
                     r->as_text, t->columns[r->as_text_column].name,
                     (unsigned long long)r->as_text_line);
    }
    if (r->skipped > 0 || r->mended > 0) {
        progress_say(s->progress, "%llu lines with a wrong number of cells were %s",
                     (unsigned long long)r->skipped + r->mended,
                     r->skipped > 0 ? "left out" : "filled or cut");
    }
}

static int run(struct step *s, struct err *e)
{
    struct csv_options o = options_of(s);
    const char *path = source_path(s, e);
    struct csv_report report = {0};
    struct table *t;
    void *map;
    size_t len;

    if (path == NULL || map_file(path, &map, &len, e) < 0) {
        return -1;
    }
    t = csv_read(str_n(map ? map : "", len), &o, &report, e);
    unmap_file(map, len);
    if (t == NULL) {
        return err_wrap(e, "%s", path);
    }
    say(s, t, &report, path);
    step_out_table(s, "table", t);
    return 0;
}

/* --- before the run: the head of the file ----------------------------------------------------- */

enum { HEAD_BYTES = 64 * 1024, HEAD_ROWS = 500 };

/* The whole lines at the beginning; *all: that is the whole file. */
static struct str read_head(struct check *c, char *buf, bool *all)
{
    struct err e = {0};
    const char *path = step_text(&c->step, "path").p;
    SCOPED(closep) int fd = c->open_file(c->ctx, path, &e);
    ssize_t n = fd < 0 ? -1 : pread(fd, buf, HEAD_BYTES, 0);

    if (n < 0) {
        if (fd >= 0) {
            err_sys(&e, "%s", path);
        }
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s", e.msg);
        return STR_EMPTY;
    }
    *all = n < HEAD_BYTES;
    while (!*all && n > 0 && buf[n - 1] != '\n') {
        n--;
    }
    return str_n(buf, (size_t)n);
}

static void check(struct check *c)
{
    struct csv_options o = options_of(&c->step);
    struct csv_report report = {0};
    SCOPED(freep) char *buf = NULL;
    SCOPED(table_freep) struct table *t = NULL;
    struct value v = {.type = VALUE_TABLE};
    struct err e = {0};
    struct str head;
    bool all = false;

    if (!source_is_there(c)) {
        return;
    }
    buf = xcalloc(1, HEAD_BYTES);
    head = read_head(c, buf, &all);
    if (c->n_mistakes > 0) {
        return;
    }
    o.max_rows = o.max_rows > 0 && o.max_rows < HEAD_ROWS ? o.max_rows : HEAD_ROWS;
    t = csv_read(head, &o, &report, &e);
    if (t == NULL && all) { /* else a quote may be open where the head ends */
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s: %s",
                      step_text(&c->step, "path").p, e.msg);
    }
    v.table = t;
    if (t && schema_of(&c->out[0], &v, &e) < 0) {
        c->out[0].open = true;
    }
}

const struct module module_read_csv = {
    .name = "read_csv",
    .title = "Read CSV",
    .description =
        "Reads a table from delimited text. Types of columns (int, real, bool, date, time, text), "
        "delimiter and header are found by looking. Errors name line and column. A column with "
        "leading "
        "zeros (0012) or integers that a number does not hold exactly is text.",
    .category = "data",
    .version = "1.3.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
