#include "algorithms/kernel/table.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/transform.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct table *table_new(size_t n_rows)
{
    struct table *t = xnew(struct table);

    t->n_rows = n_rows;
    return t;
}

void table_free(struct table *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        free(t->columns[i].name);
        shared_unref(t->columns[i].data);
        dict_free(t->columns[i].dict);
    }
    for (size_t i = 0; i < t->n_applied; i++) {
        transform_free(t->applied[i]);
    }
    map_done(&t->names);
    free(t->columns);
    free(t->applied);
    free(t);
}

/* A new row in the list of columns; the list doubles at powers of two. */
static struct column *new_column(struct table *t, struct str name, struct err *e)
{
    if (t->n_columns >= ML_LIMIT_COLUMNS) {
        err_set(e, ERR_DATA, "a table has at most %d columns", ML_LIMIT_COLUMNS);
        return NULL;
    }
    if (name.len == 0 || name.len > ML_LIMIT_NAME_BYTES || str_find_char(name, '\0') >= 0) {
        err_set(e, ERR_DATA, "a column name has 1 to %d bytes and no NUL", ML_LIMIT_NAME_BYTES);
        return NULL;
    }
    if (table_column(t, name)) {
        err_set(e, ERR_INVALID, "the table has a column '%.*s' already", STR_ARG(name));
        return NULL;
    }
    if ((t->n_columns & (t->n_columns - 1)) == 0) {
        size_t cap = t->n_columns ? t->n_columns * 2 : 1;

        t->columns = xrealloc(t->columns, cap * sizeof(*t->columns));
    }
    t->columns[t->n_columns] = (struct column){.name = str_dup(name)};
    return &t->columns[t->n_columns];
}

/* The new column counts from here on. */
static struct column *keep_column(struct table *t, struct column *c)
{
    t->n_columns++;
    (void)map_put(&t->names, str_of(c->name), (void *)t->n_columns);
    return c;
}

struct column *table_put_numbers(struct table *t, struct str name, const double *numbers,
                                 struct shared *data, struct err *e)
{
    struct column *c = new_column(t, name, e);

    if (c == NULL) {
        return NULL;
    }
    c->kind = COLUMN_NUMBER;
    c->numbers = (double *)numbers; /* written only after table_own_numbers() */
    c->data = shared_ref(data);
    return keep_column(t, c);
}

struct column *table_put_text(struct table *t, struct str name, const uint32_t *codes,
                              struct shared *data, struct dict *dict, struct err *e)
{
    struct column *c = new_column(t, name, e);

    if (c == NULL) {
        return NULL;
    }
    c->kind = COLUMN_TEXT;
    c->codes = (uint32_t *)codes;
    c->data = shared_ref(data);
    c->dict = dict_ref(dict);
    return keep_column(t, c);
}

struct column *table_add_numbers(struct table *t, struct str name, struct err *e)
{
    double *numbers = big_alloc_column(t->n_rows, sizeof(*numbers), "a column of numbers", e);
    struct shared *data = numbers ? shared_of_big(numbers) : NULL;
    struct column *c = data ? table_put_numbers(t, name, numbers, data, e) : NULL;

    shared_unref(data);
    return c;
}

struct column *table_add_text(struct table *t, struct str name, struct dict *dict, struct err *e)
{
    uint32_t *codes = big_alloc_column(t->n_rows, sizeof(*codes), "a column of text", e);
    struct shared *data = codes ? shared_of_big(codes) : NULL;
    struct column *c = data ? table_put_text(t, name, codes, data, dict, e) : NULL;

    shared_unref(data);
    if (c) {
        dict_free(dict); /* the caller's reference; the column has its own */
    }
    return c;
}

struct column *table_add_as(struct table *t, struct str name, const struct column *from,
                            struct err *e)
{
    struct column *c;

    if (from->kind == COLUMN_TEXT) {
        return table_put_text(t, name, from->codes, from->data, from->dict, e);
    }
    c = table_put_numbers(t, name, from->numbers, from->data, e);
    if (c) {
        c->as = from->as;
    }
    return c;
}

int table_add_copy(struct table *t, const struct column *from, struct err *e)
{
    return table_add_as(t, str_of(from->name), from, e) ? 0 : -1;
}

