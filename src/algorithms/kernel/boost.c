#include "algorithms/kernel/boost.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/partition.h"
#include "base/limits.h"
#include "base/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char what[] = "the histograms of trees";

/* Work of fewer additions than this is done by one thread. */
enum { ALONE = 1 << 17 };
static const size_t pool_bytes_max = 256 * MIB;

struct sum {
    int64_t g, h;
};

struct split {
    double gain; /* 0: there is none */
    uint32_t feature, bin;
    bool missing_left, by_set;
    struct tree_set set;
    struct sum left;
};

struct leaf {
    struct boost_leaf leaf;
    struct sum sum;
    struct split split;
    unsigned depth;
    int slot; /* of its histogram, or -1 */
};

struct boost {
    const struct bins *bins;
    struct boost_options o;
    struct threads *threads;
    size_t workers;
    uint64_t *words;  /* [worker][n_cells]: sums of one chunk */
    struct sum *part; /* [worker][n_cells]: of a worker's chunks */
    bool *used;       /* [worker] */
    struct sum *pool; /* [n_slots + 1][n_cells]; the last one is nobody's */
    int *free_slots;
    size_t n_slots, n_free;
    struct split *found; /* [feature] */
    struct leaf *open;   /* may be split */
    size_t n_open, open_cap;
    struct boost_leaf *done;
    size_t n_done, done_cap;
    uint32_t *scratch;
    size_t *counts; /* for partition_rows() */
    /* of the tree being grown: */
    struct trees *t;
    const struct boost_sums *sums;
    const uint32_t *features;
    size_t n_features;
    uint32_t *rows;
    double rate;
};

void boost_free(struct boost *b)
{
    if (b == NULL) {
        return;
    }
    big_free(b->words);
    big_free(b->part);
    big_free(b->pool);
    big_free(b->found);
    big_free(b->open);
    big_free(b->done);
    big_free(b->scratch);
    big_free(b->counts);
    free(b->used);
    free(b->free_slots);
    free(b);
}

/* One histogram per level when a child is followed to its end first, else one per leaf. */
static size_t wanted_slots(const struct boost *b)
{
    size_t bytes = b->bins->n_cells * sizeof(struct sum);
    size_t want = b->o.max_leaves > 0 ? b->o.max_leaves : b->o.max_depth + 2;
    size_t most = pool_bytes_max / (bytes + 1);

    return want < most ? want : most < 2 ? 2 : most;
}

struct boost *boost_new(const struct bins *bins, const struct boost_options *o,
                        struct threads *threads, struct err *e)
{
    SCOPED(boost_freep) struct boost *b = xnew(struct boost);
    size_t cells = bins->n_cells;

    b->bins = bins;
    b->o = *o;
    b->threads = threads;
    b->workers = threads_count(threads);
    b->n_slots = wanted_slots(b);
    b->used = xnew_array(bool, b->workers);
    b->free_slots = xnew_array(int, b->n_slots);
    b->words = big_alloc(b->workers * cells, sizeof(*b->words), what, e);
    b->part = b->words ? big_alloc(b->workers * cells, sizeof(*b->part), what, e) : NULL;
    b->pool = b->part ? big_alloc((b->n_slots + 1) * cells, sizeof(*b->pool), what, e) : NULL;
    b->found = b->pool ? big_alloc(bins->n_features, sizeof(*b->found), what, e) : NULL;
    b->scratch = b->found ? big_alloc(bins->n_rows, sizeof(*b->scratch), what, e) : NULL;
    b->counts = b->scratch ? big_alloc(partition_chunks(bins->n_rows), sizeof(size_t), what, e)
                           : NULL;
    return b->counts ? TAKE(b) : NULL;
}

/* --- histograms ------------------------------------------------------------------------------- */

enum { AHEAD = 16 };

static void add_all(const struct boost *b, const uint32_t *rows, size_t n, uint64_t *words)
{
    const uint32_t *offsets = b->bins->offsets;
    size_t d = b->bins->n_features;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *cell = b->bins->cells + rows[i] * d;
        uint64_t v = b->sums->words[rows[i]];

        __builtin_prefetch(b->bins->cells + rows[i + AHEAD < n ? i + AHEAD : i] * d);
        __builtin_prefetch(b->sums->words + rows[i + AHEAD < n ? i + AHEAD : i]);
        for (size_t j = 0; j < d; j++) {
            words[offsets[j] + cell[j]] += v;
        }
    }
}

