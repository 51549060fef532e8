/* group_by - one row for all rows that are equal in some columns, with figures of the others. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/expr_priv.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/gather.h"
#include "algorithms/kernel/keys.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/order.h"
#include "algorithms/kernel/quantile.h"
#include "algorithms/kernel/select.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct port inputs[] = {{"table", VALUE_TABLE, 0, "The table."}, {0}};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "A row for each group."}, {0}};
static const struct param params[] = {
    {"keys", PARAM_COLUMNS, NULL, 0, 0, NULL, "Columns in which the rows of a group are equal."},
    {"aggs", PARAM_TEXT, "count()", 0, 0, NULL,
     "Figures of each group: count(), mean(price), total = sum(price). There are count, sum, mean, "
     "min, max, std, median, first, last, distinct."},
    {0},
};

enum { AGGS = 256 };
enum agg_kind { COUNT, SUM, MEAN, MIN, MAX, STD, MEDIAN, FIRST, LAST, DISTINCT };
static const char *const agg_names[] = {"count", "sum",    "mean",  "min",  "max",
                                        "std",   "median", "first", "last", "distinct"};

struct agg {
    char *name;
    enum agg_kind kind;
    const struct column *column; /* NULL: count() */
};

struct grouping {
    const struct table *t;
    struct keys keys;
    uint32_t *first; /* a row of each group */
    uint32_t *ends;  /* for medians; made when one is asked for */
    struct agg aggs[AGGS];
    size_t n_aggs;
};

static void grouping_done(struct grouping *g)
{
    for (size_t i = 0; i < g->n_aggs; i++) {
        free(g->aggs[i].name);
    }
    keys_done(&g->keys);
    big_free(g->first);
    big_free(g->ends);
}

/* --- "total = sum(price), count()" ------------------------------------------------------------ */

struct reader {
    struct str source;
    size_t at;
    struct token token;
};

static int next(struct reader *r, struct err *e)
{
    return expr_lex(r->source, &r->at, &r->token, e);
}

static bool is_sign(const struct reader *r, const char *sign)
{
    return r->token.type == TOKEN_SIGN && str_eq_c(r->token.raw, sign);
}

static int need(struct reader *r, const char *sign, struct err *e)
{
    if (!is_sign(r, sign)) {
        return err_set(e, ERR_INVALID,
                       "'%s' is expected%s%.*s%s; write total = sum(price), count()", sign,
                       r->token.raw.len ? ", and not '" : " at the end",
                       STR_ARG(str_first(r->token.raw, 60)), r->token.raw.len ? "'" : "");
    }
    return next(r, e);
}

static char *take_name(struct reader *r, struct err *e)
{
    char *name = NULL;

    if (r->token.type == TOKEN_QUOTED) {
        name = expr_unquote(r->token.raw);
    } else if (r->token.type == TOKEN_NAME) {
        name = str_dup(r->token.raw);
    } else {
        err_set(e, ERR_INVALID, "character %zu: a name is expected; write total = sum(price)",
                r->token.at);
        return NULL;
    }
    if (next(r, e) < 0) {
        free(name);
        return NULL;
    }
    return name;
}

