#include "algorithms/kernel/kdtree.h"

#include "algorithms/kernel/bigmem.h"

#include <math.h>
#include <string.h>

void kdtree_done(struct kdtree *t)
{
    big_free(t->points);
    big_free(t->rows);
    big_free(t->place);
    big_free(t->nodes);
    big_free(t->boxes);
    *t = (struct kdtree){0};
}

/* The box of a node; returns its widest side, or d when it has no width. */
static size_t measure(struct kdtree *t, const double *x, uint32_t node)
{
    double *least = t->boxes + node * 2 * t->d, *most = least + t->d, width = 0;
    size_t widest = t->d;

    for (size_t j = 0; j < t->d; j++) {
        least[j] = INFINITY;
        most[j] = -INFINITY;
    }
    for (uint32_t i = t->nodes[node].from; i < t->nodes[node].to; i++) {
        const double *p = x + t->rows[i] * t->d;

        for (size_t j = 0; j < t->d; j++) {
            least[j] = p[j] < least[j] ? p[j] : least[j];
            most[j] = p[j] > most[j] ? p[j] : most[j];
        }
    }
    for (size_t j = 0; j < t->d; j++) {
        if (most[j] - least[j] > width) {
            width = most[j] - least[j];
            widest = j;
        }
    }
    return widest;
}

static bool before(const double *x, size_t d, size_t side, uint32_t a, uint32_t b)
{
    double u = x[a * d + side], v = x[b * d + side];

    return u < v || (u == v && a < b);
}

/* The point that belongs at `middle` gets there, smaller ones in front. */
static void halve(struct kdtree *t, const double *x, size_t side, uint32_t from, uint32_t to,
                  uint32_t middle)
{
    while (to - from > 1) {
        uint32_t pivot = t->rows[from + (to - from - 1) / 2], i = from, j = to - 1;

        for (;;) {
            while (before(x, t->d, side, t->rows[i], pivot)) {
                i++;
            }
            while (before(x, t->d, side, pivot, t->rows[j])) {
                j--;
            }
            if (i >= j) {
                break;
            }
            uint32_t row = t->rows[i];
            t->rows[i++] = t->rows[j];
            t->rows[j--] = row;
        }
        if (middle <= j) {
            to = j + 1;
        } else {
            from = j + 1;
        }
    }
}

static uint32_t add_node(struct kdtree *t, uint32_t from, uint32_t to, uint32_t parent)
{
    t->nodes[t->n_nodes] = (struct kdnode){.from = from, .to = to, .parent = parent};
    return (uint32_t)t->n_nodes++;
}

int kdtree_init(struct kdtree *t, const double *x, size_t n, size_t d, struct err *e)
{
    size_t most = 2 * (n / (KDTREE_LEAF / 2) + 1);
    const char *what = "the tree of points";

    *t = (struct kdtree){.n = n, .d = d};
    t->rows = big_alloc(n, sizeof(*t->rows), what, e);
    t->place = t->rows ? big_alloc(n, sizeof(*t->place), what, e) : NULL;
    t->nodes = t->place ? big_alloc(most, sizeof(*t->nodes), what, e) : NULL;
    t->boxes = t->nodes ? big_alloc(most * 2 * d, sizeof(double), what, e) : NULL;
    t->points = t->boxes ? big_alloc(n * d, sizeof(double), what, e) : NULL;
    if (t->points == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < n; i++) {
        t->rows[i] = i;
    }
    add_node(t, 0, (uint32_t)n, 0);
    for (uint32_t node = 0; node < t->n_nodes; node++) {
        struct kdnode *at = &t->nodes[node];
        size_t side = measure(t, x, node);
        uint32_t middle = at->from + (at->to - at->from) / 2;

        if (side < d && at->to - at->from > KDTREE_LEAF) {
            halve(t, x, side, at->from, at->to, middle);
            at->first = add_node(t, at->from, middle, node);
            at->second = add_node(t, middle, at->to, node);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        t->place[t->rows[i]] = i;
        memcpy(t->points + i * d, x + t->rows[i] * d, d * sizeof(double));
    }
    return 0;
}

double kdtree_radius(const struct kdtree *t, double radius)
{
    return t->manhattan ? radius : radius * radius;
}

double kdtree_distance(const struct kdtree *t, const double *a, const double *b)
{
    double sum = 0;

    for (size_t j = 0; j < t->d; j++) {
        double v = a[j] - b[j];

        sum += t->manhattan ? fabs(v) : v * v;
    }
    return sum;
}

double kdtree_least(const struct kdtree *t, uint32_t node, const double *p)
{
    const double *least = t->boxes + node * 2 * t->d, *most = least + t->d;
    double sum = 0;

    for (size_t j = 0; j < t->d; j++) {
        double v = p[j] < least[j] ? least[j] - p[j] : p[j] > most[j] ? p[j] - most[j] : 0;

        sum += t->manhattan ? v : v * v;
    }
    return sum;
}

double kdtree_most(const struct kdtree *t, uint32_t node, const double *p)
{
    const double *least = t->boxes + node * 2 * t->d, *most = least + t->d;
    double sum = 0;

    for (size_t j = 0; j < t->d; j++) {
        double v = fmax(fabs(p[j] - least[j]), fabs(p[j] - most[j]));

        sum += t->manhattan ? v : v * v;
    }
    return sum;
}
