#include "algorithms/kernel/categories.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void categories_done(struct categories *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->names[i]);
    }
    free(c->names);
    *c = (struct categories){0};
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int categories_of_numbers(struct categories *to, const struct column *c, size_t n_rows,
                          struct err *e)
{
    SCOPED(big_freep) double *v = big_alloc(n_rows, sizeof(*v), "the categories of a column", e);
    size_t n = 0;

    for (size_t r = 0; v && r < n_rows; r++) {
        if (isinf(c->numbers[r])) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: the value is infinite", c->name,
                           r + 1);
        }
        if (!isnan(c->numbers[r])) {
            v[n++] = c->numbers[r] + 0.0; /* -0 is 0 */
        }
    }
    if (v == NULL) {
        return -1;
    }
    qsort(v, n, sizeof(*v), compare_numbers);
    to->names = xnew_array(char *, ML_LIMIT_CATEGORIES + 1);
    to->numbers = true;
    for (size_t i = 0; i < n; i++) {
        char text[AS_TEXT_BYTES];

        if (i > 0 && v[i] == v[i - 1]) {
            continue;
        }
        if (to->n == ML_LIMIT_CATEGORIES) {
            return err_set(e, ERR_DATA,
                           "column '%s' holds more than %d different numbers: it is "
                           "no category",
                           c->name, ML_LIMIT_CATEGORIES);
        }
        to->names[to->n++] = xstrdup(as_format(AS_REAL, v[i], text));
    }
    qsort(to->names, to->n, sizeof(*to->names), compare_names);
    return 0;
}

/* A number and its category. */
struct pair {
    double value;
    size_t at;
};

static int compare_pairs(const void *a, const void *b)
{
    return compare_numbers(&((const struct pair *)a)->value, &((const struct pair *)b)->value);
}

double *categories_bind(const struct categories *known, const struct column *c, size_t n_rows,
                        struct err *e)
{
    SCOPED(big_freep)
    double *out = big_alloc(n_rows, sizeof(*out), "the categories of a column", e);
    SCOPED(big_freep)
    struct pair *pairs =
        out ? big_alloc(known->n + 1, sizeof(*pairs), "the categories of a column", e) : NULL;

    if (pairs == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < known->n; i++) {
        pairs[i].at = i;
        if (as_parse(AS_REAL, str_of(known->names[i]), &pairs[i].value) < 0) {
            err_set(e, ERR_DATA, "damaged: category '%s' is no number", known->names[i]);
            return NULL;
        }
    }
    qsort(pairs, known->n, sizeof(*pairs), compare_pairs);
    for (size_t r = 0; r < n_rows; r++) {
        const struct pair key = {c->numbers[r], 0};
        const struct pair *found =
            isnan(key.value) ? NULL : bsearch(&key, pairs, known->n, sizeof(*pairs), compare_pairs);

        out[r] = found ? (double)found->at : NAN;
    }
    return TAKE(out);
}