static int find_kind(const char *name, enum agg_kind *kind, struct err *e)
{
    const char *near = str_nearest(str_of(name), agg_names, ARRAY_LEN(agg_names));

    for (size_t i = 0; i < ARRAY_LEN(agg_names); i++) {
        if (strcmp(name, agg_names[i]) == 0) {
            *kind = (enum agg_kind)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "there is no figure '%.60s'%s%s%s", name,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The name of the result, when none is given. */
static char *default_name(const struct agg *a)
{
    return a->column ? xasprintf("%s_%s", agg_names[a->kind], a->column->name) : xstrdup("count");
}

static int check_agg(const struct agg *a, struct err *e)
{
    bool numbers = a->kind == SUM || a->kind == MEAN || a->kind == STD || a->kind == MEDIAN;

    if (a->column == NULL && a->kind != COUNT) {
        return err_set(e, ERR_INVALID, "%s needs a column: %s(price)", agg_names[a->kind],
                       agg_names[a->kind]);
    }
    if (a->column && numbers && (a->column->kind == COLUMN_TEXT || a->column->as >= AS_DATE)) {
        return err_set(e, ERR_INVALID, "%s needs numbers, and column '%s' holds %s",
                       agg_names[a->kind], a->column->name, column_type_name(a->column));
    }
    return 0;
}

static int read_agg(struct grouping *g, struct reader *r, struct err *e)
{
    struct agg *a = &g->aggs[g->n_aggs];
    SCOPED(freep) char *word = take_name(r, e);
    SCOPED(freep) char *given = NULL;

    if (word && is_sign(r, "=")) {
        given = TAKE(word);
        word = next(r, e) < 0 ? NULL : take_name(r, e);
    }
    if (word == NULL || find_kind(word, &a->kind, e) < 0 || need(r, "(", e) < 0) {
        return -1;
    }
    if (!is_sign(r, ")")) {
        SCOPED(freep) char *column = take_name(r, e);

        a->column = column ? table_need(g->t, str_of(column), e) : NULL;
        if (a->column == NULL) {
            return -1;
        }
    }
    if (need(r, ")", e) < 0 || check_agg(a, e) < 0) {
        return -1;
    }
    a->name = given ? TAKE(given) : default_name(a);
    g->n_aggs++;
    return 0;
}

static int read_aggs(struct grouping *g, struct str spec, struct err *e)
{
    struct reader r = {.source = spec};

    if (next(&r, e) < 0) {
        return -1;
    }
    while (r.token.type != TOKEN_END) {
        if (g->n_aggs == AGGS) {
            return err_set(e, ERR_INVALID, "at most %d figures", AGGS);
        }
        if ((g->n_aggs > 0 && need(&r, ",", e) < 0) || read_agg(g, &r, e) < 0) {
            return -1;
        }
    }
    return g->n_aggs > 0 ? 0 : err_set(e, ERR_INVALID, "name at least one figure, such as count()");
}

/* --- figures: out[group] ---------------------------------------------------------------------- */

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

static struct column *add_numbers(struct grouping *g, const struct agg *a, struct table *out,
                                  struct err *e)
{
    const struct column *c = a->column;
    struct column *to = table_add_numbers(out, str_of(a->name), e);
    int rc = 0;

    if (to == NULL) {
        return NULL;
    }
    to->as = a->kind == COUNT || a->kind == DISTINCT ? AS_INT : AS_REAL;
    switch (a->kind) {
    case COUNT:
        count_rows(g, c, to->numbers);
        break;
    case SUM:
        rc = sum_rows(g, c, to->numbers, e);
        to->as = c->as == AS_INT || c->as == AS_BOOL ? AS_INT : AS_REAL;
        for (size_t k = 0; k < g->keys.n; k++) {
            to->as = as_holds(to->as, to->numbers[k]) ? to->as : AS_REAL;
        }
        break;
    case MEAN:
        rc = mean_rows(g, c, to->numbers, e);
        break;
    case STD:
        rc = std_rows(g, c, to->numbers, e);
        break;
    case MEDIAN:
        rc = median_rows(g, c, to->numbers, e);
        break;
    default:
        rc = distinct_rows(g, c, to->numbers, e);
        break;
    }
    return rc == 0 ? to : NULL;
}

/* Whether row r is more of what is asked for than row `best`. */
static bool better(const struct agg *a, const uint32_t *places, uint32_t r, uint32_t best)
{
    const struct column *c = a->column;
    bool text = c->kind == COLUMN_TEXT;
    int less =
        text ? places[c->codes[r]] < places[c->codes[best]] : c->numbers[r] < c->numbers[best];
    int more =
        text ? places[c->codes[r]] > places[c->codes[best]] : c->numbers[r] > c->numbers[best];

    return a->kind == LAST || (a->kind == MIN && less) || (a->kind == MAX && more);
}

/* min, max, first, last: a row of each group, of those where something is there. */
static int pick_rows(const struct grouping *g, const struct agg *a, uint32_t *rows, struct err *e)
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

static int add_agg(struct grouping *g, const struct agg *a, struct table *out, struct err *e)
{
    SCOPED(big_freep) uint32_t *rows = NULL;

    if (a->kind != MIN && a->kind != MAX && a->kind != FIRST && a->kind != LAST) {
        return add_numbers(g, a, out, e) ? 0 : -1;
    }
    rows = big_alloc(g->keys.n, sizeof(*rows), "the rows of groups", e);
    return rows && pick_rows(g, a, rows, e) == 0 &&
                   gather_column(out, str_of(a->name), a->column, rows, e)
               ? 0
               : -1;
}

/* --- the table -------------------------------------------------------------------------------- */

static int find_groups(struct grouping *g, const uint32_t *columns, size_t n, struct err *e)
{
    const struct table *const tables[2] = {g->t, NULL};
    const uint32_t *const both[2] = {columns, NULL};

    if (keys_of(&g->keys, tables, both, n, KEYS_MISSING_EQUAL, e) < 0) {
        return -1;
    }
    g->first = big_alloc(g->keys.n, sizeof(*g->first), "the rows of groups", e);
    for (size_t r = g->t->n_rows; g->first && r-- > 0;) {
        g->first[g->keys.of_row[0][r]] = (uint32_t)r;
    }
    return g->first ? 0 : -1;
}

/* Groups in the order of their keys. */
static struct table *in_order(const struct table *groups, size_t n_keys, struct err *e)
{
    SCOPED(freep) struct order_key *keys = xnew_array(struct order_key, n_keys);
    SCOPED(big_freep) uint32_t *rows = NULL;

    for (size_t i = 0; i < n_keys; i++) {
        keys[i].column = &groups->columns[i];
    }
    rows = order_rows(keys, n_keys, groups->n_rows, e);
    return rows ? table_rows(groups, rows, groups->n_rows, e) : NULL;
}

static int run(struct step *s, struct err *e)
{
    SCOPED(grouping_done) struct grouping g = {.t = step_table(s, "table")};
    size_t n = 0;
    SCOPED(freep)
    uint32_t *columns = select_columns(g.t, step_text(s, "keys"), /* never */ NULL, 0, &n, e);
    SCOPED(table_freep) struct table *groups = NULL;
    struct table *out;

    if (columns == NULL) {
        return err_wrap(e, "keys");
    }
    if (read_aggs(&g, step_text(s, "aggs"), e) < 0) {
        return err_wrap(e, "aggs");
    }
    if (find_groups(&g, columns, n, e) < 0) {
        return -1;
    }
    groups = table_new(g.keys.n);
    for (size_t i = 0; i < n; i++) {
        const struct column *c = &g.t->columns[columns[i]];

        if (gather_column(groups, str_of(c->name), c, g.first, e) == NULL) {
            return -1;
        }
    }
    for (size_t i = 0; i < g.n_aggs; i++) {
        if (add_agg(&g, &g.aggs[i], groups, e) < 0) {
            return err_wrap(e, "aggs");
        }
    }
    out = in_order(groups, n, e);
    if (out == NULL) {
        return -1;
    }
    progress_say(s->progress, "%zu rows in %zu groups", g.t->n_rows, out->n_rows);
    step_out_table(s, "table", out);
    return 0;
}

const struct module module_group_by = {
    .name = "group_by",
    .title = "Group by",
    .description = "Makes one row of all rows that are equal in the key columns, with figures of "
                   "the others, in the order of the keys. Missing values are not counted; a "
                   "missing key is a group of its own, the last.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+16*rows+64Mi",
    .run = run,
    .check = check_dry,
};
