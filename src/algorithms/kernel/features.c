#include "algorithms/kernel/features.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/categories.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/select.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void features_done(struct features *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->names[i]);
        categories_done(&f->categories[i]);
    }
    free(f->names);
    free(f->fill);
    free(f->categories);
    *f = (struct features){0};
}

struct features features_new(size_t n)
{
    return (struct features){.names = xnew_array(char *, n + 1),
                             .fill = xnew_array(double, n + 1),
                             .categories = xnew_array(struct categories, n + 1)};
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

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The texts that occur. One that holds a NUL or is very long is no category. */
static int learn_categories(const struct column *c, size_t n_rows, struct categories *out,
                            struct err *e)
{
    SCOPED(big_freep)
    unsigned char *used = big_alloc(c->dict->len, 1, "the categories of a column", e);

    for (size_t r = 0; used && r < n_rows; r++) {
        if (c->codes[r] != DICT_MISSING) {
            used[c->codes[r]] = 1;
        }
    }
    if (used == NULL) {
        return -1;
    }
    out->names = xnew_array(char *, ML_LIMIT_CATEGORIES + 1);
    for (uint32_t i = 0; i < c->dict->len; i++) {
        struct str text = dict_text(c->dict, i);

        if (!used[i]) {
            continue;
        }
        if (out->n == ML_LIMIT_CATEGORIES || text.len > ML_LIMIT_NAME_BYTES ||
            str_find_char(text, '\0') >= 0) {
            return err_set(e, ERR_DATA,
                           "column '%s' holds more than %d different texts, or long ones: it is no "
                           "category; leave it out with feature_cols=@all,-%s",
                           c->name, ML_LIMIT_CATEGORIES, c->name);
        }
        out->names[out->n++] = str_dup(text);
    }
    qsort(out->names, out->n, sizeof(*out->names), compare_names);
    return 0;
}

static int learn_column(struct features *f, const struct column *c, size_t n_rows,
                        enum features_kinds kinds, enum features_missing missing, struct err *e)
{
    f->fill[f->n] = NAN;
    if (c->kind == COLUMN_TEXT && kinds == FEATURES_NUMBERS) {
        return err_set(e, ERR_DATA,
                       "column '%s' holds text; features are numbers: leave it out with "
                       "feature_cols=@numeric or encode it first (one_hot)",
                       c->name);
    }
    if (c->kind == COLUMN_TEXT) {
        return learn_categories(c, n_rows, &f->categories[f->n], e);
    }
    return missing == FEATURES_MEAN ? mean_of(c, n_rows, &f->fill[f->n], e) : 0;
}

int features_learn(struct features *f, const struct table *t, struct str spec,
                   const char *const *never, size_t n_never, enum features_kinds kinds,
                   enum features_missing missing, struct err *e)
{
    size_t n;
    SCOPED(freep) uint32_t *found = select_columns(t, spec, never, n_never, &n, e);

    if (found == NULL) {
        return err_wrap(e, "feature_cols");
    }
    *f = features_new(n);
    f->missing_kept = missing == FEATURES_KEPT;
    for (size_t i = 0; i < n; i++) {
        const struct column *c = &t->columns[found[i]];
        int rc = learn_column(f, c, t->n_rows, kinds, missing, e);

        f->names[f->n++] = xstrdup(c->name);
        if (rc < 0) {
            features_done(f);
            return -1;
        }
    }
    return 0;
}

static int categorize(struct features *f, const struct column *c, size_t n_rows, struct err *e)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->names[i], c->name) == 0) {
            f->fill[i] = NAN;
            return c->kind == COLUMN_TEXT ? 0
                                          : categories_of_numbers(&f->categories[i], c, n_rows, e);
        }
    }
    return err_set(e, ERR_INVALID, "column '%s' is not among the features: name it in feature_cols",
                   c->name);
}

int features_categorize(struct features *f, const struct table *t, struct str spec,
                        const char *const *never, size_t n_never, struct err *e)
{
    size_t n;
    SCOPED(freep) uint32_t *found = select_columns(t, spec, never, n_never, &n, e);

    for (size_t i = 0; found && i < n; i++) {
        if (categorize(f, &t->columns[found[i]], t->n_rows, e) < 0) {
            return err_wrap(e, "categorical_cols");
        }
    }
    return found ? 0 : err_wrap(e, "categorical_cols");
}