/* A column of the `n` rows listed. */
static int add_rows(struct table *t, const struct column *from, const uint32_t *rows, size_t n,
                    struct err *e)
{
    struct dict *dict = NULL;
    struct column *c;

    if (from->kind == COLUMN_NUMBER) {
        c = table_add_numbers(t, str_of(from->name), e);
        for (size_t i = 0; c && i < n; i++) {
            c->numbers[i] = from->numbers[rows[i]];
        }
        if (c) {
            c->as = from->as;
        }
        return c ? 0 : -1;
    }
    dict = dict_ref(from->dict);
    c = table_add_text(t, str_of(from->name), dict, e);
    if (c == NULL) {
        dict_free(dict);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        c->codes[i] = from->codes[rows[i]];
    }
    return 0;
}

const char *column_type_name(const struct column *c)
{
    return c->kind == COLUMN_TEXT ? "text" : as_name(c->as);
}

enum column_as column_as_is(const struct column *c, size_t n_rows)
{
    if (c->kind == COLUMN_TEXT || c->as == AS_REAL) {
        return AS_REAL;
    }
    for (size_t i = 0; i < n_rows; i++) {
        if (!as_holds(c->as, c->numbers[i])) {
            return AS_REAL;
        }
    }
    return c->as;
}

struct column *table_own_numbers(struct table *t, struct str name, struct err *e)
{
    const struct column *found = table_need_numbers(t, name, e);
    struct column *c = found ? &t->columns[found - t->columns] : NULL;
    double *copy;

    if (c == NULL || shared_is_mine(c->data)) {
        return c;
    }
    copy = big_alloc_column(t->n_rows, sizeof(*copy), "a column of numbers", e);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, c->numbers, t->n_rows * sizeof(*copy));
    shared_unref(c->data);
    c->data = shared_of_big(copy);
    c->numbers = copy;
    return c;
}

const struct column *table_column(const struct table *t, struct str name)
{
    size_t at = (size_t)map_get(&t->names, name);

    return at > 0 ? &t->columns[at - 1] : NULL;
}

const struct column *table_need(const struct table *t, struct str name, struct err *e)
{
    const struct column *c = table_column(t, name);
    SCOPED(freep) const char **names = NULL;
    const char *near;

    if (c) {
        return c;
    }
    names = xnew_array(const char *, t->n_columns + 1);
    for (size_t i = 0; i < t->n_columns; i++) {
        names[i] = t->columns[i].name;
    }
    near = str_nearest(name, names, t->n_columns);
    err_set(e, ERR_INVALID, "the table has no column '%.*s'%s%s%s", STR_ARG(name),
            near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

const struct column *table_need_numbers(const struct table *t, struct str name, struct err *e)
{
    const struct column *c = table_need(t, name, e);

    if (c && c->kind != COLUMN_NUMBER) {
        err_set(e, ERR_DATA,
                "column '%s' holds text, and numbers are needed here: name another, or encode it "
                "first (string_index)",
                c->name);
        return NULL;
    }
    return c;
}

int table_note_applied(struct table *t, struct transform *x, struct err *e)
{
    if (t->n_applied == ML_LIMIT_TRANSFORMS) {
        return err_set(e, ERR_INVALID, "at most %d transforms can follow each other",
                       ML_LIMIT_TRANSFORMS);
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    t->applied = xrealloc(t->applied, (t->n_applied + 1) * sizeof(*t->applied));
    t->applied[t->n_applied++] = transform_ref(x);
    return 0;
}

static int note_all(struct table *t, const struct table *from, struct err *e)
{
    for (size_t i = 0; i < from->n_applied; i++) {
        if (table_note_applied(t, from->applied[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}

struct table *table_rows(const struct table *t, const uint32_t *rows, size_t n, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(n);

    for (size_t i = 0; i < t->n_columns; i++) {
        if (add_rows(out, &t->columns[i], rows, n, e) < 0) {
            return NULL;
        }
    }
    return note_all(out, t, e) < 0 ? NULL : TAKE(out);
}

struct table *table_copy(const struct table *t, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(t->n_rows);

    for (size_t i = 0; i < t->n_columns; i++) {
        if (table_add_copy(out, &t->columns[i], e) < 0) {
            return NULL;
        }
    }
    return note_all(out, t, e) < 0 ? NULL : TAKE(out);
}
