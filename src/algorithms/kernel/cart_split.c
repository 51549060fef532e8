#include "algorithms/kernel/cart_split.h"

#include "algorithms/kernel/bigmem.h"
#include "base/limits.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* Fewer rows than this leave most bins empty: then only those that were met are looked at. */
enum { FEW_ROWS = 192, BATCH_MAX = 32, BITS = 64, WORDS = CART_BINS / BITS };
static const size_t cells_bytes_max = 1 * MIB;

struct met {
    uint64_t bits[WORDS];
};

/* Bins with rows, in the order in which they go left. */
struct list {
    uint8_t bins[CART_BINS];
    size_t n;
    bool missing; /* there are rows with none; not in the list */
};

static size_t lane_bytes(const struct cart_finder *f)
{
    return f->data->classes ? f->stride * sizeof(uint32_t) : sizeof(struct cart_lanes);
}

int cart_finder_init(struct cart_finder *f, const struct cart_data *data,
                     const struct cart_options *o, struct err *e)
{
    size_t d = data->bins->n_features, bytes;
    static const char what[] = "the histograms of a tree";

    *f = (struct cart_finder){.data = data, .o = o, .counted = o->min_leaf > 1};
    f->stride = data->n_classes + f->counted;
    bytes = lane_bytes(f) * CART_BINS;
    f->batch = cells_bytes_max / bytes;
    f->batch = f->batch > BATCH_MAX ? BATCH_MAX : f->batch < 1 ? 1 : f->batch;
    f->batch = f->batch > o->max_features ? o->max_features : f->batch;
    f->cells = big_alloc(f->batch, bytes, what, e);
    f->order = f->cells ? big_alloc(d, sizeof(*f->order), what, e) : NULL;
    f->left = f->order ? big_alloc(data->n_classes, 2 * sizeof(uint64_t), what, e) : NULL;
    if (f->left == NULL) {
        return -1;
    }
    f->total = f->left + data->n_classes;
    return 0;
}

void cart_finder_start(struct cart_finder *f)
{
    for (size_t j = 0; j < f->data->bins->n_features; j++) {
        f->order[j] = (uint32_t)j;
    }
}

void cart_finder_done(struct cart_finder *f)
{
    big_free(f->cells);
    big_free(f->order);
    big_free(f->left);
}

/* --- counting --------------------------------------------------------------------------------- */

static inline void meet(struct met *met, size_t j, uint8_t bin)
{
    if (met) {
        met[j].bits[bin / BITS] |= (uint64_t)1 << bin % BITS;
    }
}

static inline void count_numbers(const struct cart_finder *f, const uint32_t *rows, size_t n,
                                 const uint32_t *features, size_t n_features, struct met *met)
{
    const struct bins *b = f->data->bins;
    struct cart_lanes *cells = f->cells;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *cell = b->cells + rows[i] * b->n_features;
        struct cart_row row = f->row[rows[i]];

        for (size_t j = 0; j < n_features; j++) {
            uint8_t bin = cell[features[j]];

            cells[j * CART_BINS + bin].g += row.g;
            cells[j * CART_BINS + bin].h += row.h + CART_ROW;
            meet(met, j, bin);
        }
    }
}

static inline void count_classes(const struct cart_finder *f, const uint32_t *rows, size_t n,
                                 const uint32_t *features, size_t n_features, struct met *met)
{
    const struct bins *b = f->data->bins;
    size_t k = f->stride, counted = f->counted;
    uint32_t *cells = f->cells;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *cell = b->cells + rows[i] * b->n_features;
        struct cart_row row = f->row[rows[i]];

        for (size_t j = 0; j < n_features; j++) {
            uint8_t bin = cell[features[j]];

            cells[(j * CART_BINS + bin) * k + (size_t)row.g] += row.h;
            if (counted) {
                cells[(j * CART_BINS + bin) * k + k - 1]++;
            }
            meet(met, j, bin);
        }
    }
}

static bool is_empty(const struct cart_finder *f, size_t cell)
{
    const uint32_t *classes = (const uint32_t *)f->cells + cell * f->stride;
    uint32_t any = 0;

    if (f->data->classes == NULL) {
        return ((const struct cart_lanes *)f->cells)[cell].h == 0;
    }
    for (size_t k = 0; k < f->data->n_classes; k++) {
        any |= classes[k];
    }
    return any == 0;
}

/* The bins of feature number j of the batch that hold rows. */
static void list_bins(const struct cart_finder *f, size_t j, uint32_t feature,
                      const struct met *met, struct list *l)
{
    uint32_t missing = bins_of(f->data->bins, feature);

    l->n = 0;
    for (uint32_t w = 0; met && w < WORDS; w++) {
        for (uint64_t bits = met[j].bits[w]; bits; bits &= bits - 1) {
            l->bins[l->n++] = (uint8_t)(w * BITS + (uint32_t)__builtin_ctzll(bits));
        }
    }
    for (uint32_t i = 0; met == NULL && i <= missing; i++) {
        l->bins[l->n] = (uint8_t)i;
        l->n += !is_empty(f, j * CART_BINS + i);
    }
    l->missing = l->n > 0 && l->bins[l->n - 1] == missing;
    l->n -= l->missing;
}

