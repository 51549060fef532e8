#include "algorithms/kernel/cart_count.h"

#include <math.h>
#include <string.h>

/* --- purity ----------------------------------------------------------------------------------- */

/* What is on the left while bins go there one by one; totals are of the node. */
struct amount {
    int64_t g, h;
    size_t rows; /* when counted, or of numbers */
};
struct side {
    struct cart_finder *f;
    struct amount left, total; /* of classes: h is the sum over them */
    bool sorted;
    uint64_t squares, left_squares, right_squares; /* of the classes' weights, when sorted */
};

/* Squares follow each row, so that no bin needs a look at all classes. */
static void add_rows(struct side *s, uint32_t bin)
{
    struct cart_finder *f = s->f;
    uint32_t first = f->sorted.first[bin], end = f->sorted.end[bin];

    for (uint32_t i = first; i < end; i++) {
        uint64_t h = f->sorted.rows[i].h, *left = &f->left[f->sorted.rows[i].g];
        uint64_t right = f->total[f->sorted.rows[i].g] - *left;

        s->left_squares += h * (2 * *left + h);
        s->right_squares -= h * (2 * right - h);
        s->left.h += (int64_t)h;
        *left += h;
    }
    s->left.rows += end - first;
}

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

/* A bin of feature number j of the batch. */
static void add_bin(struct side *s, size_t j, uint32_t bin)
{
    if (s->sorted) {
        add_rows(s, bin);
    } else {
        add_cell(s, j * CART_BINS + bin);
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

/* The same over the classes of the node, in the same order. */
static double purity_present(const struct cart_finder *f, const uint64_t *a, const uint64_t *minus,
                             double weight)
{
    double sum = 0;

    for (size_t i = 0; i < f->sorted.n_present; i++) {
        uint32_t k = f->sorted.present[i];

        sum += n_log_n((double)(a[k] - (minus ? minus[k] : 0)));
    }
    return sum - n_log_n(weight);
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
    if (s->sorted && f->o->criterion == CART_ENTROPY) {
        return purity_present(f, f->left, NULL, (double)s->left.h) +
               purity_present(f, f->total, f->left, (double)right);
    }
    if (s->sorted) {
        return (double)s->left_squares / (double)s->left.h +
               (double)s->right_squares / (double)right;
    }
    return purity_classes(f, f->left, NULL, (double)s->left.h) +
           purity_classes(f, f->total, f->left, (double)right);
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
    s->left_squares = 0;
    s->right_squares = s->squares;
    memset(s->f->left, 0, s->f->data->n_classes * sizeof(uint64_t));
}

/* --- one feature ------------------------------------------------------------------------------ */

static double key_of_rows(const struct cart_finder *f, uint32_t bin, size_t of_class)
{
    const struct cart_sorted *s = &f->sorted;
    uint64_t sum = 0, of = 0;

    for (uint32_t i = s->first[bin]; i < s->end[bin]; i++) {
        sum += s->rows[i].h;
        of += (size_t)s->rows[i].g == of_class ? s->rows[i].h : 0;
    }
    return (double)of / (double)sum;
}

static double key_of_cell(const struct cart_finder *f, size_t cell, size_t of_class)
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

/* What a leaf of these rows alone would say: categories go left in this order. */
static double key_of(const struct side *s, size_t j, uint32_t bin, size_t of_class)
{
    return s->sorted ? key_of_rows(s->f, bin, of_class)
                     : key_of_cell(s->f, j * CART_BINS + bin, of_class);
}

/* Of two classes and of numbers the best division is among the prefixes; of more classes it is
 * looked for by the share of the most frequent one. */
static void sort_categories(const struct side *s, size_t j, struct cart_list *l)
{
    const struct cart_finder *f = s->f;
    double keys[CART_BINS];
    size_t of_class = 0;

    for (size_t k = 1; k < f->data->n_classes; k++) {
        of_class = f->total[k] > f->total[of_class] ? k : of_class;
    }
    for (size_t i = 0; i < l->n; i++) {
        uint8_t bin = l->bins[i];
        double key = key_of(s, j, bin, of_class);
        size_t at = i;

        for (; at > 0 && keys[at - 1] > key; at--) {
            keys[at] = keys[at - 1];
            l->bins[at] = l->bins[at - 1];
        }
        keys[at] = key;
        l->bins[at] = bin;
    }
}

static void keep(struct side *s, const struct cart_list *l, size_t i, uint32_t feature, bool with,
                 struct cart_best *best)
{
    double sum;

    if (!heavy_enough(s)) {
        return;
    }
    sum = purity(s);
    if (best->found && sum <= best->purity) {
        return;
    }
    *best = (struct cart_best){.found = true,
                               .missing_left = l->missing ? with : 2 * s->left.h > s->total.h,
                               .purity = sum,
                               .feature = feature,
                               .bin = l->bins[i],
                               .next = i + 1 < l->n ? l->bins[i + 1] : CART_BINS};
    best->by_set = s->f->data->bins->of_category[feature] != NULL;
    for (size_t k = 0; best->by_set && k <= i; k++) {
        best->set.bits[l->bins[k] / 64] |= (uint64_t)1 << l->bins[k] % 64;
    }
}

/* False: all rows are alike in this feature. */
static bool scan(struct side *s, size_t j, uint32_t feature, struct cart_list *l,
                 struct cart_best *best)
{
    if (l->n + l->missing < 2) {
        return false;
    }
    if (s->f->data->bins->of_category[feature]) {
        sort_categories(s, j, l);
    }
    for (int with = 0; with <= l->missing; with++) {
        start_left(s);
        if (with) {
            add_bin(s, j, bins_of(s->f->data->bins, feature));
        }
        for (size_t i = 0; i < l->n; i++) {
            add_bin(s, j, l->bins[i]);
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

static void look_at_classes(struct side *s)
{
    struct cart_finder *f = s->f;

    f->sorted.n_present = 0;
    for (size_t k = 0; k < f->data->n_classes; k++) {
        s->squares += f->total[k] * f->total[k];
        f->sorted.present[f->sorted.n_present] = (uint32_t)k;
        f->sorted.n_present += f->total[k] > 0;
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

/* Counts some features and looks for their best split; how many of them are not constant. */
static size_t try_batch(struct side *s, const uint32_t *rows, size_t n, const uint32_t *features,
                        size_t n_features, struct cart_best *best)
{
    struct cart_met met[CART_BATCH_MAX];
    size_t useful = 0;

    cart_count(s->f, rows, n, features, n_features, met);
    for (size_t j = 0; j < n_features; j++) {
        struct cart_list l;

        cart_list_bins(s->f, n, j, features[j], met, &l);
        useful += scan(s, j, features[j], &l, best);
        cart_clear(s->f, n, j, features[j], &l);
    }
    return useful;
}

static size_t try_sorted(struct side *s, const uint32_t *rows, size_t n, uint32_t feature,
                         struct cart_best *best)
{
    struct cart_list l;

    cart_sort(s->f, rows, n, feature, &l);
    return scan(s, 0, feature, &l, best);
}

void cart_find(struct cart_finder *f, const uint32_t *rows, size_t n, struct cart_best *best)
{
    struct side s = {.f = f, .sorted = cart_sorts(f->data->n_classes, n)};
    size_t d = f->data->bins->n_features, tried = 0;

    *best = (struct cart_best){0};
    total_of(f, rows, n, &s);
    if (s.sorted) {
        look_at_classes(&s);
    }
    for (size_t at = 0; at < d && tried < f->o->max_features;) {
        size_t more = f->o->max_features - tried;

        more = s.sorted ? 1 : more < f->batch ? more : f->batch;
        more = more < d - at ? more : d - at;
        draw(f, at, more);
        tried += s.sorted ? try_sorted(&s, rows, n, f->order[at], best)
                          : try_batch(&s, rows, n, f->order + at, more, best);
        at += more;
    }
}