static void add_some(const struct boost *b, const uint32_t *rows, size_t n, uint64_t *words)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *cell = b->bins->cells + rows[i] * b->bins->n_features;
        uint64_t v = b->sums->words[rows[i]];

        for (size_t j = 0; j < b->n_features; j++) {
            uint32_t f = b->features[j];

            words[b->bins->offsets[f] + cell[f]] += v;
        }
    }
}

static size_t chunk_rows(size_t c, size_t n)
{
    return n - c * BOOST_CHUNK_ROWS < BOOST_CHUNK_ROWS ? n - c * BOOST_CHUNK_ROWS
                                                       : BOOST_CHUNK_ROWS;
}

/* Words apart again, into the wide sums; `first`: nothing is there yet. */
static void empty_words(const struct boost *b, uint64_t *words, struct sum *to, size_t first)
{
    const uint64_t low = ((uint64_t)1 << BOOST_H_SUM_BITS) - 1;

    for (size_t i = 0; i < b->bins->n_cells; i++) {
        int64_t g = (int64_t)words[i] >> BOOST_H_SUM_BITS, h = (int64_t)(words[i] & low);

        to[i].g = first ? g : to[i].g + g;
        to[i].h = first ? h : to[i].h + h;
        words[i] = 0;
    }
}

static void add_chunk(const struct boost *b, const struct boost_leaf *l, size_t c, unsigned worker,
                      struct sum *to, size_t first)
{
    uint64_t *words = b->words + worker * b->bins->n_cells;
    const uint32_t *rows = b->rows + l->first + c * BOOST_CHUNK_ROWS;

    if (b->n_features == b->bins->n_features) {
        add_all(b, rows, chunk_rows(c, l->n), words);
    } else {
        add_some(b, rows, chunk_rows(c, l->n), words);
    }
    empty_words(b, words, to, first);
}

struct count {
    struct boost *b;
    const struct boost_leaf *l;
};

static void count_chunk(void *ctx, size_t c, unsigned worker)
{
    const struct count *j = ctx;
    struct boost *b = j->b;

    add_chunk(b, j->l, c, worker, b->part + worker * b->bins->n_cells, !b->used[worker]);
    b->used[worker] = true;
}

static void add_parts(const struct boost *b, struct sum *to)
{
    size_t cells = b->bins->n_cells;

    memset(to, 0, cells * sizeof(*to));
    for (size_t w = 0; w < b->workers; w++) {
        for (size_t i = 0; b->used[w] && i < cells; i++) {
            to[i].g += b->part[w * cells + i].g;
            to[i].h += b->part[w * cells + i].h;
        }
    }
}

/* The histogram of a leaf's rows. Whole numbers: whoever adds which of them. */
static void count_rows(struct boost *b, const struct boost_leaf *l, struct sum *to)
{
    size_t chunks = (l->n + BOOST_CHUNK_ROWS - 1) / BOOST_CHUNK_ROWS;

    if (chunks == 0) {
        memset(to, 0, b->bins->n_cells * sizeof(*to));
        return;
    }
    if (b->workers == 1 || chunks < 2 || l->n * b->n_features < ALONE) {
        for (size_t c = 0; c < chunks; c++) {
            add_chunk(b, l, c, 0, to, c == 0);
        }
        return;
    }
    memset(b->used, 0, b->workers * sizeof(*b->used));
    threads_each(b->threads, chunks, count_chunk, &(struct count){b, l});
    add_parts(b, to);
}

/* --- splits ----------------------------------------------------------------------------------- */

struct scan {
    const struct boost *b;
    const struct sum *cells;
    struct sum total;
    double parent; /* G^2 / (H + lambda) */
};

static double score(const struct boost *b, struct sum s)
{
    double g = (double)s.g * b->sums->g_unit, h = (double)s.h * b->sums->h_unit;

    return g * g / (h + b->o.lambda);
}

