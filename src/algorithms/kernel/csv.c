#include "algorithms/kernel/csv_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { GUESS_ROWS = 1000, REST_BYTES = 4 * 1024 * 1024 };

static void drop_values(struct csv_column *c)
{
    big_free(c->numbers);
    big_free(c->codes);
    dict_free(c->dict);
    c->numbers = NULL;
    c->codes = NULL;
    c->dict = NULL;
}

static void reader_done(struct csv_reader *r)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        drop_values(&r->columns[i]);
        free(r->columns[i].name);
    }
    free(r->columns);
    buf_done(&r->cell);
    buf_done(&r->utf8);
    csv_scan_done(&r->scan);
}

static void set_nulls(struct csv_reader *r)
{
    struct str rest = r->o->null_values;

    while (rest.p && r->n_nulls < ML_LIMIT_NULL_VALUES) {
        struct str one = str_trim(str_cut(&rest, ','));

        if (one.len > 0) {
            r->null_start[(unsigned char)one.p[0]] = true;
            r->nulls[r->n_nulls++] = one;
        }
    }
}

bool csv_is_null(const struct csv_reader *r, struct str s)
{
    if (s.len == 0) {
        return true;
    }
    if (!r->null_start[(unsigned char)s.p[0]]) {
        return false;
    }
    for (size_t i = 0; i < r->n_nulls; i++) {
        if (str_eq(s, r->nulls[i])) {
            return true;
        }
    }
    return false;
}

/* --- the header ------------------------------------------------------------------------- */

/* CSV_HEADER_AUTO: -1 when it cannot be told. */
static int decide_header(struct csv_reader *r, struct err *e)
{
    enum csv_first first = CSV_FIRST_DATA;

    if (r->o->header == CSV_HEADER_AUTO) {
        first = csv_first_record(r, &r->scan);
    }
    if (first == CSV_FIRST_UNCLEAR) {
        return err_set(e, ERR_DATA,
                       "line %llu may name the columns or be data: say header=yes or header=no",
                       (unsigned long long)r->scan.record_line);
    }
    r->report.header = r->o->header == CSV_HEADER_YES || first == CSV_FIRST_NAMES;
    return 0;
}

static int name_column(struct csv_reader *r, size_t i, struct map *seen, struct err *e)
{
    SCOPED(freep) char *made = xasprintf("column_%zu", i + 1);
    struct str name = STR_EMPTY;
    void *before;

    if (r->report.header) {
        name = str_trim(csv_text(r, &r->scan.cells[i]));
        if (csv_check_text(r, i, name, e) < 0) {
            return -1;
        }
    }
    if (name.len > ML_LIMIT_NAME_BYTES) {
        return err_set(e, ERR_DATA, "line %llu, column %zu: a column name has at most %d bytes",
                       (unsigned long long)r->scan.record_line, i + 1, ML_LIMIT_NAME_BYTES);
    }
    r->columns[i].name = str_dup(name.len ? name : str_of(made));
    before = map_put(seen, str_of(r->columns[i].name), (void *)(i + 1));
    if (before) {
        return err_set(e, ERR_DATA, "line %llu: columns %zu and %zu are both named '%s'",
                       (unsigned long long)r->scan.record_line, (size_t)before, i + 1,
                       r->columns[i].name);
    }
    return 0;
}

/* Reads the first record, names the columns, and leaves the scan at the first record of data. */
static int read_header(struct csv_reader *r, struct err *e)
{
    struct map seen = {0};
    int got, rc = 0;
    const char *start;
    uint64_t line;

    do {
        start = r->scan.at;
        line = r->scan.line;
        got = csv_scan_next(&r->scan, e);
    } while (got > 0 && csv_scan_blank(&r->scan));
    if (got <= 0) {
        return got < 0 ? -1 : err_set(e, ERR_DATA, "the file is empty: no line with a column");
    }
    if (r->scan.fault) {
        return err_set(e, ERR_DATA, "line %llu, column %zu: %s",
                       (unsigned long long)r->scan.fault_line, r->scan.fault_cell, r->scan.fault);
    }
    if (decide_header(r, e) < 0) {
        return -1;
    }
    r->columns = xnew_array(struct csv_column, r->scan.n_cells);
    r->n_columns = r->scan.n_cells;
    for (size_t i = 0; i < r->n_columns && rc == 0; i++) {
        r->columns[i].kind = COLUMN_NUMBER;
        r->columns[i].as = AS_INT; /* until a cell says otherwise */
        rc = name_column(r, i, &seen, e);
    }
    map_done(&seen);
    if (!r->report.header) {
        r->scan.at = start;
        r->scan.line = line;
    }
    return rc;
}