static void clear(struct cart_finder *f, size_t cell)
{
    size_t bytes = lane_bytes(f);

    memset((char *)f->cells + cell * bytes, 0, bytes);
}

/* --- gains ------------------------------------------------------------------------------------ */

/* What is on the left while bins go there one by one; totals are of the node. */
struct amount {
    int64_t g, h;
    size_t rows; /* when counted, or of numbers */
};
struct side {
    struct cart_finder *f;
    struct amount left, total; /* of classes: h is the sum over them */
};

static void add_cell(struct side *s, size_t cell)
{
    struct cart_finder *f = s->f;

    if (f->data->classes == NULL) {
        const struct cart_lanes *c = (const struct cart_lanes *)f->cells + cell;

        s->left.g += c->g;
        s->left.h += (int64_t)(c->h & (CART_ROW - 1));
        s->left.rows += c->h / CART_ROW;
        return;
    }
    s->left.rows += f->counted ? ((const uint32_t *)f->cells)[(cell + 1) * f->stride - 1] : 0;
    for (size_t k = 0; k < f->data->n_classes; k++) {
        uint32_t c = ((const uint32_t *)f->cells)[cell * f->stride + k];

        f->left[k] += c;
        s->left.h += c;
    }
}

static double n_log_n(double v)
{
    return v > 0 ? v * log2(v) : 0;
}

/* The larger, the purer: sums of squares over weight, or weight times negative entropy. */
static double purity_classes(const struct cart_finder *f, const uint64_t *a, const uint64_t *minus,
                             double weight)
{
    double sum = 0;

    for (size_t k = 0; k < f->data->n_classes; k++) {
        double v = (double)(a[k] - (minus ? minus[k] : 0));

        sum += f->o->criterion == CART_ENTROPY ? n_log_n(v) : v * v;
    }
    return f->o->criterion == CART_ENTROPY ? sum - n_log_n(weight) : sum / weight;
}

static double purity_numbers(const struct cart_finder *f, int64_t g, int64_t h)
{
    double sum = (double)g * f->g_unit;

    return sum * sum / ((double)h * f->h_unit);
}

/* In the units of h for classes. */
static double purity(const struct side *s)
{
    const struct cart_finder *f = s->f;
    int64_t right = s->total.h - s->left.h;

    if (f->data->classes == NULL) {
        return purity_numbers(f, s->left.g, s->left.h) +
               purity_numbers(f, s->total.g - s->left.g, right);
    }
    return purity_classes(f, f->left, NULL, (double)s->left.h) +
           purity_classes(f, f->total, f->left, (double)right);
}

static double purity_before(const struct side *s)
{
    return s->f->data->classes
               ? purity_classes(s->f, s->f->total, NULL, (double)s->total.h)
               : purity_numbers(s->f, s->total.g, s->total.h);
}

static bool heavy_enough(const struct side *s)
{
    size_t least = s->f->o->min_leaf;

    if (s->f->counted && (s->left.rows < least || s->total.rows - s->left.rows < least)) {
        return false;
    }
    return s->left.h > 0 && s->total.h > s->left.h;
}

static void start_left(struct side *s)
{
    s->left = (struct amount){0};
    memset(s->f->left, 0, s->f->data->n_classes * sizeof(uint64_t));
}

/* --- one feature ------------------------------------------------------------------------------ */

/* What a leaf of these rows alone would say: categories go left in this order. */
static double key_of(const struct cart_finder *f, size_t cell, size_t of_class)
{
    const uint32_t *c = (const uint32_t *)f->cells + cell * f->stride;
    const struct cart_lanes *v = (const struct cart_lanes *)f->cells + cell;
    double sum = 0;

    if (f->data->classes == NULL) {
        return (double)v->g / (double)(v->h & (CART_ROW - 1));
    }
    for (size_t k = 0; k < f->data->n_classes; k++) {
        sum += c[k];
    }
    return c[of_class] / sum;
}

/* Of two classes and of numbers the best division is among the prefixes; of more classes it is
 * looked for by the share of the most frequent one. */
static void sort_categories(const struct cart_finder *f, size_t j, struct list *l)
{
    double keys[CART_BINS];
    size_t of_class = 0;

    for (size_t k = 1; k < f->data->n_classes; k++) {
        of_class = f->total[k] > f->total[of_class] ? k : of_class;
    }
    for (size_t i = 0; i < l->n; i++) {
        uint8_t bin = l->bins[i];
        double key = key_of(f, j * CART_BINS + bin, of_class);
        size_t at = i;

        for (; at > 0 && keys[at - 1] > key; at--) {
            keys[at] = keys[at - 1];
            l->bins[at] = l->bins[at - 1];
        }
        keys[at] = key;
        l->bins[at] = bin;
    }
}

