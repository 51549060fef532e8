#include "algorithms/kernel/cart_priv.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/partition.h"
#include "base/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char what[] = "a tree";

void cart_free(struct cart *c)
{
    if (c == NULL) {
        return;
    }
    cart_finder_done(&c->finder);
    trees_done(&c->grown);
    big_free(c->row);
    big_free(c->weight);
    big_free(c->rows);
    big_free(c->scratch);
    big_free(c->open);
    big_free(c->risk);
    big_free(c->heavy);
    big_free(c->outputs);
    big_free(c->of_node);
    big_free(c->shares);
    big_free(c->sums);
    free(c);
}

struct cart *cart_new(const struct cart_data *data, const struct cart_options *o, struct err *e)
{
    SCOPED(cart_freep) struct cart *c = xnew(struct cart);
    size_t n = data->bins->n_rows;

    c->data = *data;
    c->o = *o;
    if (cart_finder_init(&c->finder, &c->data, &c->o, e) < 0 ||
        trees_init(&c->grown, data->bins->n_features, 1, NULL, NULL, e) < 0) {
        return NULL;
    }
    c->row = big_alloc(n, sizeof(*c->row), what, e);
    c->weight = c->row ? big_alloc(n, sizeof(*c->weight), what, e) : NULL;
    c->rows = c->weight ? big_alloc(n, sizeof(*c->rows), what, e) : NULL;
    c->scratch = c->rows ? big_alloc(n, sizeof(*c->scratch), what, e) : NULL;
    c->sums = c->scratch ? big_alloc(data->n_classes, sizeof(*c->sums), what, e) : NULL;
    return c->sums ? TAKE(c) : NULL;
}

/* --- rows ------------------------------------------------------------------------------------- */

static void draw_rows(struct cart *c, const uint8_t *draws)
{
    double sum = 0;

    c->n = 0;
    c->weight_sum = 0;
    for (size_t r = 0; r < c->data.bins->n_rows; r++) {
        double w = (draws ? draws[r] : 1) * (c->data.weights ? c->data.weights[r] : 1);

        c->weight[r] = w;
        c->row[r].h = 0;
        c->rows[c->n] = (uint32_t)r;
        c->n += w > 0;
        c->weight_sum += w;
        sum += c->data.targets ? w * c->data.targets[r] : 0;
    }
    c->mean = c->weight_sum > 0 ? sum / c->weight_sum : 0;
}

/* Weights and sums as whole numbers. All weights together stay below 2^32. */
static void round_rows(struct cart *c)
{
    double unit = c->data.weights ? fmax(c->weight_sum / 0x1p31, 0x1p-16) : 1, most = 0;

    for (size_t i = 0; i < c->n; i++) {
        uint32_t r = c->rows[i];
        double h = rint(c->weight[r] / unit);

        c->row[r] = (struct cart_row){c->data.classes ? (int32_t)c->data.classes[r] : 0,
                                      h < 1 ? 1 : (uint32_t)h};
        if (c->data.targets) {
            most = fmax(most, c->weight[r] * fabs(c->data.targets[r] - c->mean));
        }
    }
    c->finder.h_unit = unit;
    c->finder.g_unit = most > 0 ? most / INT32_MAX : 1;
    for (size_t i = 0; c->data.targets && i < c->n; i++) {
        uint32_t r = c->rows[i];

        c->row[r].g =
            (int32_t)llrint(c->weight[r] * (c->data.targets[r] - c->mean) / c->finder.g_unit);
    }
}

/* --- nodes ------------------------------------------------------------------------------------ */