static struct sum minus(struct sum a, struct sum b)
{
    return (struct sum){a.g - b.g, a.h - b.h};
}

/* What a split with this left side would bring; 0 when a side would be too light. */
static double gain_of(const struct scan *s, struct sum left)
{
    struct sum right = minus(s->total, left);
    double least = s->b->o.min_child_weight * (1 - 1e-9), unit = s->b->sums->h_unit;

    if (left.h <= 0 || right.h <= 0 || (double)left.h * unit < least ||
        (double)right.h * unit < least) {
        return 0;
    }
    return score(s->b, left) + score(s->b, right) - s->parent;
}

static void keep(struct split *best, double gain, uint32_t feature, uint32_t bin, bool missing_left,
                 struct sum left)
{
    if (gain > best->gain) {
        *best = (struct split){.gain = gain,
                               .feature = feature,
                               .bin = bin,
                               .missing_left = missing_left,
                               .left = left};
    }
}

/* Bins in `order` go left one after the other (NULL: as they are), with or without what is
 * missing. */
static void scan_bins(const struct scan *s, uint32_t feature, const uint8_t *order, uint32_t n,
                      struct split *best)
{
    const struct sum *cells = s->cells + s->b->bins->offsets[feature];
    struct sum missing = cells[bins_of(s->b->bins, feature)];

    for (int with = 0; with <= (missing.h > 0); with++) {
        struct sum left = with ? missing : (struct sum){0, 0};

        for (uint32_t i = 0; i < n; i++) {
            const struct sum *c = &cells[order ? order[i] : i];

            if (c->h > 0) {
                left.g += c->g;
                left.h += c->h;
                keep(best, gain_of(s, left), feature, i, with, left);
            }
        }
    }
    if (missing.h == 0 && best->gain > 0) { /* not seen here: with the heavier side */
        best->missing_left = best->left.h > minus(s->total, best->left).h;
    }
}

/* Categories in the order of what a leaf of each alone would say: of all ways to divide them the
 * best is among the prefixes (Fisher 1958). */
static void scan_set(const struct scan *s, uint32_t feature, struct split *best)
{
    const struct boost *b = s->b;
    const struct sum *cells = s->cells + b->bins->offsets[feature];
    uint8_t order[BINS_MAX];
    double keys[BINS_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < bins_of(b->bins, feature); i++) {
        double key = (double)cells[i].g * b->sums->g_unit /
                     ((double)cells[i].h * b->sums->h_unit + b->o.lambda);
        uint32_t at = n;

        if (cells[i].h <= 0) {
            continue;
        }
        for (; at > 0 && keys[at - 1] > key; at--) {
            keys[at] = keys[at - 1];
            order[at] = order[at - 1];
        }
        keys[at] = key;
        order[at] = (uint8_t)i;
        n++;
    }
    scan_bins(s, feature, order, n, best);
    best->by_set = true;
    for (uint32_t i = 0; best->gain > 0 && i <= best->bin; i++) {
        best->set.bits[order[i] / 64] |= (uint64_t)1 << order[i] % 64;
    }
}

static void scan_feature(void *ctx, size_t j, unsigned worker)
{
    const struct scan *s = ctx;
    const struct boost *b = s->b;
    uint32_t feature = b->features[j];
    struct split *best = &b->found[j];

    (void)worker;
    *best = (struct split){0};
    if (b->bins->of_category[feature]) {
        scan_set(s, feature, best);
    } else {
        scan_bins(s, feature, NULL, bins_of(b->bins, feature), best);
    }
}

/* The best split of a leaf whose histogram is there. A gain within the rounding of one derivative
 * is none. */
