/* sample - some rows by chance. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/check.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/strata.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The table."}, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "Some of its rows."}, {0}};
static const struct param params[] = {
    {"n", PARAM_INT, "0", 0, 2147483647, NULL, "How many rows; 0: `fraction` says it."},
    {"fraction", PARAM_REAL, "0.1", 0, 100, NULL,
     "Which part of the rows; more than 1 only with replacement."},
    {"seed", PARAM_INT, "0", 0, 9007199254740992, NULL,
     "Which chance: the same seed gives the same rows."},
    {"stratify_col", PARAM_TEXT, "", 0, 0, NULL,
     "A column whose values keep their proportions, usually the label."},
    {"replacement", PARAM_BOOL, "false", 0, 0, NULL, "A row may be drawn more than once."},
    {0},
};

enum { STREAM = 54 }; /* another chance than that of split with the same seed */

/* `times`: how often each row was drawn. */
static size_t draw(const struct step *s, struct strata *g, double fraction, uint32_t *times)
{
    SCOPED(freep) size_t *shares = strata_shares(g, fraction);
    bool again = step_true(s, "replacement");
    size_t total = 0;
    struct rng rng;

    rng_init(&rng, (uint64_t)step_int(s, "seed"), STREAM);
    for (size_t k = 0; k < g->n; k++) {
        uint32_t *rows = g->order + g->start[k];
        size_t n = g->start[k + 1] - g->start[k];

        for (size_t i = 0; n > 0 && i < shares[k]; i++) {
            size_t at = again ? rng_below(&rng, n) : i + rng_below(&rng, n - i);
            uint32_t row = rows[at];

            if (!again) { /* drawn rows move to the front */
                rows[at] = rows[i];
                rows[i] = row;
            }
            times[row]++;
            total++;
        }
    }
    return total;
}

static struct table *drawn(const struct table *t, const uint32_t *times, size_t total,
                           struct err *e)
{
    SCOPED(big_freep) uint32_t *rows = big_alloc(total, sizeof(*rows), "the rows drawn", e);
    size_t n = 0;

    for (uint32_t r = 0; rows && r < t->n_rows; r++) {
        for (uint32_t i = 0; i < times[r]; i++) {
            rows[n++] = r;
        }
    }
    return rows ? table_rows(t, rows, n, e) : NULL;
}

/* The part of the rows that is wanted; -1 with an error. */
static double fraction_of(const struct step *s, size_t n_rows, struct err *e)
{
    double n = (double)step_int(s, "n"), fraction = step_real(s, "fraction");
    const char *param = n > 0 ? "n" : "fraction";

    fraction = n == 0 ? fraction : n_rows > 0 ? n / (double)n_rows : 0;
    if (fraction > 1 && !step_true(s, "replacement")) {
        return err_set(e, ERR_DATA,
                       "%s: more rows are wanted than the %zu there are: replacement=true draws "
                       "rows more than once",
                       param, n_rows);
    }
    if (fraction * (double)n_rows > (double)ML_LIMIT_ROWS) {
        return err_set(e, ERR_INVALID, "%s: at most %llu rows are taken", param, ML_LIMIT_ROWS);
    }
    return fraction;
}

static int run(struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    struct str by = step_text(s, "stratify_col");
    const struct column *c = by.len > 0 ? table_need(t, by, e) : NULL;
    double fraction = fraction_of(s, t->n_rows, e);
    SCOPED(strata_done) struct strata g = {0};
    SCOPED(big_freep) uint32_t *times = NULL;
    struct table *out;

    if (by.len > 0 && c == NULL) {
        return err_wrap(e, "stratify_col");
    }
    if (fraction < 0 || strata_of(&g, c, t->n_rows, e) < 0) {
        return -1;
    }
    times = big_alloc(t->n_rows, sizeof(*times), "the rows drawn", e);
    out = times ? drawn(t, times, draw(s, &g, fraction, times), e) : NULL;
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu of %zu rows", out->n_rows, t->n_rows);
    step_out_table(s, "table", out);
    return 0;
}

static void check(struct check *c)
{
    (void)check_column(c, "table", "stratify_col", CHECK_ANY);
    check_out_same(c, "table", "table");
}

const struct module module_sample = {
    .name = "sample",
    .title = "Sample rows",
    .description = "Draws rows by chance, with or without putting them back, on demand so that a "
                   "column's values keep their proportions. They stay in the order of the table.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+24*rows",
    .run = run,
    .check = check,
};
