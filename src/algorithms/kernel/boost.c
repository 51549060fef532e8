#include "algorithms/kernel/boost_priv.h"

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

static const size_t pool_bytes_max = 256 * MIB;

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
    size_t bytes = b->bins->n_cells * sizeof(struct boost_sum);
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
    b->counts =
        b->scratch ? big_alloc(partition_chunks(bins->n_rows), sizeof(size_t), what, e) : NULL;
    return b->counts ? TAKE(b) : NULL;
}

static struct boost_sum *slot_cells(const struct boost *b, int slot)
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

static bool may_split(const struct boost *b, const struct boost_node *l)
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
static int finish(struct boost *b, struct boost_node *l, struct err *e)
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

static int keep_open(struct boost *b, struct boost_node *l, struct err *e)
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
static struct boost_node next_leaf(struct boost *b)
{
    size_t best = b->n_open - 1;
    struct boost_node l;

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
static void left_bins(const struct boost *b, const struct boost_split *s,
                      uint8_t left[BINS_MAX + 1])
{
    uint32_t n = bins_of(b->bins, s->feature);

    for (uint32_t i = 0; i < n; i++) {
        left[i] = s->by_set ? s->set.bits[i / 64] >> i % 64 & 1 : i <= s->bin;
    }
    left[n] = s->missing_left;
}

static int split_node(struct boost *b, const struct boost_node *l, struct err *e)
{
    const struct boost_split *s = &l->split;
    uint32_t feature =
        s->feature | (s->missing_left ? TREE_MISSING_LEFT : 0) | (s->by_set ? TREE_SET : 0);
    bool last = s->bin + 1 == bins_of(b->bins, s->feature);
    double value = last ? DBL_MAX : b->bins->cuts[b->bins->offsets[s->feature] + s->bin];

    b->t->gains[s->feature] += s->gain;
    return trees_split(b->t, l->leaf.node, feature, value, s->by_set ? &s->set : NULL, e);
}

/* Histograms of two new leaves, from their parent's when it is there, and their best splits. */
static void look(struct boost *b, const struct boost_node *parent, struct boost_node *small,
                 struct boost_node *large)
{
    struct boost_sum *cells, *other;

    small->slot = take_slot(b);
    cells = slot_cells(b, small->slot);
    boost_count(b, &small->leaf, cells);
    if (may_split(b, small)) {
        boost_find_split(b, small, cells);
    }
    large->slot = parent->slot;
    if (!may_split(b, large)) {
        return;
    }
    other = slot_cells(b, large->slot);
    if (large->slot < 0) { /* the parent's is gone */
        boost_count(b, &large->leaf, other);
    } else {
        for (size_t i = 0; i < b->bins->n_cells; i++) {
            other[i] = boost_minus(other[i], cells[i]);
        }
    }
    boost_find_split(b, large, other);
}

static int split_leaf(struct boost *b, const struct boost_node *l, struct err *e)
{
    uint8_t left[BINS_MAX + 1];
    struct partition p = {b->bins,    l->split.feature, left, b->rows + l->leaf.first,
                          b->scratch, l->leaf.n};
    struct boost_node kids[2] = {{.depth = l->depth + 1, .slot = -1},
                                 {.depth = l->depth + 1, .slot = -1}};
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
    kids[1].sum = boost_minus(l->sum, l->split.left);
    first_small = n <= l->leaf.n - n;
    if (may_split(b, &kids[0]) || may_split(b, &kids[1])) {
        look(b, l, &kids[!first_small], &kids[first_small]);
    } else {
        give_slot(b, l->slot);
    }
    return keep_open(b, &kids[0], e) < 0 ? -1 : keep_open(b, &kids[1], e);
}

static struct boost_sum sum_rows(const struct boost *b, size_t n)
{
    const uint64_t low = ((uint64_t)1 << BOOST_H_SUM_BITS) - 1;
    struct boost_sum s = {0};

    for (size_t i = 0; i < n; i++) {
        uint64_t v = b->sums->words[b->rows[i]];

        s.g += (int64_t)v >> BOOST_H_SUM_BITS;
        s.h += (int64_t)(v & low);
    }
    return s;
}

static int grow(struct boost *b, size_t n, struct err *e)
{
    struct boost_node root = {.leaf = {.n = n}, .sum = sum_rows(b, n)};

    if (trees_add_root(b->t, &root.leaf.node, e) < 0) {
        return -1;
    }
    root.slot = take_slot(b);
    boost_count(b, &root.leaf, slot_cells(b, root.slot));
    if (may_split(b, &root)) {
        boost_find_split(b, &root, slot_cells(b, root.slot));
    }
    if (keep_open(b, &root, e) < 0) {
        return -1;
    }
    while (b->n_open > 0) {
        bool full = b->o.max_leaves > 0 && b->n_open + b->n_done >= b->o.max_leaves;
        struct boost_node l = next_leaf(b);

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