static void find_split(struct boost *b, struct leaf *l, const struct sum *cells)
{
    struct scan s = {b, cells, l->sum, score(b, l->sum)};
    double rounding = b->sums->g_unit * b->sums->g_unit / (b->sums->h_unit * BOOST_H_MAX);
    double least = b->o.gamma > rounding ? b->o.gamma : rounding;

    l->split = (struct split){0};
    if (b->workers > 1 && b->bins->n_cells * 16 > ALONE) {
        threads_each(b->threads, b->n_features, scan_feature, &s);
    } else {
        for (size_t j = 0; j < b->n_features; j++) {
            scan_feature(&s, j, 0);
        }
    }
    for (size_t j = 0; j < b->n_features; j++) {
        if (b->found[j].gain > l->split.gain && b->found[j].gain > least) {
            l->split = b->found[j];
        }
    }
}

/* --- a tree ----------------------------------------------------------------------------------- */

static struct sum *slot_cells(const struct boost *b, int slot)
{
    return b->pool + (slot < 0 ? b->n_slots : (size_t)slot) * b->bins->n_cells;
}

static int take_slot(struct boost *b)
{
    return b->n_free > 0 ? b->free_slots[--b->n_free] : -1;
}

static void give_slot(struct boost *b, int slot)
{
    if (slot >= 0) {
        b->free_slots[b->n_free++] = slot;
    }
}

static bool may_split(const struct boost *b, const struct leaf *l)
{
    return l->depth < b->o.max_depth && l->leaf.n > 1 && l->sum.h > 1;
}

static int room(void *pp, size_t *cap, size_t n, size_t size, struct err *e)
{
    size_t want = n < 32 ? 64 : 2 * n;

    if (n < *cap) {
        return 0;
    }
    if (big_resize(pp, want, size, what, e) < 0) {
        return -1;
    }
    *cap = want;
    return 0;
}

/* No more splits: the output, and a row in the list of leaves. */
static int finish(struct boost *b, struct leaf *l, struct err *e)
{
    double g = (double)l->sum.g * b->sums->g_unit, h = (double)l->sum.h * b->sums->h_unit;

    give_slot(b, l->slot);
    if (room(&b->done, &b->done_cap, b->n_done, sizeof(*b->done), e) < 0) {
        return -1;
    }
    b->t->nodes[l->leaf.node].value = l->sum.h > 0 ? -b->rate * g / (h + b->o.lambda) : 0;
    b->done[b->n_done++] = l->leaf;
    return 0;
}

static int keep_open(struct boost *b, struct leaf *l, struct err *e)
{
    if (l->split.gain <= 0) {
        return finish(b, l, e);
    }
    if (room(&b->open, &b->open_cap, b->n_open, sizeof(*b->open), e) < 0) {
        return -1;
    }
    b->open[b->n_open++] = *l;
    return 0;
}

/* The leaf to split next: the last one, or the one with the largest gain. */
static struct leaf next_leaf(struct boost *b)
{
    size_t best = b->n_open - 1;
    struct leaf l;

    for (size_t i = 0; b->o.max_leaves > 0 && i < b->n_open; i++) {
        if (b->open[i].split.gain > b->open[best].split.gain) {
            best = i;
        }
    }
    l = b->open[best];
    memmove(b->open + best, b->open + best + 1, (--b->n_open - best) * sizeof(l));
    return l;
}

/* Which bins of the split's feature go left. */
static void left_bins(const struct boost *b, const struct split *s, uint8_t left[BINS_MAX + 1])
{
    uint32_t n = bins_of(b->bins, s->feature);

    for (uint32_t i = 0; i < n; i++) {
        left[i] = s->by_set ? s->set.bits[i / 64] >> i % 64 & 1 : i <= s->bin;
    }
    left[n] = s->missing_left;
}

static int split_node(struct boost *b, const struct leaf *l, struct err *e)
{
    const struct split *s = &l->split;
    uint32_t feature = s->feature | (s->missing_left ? TREE_MISSING_LEFT : 0) |
                       (s->by_set ? TREE_SET : 0);
    bool last = s->bin + 1 == bins_of(b->bins, s->feature);
    double value = last ? DBL_MAX : b->bins->cuts[b->bins->offsets[s->feature] + s->bin];

    b->t->gains[s->feature] += s->gain;
    return trees_split(b->t, l->leaf.node, feature, value, s->by_set ? &s->set : NULL, e);
}

