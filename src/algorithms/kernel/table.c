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
        big_free(t->columns[i].numbers);
        big_free(t->columns[i].codes);
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

/* The new column counts from here on; without its memory it never was. */
static struct column *keep_column(struct table *t, struct column *c)
{
    if (c->numbers == NULL && c->codes == NULL) {
        free(c->name);
        return NULL;
    }
    t->n_columns++;
    (void)map_put(&t->names, str_of(c->name), (void *)t->n_columns);
    return c;
}

struct column *table_add_numbers(struct table *t, struct str name, struct err *e)
{
    struct column *c = new_column(t, name, e);

    if (c == NULL) {
        return NULL;
    }
    c->kind = COLUMN_NUMBER;
    c->numbers = big_alloc(t->n_rows, sizeof(*c->numbers), "a column of numbers", e);
    return keep_column(t, c);
}

struct column *table_add_text(struct table *t, struct str name, struct dict *dict, struct err *e)
{
    struct column *c = new_column(t, name, e);

    if (c == NULL) {
        return NULL;
    }
    c->kind = COLUMN_TEXT;
    c->codes = big_alloc(t->n_rows, sizeof(*c->codes), "a column of text", e);
    c = keep_column(t, c);
    if (c) {
        c->dict = dict;
    }
    return c;
}

/* A column of `n` rows of `from`: those listed, or all when `rows` is NULL. */
static int add_rows(struct table *t, const struct column *from, const uint32_t *rows, size_t n,
                    struct err *e)
{
    SCOPED(dict_freep) struct dict *dict = NULL;
    struct column *c;

    if (from->kind == COLUMN_NUMBER) {
        c = table_add_numbers(t, str_of(from->name), e);
        for (size_t i = 0; c && i < n; i++) {
            c->numbers[i] = from->numbers[rows ? rows[i] : i];
        }
        return c ? 0 : -1;
    }
    dict = dict_copy(from->dict, e);
    c = dict ? table_add_text(t, str_of(from->name), dict, e) : NULL;
    if (c == NULL) {
        return -1;
    }
    (void)TAKE(dict);
    for (size_t i = 0; i < n; i++) {
        c->codes[i] = from->codes[rows ? rows[i] : i];
    }
    return 0;
}

int table_add_copy(struct table *t, const struct column *from, struct err *e)
{
    return add_rows(t, from, /* rows */ NULL, t->n_rows, e);
}

const char *column_type_name(const struct column *c)
{
    return c->kind == COLUMN_TEXT ? "text" : "real";
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
        err_set(e, ERR_DATA, "column '%s' holds text, and numbers are needed here", c->name);
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

static struct table *some_rows(const struct table *t, const uint32_t *rows, size_t n, struct err *e)
{
    SCOPED(table_freep) struct table *out = table_new(n);

    for (size_t i = 0; i < t->n_columns; i++) {
        if (add_rows(out, &t->columns[i], rows, n, e) < 0) {
            return NULL;
        }
    }
    for (size_t i = 0; i < t->n_applied; i++) {
        if (table_note_applied(out, t->applied[i], e) < 0) {
            return NULL;
        }
    }
    return TAKE(out);
}

struct table *table_rows(const struct table *t, const uint32_t *rows, size_t n, struct err *e)
{
    return some_rows(t, rows, n, e);
}

struct table *table_copy(const struct table *t, struct err *e)
{
    return some_rows(t, /* rows */ NULL, t->n_rows, e);
}

struct column *table_own_numbers(struct table *t, struct str name, struct err *e)
{
    const struct column *c = table_need_numbers(t, name, e);

    return c ? &t->columns[c - t->columns] : NULL;
}
