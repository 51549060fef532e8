#include "algorithms/kernel/jsonl.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/json_line.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct jsonl_reader {
    struct cells *cells;
    const struct jsonl_options *o;
    struct json_line line;
    uint64_t number;          /* of the line */
    uint64_t *seen;           /* by column: the line that had its key last */
    size_t *columns;          /* by field */
    size_t n_seen, n_columns; /* room */
    struct buf text;
};

static void reader_done(struct jsonl_reader *r)
{
    json_line_done(&r->line);
    free(r->seen);
    free(r->columns);
    buf_done(&r->text);
}

static bool is_listed(struct str list, const char *name)
{
    while (list.p) {
        if (str_eq_c(str_trim(str_cut(&list, ',')), name)) {
            return true;
        }
    }
    return false;
}

/* Room to note a line for each column. */
static void reach_seen(struct jsonl_reader *r)
{
    size_t n = cells_columns(r->cells);

    if (n > r->n_seen) {
        r->seen = xrealloc(r->seen, 2 * n * sizeof(*r->seen));
        memset(r->seen + r->n_seen, 0, (2 * n - r->n_seen) * sizeof(*r->seen));
        r->n_seen = 2 * n;
    }
}

static int column_of(struct jsonl_reader *r, const struct json_line_field *f, size_t hint,
                     size_t *column, struct err *e)
{
    struct str key = f->key;
    size_t before = cells_columns(r->cells);

    if (f->key_escaped) {
        buf_clear(&r->text);
        json_line_unescape(key, &r->text);
        key = buf_str(&r->text);
    }
    if (cells_column(r->cells, key, hint, column, e) < 0) {
        return -1;
    }
    if (cells_columns(r->cells) > before &&
        is_listed(r->o->text_columns, cells_name(r->cells, *column))) {
        cells_keep_text(r->cells, *column);
    }
    reach_seen(r);
    if (r->seen[*column] == r->number) {
        return err_set(e, ERR_DATA, "the key '%s' is there twice", cells_name(r->cells, *column));
    }
    r->seen[*column] = r->number;
    return 0;
}

/* The columns of all fields, before any value is taken. */
static int find_columns(struct jsonl_reader *r, struct err *e)
{
    size_t hint = 0;

    if (r->line.n > r->n_columns) {
        r->columns = xrealloc(r->columns, r->line.cap * sizeof(*r->columns));
        r->n_columns = r->line.cap;
    }
    for (size_t i = 0; i < r->line.n; i++) {
        const struct json_line_field *f = &r->line.fields[i];

        if (column_of(r, f, hint, &r->columns[i], e) < 0) {
            return -1;
        }
        hint = r->columns[i] + 1;
        if (f->type == JSON_LINE_NESTED && r->o->nested == JSONL_NESTED_REFUSED) {
            return err_set(e, ERR_DATA,
                           "the value of '%s' is nested; nested=text keeps it as JSON text",
                           cells_name(r->cells, r->columns[i]));
        }
    }
    return 0;
}

static int take_number(struct jsonl_reader *r, const struct json_line_field *f, size_t column,
                       struct err *e)
{
    double v;

    if (number_parse(f->value, &v) < 0) { /* more than 400 digits */
        return cells_text(r->cells, column, f->value, e);
    }
    return cells_number(r->cells, column, v, f->is_whole,
                        f->is_whole || cells_is_text(r->cells, column) ? f->value : STR_EMPTY, e);
}

static int take_text(struct jsonl_reader *r, const struct json_line_field *f, size_t column,
                     struct err *e)
{
    if (!f->value_escaped) {
        return cells_text(r->cells, column, f->value, e);
    }
    buf_clear(&r->text);
    json_line_unescape(f->value, &r->text);
    return cells_text(r->cells, column, buf_str(&r->text), e);
}

static int take_field(struct jsonl_reader *r, const struct json_line_field *f, size_t column,
                      struct err *e)
{
    switch (f->type) {
    case JSON_LINE_NULL:
        return 0;
    case JSON_LINE_TRUE:
    case JSON_LINE_FALSE:
        return cells_bool(r->cells, column, f->type == JSON_LINE_TRUE, e);
    case JSON_LINE_NUMBER:
        return take_number(r, f, column, e);
    case JSON_LINE_TEXT:
        return take_text(r, f, column, e);
    default:
        return cells_text(r->cells, column, f->value, e);
    }
}

/* What is wrong with it is told by `e`; nothing of it was taken. */
static int look_at_line(struct jsonl_reader *r, struct str line, struct err *e)
{
    if (line.len > ML_LIMIT_LINE_BYTES) {
        return err_set(e, ERR_DATA, "it is longer than %llu bytes", ML_LIMIT_LINE_BYTES);
    }
    return json_line_parse(&r->line, line, e) < 0 ? -1 : find_columns(r, e);
}

static int take_line(struct jsonl_reader *r, struct str line, struct jsonl_report *report,
                     struct err *e)
{
    size_t before = cells_columns(r->cells);
    struct err why = {0};

    if (look_at_line(r, line, &why) < 0) {
        if (r->o->bad_row == JSONL_BAD_ERROR || cells_columns(r->cells) == ML_LIMIT_COLUMNS) {
            *e = why;
            return err_wrap(e, "line %llu", (unsigned long long)r->number);
        }
        report->bad++;
        cells_drop_columns(r->cells, before);
        return r->o->bad_row == JSONL_BAD_SKIP ? 0 : cells_end_row(r->cells, e);
    }
    for (size_t i = 0; i < r->line.n; i++) {
        if (take_field(r, &r->line.fields[i], r->columns[i], e) < 0) {
            return err_wrap(e, "line %llu, '%s'", (unsigned long long)r->number,
                            cells_name(r->cells, r->columns[i]));
        }
    }
    return cells_end_row(r->cells, e);
}

int jsonl_read(struct cells *c, struct str text, const struct jsonl_options *o,
               struct jsonl_report *report, struct err *e)
{
    struct jsonl_reader r = {.cells = c, .o = o, .text = BUF_MAX(ML_LIMIT_CELL_BYTES)};
    int rc = 0;

    if (str_starts(text, STR("\xff\xfe")) || str_starts(text, STR("\xfe\xff"))) {
        return err_set(e, ERR_DATA, "the file is UTF-16: save it as UTF-8 first");
    }
    if (str_starts(text, STR("\xef\xbb\xbf"))) {
        text = str_from(text, 3);
    }
    while (rc == 0 && text.p && (o->max_rows == 0 || cells_rows(c) < o->max_rows)) {
        struct str line = str_cut(&text, '\n');

        r.number++;
        while (line.len > 0 && strchr(" \t\r", line.p[line.len - 1]) && line.p[line.len - 1]) {
            line.len--;
        }
        rc = line.len == 0 ? 0 : take_line(&r, line, report, e);
    }
    reader_done(&r);
    return rc;
}

int jsonl_check_names(const struct cells *c, const struct jsonl_options *o, struct err *e)
{
    struct str list = o->text_columns;

    while (list.p) {
        struct str name = str_trim(str_cut(&list, ','));
        size_t i = 0;

        while (i < cells_columns(c) && !str_eq_c(name, cells_name(c, i))) {
            i++;
        }
        if (name.len > 0 && i == cells_columns(c)) {
            return err_set(e, ERR_INVALID, "text_cols: no line has a key '%.*s'",
                           STR_ARG(str_first(name, 60)));
        }
    }
    return 0;
}
