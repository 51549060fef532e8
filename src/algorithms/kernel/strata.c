#include "algorithms/kernel/strata.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/labels.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void strata_done(struct strata *g)
{
    big_free(g->order);
    free(g->start);
}

static int one_group(struct strata *g, size_t n_rows, struct err *e)
{
    g->order = big_alloc(n_rows, sizeof(*g->order), "the order of rows", e);
    if (g->order == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n_rows; i++) {
        g->order[i] = (uint32_t)i;
    }
    g->n = 1;
    g->start = xnew_array(size_t, 2);
    g->start[1] = n_rows;
    return 0;
}

/* Rows by class in the order of the table; rows without a label are the last group. */
static int groups_of(struct strata *g, const struct column *c, size_t n_rows, struct err *e)
{
    struct classes classes;
    SCOPED(big_freep) uint32_t *of_row = NULL;
    SCOPED(freep) size_t *at = NULL;

    if (classes_of(c, n_rows, &classes, &of_row, e) < 0) {
        return err_wrap(e, "stratify_col");
    }
    g->n = classes.n + 1;
    classes_done(&classes);
    g->order = big_alloc(n_rows, sizeof(*g->order), "the order of rows", e);
    if (g->order == NULL) {
        return -1;
    }
    g->start = xnew_array(size_t, g->n + 1);
    for (size_t i = 0; i < n_rows; i++) {
        of_row[i] = of_row[i] == CLASS_MISSING ? (uint32_t)g->n - 1 : of_row[i];
        g->start[of_row[i] + 1]++;
    }
    for (size_t k = 0; k < g->n; k++) {
        g->start[k + 1] += g->start[k];
    }
    at = xnew_array(size_t, g->n);
    memcpy(at, g->start, g->n * sizeof(*at));
    for (size_t i = 0; i < n_rows; i++) {
        g->order[at[of_row[i]]++] = (uint32_t)i;
    }
    return 0;
}

int strata_of(struct strata *g, const struct column *by, size_t n_rows, struct err *e)
{
    return by ? groups_of(g, by, n_rows, e) : one_group(g, n_rows, e);
}

struct share {
    size_t group, count;
    double rest;
};

/* Larger remainders first; equal ones by group, so that the order is certain. */
static int by_rest(const void *a, const void *b)
{
    const struct share *x = a, *y = b;

    if (x->rest != y->rest) {
        return x->rest < y->rest ? 1 : -1;
    }
    return (x->group > y->group) - (x->group < y->group);
}

size_t *strata_shares(const struct strata *g, double fraction)
{
    SCOPED(freep) struct share *shares = xnew_array(struct share, g->n);
    size_t *counts = xnew_array(size_t, g->n);
    size_t total = (size_t)llround(fraction * (double)g->start[g->n]), given = 0;

    for (size_t k = 0; k < g->n; k++) {
        double want = fraction * (double)(g->start[k + 1] - g->start[k]);

        shares[k] = (struct share){k, (size_t)floor(want), want - floor(want)};
        given += shares[k].count;
    }
    qsort(shares, g->n, sizeof(*shares), by_rest);
    for (size_t k = 0; k < g->n && given < total; k++) {
        size_t group = shares[k].group, size = g->start[group + 1] - g->start[group];

        if (size > 0 && (fraction > 1 || shares[k].count < size)) {
            shares[k].count++;
            given++;
        }
    }
    for (size_t k = 0; k < g->n; k++) {
        counts[shares[k].group] = shares[k].count;
    }
    return counts;
}