/* Histograms of two new leaves, from their parent's when it is there, and their best splits. */
static void look(struct boost *b, const struct leaf *parent, struct leaf *small, struct leaf *large)
{
    struct sum *cells, *other;

    small->slot = take_slot(b);
    cells = slot_cells(b, small->slot);
    count_rows(b, &small->leaf, cells);
    if (may_split(b, small)) {
        find_split(b, small, cells);
    }
    large->slot = parent->slot;
    if (!may_split(b, large)) {
        return;
    }
    other = slot_cells(b, large->slot);
    if (large->slot < 0) { /* the parent's is gone */
        count_rows(b, &large->leaf, other);
    } else {
        for (size_t i = 0; i < b->bins->n_cells; i++) {
            other[i] = minus(other[i], cells[i]);
        }
    }
    find_split(b, large, other);
}

static int split_leaf(struct boost *b, const struct leaf *l, struct err *e)
{
    uint8_t left[BINS_MAX + 1];
    struct partition p = {b->bins,   l->split.feature, left, b->rows + l->leaf.first,
                          b->scratch, l->leaf.n};
    struct leaf kids[2] = {{.depth = l->depth + 1, .slot = -1}, {.depth = l->depth + 1, .slot = -1}};
    size_t n;
    bool first_small;

    if (split_node(b, l, e) < 0) {
        return -1;
    }
    left_bins(b, &l->split, left);
    n = partition_rows(&p, b->counts, b->workers > 1 ? b->threads : NULL);
    kids[0].leaf = (struct boost_leaf){b->t->nodes[l->leaf.node].child, l->leaf.first, n};
    kids[1].leaf = (struct boost_leaf){kids[0].leaf.node + 1, l->leaf.first + n, l->leaf.n - n};
    kids[0].sum = l->split.left;
    kids[1].sum = minus(l->sum, l->split.left);
    first_small = n <= l->leaf.n - n;
    if (may_split(b, &kids[0]) || may_split(b, &kids[1])) {
        look(b, l, &kids[!first_small], &kids[first_small]);
    } else {
        give_slot(b, l->slot);
    }
    return keep_open(b, &kids[0], e) < 0 ? -1 : keep_open(b, &kids[1], e);
}

static struct sum sum_rows(const struct boost *b, size_t n)
{
    const uint64_t low = ((uint64_t)1 << BOOST_H_SUM_BITS) - 1;
    struct sum s = {0};

    for (size_t i = 0; i < n; i++) {
        uint64_t v = b->sums->words[b->rows[i]];

        s.g += (int64_t)v >> BOOST_H_SUM_BITS;
        s.h += (int64_t)(v & low);
    }
    return s;
}

static int grow(struct boost *b, size_t n, struct err *e)
{
    struct leaf root = {.leaf = {.n = n}, .sum = sum_rows(b, n)};

    if (trees_add_root(b->t, &root.leaf.node, e) < 0) {
        return -1;
    }
    root.slot = take_slot(b);
    count_rows(b, &root.leaf, slot_cells(b, root.slot));
    if (may_split(b, &root)) {
        find_split(b, &root, slot_cells(b, root.slot));
    }
    if (keep_open(b, &root, e) < 0) {
        return -1;
    }
    while (b->n_open > 0) {
        bool full = b->o.max_leaves > 0 && b->n_open + b->n_done >= b->o.max_leaves;
        struct leaf l = next_leaf(b);

        if ((full ? finish(b, &l, e) : split_leaf(b, &l, e)) < 0) {
            return -1;
        }
    }
    return 0;
}

int boost_tree(struct boost *b, struct trees *t, const struct boost_sums *sums,
               const uint32_t *features, size_t n_features, uint32_t *rows, size_t n, double rate,
               struct err *e)
{
    b->t = t;
    b->sums = sums;
    b->features = features;
    b->n_features = n_features;
    b->rows = rows;
    b->rate = rate;
    b->n_open = b->n_done = b->n_free = 0;
    for (size_t i = 0; i < b->n_slots; i++) {
        b->free_slots[b->n_free++] = (int)i;
    }
    return grow(b, n, e);
}

const struct boost_leaf *boost_leaves(const struct boost *b, size_t *n)
{
    *n = b->n_done;
    return b->done;
}