/* --- rows -------------------------------------------------------------------------------- */

/* One record with the right number of cells; without `keep` only kinds are looked at. */
static int take_row(struct csv_reader *r, bool keep, struct err *e)
{
    static const struct csv_cell nothing = {.p = ""};

    for (size_t i = 0; i < r->n_columns; i++) {
        const struct csv_cell *cell = i < r->scan.n_cells ? &r->scan.cells[i] : &nothing;

        if (csv_store(r, i, cell, keep, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Columns for `cap` rows. */
static int set_room(struct csv_reader *r, size_t cap, struct err *e)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        struct csv_column *c = &r->columns[i];
        int rc = c->kind == COLUMN_NUMBER
                     ? big_resize_column(&c->numbers, cap, sizeof(double), "the table", e)
                     : big_resize_column(&c->codes, cap, sizeof(uint32_t), "the table", e);

        if (rc < 0) {
            return -1;
        }
        if (c->kind == COLUMN_TEXT && c->dict == NULL) {
            c->dict = dict_new();
        }
    }
    r->cap_rows = cap;
    return 0;
}

static int make_room(struct csv_reader *r, struct err *e)
{
    if (r->n_rows < r->cap_rows) {
        return 0;
    }
    if (r->n_rows >= ML_LIMIT_ROWS) {
        return err_set(e, ERR_DATA, "line %llu: a table has at most %llu rows",
                       (unsigned long long)r->scan.record_line, ML_LIMIT_ROWS);
    }
    return set_room(r, r->cap_rows + r->cap_rows / 4 + 1024, e);
}

/* 1: use the record, 0: leave it out, -1: stop. */
static int judge_record(struct csv_reader *r, struct err *e)
{
    const struct csv_scan *s = &r->scan;
    bool open = s->fault && s->at == s->end && s->cells[s->n_cells - 1].quoted;

    if (csv_scan_blank(s) && r->n_columns > 1) {
        return 0;
    }
    if (s->fault == NULL && s->n_cells == r->n_columns) {
        return 1;
    }
    if (s->fault && (open || r->o->bad_row == CSV_BAD_ERROR)) {
        return err_set(e, ERR_DATA, "line %llu, column %zu: %s",
                       (unsigned long long)(open ? s->record_line : s->fault_line), s->fault_cell,
                       s->fault);
    }
    if (r->o->bad_row == CSV_BAD_ERROR) {
        return err_set(e, ERR_DATA,
                       "line %llu has %zu cells, and %zu columns are known from line 1; "
                       "on_bad_row=skip leaves such lines out, =null fills what is missing",
                       (unsigned long long)s->record_line, s->n_cells, r->n_columns);
    }
    if (r->o->bad_row == CSV_BAD_SKIP) {
        r->report.skipped++;
        return 0;
    }
    r->report.mended++;
    return 1;
}

/* A file that is half a table's size would stay in memory beside it. */
static void rest(struct csv_reader *r)
{
    if (r->scan.at - r->rested > REST_BYTES) {
        if (r->o->is_mapped) {
            map_rest(r->rested, r->scan.at);
        }
        r->rested = r->scan.at;
    }
}

/* From the current record to the end, or to `max` rows. */
static int read_rows(struct csv_reader *r, uint64_t max, bool keep, struct err *e)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        r->columns[i].n_values = 0;
    }
    r->n_rows = 0;
    r->report.skipped = r->report.mended = 0;
    r->rested = r->scan.at;
    while (r->n_rows < max) {
        int use = csv_scan_next(&r->scan, e);

        if (use <= 0) {
            return use;
        }
        use = judge_record(r, e);
        if (use < 0 || (use > 0 && keep && make_room(r, e) < 0) ||
            (use > 0 && take_row(r, keep, e) < 0)) {
            return -1;
        }
        r->n_rows += use > 0;
        rest(r);
    }
    return 0;
}

/* --- from the start ------------------------------------------------------------------- */

/* *rows: about as many as a text of this length has. */
static int guess_kinds(struct csv_reader *r, const char *data, size_t *rows, struct err *e)
{
    *rows = 0;
    if (csv_fix_types(r, e) < 0 || read_rows(r, GUESS_ROWS, /* keep */ false, e) < 0) {
        return -1;
    }
    if (r->n_rows > 0) {
        double per_row = (double)(r->scan.at - data) / (double)r->n_rows;

        *rows = (size_t)((double)(r->scan.end - data) / per_row * 1.02);
        *rows = *rows > ML_LIMIT_ROWS ? ML_LIMIT_ROWS : *rows;
    }
    return 0;
}