static void keep(struct side *s, const struct list *l, size_t i, uint32_t feature, bool with,
                 struct cart_best *best)
{
    double gain;

    if (!heavy_enough(s)) {
        return;
    }
    gain = purity(s);
    if (best->found && gain <= best->gain) {
        return;
    }
    *best = (struct cart_best){.found = true,
                               .missing_left = l->missing ? with
                                                          : 2 * s->left.h > s->total.h,
                               .gain = gain,
                               .feature = feature,
                               .bin = l->bins[i],
                               .next = i + 1 < l->n ? l->bins[i + 1] : CART_BINS};
    best->by_set = s->f->data->bins->of_category[feature] != NULL;
    for (size_t k = 0; best->by_set && k <= i; k++) {
        best->set.bits[l->bins[k] / BITS] |= (uint64_t)1 << l->bins[k] % BITS;
    }
}

/* False: all rows are alike in this feature. */
static bool scan(struct side *s, size_t j, uint32_t feature, struct list *l, struct cart_best *best)
{
    size_t missing = j * CART_BINS + bins_of(s->f->data->bins, feature);

    if (l->n + l->missing < 2) {
        return false;
    }
    if (s->f->data->bins->of_category[feature]) {
        sort_categories(s->f, j, l);
    }
    for (int with = 0; with <= l->missing; with++) {
        start_left(s);
        if (with) {
            add_cell(s, missing);
        }
        for (size_t i = 0; i < l->n; i++) {
            add_cell(s, j * CART_BINS + l->bins[i]);
            keep(s, l, i, feature, with, best);
        }
    }
    return true;
}

/* --- a node ----------------------------------------------------------------------------------- */

static void total_of(struct cart_finder *f, const uint32_t *rows, size_t n, struct side *s)
{
    memset(f->total, 0, f->data->n_classes * sizeof(uint64_t));
    s->total.rows = n;
    for (size_t i = 0; i < n; i++) {
        struct cart_row row = f->row[rows[i]];

        s->total.h += row.h;
        if (f->data->classes) {
            f->total[row.g] += row.h;
        } else {
            s->total.g += row.g;
        }
    }
}

/* Features number `at` to `at + n` of the order, drawn from those behind `at`. */
static void draw(struct cart_finder *f, size_t at, size_t n)
{
    size_t d = f->data->bins->n_features;

    for (size_t i = at; f->o->max_features < d && i < at + n; i++) {
        size_t k = i + rng_below(f->rng, d - i);
        uint32_t t = f->order[i];

        f->order[i] = f->order[k];
        f->order[k] = t;
    }
}

static void count(struct cart_finder *f, const uint32_t *rows, size_t n, const uint32_t *features,
                  size_t n_features, struct met *met)
{
    if (f->data->classes && met) {
        count_classes(f, rows, n, features, n_features, met);
    } else if (f->data->classes) {
        count_classes(f, rows, n, features, n_features, NULL);
    } else if (met) {
        count_numbers(f, rows, n, features, n_features, met);
    } else {
        count_numbers(f, rows, n, features, n_features, NULL);
    }
}

/* Counts some features and looks for their best split; how many of them are not constant. */
static size_t try_batch(struct side *s, const uint32_t *rows, size_t n, const uint32_t *features,
                        size_t n_features, struct cart_best *best)
{
    struct met met[BATCH_MAX] = {0};
    const struct met *few = n < FEW_ROWS ? met : NULL;
    size_t useful = 0;

    count(s->f, rows, n, features, n_features, n < FEW_ROWS ? met : NULL);
    for (size_t j = 0; j < n_features; j++) {
        struct list l;

        list_bins(s->f, j, features[j], few, &l);
        useful += scan(s, j, features[j], &l, best);
        for (size_t i = 0; i < l.n; i++) {
            clear(s->f, j * CART_BINS + l.bins[i]);
        }
        if (l.missing) {
            clear(s->f, j * CART_BINS + bins_of(s->f->data->bins, features[j]));
        }
    }
    return useful;
}

void cart_find(struct cart_finder *f, const uint32_t *rows, size_t n, struct cart_best *best)
{
    struct side s = {.f = f};
    size_t d = f->data->bins->n_features, tried = 0;

    *best = (struct cart_best){0};
    total_of(f, rows, n, &s);
    for (size_t at = 0; at < d && tried < f->o->max_features;) {
        size_t more = f->o->max_features - tried;

        more = more < f->batch ? more : f->batch;
        more = more < d - at ? more : d - at;
        draw(f, at, more);
        tried += try_batch(&s, rows, n, f->order + at, more, best);
        at += more;
    }
    if (best->found) {
        best->gain -= purity_before(&s);
        best->gain = best->gain > 0 ? best->gain * (f->data->classes ? f->h_unit : 1) : 0;
    }
}
