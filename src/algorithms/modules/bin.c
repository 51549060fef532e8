/* bin - the number of the interval that a number lies in. */
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/dry.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/fit.h"
#include "algorithms/kernel/fitted.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/number.h"
#include "algorithms/kernel/quantile.h"
#include "algorithms/modules/modules.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 1024 };

static const struct param params[] = {
    {"cols", PARAM_COLUMNS, "@numeric", 0, 0, NULL,
     "Columns to put into bins: names, @numeric, -name to leave one out. Leave the label out."},
    {"method", PARAM_CHOICE, "quantile", 0, 0, "quantile|width|custom",
     "quantile: as many rows in each bin; width: bins of equal width; custom: between `edges`."},
    {"n", PARAM_INT, "10", 2, BINS, NULL, "How many bins (quantile, width)."},
    {"edges", PARAM_TEXT, "", 0, 0, NULL,
     "Where one bin ends and the next begins (custom), ascending: 18,30,65 makes four bins."},
    {0},
};

/* Bin k holds what is above edge k-1 and not above edge k; the first and the last have no end. */
struct bins {
    char **columns;
    double **edges;
    uint32_t *n_edges;
    size_t n;
};

static struct bins *bins_new(char **columns, size_t n)
{
    struct bins *x = xnew(struct bins);

    *x = (struct bins){columns, xnew_array(double *, n + 1), xnew_array(uint32_t, n + 1), n};
    return x;
}

static void bins_free(void *body)
{
    struct bins *x = body;

    if (x == NULL) {
        return;
    }
    for (size_t i = 0; i < x->n; i++) {
        free(x->edges[i]);
    }
    fitted_free(x->columns, x->n);
    free(x->edges);
    free(x->n_edges);
    free(x);
}

static void bins_freep(struct bins **x)
{
    bins_free(*x);
}