static int read_all(struct csv_reader *r, struct err *e)
{
    uint64_t max = r->o->max_rows ? r->o->max_rows : UINT64_MAX;
    const char *data = r->scan.at;
    uint64_t line = r->scan.line;
    size_t cap;

    if (guess_kinds(r, data, &cap, e) < 0) {
        return -1;
    }
    cap = cap < max ? cap : (size_t)max;
    do {
        for (size_t i = 0; i < r->n_columns; i++) {
            drop_values(&r->columns[i]);
        }
        r->conflict = false;
        r->scan.at = data;
        r->scan.line = line;
        if (set_room(r, cap, e) < 0 || read_rows(r, max, /* keep */ true, e) < 0) {
            return -1;
        }
    } while (r->conflict);
    return 0;
}

static struct column *put_numbers(struct csv_column *c, struct table *t, struct err *e)
{
    struct shared *data;
    struct column *to;

    if (big_resize(&c->numbers, t->n_rows, sizeof(double), "", e) < 0) {
        return NULL;
    }
    data = shared_of_big(c->numbers);
    to = table_put_numbers(t, str_of(c->name), TAKE(c->numbers), data, e);
    shared_unref(data);
    if (to) {
        to->as = c->seen ? c->as : AS_REAL;
    }
    return to;
}

static struct column *put_text(struct csv_column *c, struct table *t, struct err *e)
{
    struct shared *data;
    struct column *to;

    dict_seal(c->dict);
    if (big_resize(&c->codes, t->n_rows, sizeof(uint32_t), "", e) < 0) {
        return NULL;
    }
    data = shared_of_big(c->codes);
    to = table_put_text(t, str_of(c->name), TAKE(c->codes), data, c->dict, e);
    shared_unref(data);
    return to;
}

static struct table *to_table(struct csv_reader *r, struct err *e)
{
    SCOPED(table_freep) struct table *t = table_new(r->n_rows);

    for (size_t i = 0; i < r->n_columns; i++) {
        struct csv_column *c = &r->columns[i];

        if ((c->kind == COLUMN_NUMBER ? put_numbers(c, t, e) : put_text(c, t, e)) == NULL) {
            return NULL;
        }
    }
    return TAKE(t);
}

/* What begins like that is no text that we read. */
static int refuse_others(struct str text, struct err *e)
{
    static const char utf8[] = "save it as UTF-8 first", unpack[] = "unpack it first";
    static const struct {
        struct str begin;
        const char *what, *then;
    } others[] = {
        {STR("\xff\xfe\0\0"), "UTF-32", utf8},
        {STR("\0\0\xfe\xff"), "UTF-32", utf8},
        {STR("\xff\xfe"), "UTF-16", utf8},
        {STR("\xfe\xff"), "UTF-16", utf8},
        {STR("\x1f\x8b"), "compressed with gzip", unpack},
        {STR("\xfd"
             "7zXZ"),
         "compressed with xz", unpack},
        {STR("\x28\xb5\x2f\xfd"), "compressed with zstd", unpack},
        {STR("PK\x03\x04"), "a ZIP archive or a spreadsheet",
         "unpack it, or save the sheet as CSV"},
        {STR("PAR1\x15"), "Parquet", "read_parquet reads it"},
        {STR("ARROW1\0\0"), "Arrow", "read_arrow reads it"},
        {STR("SQLite format 3\0"), "an SQLite database", "read_sqlite reads it"},
    };

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (str_starts(text, others[i].begin)) {
            return err_set(e, ERR_DATA, "the file is %s: %s", others[i].what, others[i].then);
        }
    }
    return 0;
}

struct table *csv_read(struct str text, const struct csv_options *o, struct csv_report *report,
                       struct err *e)
{
    struct csv_reader r = {.o = o,
                           .text = text,
                           .cell = BUF_MAX(ML_LIMIT_CELL_BYTES),
                           .utf8 = BUF_MAX(2 * ML_LIMIT_CELL_BYTES)};
    struct table *t = NULL;

    if (refuse_others(text, e) < 0) {
        return NULL;
    }
    if (str_starts(text, STR("\xef\xbb\xbf"))) {
        text = str_from(text, 3);
    }
    r.report.delim = o->delim ? o->delim : csv_sniff(text, o->quote);
    set_nulls(&r);
    csv_scan_init(&r.scan, text, r.report.delim, o->quote);
    if (read_header(&r, e) == 0 && read_all(&r, e) == 0) {
        t = to_table(&r, e);
    }
    if (t) {
        *report = r.report;
    }
    reader_done(&r);
    return t;
}
