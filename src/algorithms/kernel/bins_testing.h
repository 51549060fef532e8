/* bins_testing - a table of columns made of numbers, and what learners of trees make of it; for the
 * tests of bins, boost and cart. */
#pragma once
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/bins.h"
#include "algorithms/kernel/rng.h"
#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct binned {
    struct table *t;
    struct features f;
    struct bound bound;
    struct bins bins;
    struct threads *threads;
};

static inline void binned_done(struct binned *s)
{
    bins_done(&s->bins);
    bound_done(&s->bound);
    features_done(&s->f);
    table_free(s->t);
    threads_close(s->threads);
}

static inline struct column *binned_column(struct table *t, const char *name, const double *v)
{
    struct err e = {0};
    struct column *c = table_add_numbers(t, str_of(name), &e);

    assert_non_null(c);
    memcpy(c->numbers, v, t->n_rows * sizeof(*v));
    return c;
}

/* Takes ownership of the table. */
static inline struct binned binned_of(struct table *t, unsigned max_bins, unsigned n_threads)
{
    struct binned s = {.t = t, .threads = threads_open(n_threads)};
    struct err e = {0};

    assert_int_equal(
        features_learn(&s.f, t, STR("@all"), NULL, 0, FEATURES_WITH_TEXT, FEATURES_KEPT, &e), 0);
    assert_int_equal(features_bind(&s.f, t, FEATURES_F64, &s.bound, &e), 0);
    assert_int_equal(bins_init(&s.bins, &s.f, &s.bound, NULL, max_bins, s.threads, &e), 0);
    return s;
}

/* Of `columns` features, a tenth of their values missing. */
static inline struct table *random_table(size_t n_rows, size_t columns)
{
    struct table *t = table_new(n_rows);
    double *v = xnew_array(double, n_rows);
    struct rng rng;

    rng_init(&rng, n_rows, columns);
    for (size_t j = 0; j < columns; j++) {
        char name[2] = {(char)('a' + j), 0};

        for (size_t r = 0; r < n_rows; r++) {
            v[r] = rng_unit(&rng);
            v[r] = rng_below(&rng, 10) == 0 ? NAN : v[r] * v[r];
        }
        (void)binned_column(t, name, v);
    }
    free(v);
    return t;
}
