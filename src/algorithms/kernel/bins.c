#include "algorithms/kernel/bins.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/sort.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cuts are learned on so many rows at most: the share of a bin is right within a few percent. */
enum { SAMPLE_ROWS = 1 << 17 };
enum { BLOCK_ROWS = 512, PANEL_ROWS = 32 * BLOCK_ROWS, SEARCHED = 256 };

struct work {
    struct bins *b;
    const struct features *f;
    const struct bound *bound;
    const double *const *columns; /* of it */
    uint32_t *sample;             /* rows */
    size_t n_sample;
    unsigned max_bins;
    double *values; /* [worker][n_sample] */
    uint64_t *scratch;
    double *cuts;    /* [feature][BINS_MAX] */
    uint32_t *count; /* [feature]: bins of values */
    double *padded;  /* [feature][SEARCHED]: cuts, then infinity */
};

/* --- cuts ------------------------------------------------------------------------------------- */

static double between(double a, double b)
{
    double m = a / 2 + b / 2;

    return m >= a && m < b ? m : a;
}

/* How often v[i] occurs in a sorted list. */
static size_t run_length(const double *v, size_t i, size_t n)
{
    size_t end = i + 1;

    while (end < n && v[end] == v[i]) {
        end++;
    }
    return end - i;
}

static size_t different(const double *v, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i += run_length(v, i, n)) {
        count++;
    }
    return count;
}

/* Cuts of a sorted list; returns the number of bins. A value frequent enough to fill a bin gets one
 * of its own. */
static uint32_t cut(const double *v, size_t n, unsigned max_bins, double *cuts)
{
    bool all = different(v, n) <= max_bins;
    size_t filled = 0, left = n, next;
    uint32_t bins = 0;

    for (size_t i = 0; i < n; i = next) {
        size_t run = run_length(v, i, n), more = max_bins - bins,
               fair = more > 1 ? left / more : left;

        next = i + run;
        filled += run;
        if (next == n) {
            break;
        }
        if (all || (bins + 1 < max_bins && (filled >= fair || run_length(v, next, n) >= fair))) {
            cuts[bins++] = between(v[i], v[next]);
            left -= filled;
            filled = 0;
        }
    }
    return n > 0 ? bins + 1 : 0;
}

static void learn_number(struct work *w, size_t j, unsigned worker)
{
    double *v = w->values + worker * w->n_sample;
    size_t n = 0;

    for (size_t i = 0; i < w->n_sample; i++) {
        v[n] = w->columns[j][w->sample[i]];
        n += !isnan(v[n]);
    }
    bound_rest_column(w->bound, j);
    sort_f64(v, w->scratch + 2 * worker * w->n_sample, n);
    w->count[j] = cut(v, n, w->max_bins, w->cuts + j * BINS_MAX);
}

struct frequent {
    uint32_t category;
    size_t rows;
};

static int by_rows(const void *a, const void *b)
{
    const struct frequent *x = a, *y = b;

    if (x->rows != y->rows) {
        return x->rows > y->rows ? -1 : 1;
    }
    return x->category < y->category ? -1 : 1;
}

static void learn_text(struct work *w, size_t j)
{
    size_t n = w->f->categories[j].n;
    SCOPED(freep) struct frequent *all = xnew_array(struct frequent, n + 1);
    uint8_t *of = w->b->of_category[j] = xcalloc(n + 1, 1);
    uint32_t next = 0;

    w->count[j] = n < w->max_bins ? (uint32_t)n : w->max_bins;
    for (size_t k = 0; k < n; k++) {
        all[k].category = (uint32_t)k;
        of[k] = (uint8_t)(n <= w->max_bins ? k : w->max_bins - 1);
    }
    if (n <= w->max_bins) {
        return;
    }
    for (size_t r = 0; r < w->b->n_rows; r++) {
        if (!isnan(w->columns[j][r])) {
            all[(size_t)w->columns[j][r]].rows++;
        }
    }
    qsort(all, n, sizeof(*all), by_rows);
    for (size_t k = 0; k + 1 < w->max_bins; k++) {
        of[all[k].category] = 0;
    }
    for (size_t k = 0; k < n; k++) { /* the frequent ones in the order of their names */
        of[k] = of[k] == 0 ? (uint8_t)next++ : of[k];
    }
}

static void learn(void *ctx, size_t j, unsigned worker)
{
    struct work *w = ctx;

    if (w->f->categories[j].names) {
        learn_text(w, j);
    } else {
        learn_number(w, j, worker);
    }
}

/* Some of the rows that count, in ascending order: one of each stretch of equal length. */
static int take_sample(struct work *w, const double *weights, struct err *e)
{
    size_t n = 0, rows = w->b->n_rows;
    struct rng rng;

    w->sample = big_alloc(rows, sizeof(*w->sample), "the rows that histograms are cut by", e);
    if (w->sample == NULL) {
        return -1;
    }
    for (size_t r = 0; r < rows; r++) {
        w->sample[n] = (uint32_t)r;
        n += weights == NULL || weights[r] > 0;
    }
    rng_init(&rng, 0, 0);
    for (size_t i = 0; n > SAMPLE_ROWS && i < SAMPLE_ROWS; i++) {
        size_t from = i * n / SAMPLE_ROWS, to = (i + 1) * n / SAMPLE_ROWS;

        w->sample[i] = w->sample[from + rng_below(&rng, to - from)];
    }
    w->n_sample = n < SAMPLE_ROWS ? n : SAMPLE_ROWS;
    return 0;
}

