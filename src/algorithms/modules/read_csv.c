/* read_csv - a text table from a file, or from all of a folder. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/csv.h"
#include "algorithms/kernel/stack.h"
#include "algorithms/modules/folder.h"
#include "algorithms/modules/modules.h"
#include "algorithms/modules/source.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct port inputs[] = {SOURCE_INPUT, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows of the file."}, {0}};

static const struct param params[] = {
    FOLDER_PARAM_PATH,
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
    FOLDER_PARAM_FILE,
    FOLDER_PARAM_OTHERS,
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

enum { SURE_VALUES = 100 };
static const char SUFFIXES[] = ".csv|.tsv|.txt";

/* One word late in a column of numbers is a fault more often than not. */
static void say_odd(const struct step *s, const struct table *t, const struct csv_report *r)
{
    const char *name = t->columns[r->odd_column].name;
    unsigned long long line = r->odd_line;

    if (r->odd_after >= SURE_VALUES) {
        progress_warn(s->progress,
                      "column '%s' is text: line %llu holds '%s', unlike the %llu values before "
                      "(null_values leaves such cells empty, types names the lines)%s",
                      name, line, r->odd_value, (unsigned long long)r->odd_after,
                      r->odd > 1 ? "; so are others" : "");
    } else {
        progress_say(s->progress,
                     "column '%s' is text: line %llu holds '%s' (null_values leaves such cells "
                     "empty, types names the lines; numbers have a point and no commas)%s",
                     name, line, r->odd_value, r->odd > 1 ? "; so are others" : "");
    }
}

static void say(const struct step *s, const struct folder *f, const struct table *t,
                const struct csv_report *r)
{
    SCOPED(freep) char *from = folder_text(f, s);

    progress_say(s->progress, "%zu rows, %zu columns from %s", t->n_rows, t->n_columns, from);
    if (step_choice(s, "header") == CSV_HEADER_AUTO) {
        progress_say(s->progress, "%s",
                     r->header
                         ? "header: the first line names the columns (header=no makes it data)"
                         : "no header: the first line is data (header=yes makes it names)");
    }
    if (r->as_text > 0 && r->as_text_column < t->n_columns) {
        progress_say(s->progress,
                     "%zu columns of numbers are text, '%s' (line %llu) first: leading zeros or "
                     "digits past 2^53 would be lost; number_cols makes them numbers",
                     r->as_text, t->columns[r->as_text_column].name,
                     (unsigned long long)r->as_text_line);
    }
    if (r->odd > 0 && r->odd_column < t->n_columns) {
        say_odd(s, t, r);
    }
    if (r->skipped > 0 || r->mended > 0) {
        progress_say(s->progress, "%llu lines with a wrong number of cells were %s",
                     (unsigned long long)r->skipped + r->mended,
                     r->skipped > 0 ? "left out" : "filled or cut");
    }
}

static struct table *read_file(const char *path, const struct csv_options *o, struct csv_report *r,
                               struct err *e)
{
    struct csv_options mapped = *o;
    struct table *t;
    void *map;
    size_t len;

    if (map_file(path, &map, &len, e) < 0) {
        return NULL;
    }
    mapped.is_mapped = true;
    t = csv_read(str_n(map ? map : "", len), &mapped, r, e);
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
    struct map texts;         /* columns that are text in some file, and numbers in another */
    struct csv_report report; /* of the first file, with the counts of all */
};

static void parts_done(struct parts *p)
{
    for (size_t i = 0; p->of && i < p->folder.files.n; i++) {
        table_free(p->of[i]);
    }
    free(p->of);
    map_done(&p->texts);
    folder_done(&p->folder);
}

/* What was found by looking in the first file is so in all. */
static void note_report(struct parts *p, size_t i, const struct csv_report *r,
                        struct csv_options *o)
{
    if (i == 0) {
        p->report = *r;
        o->delim = r->delim;
        o->header = r->header ? CSV_HEADER_YES : CSV_HEADER_NO;
        return;
    }
    p->report.skipped += r->skipped;
    p->report.mended += r->mended;
}

static int read_files(struct parts *p, struct csv_options *o, struct err *e)
{
    uint64_t left = o->max_rows;

    for (size_t i = 0; i < p->folder.files.n; i++) {
        struct csv_report r = {0};

        p->of[i] = read_file(p->folder.files.paths[i], o, &r, e);
        if (p->of[i] == NULL) {
            return -1;
        }
        note_report(p, i, &r, o);
        if (left > 0 && p->of[i]->n_rows >= left) {
            folder_cut(&p->folder, i + 1);
        }
        left -= left > 0 ? p->of[i]->n_rows : 0;
        o->max_rows = left;
    }
    return 0;
}

