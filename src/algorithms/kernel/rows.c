#include "algorithms/kernel/rows.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/utf8.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_BYTES = 256 * 1024 * 1024 };

struct column_plan {
    char *name;
    enum column_as as;
    bool is_text;
    bool gave_way; /* it was to be numbers */
};

struct reading {
    struct column_plan *columns;
    size_t n;
    struct buf cell; /* decoded */
};

static void reading_done(struct reading *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->columns[i].name);
    }
    free(r->columns);
    buf_done(&r->cell);
}

/* --- cells --- */

static char escaped(char c)
{
    static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
    const char *at = c ? strchr(from, c) : NULL;

    return at ? to[at - from] : c;
}

static bool is_null(struct str raw)
{
    return raw.len == 2 && raw.p[0] == '\\' && raw.p[1] == 'N';
}

/* A view into `raw` or into r->cell. -1: it is too long. */
static int decode(struct reading *r, struct str raw, struct str *out)
{
    *out = raw;
    if (str_find_char(raw, '\\') < 0) {
        return 0;
    }
    r->cell.len = 0;
    r->cell.max = CELL_BYTES;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.p[i];

        if (c == '\\' && i + 1 < raw.len) {
            c = escaped(raw.p[++i]);
        }
        (void)buf_add(&r->cell, str_n(&c, 1));
    }
    *out = buf_str(&r->cell);
    return r->cell.failed ? -1 : 0;
}

/* --- the second line --- */

static int type_of(struct str name, struct column_plan *c)
{
    c->is_text = str_eq_c(name, "text");
    for (int as = AS_REAL; as <= AS_TIME; as++) {
        if (str_eq_c(name, as_name((enum column_as)as))) {
            c->as = (enum column_as)as;
            return 0;
        }
    }
    return c->is_text ? 0 : -1;
}

static int read_columns(struct reading *r, struct str line, struct err *e)
{
    while (line.p) {
        struct str name = str_cut(&line, '\t'), type = line.p ? str_cut(&line, '\t') : STR_EMPTY;
        struct column_plan *c;

        if (r->n >= ML_LIMIT_COLUMNS) {
            return err_set(e, ERR_DATA, "it has more than %d columns", ML_LIMIT_COLUMNS);
        }
        if (r->n % 64 == 0) {
            r->columns = xrealloc(r->columns, (r->n + 64) * sizeof(*r->columns));
        }
        c = &r->columns[r->n];
        *c = (struct column_plan){0};
        if (decode(r, name, &name) < 0 || type_of(type, c) < 0) {
            return err_set(e, ERR_DATA, "damaged: column %zu has no name and type", r->n + 1);
        }
        c->name = str_dup(name);
        r->n++;
    }
    return 0;
}

/* --- rows --- */

static int make_columns(const struct reading *r, struct table *t, struct err *e)
{
    for (size_t i = 0; i < r->n; i++) {
        struct dict *d;

        if (!r->columns[i].is_text) {
            if (table_add_numbers(t, str_of(r->columns[i].name), e) == NULL) {
                return -1;
            }
            t->columns[i].as = r->columns[i].as;
            continue;
        }
        d = dict_new();
        if (table_add_text(t, str_of(r->columns[i].name), d, e) == NULL) {
            dict_free(d);
            return -1;
        }
    }
    return 0;
}

static int bool_of(struct str s, double *v)
{
    *v = str_eq_c(s, "t") || str_eq_c(s, "true");
    return *v == 1 || str_eq_c(s, "f") || str_eq_c(s, "false") ? 0 : -1;
}

static int number_of(const struct column_plan *c, struct str s, double *v)
{
    if (c->as == AS_REAL && str_eq_c(s, "NaN")) {
        *v = NAN;
        return 0;
    }
    if (c->as == AS_BOOL) {
        return bool_of(s, v);
    }
    return as_parse(c->as, s, v) < 0 || (c->as == AS_INT && number_loss(s, *v) != NUMBER_KEPT) ? -1
                                                                                               : 0;
}

static int put_text(struct column *c, size_t row, struct str text, struct err *e)
{
    uint32_t before = c->dict->len;

    if (dict_intern(c->dict, text, &c->codes[row], e) < 0) {
        return -1;
    }
    if (c->dict->len > before && (utf8_check(text) >= 0 || str_find_char(text, '\0') >= 0)) {
        return err_set(e, ERR_DATA, "it holds bytes that are no text (UTF-8 without NUL)");
    }
    return 0;
}