static double bin_of(const double *edges, size_t n, double v)
{
    size_t lo = 0, hi = n;

    if (isnan(v)) {
        return NAN;
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (edges[mid] < v) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return (double)lo;
}

static struct table *bins_apply(const void *body, const struct table *t, struct err *e)
{
    const struct bins *x = body;
    SCOPED(table_freep) struct table *out = table_copy(t, e);

    for (size_t i = 0; out && i < x->n; i++) {
        struct column *c = fitted_need(t, x->columns[i], COLUMN_NUMBER, e)
                               ? table_own_numbers(out, str_of(x->columns[i]), e)
                               : NULL;

        if (c == NULL) {
            return NULL;
        }
        c->as = AS_INT;
        for (size_t r = 0; r < t->n_rows; r++) {
            c->numbers[r] = bin_of(x->edges[i], x->n_edges[i], c->numbers[r]);
        }
    }
    return TAKE(out);
}

static void bins_write(const void *body, struct binw *w)
{
    const struct bins *x = body;

    fitted_write(x->columns, x->n, w);
    for (size_t i = 0; i < x->n; i++) {
        binw_u32(w, x->n_edges[i]);
        binw_f64s(w, x->edges[i], x->n_edges[i]);
    }
}

static void *bins_read(struct binr *r, struct err *e)
{
    size_t n = 0;
    char **columns = fitted_read(r, &n, e);
    SCOPED(bins_freep) struct bins *x = columns ? bins_new(columns, n) : NULL;

    for (size_t i = 0; x && i < n; i++) {
        x->n_edges[i] = binr_u32(r);
        if (r->bad || x->n_edges[i] >= BINS) {
            err_set(e, ERR_DATA, "damaged: a transform of %u bins", x->n_edges[i]);
            return NULL;
        }
        x->edges[i] = xnew_array(double, x->n_edges[i] + 1);
        binr_f64s(r, x->edges[i], x->n_edges[i]);
        for (size_t k = 0; k < x->n_edges[i]; k++) {
            if (isnan(x->edges[i][k]) || (k > 0 && x->edges[i][k] <= x->edges[i][k - 1])) {
                err_set(e, ERR_DATA, "damaged: the edges of bins are not in order");
                return NULL;
            }
        }
    }
    return TAKE(x);
}

const struct transform_type transform_bin = {
    .kind = 53,
    .module = "bin",
    .same_columns = true,
    .apply = bins_apply,
    .write = bins_write,
    .read = bins_read,
    .free = bins_free,
};

/* --- fitting ---------------------------------------------------------------------------------- */

/* Edges in ascending order, equal ones once: there may be fewer bins than asked for. */
static void keep_edge(double *edges, uint32_t *n, double v)
{
    if (*n == 0 || v > edges[*n - 1]) {
        edges[(*n)++] = v;
    }
}

static int custom_edges(struct str spec, double *edges, uint32_t *n, struct err *e)
{
    struct str rest = spec;

    while (rest.p) {
        struct str word = str_trim(str_cut(&rest, ','));
        double v = 0;

        if (number_parse(word, &v) < 0 || isnan(v) || *n == BINS - 1 ||
            (*n > 0 && v <= edges[*n - 1])) {
            return err_set(e, ERR_INVALID,
                           "edges: '%.*s' is not a number above those before it; write 18,30,65, "
                           "at most %d",
                           STR_ARG(str_first(word, 60)), BINS - 1);
        }
        keep_edge(edges, n, v);
    }
    return 0;
}

static int learned_edges(const struct step *s, const struct column *c, size_t n_rows, double *edges,
                         uint32_t *n, struct err *e)
{
    size_t bins = (size_t)step_int(s, "n");
    bool quantile = step_choice(s, "method") == 0;
    double q[BINS], at[BINS];
    ptrdiff_t there;

    for (size_t r = 0; r < n_rows; r++) {
        if (isinf(c->numbers[r])) {
            return err_set(e, ERR_DATA, "column '%s', row %zu: the value is infinite", c->name,
                           r + 1);
        }
    }
    for (size_t k = 1; k < bins; k++) {
        q[k - 1] = (double)k / (double)bins;
    }
    if (!quantile) {
        q[0] = 0;
        q[1] = 1;
    }
    there = quantiles_of(c->numbers, n_rows, q, quantile ? bins - 1 : 2, at, e);
    if (there <= 0) {
        return there < 0 ? -1 : 0; /* nothing is there: one bin */
    }
    for (size_t k = 1; k < bins; k++) {
        double part = (double)k / (double)bins;

        keep_edge(edges, n, quantile ? at[k - 1] : at[0] * (1 - part) + at[1] * part);
    }
    return 0;
}

static struct bins *learn(const struct step *s, struct err *e)
{
    const struct table *t = step_table(s, "table");
    bool custom = step_choice(s, "method") == 2;
    size_t n = 0;
    SCOPED(freep) uint32_t *columns = fit_columns(s, &n, e);
    SCOPED(bins_freep) struct bins *x = NULL;

    x = columns ? bins_new(xnew_array(char *, n + 1), n) : NULL;
    for (size_t i = 0; x && i < n; i++) {
        const struct column *c = &t->columns[columns[i]];
        double *edges = x->edges[i] = xnew_array(double, BINS);

        x->columns[i] = xstrdup(c->name);
        if (table_need_numbers(t, str_of(c->name), e) == NULL ||
            (custom ? custom_edges(step_text(s, "edges"), edges, &x->n_edges[i], e)
                    : learned_edges(s, c, t->n_rows, edges, &x->n_edges[i], e)) < 0) {
            return NULL;
        }
    }
    return TAKE(x);
}

static int run(struct step *s, struct err *e)
{
    struct bins *x = learn(s, e);
    size_t n = x ? x->n : 0;

    if (fit_finish(s, &transform_bin, x, e) < 0) {
        return -1;
    }
    progress_say(s->progress, "%zu columns put into bins", n);
    return 0;
}

static void check(struct check *c)
{
    size_t n = 0;

    free(check_columns(c, "table", "cols", CHECK_NUMBERS, /* never */ NULL, 0, NULL, &n));
    check_out_transform(c, "transform");
    if (c->n_mistakes == 0) {
        check_dry(c);
    }
}

const struct module module_bin = {
    .name = "bin",
    .title = "Bins",
    .description =
        "Puts the number of a bin (from 0) in place of each number: bins of as many rows, of "
        "equal width, or between given edges. A number on an edge belongs to the bin below; what "
        "lies outside of what was learned belongs to the first or last bin; missing stays missing.",
    .category = "transform",
    .version = "1.0.0",
    .inputs = fit_inputs,
    .outputs = fit_outputs,
    .params = params,
    .flags = MODULE_LIGHT,
    .memory = "1*input+16*cells+64Mi",
    .memory_spilled = "64Mi+32*rows",
    .run = run,
    .check = check,
};
