/* Figures of groups: out[group]. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/gather.h"
#include "algorithms/kernel/order.h"
#include "algorithms/kernel/quantile.h"
#include "algorithms/modules/grouping.h"

#include <math.h>
#include <string.h>

static bool there(const struct column *c, size_t r)
{
    return c == NULL ||
           (c->kind == COLUMN_TEXT ? c->codes[r] != DICT_MISSING : !isnan(c->numbers[r]));
}

static void count_rows(const struct grouping *g, const struct column *c, double *out)
{
    for (size_t r = 0; r < g->t->n_rows; r++) {
        out[g->keys.of_row[0][r]] += there(c, r);
    }
}

struct total {
    double sum, lost, n; /* side by side: one line of the cache for each row */
};

/* Sums with what rounding lost (Kahan 1965), in the order of the rows; of squares of what lies
 * between a value and the mean of its group, when there are means. Big memory. */
static struct total *totals_of(const struct grouping *g, const double *v, const double *means,
                               struct err *e)
{
    struct total *totals = big_alloc(g->keys.n, sizeof(*totals), "the sums of groups", e);

    for (size_t r = 0; totals && r < g->t->n_rows; r++) {
        uint32_t k = g->keys.of_row[0][r];
        struct total *t = &totals[k];
        double d = means ? (v[r] - means[k]) * (v[r] - means[k]) : v[r], sum;

        if (!isnan(d)) {
            d -= t->lost;
            sum = t->sum + d;
            t->lost = isfinite(sum) ? (sum - t->sum) - d : 0;
            t->sum = sum;
            t->n++;
        }
    }
    return totals;
}

static int sum_rows(const struct grouping *g, const struct column *c, double *out, struct err *e)
{
    SCOPED(big_freep) struct total *totals = totals_of(g, c->numbers, /* means */ NULL, e);

    for (size_t k = 0; totals && k < g->keys.n; k++) {
        out[k] = totals[k].sum;
    }
    return totals ? 0 : -1;
}

static int mean_rows(const struct grouping *g, const struct column *c, double *out, struct err *e)
{
    SCOPED(big_freep) struct total *totals = totals_of(g, c->numbers, /* means */ NULL, e);

    for (size_t k = 0; totals && k < g->keys.n; k++) {
        out[k] = totals[k].n > 0 ? totals[k].sum / totals[k].n : NAN;
    }
    return totals ? 0 : -1;
}

/* Divisor n - 1. */
static int std_rows(const struct grouping *g, const struct column *c, double *out, struct err *e)
{
    SCOPED(big_freep) double *n = big_alloc(g->keys.n, sizeof(*n), "the sums of groups", e);
    SCOPED(big_freep) struct total *totals = NULL;

    if (n == NULL || mean_rows(g, c, out, e) < 0) {
        return -1;
    }
    totals = totals_of(g, c->numbers, out, e);
    if (totals == NULL) {
        return -1;
    }
    count_rows(g, c, n);
    for (size_t k = 0; k < g->keys.n; k++) {
        out[k] = n[k] > 1 ? sqrt(totals[k].sum / (n[k] - 1)) : NAN;
    }
    return 0;
}

/* Where the values of each group end, when those of all stand by group; once for all medians. */
static int count_groups(struct grouping *g, struct err *e)
{
    if (g->ends) {
        return 0;
    }
    g->ends = big_alloc(g->keys.n, sizeof(*g->ends), "the rows of groups", e);
    for (size_t r = 0; g->ends && r < g->t->n_rows; r++) {
        g->ends[g->keys.of_row[0][r]]++;
    }
    for (size_t k = 1; g->ends && k < g->keys.n; k++) {
        g->ends[k] += g->ends[k - 1];
    }
    return g->ends ? 0 : -1;
}

static int median_rows(struct grouping *g, const struct column *c, double *out, struct err *e)
{
    SCOPED(big_freep)
    double *v = big_alloc(g->t->n_rows, sizeof(*v), "the values of a group", e);
    SCOPED(big_freep)
    uint32_t *at = v ? big_alloc(g->keys.n, sizeof(*at), "the rows of groups", e) : NULL;

    if (at == NULL || count_groups(g, e) < 0) {
        return -1;
    }
    memcpy(at + 1, g->ends, (g->keys.n > 0 ? g->keys.n - 1 : 0) * sizeof(*at));
    for (size_t r = 0; r < g->t->n_rows; r++) {
        if (!isnan(c->numbers[r])) {
            v[at[g->keys.of_row[0][r]]++] = c->numbers[r];
        }
    }
    for (size_t k = 0; k < g->keys.n; k++) {
        uint32_t from = k > 0 ? g->ends[k - 1] : 0;

        out[k] = at[k] > from ? quantile_select(v + from, at[k] - from, 0.5) : NAN;
    }
    return 0;
}

