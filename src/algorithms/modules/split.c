/* split - the rows of a table into two, by chance or in order. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/order.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/strata.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

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
    {"mode", PARAM_CHOICE, "random", 0, 0, "random|ordered|time",
     "By chance, the first rows to train and the last to test, or the earliest by time_col."},
    {"time_col", PARAM_TEXT, "", 0, 0, NULL,
     "A column of dates, times or numbers (mode time): rows before a moment go to train."},
    {0},
};

/* Marks the rows of train. */
static unsigned char *choose(const struct step *s, struct strata *g, struct err *e)
{
    SCOPED(freep) size_t *shares = strata_shares(g, step_real(s, "fraction"));
    unsigned char *train = big_alloc(g->start[g->n], 1, "the choice of rows", e);
    bool random = step_choice(s, "mode") == 0;
    struct rng rng;

    rng_init(&rng, (uint64_t)step_int(s, "seed"), 1);
    for (size_t k = 0; train && k < g->n; k++) {
        uint32_t *rows = g->order + g->start[k];

        if (random) {
            rng_shuffle(&rng, rows, g->start[k + 1] - g->start[k]);
        }
        for (size_t i = 0; i < shares[k]; i++) {
            train[rows[i]] = 1;
        }
    }
    return train;
}

/* All rows before a moment, so that rows of one moment are not torn apart: that of the first row
 * that the fraction leaves to test. */
static unsigned char *choose_by_time(const struct step *s, const struct table *t, struct err *e)
{
    const struct column *c = table_need_numbers(t, step_text(s, "time_col"), e);
    struct order_key key = {.column = c};
    size_t cut = (size_t)llround(step_real(s, "fraction") * (double)t->n_rows);
    SCOPED(big_freep) uint32_t *order = NULL;
    unsigned char *train;

    if (c == NULL) {
        err_wrap(e, "time_col");
        return NULL;
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        if (isnan(c->numbers[i])) {
            err_set(e, ERR_DATA, "column '%s', row %zu: the time is missing", c->name, i + 1);
            return NULL;
        }
    }
    order = order_rows(&key, 1, t->n_rows, e);
    train = order ? big_alloc(t->n_rows, 1, "the choice of rows", e) : NULL;
    for (size_t i = 0; train && i < t->n_rows; i++) {
        train[i] = cut == t->n_rows || c->numbers[i] < c->numbers[order[cut]];
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
    SCOPED(strata_done) struct strata g = {0};
    SCOPED(big_freep) unsigned char *train = NULL;
    const struct column *c = by.len > 0 ? table_need(t, by, e) : NULL;
    struct table *a = NULL, *b = NULL;
    bool by_time = step_choice(s, "mode") == 2;

    if (by.len > 0 && c == NULL) {
        return err_wrap(e, "stratify_col");
    }
    if (by_time && c) {
        return err_set(e, ERR_INVALID, "stratify_col: mode=time keeps no proportions");
    }
    if (strata_of(&g, c, t->n_rows, e) < 0) {
        return -1;
    }
    train = by_time ? choose_by_time(s, t, e) : choose(s, &g, e);
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
    if (step_choice(&c->step, "mode") == 2) {
        if (step_text(&c->step, "time_col").len == 0) {
            check_mistake(c, NULL, "time_col", NULL, "mode=time needs a column of times");
        }
        if (step_text(&c->step, "stratify_col").len > 0) {
            check_mistake(c, NULL, "stratify_col", NULL, "mode=time keeps no proportions");
        }
        (void)check_column(c, "table", "time_col", CHECK_NUMBERS);
    }
    check_out_same(c, "train", "table");
    check_out_same(c, "test", "table");
}

const struct module module_split = {
    .name = "split",
    .title = "Split rows",
    .description = "Splits a table into two by chance, keeping the order of rows within each, and "
                   "on demand the proportions of a column's values; or in the order of rows or of "
                   "time, so that what is learned is tested on what came later.",
    .category = "data",
    .version = "1.1.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+16*rows",
    .run = run,
    .check = check,
};
