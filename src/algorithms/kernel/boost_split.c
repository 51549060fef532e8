#include "algorithms/kernel/boost_priv.h"

struct scan {
    const struct boost *b;
    const struct boost_sum *cells;
    struct boost_sum total;
    double parent; /* G^2 / (H + lambda) */
};

static double score(const struct boost *b, struct boost_sum s)
{
    double g = (double)s.g * b->sums->g_unit, h = (double)s.h * b->sums->h_unit;

    return g * g / (h + b->o.lambda);
}

/* What a split with this left side would bring; 0 when a side would be too light. */
static double gain_of(const struct scan *s, struct boost_sum left)
{
    struct boost_sum right = boost_minus(s->total, left);
    double least = s->b->o.min_child_weight * (1 - 1e-9), unit = s->b->sums->h_unit;

    if (left.h <= 0 || right.h <= 0 || (double)left.h * unit < least ||
        (double)right.h * unit < least) {
        return 0;
    }
    return score(s->b, left) + score(s->b, right) - s->parent;
}

static void keep(struct boost_split *best, double gain, uint32_t feature, uint32_t bin,
                 bool missing_left, struct boost_sum left)
{
    if (gain > best->gain) {
        *best = (struct boost_split){.gain = gain,
                                     .feature = feature,
                                     .bin = bin,
                                     .missing_left = missing_left,
                                     .left = left};
    }
}

/* Bins in `order` go left one after the other (NULL: as they are), with or without what is
 * missing. */
static void scan_bins(const struct scan *s, uint32_t feature, const uint8_t *order, uint32_t n,
                      struct boost_split *best)
{
    const struct boost_sum *cells = s->cells + s->b->bins->offsets[feature];
    struct boost_sum missing = cells[bins_of(s->b->bins, feature)];

    for (int with = 0; with <= (missing.h > 0); with++) {
        struct boost_sum left = with ? missing : (struct boost_sum){0, 0};

        for (uint32_t i = 0; i < n; i++) {
            const struct boost_sum *c = &cells[order ? order[i] : i];

            if (c->h > 0) {
                left.g += c->g;
                left.h += c->h;
                keep(best, gain_of(s, left), feature, i, with, left);
            }
        }
    }
    if (missing.h == 0 && best->gain > 0) { /* not seen here: with the heavier side */
        best->missing_left = best->left.h > boost_minus(s->total, best->left).h;
    }
}

/* Categories in the order of what a leaf of each alone would say: of all ways to divide them the
 * best is among the prefixes (Fisher 1958). */
static void scan_set(const struct scan *s, uint32_t feature, struct boost_split *best)
{
    const struct boost *b = s->b;
    const struct boost_sum *cells = s->cells + b->bins->offsets[feature];
    uint8_t order[BINS_MAX] = {0};
    double keys[BINS_MAX] = {0};
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
    struct boost_split *best = &b->found[j];

    (void)worker;
    *best = (struct boost_split){0};
    if (b->bins->of_category[feature]) {
        scan_set(s, feature, best);
    } else {
        scan_bins(s, feature, NULL, bins_of(b->bins, feature), best);
    }
}

void boost_find_split(struct boost *b, struct boost_node *l, const struct boost_sum *cells)
{
    struct scan s = {b, cells, l->sum, score(b, l->sum)};
    double rounding = b->sums->g_unit * b->sums->g_unit / (b->sums->h_unit * BOOST_H_MAX);
    double least = b->o.gamma > rounding ? b->o.gamma : rounding;

    l->split = (struct boost_split){0};
    if (b->workers > 1 && b->bins->n_cells * 16 > BOOST_ALONE) {
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