/* 1: the column must be text. */
static int put_cell(struct reading *r, struct table *t, size_t row, size_t i, struct str raw,
                    struct err *e)
{
    struct column *c = &t->columns[i];
    struct str text;

    if (c->kind == COLUMN_NUMBER && r->columns[i].is_text) {
        return 1; /* the next pass takes it */
    }
    if (is_null(raw)) {
        if (c->kind == COLUMN_TEXT) {
            c->codes[row] = DICT_MISSING;
        } else {
            c->numbers[row] = NAN;
        }
        return 0;
    }
    if (decode(r, raw, &text) < 0) {
        return err_set(e, ERR_DATA, "a cell is longer than %d bytes", CELL_BYTES);
    }
    if (c->kind == COLUMN_TEXT) {
        return put_text(c, row, text, e);
    }
    if (number_of(&r->columns[i], text, &c->numbers[row]) == 0) {
        return 0;
    }
    r->columns[i].is_text = r->columns[i].gave_way = true;
    return 1;
}

/* 1: some column must be text; the others are looked at all the same. */
static int put_row(struct reading *r, struct table *t, size_t row, struct str line, struct err *e)
{
    int again = 0;

    for (size_t i = 0; i < r->n; i++) {
        int rc;

        if (line.p == NULL) {
            return err_set(e, ERR_DATA, "line %zu has %zu cells, and there are %zu columns",
                           row + 3, i, r->n);
        }
        rc = put_cell(r, t, row, i, str_cut(&line, '\t'), e);
        if (rc < 0) {
            return err_wrap(e, "line %zu, column %s", row + 3, r->columns[i].name);
        }
        again |= rc;
    }
    return line.p == NULL ? again
                          : err_set(e, ERR_DATA, "line %zu has more cells than columns", row + 3);
}

/* 1: again, with other types: all of them, so that many such columns take two passes, too. */
static int put_rows(struct reading *r, struct table *t, struct str rest, struct err *e)
{
    int again = 0;

    for (size_t row = 0; row < t->n_rows; row++) {
        int rc = put_row(r, t, row, str_cut(&rest, '\n'), e);

        if (rc < 0) {
            return -1;
        }
        again |= rc;
    }
    return again;
}

static size_t count_lines(struct str rest)
{
    size_t n = 0;

    for (const char *p = rest.p, *end = rest.p + rest.len; p < end; n++) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (p++ == NULL) {
            break; /* the last line is cut: take_head looked */
        }
    }
    return n;
}

static int take_head(struct reading *r, struct str *rest, struct err *e)
{
    const struct str mark = STR(ROWS_MARK);

    if (!str_starts(*rest, mark) || rest->p[rest->len - 1] != '\n') {
        return err_set(e, ERR_DATA, "it is no file of rows, or its end is missing");
    }
    *rest = str_from(*rest, mark.len);
    if (rest->len == 0) {
        return err_set(e, ERR_DATA, "damaged: it has no columns");
    }
    return read_columns(r, str_cut(rest, '\n'), e);
}

struct table *rows_read(struct str bytes, struct rows_report *report, struct err *e)
{
    SCOPED(reading_done) struct reading r = {0};
    size_t n;
    int rc;

    *report = (struct rows_report){0};
    if (bytes.len == 0 || take_head(&r, &bytes, e) < 0) {
        if (bytes.len == 0) {
            err_set(e, ERR_DATA, "it is empty");
        }
        return NULL;
    }
    n = bytes.p ? count_lines(bytes) : 0;
    if (n > ML_LIMIT_ROWS) {
        err_set(e, ERR_DATA, "it has more than %llu rows", ML_LIMIT_ROWS);
        return NULL;
    }
    do {
        SCOPED(table_freep) struct table *t = table_new(n);

        rc = make_columns(&r, t, e) < 0 ? -1 : put_rows(&r, t, bytes, e);
        if (rc == 0) {
            for (size_t i = 0; i < r.n; i++) {
                if (t->columns[i].kind == COLUMN_TEXT) {
                    dict_seal(t->columns[i].dict);
                }
                if (r.columns[i].gave_way && report->as_text++ == 0) {
                    report->first = t->columns[i].name;
                }
            }
            return TAKE(t);
        }
    } while (rc > 0);
    return NULL;
}