static int distinct_rows(const struct grouping *g, const struct column *c, double *out,
                         struct err *e)
{
    SCOPED(keys_done) struct keys k = {.n = g->keys.n};
    SCOPED(big_freep) unsigned char *seen = NULL;

    k.of_row[0] = big_alloc(g->t->n_rows, sizeof(uint32_t), "the different values", e);
    if (k.of_row[0] == NULL) {
        return -1;
    }
    memcpy(k.of_row[0], g->keys.of_row[0], g->t->n_rows * sizeof(uint32_t));
    if (keys_refine(&k, c, g->t->n_rows, e) < 0) {
        return -1;
    }
    seen = big_alloc(k.n, 1, "the different values", e);
    for (size_t r = 0; seen && r < g->t->n_rows; r++) {
        if (there(c, r) && !seen[k.of_row[0][r]]) {
            seen[k.of_row[0][r]] = 1;
            out[g->keys.of_row[0][r]]++;
        }
    }
    return seen ? 0 : -1;
}

static struct column *add_numbers(struct grouping *g, const struct group_agg *a, struct table *out,
                                  struct err *e)
{
    const struct column *c = a->column;
    struct column *to = table_add_numbers(out, str_of(a->name), e);
    int rc = 0;

    if (to == NULL) {
        return NULL;
    }
    to->as = a->kind == GROUP_COUNT || a->kind == GROUP_DISTINCT ? AS_INT : AS_REAL;
    switch (a->kind) {
    case GROUP_COUNT:
        count_rows(g, c, to->numbers);
        break;
    case GROUP_SUM:
        rc = sum_rows(g, c, to->numbers, e);
        to->as = c->as == AS_INT || c->as == AS_BOOL ? AS_INT : AS_REAL;
        for (size_t k = 0; k < g->keys.n; k++) {
            to->as = as_holds(to->as, to->numbers[k]) ? to->as : AS_REAL;
        }
        break;
    case GROUP_MEAN:
        rc = mean_rows(g, c, to->numbers, e);
        break;
    case GROUP_STD:
        rc = std_rows(g, c, to->numbers, e);
        break;
    case GROUP_MEDIAN:
        rc = median_rows(g, c, to->numbers, e);
        break;
    default:
        rc = distinct_rows(g, c, to->numbers, e);
        break;
    }
    return rc == 0 ? to : NULL;
}

/* Whether row r is more of what is asked for than row `best`. */
static bool better(const struct group_agg *a, const uint32_t *places, uint32_t r, uint32_t best)
{
    const struct column *c = a->column;
    bool text = c->kind == COLUMN_TEXT;
    int less =
        text ? places[c->codes[r]] < places[c->codes[best]] : c->numbers[r] < c->numbers[best];
    int more =
        text ? places[c->codes[r]] > places[c->codes[best]] : c->numbers[r] > c->numbers[best];

    return a->kind == GROUP_LAST || (a->kind == GROUP_MIN && less) ||
           (a->kind == GROUP_MAX && more);
}

/* min, max, first, last: a row of each group, of those where something is there. */
static int pick_rows(const struct grouping *g, const struct group_agg *a, uint32_t *rows,
                     struct err *e)
{
    const struct column *c = a->column;
    bool text = c->kind == COLUMN_TEXT;
    SCOPED(big_freep) uint32_t *places = text ? order_texts(c->dict, e) : NULL;

    if (text && places == NULL) {
        return -1;
    }
    memset(rows, 0xff, g->keys.n * sizeof(*rows));
    for (uint32_t r = 0; r < g->t->n_rows; r++) {
        uint32_t *best = &rows[g->keys.of_row[0][r]];

        if (there(c, r) && (*best == GATHER_NONE || better(a, places, r, *best))) {
            *best = r;
        }
    }
    return 0;
}

int group_add_agg(struct grouping *g, const struct group_agg *a, struct table *out, struct err *e)
{
    SCOPED(big_freep) uint32_t *rows = NULL;

    if (a->kind != GROUP_MIN && a->kind != GROUP_MAX && a->kind != GROUP_FIRST &&
        a->kind != GROUP_LAST) {
        return add_numbers(g, a, out, e) ? 0 : -1;
    }
    rows = big_alloc(g->keys.n, sizeof(*rows), "the rows of groups", e);
    return rows && pick_rows(g, a, rows, e) == 0 &&
                   gather_column(out, str_of(a->name), a->column, rows, e)
               ? 0
               : -1;
}