static bool has_number_of(const struct table *t, const struct map *texts)
{
    for (size_t k = 0; k < t->n_columns; k++) {
        if (t->columns[k].kind == COLUMN_NUMBER && map_get(texts, str_of(t->columns[k].name))) {
            return true;
        }
    }
    return false;
}

/* As in one file, a column is text when one of its values is: files where it looked like numbers
 * are read once more, so that every value is spelled as it stands there. */
static int agree_on_types(struct parts *p, struct csv_options *o, struct err *e)
{
    struct stack_clash clash;

    while (stack_find_clash(p->of, p->folder.files.n, &p->texts, &clash)) {
        (void)map_put(&p->texts, str_of(clash.column), p);
    }
    o->texts = &p->texts;
    for (size_t i = 0; p->texts.len > 0 && i < p->folder.files.n; i++) {
        struct csv_report ignored = {0};
        struct table *again;

        if (!has_number_of(p->of[i], &p->texts)) {
            continue;
        }
        o->max_rows = p->of[i]->n_rows;
        again = read_file(p->folder.files.paths[i], o, &ignored, e);
        if (again == NULL) {
            return -1;
        }
        table_free(p->of[i]);
        p->of[i] = again;
    }
    return 0;
}

static int run(struct step *s, struct err *e)
{
    SCOPED(parts_done) struct parts p = {0};
    struct csv_options o = options_of(s);
    struct table *t;

    if (folder_open(&p.folder, s, SUFFIXES, e) < 0) {
        return -1;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    p.of = xnew_array(struct table *, p.folder.files.n);
    o.may_lack = p.folder.files.n > 1 && step_choice(s, "on_other_columns") == 1;
    if (read_files(&p, &o, e) < 0 || agree_on_types(&p, &o, e) < 0) {
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

/* --- before the run: the head of the first file ------------------------------------------------
 */

enum { HEAD_BYTES = 64 * 1024, HEAD_ROWS = 500 };

/* How many rows a file has when all its lines are as long as the first `n`. */
static int64_t rows_about(struct str head, size_t n, uint64_t file_bytes)
{
    struct str rest = head;

    for (size_t i = 0; i < n && rest.p; i++) {
        (void)str_cut(&rest, '\n');
    }
    head.len -= rest.p ? rest.len : 0;
    return head.len > 0 ? (int64_t)((double)file_bytes / (double)head.len * (double)n) : 0;
}

/* The whole lines at the beginning; *all: that is the whole file. */
static struct str whole_lines(const char *head, size_t n, uint64_t size, bool *all)
{
    *all = n == size;
    while (!*all && n > 0 && head[n - 1] != '\n') {
        n--;
    }
    return str_n(head, n);
}

static void check(struct check *c)
{
    struct csv_options o = options_of(&c->step);
    struct csv_report report = {0};
    SCOPED(folder_done) struct folder f = {0};
    SCOPED(freep) char *head = NULL;
    struct table *t;
    struct err e = {0};
    uint64_t size = 0;
    SCOPED(closep) int fd = folder_look(&f, c, SUFFIXES, &size);
    size_t n = size < HEAD_BYTES ? (size_t)size : HEAD_BYTES;
    int64_t max_rows = (int64_t)o.max_rows, rows;
    struct str lines;
    bool all = false;

    head = fd < 0 ? NULL : source_head_read(c, fd, 0, n);
    if (head == NULL) {
        return;
    }
    o.max_rows = o.max_rows > 0 && o.max_rows < HEAD_ROWS ? o.max_rows : HEAD_ROWS;
    o.may_lack = f.files.n > 1 && step_choice(&c->step, "on_other_columns") == 1;
    lines = whole_lines(head, n, size, &all);
    t = csv_read(lines, &o, &report, &e);
    if (t == NULL && all) { /* else a quote may be open where the head ends */
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s: %s", f.files.paths[0],
                      e.msg);
    }
    rows = t ? rows_about(lines, t->n_rows, size) : 0;
    folder_gives(&f, c, t, /* open */ false);
    c->out[0].rows = max_rows > 0 && rows > max_rows ? max_rows : rows;
}

const struct module module_read_csv = {
    .name = "read_csv",
    .title = "Read CSV",
    .description =
        "Reads a table from delimited text. Types of columns (int, real, bool, date, time, text), "
        "delimiter and header are found by looking. Errors name line and column. A column with "
        "leading zeros (0012) or integers that a number does not hold exactly is text. Of a "
        "folder, "
        "all files are read; folders like year=2024 give columns.",
    .category = "data",
    .version = "1.4.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+4*rows",
    .run = run,
    .check = check,
};