/* --- cells ------------------------------------------------------------------------------------ */

/* The number of cuts below each of some values, among SEARCHED - 1 that end in infinities. Side by
 * side and without a branch: which way a search goes cannot be foretold. */
static void search(const double *cuts, const double *v, size_t n, uint8_t *bins)
{
    uint32_t at[BLOCK_ROWS] = {0};

    for (uint32_t step = SEARCHED / 2; step > 0; step /= 2) {
        for (size_t i = 0; i < n; i++) {
            at[i] += (uint32_t)(cuts[at[i] + step - 1] < v[i]) * step;
        }
    }
    for (size_t i = 0; i < n; i++) {
        bins[i] = (uint8_t)at[i];
    }
}

/* The bins of categories. */
static void look_up(const uint8_t *of, const double *v, size_t n, uint8_t *bins)
{
    for (size_t i = 0; i < n; i++) {
        bins[i] = isnan(v[i]) ? 0 : of[(size_t)v[i]];
    }
}

static void fill_block(const struct work *w, size_t first, size_t n)
{
    const struct bins *b = w->b;

    for (size_t j = 0; j < b->n_features; j++) {
        const double *v = w->columns[j] + first;
        uint8_t bins[BLOCK_ROWS], *cell = b->cells + first * b->n_features + j;
        uint8_t missing = (uint8_t)w->count[j];

        if (b->of_category[j]) {
            look_up(b->of_category[j], v, n, bins);
        } else {
            search(w->padded + j * SEARCHED, v, n, bins);
        }
        for (size_t i = 0; i < n; i++) {
            cell[i * b->n_features] = isnan(v[i]) ? missing : bins[i];
        }
    }
}

/* Blocks whose rows stay in the cache; the values are not needed any more. */
static void fill(void *ctx, size_t task, unsigned worker)
{
    struct work *w = ctx;
    size_t first = task * PANEL_ROWS, left = w->b->n_rows - first;
    size_t n = left < PANEL_ROWS ? left : PANEL_ROWS;

    (void)worker;
    for (size_t at = 0; at < n; at += BLOCK_ROWS) {
        fill_block(w, first + at, n - at < BLOCK_ROWS ? n - at : BLOCK_ROWS);
    }
    bound_rest(w->bound, first, n);
}

static int keep_cuts(struct work *w, struct err *e)
{
    struct bins *b = w->b;

    for (size_t j = 0; j < b->n_features; j++) {
        b->offsets[j + 1] = b->offsets[j] + w->count[j] + 1;
    }
    b->n_cells = b->offsets[b->n_features];
    b->cuts = big_alloc(b->n_cells, sizeof(double), "the cuts of features", e);
    for (size_t j = 0; b->cuts && j < b->n_features; j++) {
        double *padded = w->padded + j * SEARCHED;
        size_t n = w->count[j] > 0 && b->of_category[j] == NULL ? w->count[j] - 1 : 0;

        for (size_t k = 0; k < SEARCHED; k++) {
            padded[k] = k < n ? w->cuts[j * BINS_MAX + k] : INFINITY;
        }
        memcpy(b->cuts + b->offsets[j], padded, n * sizeof(double));
    }
    return b->cuts ? 0 : -1;
}

static int make(struct work *w, const double *weights, struct threads *threads, struct err *e)
{
    size_t d = w->b->n_features, workers = threads_count(threads);

    if (take_sample(w, weights, e) < 0) {
        return -1;
    }
    w->values = big_alloc(workers * w->n_sample, 3 * sizeof(double), "the cuts of features", e);
    w->cuts = w->values ? big_alloc(d * BINS_MAX, sizeof(double), "the cuts of features", e) : NULL;
    w->padded = w->cuts ? big_alloc(d * SEARCHED, sizeof(double), "the cuts of features", e) : NULL;
    if (w->padded == NULL) {
        return -1;
    }
    w->scratch = (uint64_t *)(void *)(w->values + workers * w->n_sample);
    threads_each(threads, d, learn, w);
    if (keep_cuts(w, e) < 0) {
        return -1;
    }
    threads_each(threads, (w->b->n_rows + PANEL_ROWS - 1) / PANEL_ROWS, fill, w);
    return 0;
}

int bins_init(struct bins *b, const struct features *f, const struct bound *bound,
              const double *weights, unsigned max_bins, struct threads *threads, struct err *e)
{
    size_t n_rows = bound->n_rows;
    struct work w = {
        .b = b, .f = f, .bound = bound, .columns = bound->columns, .max_bins = max_bins};
    int rc = -1;

    *b = (struct bins){.n_rows = n_rows,
                       .n_features = f->n,
                       .offsets = xnew_array(uint32_t, f->n + 1),
                       .of_category = xnew_array(uint8_t *, f->n + 1)};
    w.count = xnew_array(uint32_t, f->n + 1);
    b->cells = big_alloc(n_rows * f->n, 1, "the features as bins", e);
    if (b->cells) {
        rc = make(&w, weights, threads, e);
    }
    big_free(w.sample);
    big_free(w.values);
    big_free(w.cuts);
    big_free(w.padded);
    free(w.count);
    if (rc < 0) {
        bins_done(b);
    }
    return rc;
}

void bins_done(struct bins *b)
{
    for (size_t j = 0; b->of_category && j < b->n_features; j++) {
        free(b->of_category[j]);
    }
    free(b->of_category);
    free(b->offsets);
    big_free(b->cells);
    big_free(b->cuts);
    *b = (struct bins){0};
}