static int node_room(struct cart *c, struct err *e)
{
    bool one = cart_width(c->data.n_classes) == 1;
    size_t want = 2 * c->grown.n_nodes + 64;

    if (c->grown.n_nodes + 2 <= c->cap) {
        return 0;
    }
    if (big_resize(&c->risk, want, sizeof(double), what, e) < 0 ||
        big_resize(&c->heavy, want, sizeof(double), what, e) < 0 ||
        (one && big_resize(&c->outputs, want, sizeof(double), what, e) < 0) ||
        (!one && big_resize(&c->of_node, want, sizeof(*c->of_node), what, e) < 0)) {
        return -1;
    }
    c->cap = want;
    return 0;
}

/* Room for the shares of a node of n rows. */
static int share_room(struct cart *c, size_t n, struct err *e)
{
    size_t most = n < c->data.n_classes ? n : c->data.n_classes;
    size_t want = 2 * (c->n_shares + most) + 64;

    if (c->data.n_classes <= 2 || c->n_shares + most <= c->shares_cap) {
        return 0;
    }
    if (big_resize(&c->shares, want, sizeof(*c->shares), what, e) < 0) {
        return -1;
    }
    c->shares_cap = want;
    return 0;
}

static void start_shares(struct cart *c, uint32_t node)
{
    if (c->of_node) {
        c->of_node[node] = (struct cart_shares){.first = c->n_shares};
    } else {
        c->outputs[node] = 0;
    }
}

static void add_share(struct cart *c, uint32_t node, uint32_t class, double share)
{
    if (c->of_node) {
        c->shares[c->n_shares++] = (struct cart_share){class, share};
        c->of_node[node].n++;
    } else if (class == 1) {
        c->outputs[node] = share;
    }
}

/* Shares of classes; the impurity. */
static double judge_classes(struct cart *c, const struct cart_open *o, double *all)
{
    size_t k = c->data.n_classes, before = c->n_shares;
    double impurity = c->o.criterion == CART_GINI;

    memset(c->sums, 0, k * sizeof(*c->sums));
    for (size_t i = o->first; i < o->first + o->n; i++) {
        c->sums[c->data.classes[c->rows[i]]] += c->weight[c->rows[i]];
        *all += c->weight[c->rows[i]];
    }
    start_shares(c, o->node);
    for (size_t i = 0; i < k; i++) {
        double p;

        if (c->sums[i] == 0) {
            continue;
        }
        p = c->sums[i] / *all;
        impurity -= c->o.criterion == CART_GINI ? p * p : p * log2(p);
        if (c->sums[i] == *all) {
            impurity = 0;
            c->n_shares = before;
            start_shares(c, o->node);
            add_share(c, o->node, (uint32_t)i, 1);
            break;
        }
        add_share(c, o->node, (uint32_t)i, p);
    }
    return impurity;
}

void cart_outputs(const struct cart *c, uint32_t node, double *out)
{
    if (c->of_node == NULL) {
        out[0] = c->outputs[node];
        return;
    }
    memset(out, 0, c->data.n_classes * sizeof(*out));
    for (size_t i = 0; i < c->of_node[node].n; i++) {
        const struct cart_share *s = &c->shares[c->of_node[node].first + i];

        out[s->class] = s->share;
    }
}

/* The mean; the variance. */
static double judge_numbers(struct cart *c, const struct cart_open *o, double *all)
{
    double sum = 0, squares = 0, mean, least = INFINITY, most = -INFINITY;

    for (size_t i = o->first; i < o->first + o->n; i++) {
        uint32_t r = c->rows[i];
        double y = c->data.targets[r] - c->mean;

        *all += c->weight[r];
        sum += c->weight[r] * y;
        squares += c->weight[r] * y * y;
        least = y < least ? y : least;
        most = y > most ? y : most;
    }
    mean = *all > 0 ? sum / *all : 0;
    c->outputs[o->node] = least == most ? least + c->mean : mean + c->mean;
    return least < most ? fmax(squares / *all - mean * mean, DBL_MIN) : 0;
}

