#include "algorithms/kernel/features.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/categories.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/shared.h"
#include "base/buf.h"
#include "base/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* The column of the table nearest in name to a missing feature, of those the model does not use. */
static const char *nearest(const struct features *f, const struct table *t, const char *name)
{
    SCOPED(freep) const char **names = xnew_array(const char *, t->n_columns + 1);
    SCOPED(map_done) struct map used = {0};
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++) {
        (void)map_put(&used, str_of(f->names[i]), f->names[i]);
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        if (map_get(&used, str_of(t->columns[i].name)) == NULL) {
            names[n++] = t->columns[i].name;
        }
    }
    return str_nearest(str_of(name), names, n);
}

/* All that is missing in one sentence: people mend a table once. */
int features_present(const struct features *f, const struct table *t, struct err *e)
{
    struct buf names = BUF_MAX(300);
    const char *last = NULL, *near = NULL;
    size_t count = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (table_column(t, str_of(f->names[i])) == NULL) {
            last = f->names[i];
            (void)buf_printf(&names, "%s'%s'", count++ > 0 ? ", " : "", last);
        }
    }
    if (count == 1) {
        near = nearest(f, t, last);
        err_set(e, ERR_DATA,
                "the model was trained with column '%s', which the table has not%s%s%s", last,
                near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    } else if (count > 0) {
        err_set(e, ERR_DATA, "the model was trained with %zu columns that the table has not: %s%s",
                count, names.p ? names.p : "", names.failed ? ", ..." : "");
    }
    buf_done(&names);
    return count > 0 ? -1 : 0;
}

static int missing_value(const char *name, size_t row, struct err *e)
{
    return err_set(
        e, ERR_DATA,
        "column '%s', row %zu: the value is missing; fill it with impute, remove the row "
        "with filter_rows, or train with missing=mean, which puts the column's mean in "
        "its place",
        name, row + 1);
}

static int check_values(const struct column *c, size_t n_rows, bool may_miss, double largest,
                        struct err *e)
{
    for (size_t r = 0; r < n_rows; r++) {
        double v = c->numbers[r];

        if (fabs(v) > largest) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: %g is too large: scale the column",
                           c->name, r + 1, v);
        }
        if (isnan(v) && !may_miss) {
            return missing_value(c->name, r, e);
        }
    }
    return 0;
}

/* The number of each text's category; NaN for a text that is none. Big memory. */
static double *numbers_of_texts(const struct categories *known, const struct dict *d, struct err *e)
{
    double *of = big_alloc(d->len, sizeof(*of), "the categories of a column", e);
    SCOPED(map_done) struct map index = {0};

    for (size_t i = 0; of && i < known->n; i++) {
        (void)map_put(&index, str_of(known->names[i]), (void *)(i + 1));
    }
    for (uint32_t i = 0; of && i < d->len; i++) {
        size_t at = (size_t)map_get(&index, dict_text(d, i));

        of[i] = at > 0 ? (double)(at - 1) : NAN;
    }
    return of;
}

static double *bind_numbers(const struct features *f, size_t i, const struct column *c,
                            size_t n_rows, struct err *e)
{
    SCOPED(big_freep) double *v = categories_bind(&f->categories[i], c, n_rows, e);

    for (size_t r = 0; v && r < n_rows && !f->missing_kept; r++) {
        if (isnan(v[r])) {
            (void)missing_value(c->name, r, e);
            return NULL;
        }
    }
    return TAKE(v);
}

static double *bind_text(const struct features *f, size_t i, const struct column *c, size_t n_rows,
                         struct err *e)
{
    SCOPED(big_freep) double *of = numbers_of_texts(&f->categories[i], c->dict, e);
    SCOPED(big_freep)
    double *v = of ? big_alloc(n_rows, sizeof(*v), "the categories of a column", e) : NULL;

    for (size_t r = 0; v && r < n_rows; r++) {
        v[r] = c->codes[r] == DICT_MISSING ? NAN : of[c->codes[r]];
        if (isnan(v[r]) && !f->missing_kept) {
            (void)missing_value(c->name, r, e);
            return NULL;
        }
    }
    return TAKE(v);
}

static int bind_column(const struct features *f, const struct table *t, size_t i, double largest,
                       struct bound *b, struct err *e)
{
    const struct column *c = table_column(t, str_of(f->names[i]));

    bool text = f->categories[i].names && !f->categories[i].numbers;

