#include "algorithms/kernel/trees.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char what[] = "the trees";

int trees_init(struct trees *t, size_t n_features, size_t width, const struct bins *b,
               const struct features *f, struct err *e)
{
    *t = (struct trees){.n_features = n_features,
                        .width = width,
                        .of_category = xnew_array(uint8_t *, n_features + 1),
                        .n_categories = xnew_array(uint32_t, n_features + 1)};
    for (size_t j = 0; b && j < n_features; j++) {
        size_t n = f->categories[j].n;

        if (b->of_category[j]) {
            t->of_category[j] = xcalloc(n + 1, 1);
            t->n_categories[j] = (uint32_t)n;
            memcpy(t->of_category[j], b->of_category[j], n);
        }
    }
    t->gains = big_alloc(n_features, sizeof(double), what, e);
    return t->gains ? 0 : -1;
}

void trees_done(struct trees *t)
{
    for (size_t j = 0; t->of_category && j < t->n_features; j++) {
        free(t->of_category[j]);
    }
    free(t->of_category);
    free(t->n_categories);
    big_free(t->roots);
    big_free(t->nodes);
    big_free(t->sets);
    big_free(t->outputs);
    big_free(t->pure);
    big_free(t->gains);
    big_free(t->node_rows);
    big_free(t->node_outputs);
    *t = (struct trees){0};
}

/* Room for `more` behind n; an array doubles. */
static int room(void *pp, size_t *cap, size_t n, size_t more, size_t size, struct err *e)
{
    size_t want = *cap * 2 > n + more ? *cap * 2 : n + more;

    if (n + more <= *cap) {
        return 0;
    }
    if (want > UINT32_MAX) {
        return err_set(e, ERR_MEMORY, "the trees have more than %u nodes", UINT32_MAX);
    }
    if (big_resize(pp, want, size, what, e) < 0) {
        return -1;
    }
    *cap = want;
    return 0;
}

static int add_leaves(struct trees *t, size_t n, struct err *e)
{
    if (room(&t->nodes, &t->nodes_cap, t->n_nodes, n, sizeof(*t->nodes), e) < 0) {
        return -1;
    }
    memset(t->nodes + t->n_nodes, 0, n * sizeof(*t->nodes));
    t->n_nodes += n;
    return 0;
}

int trees_add_root(struct trees *t, uint32_t *node, struct err *e)
{
    if (room(&t->roots, &t->trees_cap, t->n_trees, 1, sizeof(*t->roots), e) < 0 ||
        add_leaves(t, 1, e) < 0) {
        return -1;
    }
    *node = t->roots[t->n_trees++] = (uint32_t)t->n_nodes - 1;
    return 0;
}

int trees_split(struct trees *t, uint32_t node, uint32_t feature, double value,
                const struct tree_set *set, struct err *e)
{
    if (add_leaves(t, 2, e) < 0 ||
        (set && room(&t->sets, &t->sets_cap, t->n_sets, 1, sizeof(*t->sets), e) < 0)) {
        return -1;
    }
    t->nodes[node].feature = feature;
    t->nodes[node].child = (uint32_t)t->n_nodes - 2;
    t->nodes[node].value = value;
    if (set) {
        t->nodes[node].slot = t->n_sets;
        t->sets[t->n_sets++] = *set;
    }
    return 0;
}

static int add_outputs(struct trees *t, uint64_t *slot, struct err *e)
{
    if (room(&t->outputs, &t->outputs_cap, t->n_outputs, t->width, sizeof(float), e) < 0) {
        return -1;
    }
    *slot = t->n_outputs / t->width;
    t->n_outputs += t->width;
    return 0;
}

int trees_set_outputs(struct trees *t, uint32_t node, const double *outputs, struct err *e)
{
    uint64_t slot;

    if (add_outputs(t, &slot, e) < 0) {
        return -1;
    }
    t->nodes[node].slot = slot;
    for (size_t k = 0; k < t->width; k++) {
        t->outputs[slot * t->width + k] = (float)outputs[k];
    }
    return 0;
}

int trees_set_pure(struct trees *t, uint32_t node, uint32_t output, struct err *e)
{
    uint64_t slot;

    if (t->pure == NULL && (t->pure = big_alloc(t->width, sizeof(*t->pure), what, e)) == NULL) {
        return -1;
    }
    if (t->pure[output] == 0) {
        if (add_outputs(t, &slot, e) < 0) {
            return -1;
        }
        memset(t->outputs + slot * t->width, 0, t->width * sizeof(float));
        t->outputs[slot * t->width + output] = 1;
        t->pure[output] = (uint32_t)slot + 1;
    }
    t->nodes[node].slot = t->pure[output] - 1;
    return 0;
}

void trees_cut(struct trees *t, size_t n)
{
    if (n < t->n_trees) {
        t->n_nodes = t->roots[n];
        t->n_trees = n;
    }
    t->n_sets = 0;
    for (size_t i = 0; i < t->n_nodes; i++) {
        const struct tree_node *node = &t->nodes[i];

        if (node->child && node->feature & TREE_SET && node->slot >= t->n_sets) {
            t->n_sets = node->slot + 1;
        }
    }
}

/* --- walking ---------------------------------------------------------------------------------- */

/* 1 for the second child. A comparison with NaN is false, so what is missing goes there unless the
 * node says otherwise. */
static inline uint32_t second(const struct trees *t, const struct tree_node *n, double v)
{
    uint32_t missing = v != v, to_first = n->feature >> 31;

    if (n->feature & TREE_SET && n->child && !missing) {
        uint8_t bin = t->of_category[n->feature & TREE_FEATURE][(size_t)v];

        return !(t->sets[n->slot].bits[bin / 64] >> bin % 64 & 1);
    }
    return !(v <= n->value) & !(missing & to_first);
}

enum { SIDE_BY_SIDE = 8 };

/* Several rows at once: the processor waits for the nodes of all of them together. */
static void walk_some(const struct trees *t, uint32_t root, const double *const *columns,
                      const uint32_t *rows, size_t n, uint32_t *leaves)
{
    uint32_t at[SIDE_BY_SIDE], moved;

    for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
        at[i] = root;
    }
    do {
        moved = 0;
        for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
            const struct tree_node *node = &t->nodes[at[i]];
            double v = columns[node->feature & TREE_FEATURE][rows[i]];
            uint32_t next = node->child + second(t, node, v);

            at[i] = node->child ? next : at[i];
            moved |= node->child;
        }
    } while (moved);
    memcpy(leaves, at, n * sizeof(*leaves));
}

void trees_walk(const struct trees *t, size_t tree, const double *const *columns,
                const uint32_t *rows, size_t first, size_t n, uint32_t *leaves)
{
    for (size_t i = 0; i < n; i += SIDE_BY_SIDE) {
        uint32_t some[SIDE_BY_SIDE];
        size_t left = n - i < SIDE_BY_SIDE ? n - i : SIDE_BY_SIDE;

        for (size_t k = 0; k < SIDE_BY_SIDE; k++) {
            size_t at = first + i + (k < left ? k : 0);

            some[k] = rows ? rows[at] : (uint32_t)at;
        }
        walk_some(t, t->roots[tree], columns, some, left, leaves + i);
    }
}