/* What a leaf here would say and cost. Whether it could be split. */
static bool judge(struct cart *c, const struct cart_open *o)
{
    double all = 0, impurity;

    impurity = c->data.classes ? judge_classes(c, o, &all) : judge_numbers(c, o, &all);
    c->heavy[o->node] = all;
    c->risk[o->node] = impurity * all / c->weight_sum;
    return impurity > 0 && o->n > 1 && o->n >= 2 * c->o.min_leaf &&
           (c->o.max_depth == 0 || o->depth < c->o.max_depth);
}

static int keep_open(struct cart *c, const struct cart_open *o, struct err *e)
{
    if (share_room(c, o->n, e) < 0) {
        return -1;
    }
    if (!judge(c, o)) {
        return 0;
    }
    if (c->n_open == c->open_cap) {
        if (big_resize(&c->open, 2 * c->open_cap + 64, sizeof(*c->open), what, e) < 0) {
            return -1;
        }
        c->open_cap = 2 * c->open_cap + 64;
    }
    c->open[c->n_open++] = *o;
    return 0;
}

/* Between the last bin on the left and the first on the right that has rows. */
static double threshold(const struct bins *b, const struct cart_best *s)
{
    const double *cuts = b->cuts + b->offsets[s->feature];
    double low, high, middle;

    if (s->by_set) {
        return 0;
    }
    if (s->next == CART_BINS) {
        return DBL_MAX; /* all that is there; what is missing goes right */
    }
    low = cuts[s->bin];
    high = cuts[s->next - 1];
    middle = low / 2 + high / 2;
    return middle >= low && middle <= high ? middle : low;
}

static void left_bins(const struct bins *b, const struct cart_best *s, uint8_t left[CART_BINS])
{
    uint32_t n = bins_of(b, s->feature);

    for (uint32_t i = 0; i < n; i++) {
        left[i] = s->by_set ? s->set.bits[i / 64] >> i % 64 & 1 : i <= s->bin;
    }
    left[n] = s->missing_left;
}

static int split(struct cart *c, const struct cart_open *o, struct err *e)
{
    uint8_t left[CART_BINS];
    struct cart_best s;
    struct partition p = {.b = c->data.bins,
                          .left = left,
                          .rows = c->rows + o->first,
                          .scratch = c->scratch,
                          .n = o->n};
    struct cart_open kids[2];
    size_t n;

    cart_find(&c->finder, c->rows + o->first, o->n, &s);
    if (!s.found) {
        return 0;
    }
    if (node_room(c, e) < 0 ||
        trees_split(&c->grown, o->node,
                    s.feature | (s.missing_left ? TREE_MISSING_LEFT : 0) |
                        (s.by_set ? TREE_SET : 0),
                    threshold(c->data.bins, &s), s.by_set ? &s.set : NULL, e) < 0) {
        return -1;
    }
    left_bins(c->data.bins, &s, left);
    p.feature = s.feature;
    n = partition_rows(&p, NULL, NULL);
    kids[0] = (struct cart_open){c->grown.nodes[o->node].child, o->depth + 1, o->first, n};
    kids[1] = (struct cart_open){kids[0].node + 1, o->depth + 1, o->first + n, o->n - n};
    return keep_open(c, &kids[1], e) < 0 ? -1 : keep_open(c, &kids[0], e);
}

int cart_grow(struct cart *c, const uint8_t *draws, struct rng *rng, struct err *e)
{
    struct cart_open root = {0};

    draw_rows(c, draws);
    round_rows(c);
    c->finder.row = c->row;
    c->finder.rng = rng;
    cart_finder_start(&c->finder);
    trees_cut(&c->grown, 0);
    c->n_open = 0;
    c->n_shares = 0;
    root.n = c->n;
    if (trees_add_root(&c->grown, &root.node, e) < 0 || node_room(c, e) < 0 ||
        keep_open(c, &root, e) < 0) {
        return -1;
    }
    while (c->n_open > 0) {
        struct cart_open o = c->open[--c->n_open];

        if (split(c, &o, e) < 0) {
            return -1;
        }
    }
    return 0;
}