    if ((c->kind == COLUMN_TEXT) != text) {
        return err_set(e, ERR_DATA, "column '%s' holds %s, and the model was trained on %s",
                       c->name, c->kind == COLUMN_TEXT ? "text" : "numbers",
                       c->kind == COLUMN_TEXT ? "numbers" : "text");
    }
    if (f->categories[i].names) {
        b->columns[i] = b->owned[i] =
            text ? bind_text(f, i, c, t->n_rows, e) : bind_numbers(f, i, c, t->n_rows, e);
        return b->owned[i] ? 0 : -1;
    }
    b->columns[i] = c->numbers;
    b->data[i] = c->data;
    if (check_values(c, t->n_rows, f->missing_kept || !isnan(f->fill[i]), largest, e) < 0) {
        return -1;
    }
    shared_rest(c->data, c->numbers, t->n_rows * sizeof(*c->numbers));
    return 0;
}

int features_bind(const struct features *f, const struct table *t, enum features_range range,
                  struct bound *b, struct err *e)
{
    double largest = range == FEATURES_F32 ? (double)FLT_MAX : DBL_MAX;

    if (features_present(f, t, e) < 0) {
        return -1;
    }
    *b = (struct bound){.columns = xnew_array(const double *, f->n + 1),
                        .owned = xnew_array(double *, f->n + 1),
                        .data = xnew_array(const struct shared *, f->n + 1),
                        .n = f->n,
                        .n_rows = t->n_rows};
    for (size_t i = 0; i < f->n; i++) {
        if (bind_column(f, t, i, largest, b, e) < 0) {
            bound_done(b);
            return -1;
        }
    }
    return 0;
}

void bound_done(struct bound *b)
{
    for (size_t i = 0; i < b->n; i++) {
        big_free(b->owned[i]);
    }
    free(b->owned);
    free(b->columns);
    free(b->data);
    *b = (struct bound){0};
}

void bound_rest_column(const struct bound *b, size_t j)
{
    shared_rest(b->data[j], b->columns[j], b->n_rows * sizeof(double));
}

void bound_rest(const struct bound *b, size_t first, size_t n)
{
    for (size_t i = 0; i < b->n; i++) {
        shared_rest(b->data[i], b->columns[i] + first, n * sizeof(double));
    }
}

/* Columns to rows, some rows at a time so that the rows being written stay in the cache. */
enum { GATHER_ROWS = 64 };

static size_t gather_end(size_t from, size_t n)
{
    return n - from < GATHER_ROWS ? n : from + GATHER_ROWS;
}

void features_gather_f64(const struct features *f, const double *const *columns,
                         const uint32_t *rows, size_t first, size_t n, double *out)
{
    for (size_t from = 0; from < n; from += GATHER_ROWS) {
        size_t end = gather_end(from, n);

        for (size_t j = 0; j < f->n; j++) {
            for (size_t i = from; i < end; i++) {
                double v = columns[j][rows ? rows[first + i] : first + i];

                out[i * f->n + j] = isnan(v) ? f->fill[j] : v;
            }
        }
    }
}

void features_gather_f32(const struct features *f, const double *const *columns,
                         const uint32_t *rows, size_t first, size_t n, float *out)
{
    for (size_t from = 0; from < n; from += GATHER_ROWS) {
        size_t end = gather_end(from, n);

        for (size_t j = 0; j < f->n; j++) {
            for (size_t i = from; i < end; i++) {
                double v = columns[j][rows ? rows[first + i] : first + i];

                out[i * f->n + j] = (float)(isnan(v) ? f->fill[j] : v);
            }
        }
    }
}

enum { REST_ROWS = 1 << 16 };

static size_t rest_rows(const struct bound *b, size_t first)
{
    return b->n_rows - first < REST_ROWS ? b->n_rows - first : REST_ROWS;
}

void features_gather_all_f64(const struct features *f, const struct bound *b, double *out)
{
    for (size_t first = 0; first < b->n_rows; first += REST_ROWS) {
        features_gather_f64(f, b->columns, /* rows */ NULL, first, rest_rows(b, first),
                            out + first * f->n);
        bound_rest(b, first, rest_rows(b, first));
    }
}

void features_gather_all_f32(const struct features *f, const struct bound *b, float *out)
{
    for (size_t first = 0; first < b->n_rows; first += REST_ROWS) {
        features_gather_f32(f, b->columns, /* rows */ NULL, first, rest_rows(b, first),
                            out + first * f->n);
        bound_rest(b, first, rest_rows(b, first));
    }
}
