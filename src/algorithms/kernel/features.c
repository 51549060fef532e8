#include "algorithms/kernel/features.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/select.h"
#include "base/buf.h"
#include "base/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

void features_done(struct features *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->names[i]);
    }
    free(f->names);
    free(f->fill);
    *f = (struct features){0};
}

/* The mean of what is there; ERR_DATA when that is nothing, or infinite. */
static int mean_of(const struct column *c, size_t n_rows, double *out, struct err *e)
{
    double sum = 0;
    size_t n = 0;

    for (size_t r = 0; r < n_rows; r++) {
        if (!isnan(c->numbers[r])) {
            sum += c->numbers[r];
            n++;
        }
    }
    if (n == 0 || !isfinite(sum)) {
        return err_set(e, ERR_DATA, "column '%s' has no mean: %s", c->name,
                       n == 0 ? "all its values are missing" : "its values are infinite");
    }
    *out = sum / (double)n;
    return 0;
}

static int learn_column(const struct column *c, size_t n_rows, enum features_missing missing,
                        double *fill, struct err *e)
{
    if (c->kind != COLUMN_NUMBER) {
        return err_set(e, ERR_DATA,
                       "column '%s' holds text; features are numbers: leave it out with "
                       "feature_cols=@numeric or encode it first",
                       c->name);
    }
    *fill = NAN;
    return missing == FEATURES_MEAN ? mean_of(c, n_rows, fill, e) : 0;
}

int features_learn(struct features *f, const struct table *t, struct str spec,
                   const char *const *never, size_t n_never, enum features_missing missing,
                   struct err *e)
{
    size_t n;
    SCOPED(freep) uint32_t *found = select_columns(t, spec, never, n_never, &n, e);

    if (found == NULL) {
        return err_wrap(e, "feature_cols");
    }
    *f = (struct features){xnew_array(char *, n), xnew_array(double, n), 0};
    for (; f->n < n; f->n++) {
        const struct column *c = &t->columns[found[f->n]];

        if (learn_column(c, t->n_rows, missing, &f->fill[f->n], e) < 0) {
            features_done(f);
            return -1;
        }
        f->names[f->n] = xstrdup(c->name);
    }
    return 0;
}

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

static int check_values(const struct column *c, size_t n_rows, double fill, double largest,
                        struct err *e)
{
    for (size_t r = 0; r < n_rows; r++) {
        double v = c->numbers[r];

        if (fabs(v) > largest) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: %g is too large: scale the column",
                           c->name, r + 1, v);
        }
        if (isnan(v) && isnan(fill)) {
            return err_set(e, ERR_DATA,
                           "column '%s', row %zu: the value is missing; train with missing=mean to "
                           "put the column's mean in its place, or remove the row",
                           c->name, r + 1);
        }
    }
    return 0;
}

const double **features_bind(const struct features *f, const struct table *t,
                             enum features_range range, struct err *e)
{
    SCOPED(freep) const double **columns = xnew_array(const double *, f->n + 1);
    double largest = range == FEATURES_F32 ? (double)FLT_MAX : DBL_MAX;

    if (features_present(f, t, e) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < f->n; i++) {
        const struct column *c = table_need_numbers(t, str_of(f->names[i]), e);

        if (c == NULL || check_values(c, t->n_rows, f->fill[i], largest, e) < 0) {
            return NULL;
        }
        columns[i] = c->numbers;
    }
    return TAKE(columns);
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

void features_write(const struct features *f, struct binw *w)
{
    binw_u32(w, (uint32_t)f->n);
    for (size_t i = 0; i < f->n; i++) {
        binw_str(w, str_of(f->names[i]));
    }
    binw_f64s(w, f->fill, f->n);
}

int features_read(struct binr *r, struct features *f, struct err *e)
{
    uint32_t n = binr_u32(r);

    if (r->bad || n == 0 || n > ML_LIMIT_COLUMNS) {
        return err_set(e, ERR_DATA, "damaged: %u features", n);
    }
    *f = (struct features){xnew_array(char *, n), xnew_array(double, n), 0};
    for (; f->n < n; f->n++) {
        f->names[f->n] = binr_name(r);
        if (f->names[f->n] == NULL) {
            return err_set(e, ERR_DATA, "damaged: feature %zu has no name", f->n);
        }
    }
    binr_f64s(r, f->fill, n);
    return r->bad ? err_set(e, ERR_DATA, "damaged: it ends inside the features") : 0;
}
