/* split - the rows of a table into two, by chance or in order. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/labels.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The rows to split."}, {0}};
static const struct port outputs[] = {
    {"train", VALUE_TABLE, 0, "The larger part, usually."},
    {"test", VALUE_TABLE, 0, "The rest, held out."},
    {0},
};
static const struct param params[] = {
    {"fraction", PARAM_REAL, "0.8", 0, 1, NULL, "Part of the rows that goes to train."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992, NULL,
     "Which chance: the same seed gives the same rows."},
    {"stratify_col", PARAM_TEXT, "", 0, 0, NULL,
     "A column whose values keep their proportions in both parts, usually the label."},
    {"mode", PARAM_CHOICE, "random", 0, 0, "random|ordered",
     "By chance, or the first rows to train and the last to test (time series)."},
    {0},
};

/* The groups whose proportions are kept: rows of group g are order[start[g]] .. */
struct groups {
    uint32_t *order;
    size_t *start; /* n + 1 */
    size_t n;
};

static void groups_done(struct groups *g)
{
    big_free(g->order);
    free(g->start);
}

static int one_group(struct groups *g, size_t n_rows, struct err *e)
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
static int groups_of(struct groups *g, const struct column *c, size_t n_rows, struct err *e)
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

static int by_group(const void *a, const void *b)
{
    const struct share *x = a, *y = b;

    return (x->group > y->group) - (x->group < y->group);
}

/* How many rows of each group go to train: largest remainders, so that the whole is exact. */
static struct share *shares_of(const struct groups *g, double fraction)
{
    struct share *shares = xnew_array(struct share, g->n);
    size_t total = (size_t)llround(fraction * (double)g->start[g->n]), given = 0;

    for (size_t k = 0; k < g->n; k++) {
        double want = fraction * (double)(g->start[k + 1] - g->start[k]);

        shares[k] = (struct share){k, (size_t)floor(want), want - floor(want)};
        given += shares[k].count;
    }
    qsort(shares, g->n, sizeof(*shares), by_rest);
    for (size_t k = 0; k < g->n && given < total; k++) {
        size_t group = shares[k].group;

        if (shares[k].count < g->start[group + 1] - g->start[group]) {
            shares[k].count++;
            given++;
        }
    }
    qsort(shares, g->n, sizeof(*shares), by_group);
    return shares;
}

/* Marks the rows of train. */
static unsigned char *choose(const struct step *s, struct groups *g, struct err *e)
{
    SCOPED(freep) struct share *shares = shares_of(g, step_real(s, "fraction"));
    unsigned char *train = big_alloc(g->start[g->n], 1, "the choice of rows", e);
    bool random = step_choice(s, "mode") == 0;
    struct rng rng;

    rng_init(&rng, (uint64_t)step_int(s, "seed"), 1);
    for (size_t k = 0; train && k < g->n; k++) {
        uint32_t *rows = g->order + g->start[k];

        if (random) {
            rng_shuffle(&rng, rows, g->start[k + 1] - g->start[k]);
        }
        for (size_t i = 0; i < shares[k].count; i++) {
            train[rows[i]] = 1;
        }
    }
    return train;
}

/* The marked or unmarked rows, in the order of the table. */
static struct table *part(const struct table *t, const unsigned char *train, unsigned char which,
                          uint32_t *rows, struct err *e)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_rows; i++) {
        if (train[i] == which) {
            rows[n++] = (uint32_t)i;
        }
    }
    return table_rows(t, rows, n, e);
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct str by = step_text(s, "stratify_col");
    SCOPED(groups_done) struct groups g = {0};
    SCOPED(big_freep) unsigned char *train = NULL;
    const struct column *c = by.len > 0 ? table_need(t, by, e) : NULL;
    struct table *a = NULL, *b = NULL;

    if (by.len > 0 && c == NULL) {
        return err_wrap(e, "stratify_col");
    }
    if ((c ? groups_of(&g, c, t->n_rows, e) : one_group(&g, t->n_rows, e)) < 0) {
        return -1;
    }
    train = choose(s, &g, e);
    a = train ? part(t, train, 1, g.order, e) : NULL;
    b = a ? part(t, train, 0, g.order, e) : NULL;
    if (b == NULL) {
        table_free(a);
        return -1;
    }
    progress_say(s->progress, "%zu rows to train, %zu to test", a->n_rows, b->n_rows);
    step_out_table(s, "train", a);
    step_out_table(s, "test", b);
    return 0;
}

static void check(struct check *c)
{
    (void)check_column(c, "table", "stratify_col", CHECK_ANY);
    check_out_same(c, "train", "table");
    check_out_same(c, "test", "table");
}

const struct module module_split = {
    .name = "split",
    .title = "Split rows",
    .description = "Splits a table into two by chance, keeping the order of rows within each, and "
                   "on demand the proportions of a column's values.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .run = run,
    .check = check,
};
