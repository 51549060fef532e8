#include "algorithms/kernel/partitions.h"

#include "algorithms/kernel/cells.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "base/utf8.h"

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static struct str unescaped(struct str s, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < s.len; i++) {
        int high = s.p[i] == '%' && i + 2 < s.len ? hex_of(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_of(s.p[i + 2]) : -1;
        char c = low >= 0 ? (char)(high << 4 | low) : s.p[i];

        i += low >= 0 ? 2 : 0;
        (void)buf_add(out, str_n(&c, 1));
    }
    return buf_str(out);
}

/* The rows so far, and those of the pass before: a column that became text there is text as it is
 * spelled from its first row on ("1.10" beside "dev"). */
struct keys {
    struct cells *cells;
    const struct cells *before; /* NULL in the first pass */
};

static int take_value(const struct keys *k, size_t column, struct str s, struct err *e)
{
    struct cells *c = k->cells;
    bool is_whole = str_find_char(s, '.') < 0 && str_find_char(s, 'e') < 0;
    double v;

    if (str_eq(s, STR("__HIVE_DEFAULT_PARTITION__"))) {
        return 0;
    }
    if (k->before && cells_has_text(k->before, column)) {
        return cells_text(c, column, s, e);
    }
    if (number_parse(s, &v) == 0 && number_loss(s, v) == NUMBER_KEPT) {
        return cells_number(c, column, v, is_whole, s, e);
    }
    return cells_text(c, column, s, e);
}

/* Each "key=value" in front of the last part of the name; *n of them. */
static int take_name(const struct keys *k, struct str name, struct buf *scratch, size_t *n,
                     struct err *e)
{
    struct cells *c = k->cells;
    struct str rest = name, part = str_cut(&rest, '/');

    for (*n = 0; rest.p; part = str_cut(&rest, '/')) {
        struct str value = part, key = str_cut(&value, '=');
        size_t column;

        if (value.p == NULL) {
            continue;
        }
        key = unescaped(key, scratch);
        if (!str_is_utf8(key) || cells_column(c, key, *n, &column, e) < 0) {
            return -1;
        }
        value = unescaped(value, scratch);
        if (cells_is_set(c, column) || !str_is_utf8(value) || str_find_char(value, '\0') >= 0 ||
            take_value(k, column, value, e) < 0) {
            return -1;
        }
        (*n)++;
    }
    return 0;
}

/* *n_keys: of the first file, and so of all. */
static int take_file(const struct keys *k, const struct files *f, size_t i, struct str name_column,
                     size_t *n_keys, struct err *e)
{
    struct cells *c = k->cells;
    SCOPED(buf_done) struct buf scratch = BUF_MAX(64 * KIB);
    struct str name = str_of(files_name(f, i));
    struct err why = {0};
    size_t n = 0, column;

    if (take_name(k, name, &scratch, &n, &why) < 0) {
        return err_set(e, ERR_DATA, "the folders of '%.*s' do not say KEY=VALUE once each in UTF-8",
                       STR_ARG(str_first(name, 100)));
    }
    *n_keys = i == 0 ? n : *n_keys;
    if (n != *n_keys || cells_columns(c) != n + (i > 0 && name_column.len > 0)) {
        return err_set(e, ERR_DATA, "'%.*s' lies below folders of other keys than '%s'",
                       STR_ARG(str_first(name, 100)), files_name(f, 0));
    }
    if (name_column.len == 0) {
        return cells_end_row(c, e);
    }
    if (cells_column(c, name_column, SIZE_MAX, &column, e) < 0) {
        return -1;
    }
    if (cells_is_set(c, column) || !str_is_utf8(name)) {
        return err_set(e, ERR_INVALID, "file_col: the folders give a column '%.*s' already",
                       STR_ARG(name_column));
    }
    cells_keep_text(c, column);
    return cells_text(c, column, name, e) < 0 ? -1 : cells_end_row(c, e);
}

static int take_files(const struct keys *k, const struct files *f, struct str name_column,
                      struct err *e)
{
    size_t n_keys = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (take_file(k, f, i, name_column, &n_keys, e) < 0) {
            return -1;
        }
    }
    return 0;
}

struct table *partitions_of(const struct files *f, struct str name_column, struct err *e)
{
    SCOPED(cells_freep) struct cells *first = cells_new();
    SCOPED(cells_freep) struct cells *second = cells_new();

    return take_files(&(struct keys){first, NULL}, f, name_column, e) < 0 ||
                   take_files(&(struct keys){second, first}, f, name_column, e) < 0
               ? NULL
               : cells_table(second, e);
}
