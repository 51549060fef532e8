#include "algorithms/kernel/table_file.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/transform.h"

#include <math.h>
#include <string.h>

static void write_column(struct binw *w, const struct column *c, size_t n_rows)
{
    binw_str(w, str_of(c->name));
    binw_u32(w, c->kind | (uint32_t)c->as << 8);
    if (c->kind == COLUMN_NUMBER) {
        binw_f64s(w, c->numbers, n_rows);
        return;
    }
    binw_u32(w, c->dict->len);
    for (uint32_t i = 0; i < c->dict->len; i++) {
        binw_str(w, dict_text(c->dict, i));
    }
    binw_u32s(w, c->codes, n_rows);
}

static int save_binary(const struct table *t, const char *path, struct err *e)
{
    SCOPED(binw_closep) struct binw *w = binw_open(path, BINARY_TABLE, e);

    if (w == NULL) {
        return -1;
    }
    binw_u64(w, t->n_rows);
    binw_u32(w, (uint32_t)t->n_columns);
    for (size_t i = 0; i < t->n_columns; i++) {
        write_column(w, &t->columns[i], t->n_rows);
    }
    transform_write_list(t->applied, t->n_applied, w);
    return binw_commit(w, e);
}

/* RFC 4180: quotes only where they are needed; an empty text is "" and a missing cell nothing. */
static void write_cell(struct binw *w, struct str s)
{
    bool plain = s.len > 0 && s.p[0] != ' ' && s.p[s.len - 1] != ' ';

    for (size_t i = 0; plain && i < s.len; i++) {
        plain = s.p[i] != ',' && s.p[i] != '"' && s.p[i] != '\n' && s.p[i] != '\r';
    }
    if (plain) {
        binw_bytes(w, s.p, s.len);
        return;
    }
    binw_bytes(w, "\"", 1);
    for (size_t i = 0; i < s.len; i++) {
        binw_bytes(w, "\"\"", s.p[i] == '"');
        binw_bytes(w, s.p + i, 1);
    }
    binw_bytes(w, "\"", 1);
}

static void write_value(struct binw *w, const struct column *c, size_t row)
{
    char text[AS_TEXT_BYTES];

    if (c->kind == COLUMN_TEXT) {
        if (c->codes[row] != DICT_MISSING) {
            write_cell(w, dict_text(c->dict, c->codes[row]));
        }
        return;
    }
    if (!isnan(c->numbers[row])) {
        as_format(c->as, c->numbers[row], text);
        binw_bytes(w, text, strlen(text));
    }
}

static int save_csv(const struct table *t, const char *path, struct err *e)
{
    SCOPED(binw_closep) struct binw *w = binw_open_text(path, e);

    if (w == NULL) {
        return -1;
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        binw_bytes(w, ",", i > 0);
        write_cell(w, str_of(t->columns[i].name));
    }
    binw_bytes(w, "\n", 1);
    for (size_t row = 0; row < t->n_rows; row++) {
        for (size_t i = 0; i < t->n_columns; i++) {
            binw_bytes(w, ",", i > 0);
            write_value(w, &t->columns[i], row);
        }
        binw_bytes(w, "\n", 1);
    }
    return binw_commit(w, e);
}

int table_save(const struct table *t, const char *path, struct err *e)
{
    return str_ends(str_of(path), STR(".csv")) ? save_csv(t, path, e) : save_binary(t, path, e);
}

static int read_texts(struct binr *r, struct dict *d, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        struct str s = binr_str(r);
        uint32_t code;

        if (r->bad) {
            return err_set(e, ERR_DATA, "damaged: it ends inside the texts of a column");
        }
        if (dict_intern(d, s, &code, e) < 0) {
            return -1;
        }
        if (code != i) {
            return err_set(e, ERR_DATA, "damaged: a column lists a text twice");
        }
    }
    dict_seal(d);
    return 0;
}

static int read_text_column(struct binr *r, struct table *t, struct str name, struct err *e)
{
    SCOPED(dict_freep) struct dict *d = dict_new();
    struct column *c;
    uint32_t n = binr_u32(r);

    if (read_texts(r, d, n, e) < 0) {
        return -1;
    }
    c = table_add_text(t, name, d, e);
    if (c == NULL) {
        return -1;
    }
    (void)TAKE(d);
    binr_u32s(r, c->codes, t->n_rows);
    for (size_t i = 0; i < t->n_rows; i++) {
        if (c->codes[i] >= n && c->codes[i] != DICT_MISSING) {
            return err_set(e, ERR_DATA, "damaged: column '%s', row %zu has no such text", c->name,
                           i + 1);
        }
    }
    return 0;
}

static int read_column(struct binr *r, struct table *t, struct err *e)
{
    struct str name = binr_str(r);
    uint32_t both = binr_u32(r), kind = both & 0xff, as = both >> 8;
    size_t least = t->n_rows * (kind == COLUMN_NUMBER ? sizeof(double) : sizeof(uint32_t));
    struct column *c;

    if (r->bad || (kind != COLUMN_NUMBER && kind != COLUMN_TEXT) || as > AS_TIME) {
        return err_set(e, ERR_DATA, "damaged: column %zu is of no kind we know", t->n_columns + 1);
    }
    if (least > r->left) { /* before memory is taken for it */
        return err_set(e, ERR_DATA, "damaged: it ends inside column %zu", t->n_columns + 1);
    }
    if (kind == COLUMN_TEXT) {
        return read_text_column(r, t, name, e);
    }
    c = table_add_numbers(t, name, e);
    if (c) {
        c->as = (enum column_as)as;
        binr_f64s(r, c->numbers, t->n_rows);
    }
    return c ? 0 : -1;
}

struct table *table_read(struct binr *r, struct err *e)
{
    SCOPED(table_freep) struct table *t = NULL;
    uint64_t n_rows = binr_u64(r);
    uint32_t n_columns = binr_u32(r);

    if (n_rows > ML_LIMIT_ROWS || n_columns > ML_LIMIT_COLUMNS) {
        err_set(e, ERR_DATA, "%llu rows and %u columns are more than a table can have",
                (unsigned long long)n_rows, n_columns);
        return NULL;
    }
    t = table_new(n_rows);
    for (uint32_t i = 0; i < n_columns; i++) {
        if (read_column(r, t, e) < 0) {
            if (e->kind == ERR_INVALID) {
                e->kind = ERR_DATA; /* a name twice: here the file is wrong, not the user's word */
            }
            return NULL;
        }
    }
    if (transform_read_list(r, &t->applied, &t->n_applied, e) < 0 || binr_end(r, e) < 0) {
        return NULL;
    }
    return TAKE(t);
}

struct table *table_load(const char *path, struct err *e)
{
    struct binr r = {0};
    struct table *t;

    if (binr_open(&r, path, BINARY_TABLE, e) < 0) {
        return NULL;
    }
    t = table_read(&r, e);
    binr_done(&r);
    if (t == NULL) {
        err_wrap(e, "%s", path);
    }
    return t;
}
