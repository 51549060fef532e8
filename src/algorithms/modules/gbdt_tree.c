#include "algorithms/modules/gbdt_fit.h"

#include "algorithms/kernel/rng.h"
#include "algorithms/kernel/sort.h"

#include <math.h>
#include <string.h>

/* Rows that this tree does not see have no derivatives. */
static void leave_out(const struct gbdt_fit *f, size_t c, float *pairs, size_t n)
{
    struct rng rng;

    rng_init(&rng, (uint64_t)step_int(f->s, "seed"), gbdt_stream(f, STREAM_ROWS, c));
    for (size_t i = 0; i < n; i++) {
        if (rng_unit(&rng) >= f->subsample) {
            pairs[2 * i] = pairs[2 * i + 1] = 0;
        }
    }
}

/* Both derivatives as floats, in the place where the word will be. */
static void derive(void *ctx, size_t c, unsigned worker)
{
    struct gbdt_fit *f = ctx;
    size_t first = c * GBDT_CHUNK_ROWS, n = gbdt_chunk_rows(c, f->n);
    float *pairs = (float *)(void *)(f->words + first), g = 0, h = 0;

    (void)worker;
    gbdt_derive(&f->loss, &f->of, f->score, first, n, f->scores + f->score * f->n + first,
                f->log_sums, pairs);
    if (f->subsample < 1) {
        leave_out(f, c, pairs, n);
    }
    for (size_t i = 0; i < n; i++) {
        g = fabsf(pairs[2 * i]) > g ? fabsf(pairs[2 * i]) : g;
        h = pairs[2 * i + 1] > h ? pairs[2 * i + 1] : h;
    }
    f->maxima[2 * c] = g;
    f->maxima[2 * c + 1] = h;
}

static void pack(void *ctx, size_t c, unsigned worker)
{
    struct gbdt_fit *f = ctx;
    double by_g = 1 / f->sums.g_unit, by_h = 1 / f->sums.h_unit;
    uint64_t *words = f->words + c * GBDT_CHUNK_ROWS;

    (void)worker;
    for (size_t i = 0; i < gbdt_chunk_rows(c, f->n); i++) {
        float pair[2];
        int64_t g, h;

        memcpy(pair, &words[i], sizeof(pair));
        g = llrint((double)pair[0] * by_g);
        h = llrint((double)pair[1] * by_h);
        h = pair[1] > 0 && h == 0 ? 1 : h;
        words[i] = ((uint64_t)g << BOOST_H_SUM_BITS) + (uint64_t)h;
    }
}

static void make_words(struct gbdt_fit *f)
{
    double g = 0, h = 0;

    threads_each(f->s->threads, gbdt_chunks(f->n), derive, f);
    for (size_t c = 0; c < gbdt_chunks(f->n); c++) {
        g = f->maxima[2 * c] > g ? f->maxima[2 * c] : g;
        h = f->maxima[2 * c + 1] > h ? f->maxima[2 * c + 1] : h;
    }
    f->sums =
        (struct boost_sums){f->words, g > 0 ? g / BOOST_G_MAX : 1, h > 0 ? h / BOOST_H_MAX : 1};
    threads_each(f->s->threads, gbdt_chunks(f->n), pack, f);
}

void gbdt_sum_logs(void *ctx, size_t c, unsigned worker)
{
    struct gbdt_fit *f = ctx;

    (void)worker;
    gbdt_log_sums(&f->loss, f->scores, f->n, c * GBDT_CHUNK_ROWS, gbdt_chunk_rows(c, f->n),
                  f->log_sums);
}

/* The output that the objective asks for, from the rows of a leaf. */
static void renew(struct gbdt_fit *f, const struct boost_leaf *l)
{
    double *residuals = f->residuals + l->first, value;
    const double *scores = f->scores + f->score * f->n;
    size_t n = 0;

    if (f->of.weights) {
        value = gbdt_weighted_output(&f->loss, &f->of, f->order + l->first, l->n, scores, f->words,
                                     (struct gbdt_weighted *)(void *)(f->sorting + 2 * l->first));
    } else {
        for (size_t i = 0; i < l->n; i++) {
            uint32_t r = f->order[l->first + i];

            residuals[n] = f->of.targets[r] - scores[r];
            n += f->words[r] != 0;
        }
        sort_f64(residuals, f->sorting + 2 * l->first, n);
        value = gbdt_output(&f->loss, residuals, n);
    }
    f->m->trees.nodes[l->node].value = value * step_real(f->s, "learning_rate");
}

static void update_leaf(void *ctx, size_t i, unsigned worker)
{
    struct gbdt_fit *f = ctx;
    size_t n;
    const struct boost_leaf *l = boost_leaves(f->boost, &n) + i;
    double *scores = f->scores + f->score * f->n, value;

    (void)worker;
    if (f->residuals) {
        renew(f, l);
    }
    value = f->m->trees.nodes[l->node].value;
    for (size_t k = 0; k < l->n; k++) {
        scores[f->order[l->first + k]] += value;
    }
}

static void watch_slice(void *ctx, size_t c, unsigned worker)
{
    struct gbdt_fit *f = ctx;
    struct gbdt_watched *w = &f->watched;
    size_t first = c * TREES_SLICE, n = w->n - first < TREES_SLICE ? w->n - first : TREES_SLICE;
    double *scores = w->scores + f->score * w->n + first;
    uint32_t leaves[TREES_SLICE];

    (void)worker;
    trees_walk(&f->m->trees, f->m->trees.n_trees - 1, w->columns, w->rows, first, n, leaves);
    for (size_t i = 0; i < n; i++) {
        scores[i] += f->m->trees.nodes[leaves[i]].value;
    }
}

int gbdt_grow_tree(struct gbdt_fit *f, struct err *e)
{
    size_t n_leaves;

    make_words(f);
    memcpy(f->order, f->rows, f->n_learned * sizeof(*f->order));
    if (boost_tree(f->boost, &f->m->trees, &f->sums, f->chosen, f->n_chosen, f->order, f->n_learned,
                   step_real(f->s, "learning_rate"), e) < 0) {
        return -1;
    }
    (void)boost_leaves(f->boost, &n_leaves);
    threads_each(f->s->threads, n_leaves, update_leaf, f);
    threads_each(f->s->threads, (f->watched.n + TREES_SLICE - 1) / TREES_SLICE, watch_slice, f);
    return 0;
}
