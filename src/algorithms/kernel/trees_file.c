#include "algorithms/kernel/trees.h"

#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "base/mem.h"

#include <math.h>

static const char what[] = "the trees";

void trees_write(const struct trees *t, struct binw *w)
{
    binw_u32(w, (uint32_t)t->width);
    binw_u32(w, (uint32_t)t->n_trees);
    binw_u32(w, (uint32_t)t->n_nodes);
    binw_u32(w, (uint32_t)t->n_sets);
    binw_u32(w, (uint32_t)(t->n_outputs / t->width));
    binw_u32(w, t->node_rows != NULL);
    binw_u32s(w, t->roots, t->n_trees);
    for (size_t i = 0; i < t->n_nodes; i++) {
        binw_u64(w, t->nodes[i].slot); /* the bits of the number, where it is one */
        binw_u32(w, t->nodes[i].feature);
        binw_u32(w, t->nodes[i].child);
    }
    for (size_t i = 0; i < t->n_sets; i++) {
        for (size_t k = 0; k < ARRAY_LEN(t->sets->bits); k++) {
            binw_u64(w, t->sets[i].bits[k]);
        }
    }
    binw_f32s(w, t->outputs, t->n_outputs);
    binw_f64s(w, t->gains, t->n_features);
    for (size_t j = 0; j < t->n_features; j++) {
        if (t->of_category[j]) {
            binw_bytes(w, t->of_category[j], t->n_categories[j]);
        }
    }
    if (t->node_rows) {
        binw_f64s(w, t->node_rows, t->n_nodes);
        binw_f64s(w, t->node_outputs, t->n_nodes * t->width);
    }
}

static int damaged_node(size_t i, const char *why, struct err *e)
{
    return err_set(e, ERR_DATA, "damaged: node %zu of the trees %s", i, why);
}

/* `end`: of the node's tree. */
static int check_node(const struct trees *t, size_t i, size_t end, struct err *e)
{
    const struct tree_node *n = &t->nodes[i];
    uint32_t feature = n->feature & TREE_FEATURE;

    if (n->child == 0) {
        if (n->feature != 0) {
            return damaged_node(i, "is a leaf with a feature", e);
        }
        return (t->width > 1 ? n->slot < t->n_outputs / t->width : isfinite(n->value))
                   ? 0
                   : damaged_node(i, "has no output", e);
    }
    if (n->child <= i || n->child >= end || end - n->child < 2) {
        return damaged_node(i, "has no children", e);
    }
    if (feature >= t->n_features || !(n->feature & TREE_SET) != !t->of_category[feature]) {
        return damaged_node(i, "asks for no feature", e);
    }
    return (n->feature & TREE_SET ? n->slot < t->n_sets : isfinite(n->value))
               ? 0
               : damaged_node(i, "has nothing to compare with", e);
}

static int check_nodes(const struct trees *t, struct err *e)
{
    SCOPED(big_freep) unsigned char *has_parent = big_alloc(t->n_nodes, 1, what, e);

    if (has_parent == NULL) {
        return -1;
    }
    for (size_t i = 0; i < t->n_trees; i++) {
        size_t from = t->roots[i], end = i + 1 < t->n_trees ? t->roots[i + 1] : t->n_nodes;

        if (from >= end || end > t->n_nodes || (i == 0 && from != 0)) {
            return err_set(e, ERR_DATA, "damaged: tree %zu has no nodes", i);
        }
        for (size_t k = from; k < end; k++) {
            uint32_t child = t->nodes[k].child;

            if (check_node(t, k, end, e) < 0) {
                return -1;
            }
            if (child && (has_parent[child] || has_parent[child + 1])) {
                return damaged_node(child, "has two parents", e);
            }
            if (child) {
                has_parent[child] = has_parent[child + 1] = 1;
            }
        }
    }
    for (size_t i = 0; i < t->n_outputs; i++) {
        if (!isfinite(t->outputs[i])) {
            return err_set(e, ERR_DATA, "damaged: output %zu of the trees is no number", i);
        }
    }
    return t->n_trees > 0 || t->n_nodes == 0 ? 0
                                             : err_set(e, ERR_DATA, "damaged: nodes of no tree");
}

static int read_categories(struct binr *r, struct trees *t, const struct features *f)
{
    for (size_t j = 0; j < t->n_features && !r->bad; j++) {
        if (f->categories[j].names) {
            t->n_categories[j] = (uint32_t)f->categories[j].n;
            t->of_category[j] = xcalloc(t->n_categories[j] + 1, 1);
            binr_bytes(r, t->of_category[j], t->n_categories[j]);
        }
    }
    return r->bad ? -1 : 0;
}

/* Sizes that the bytes left bear out. */
static int read_sizes(struct binr *r, struct trees *t, size_t width, bool *looked_at, struct err *e)
{
    size_t per_node = 16;

    if (binr_u32(r) != width) {
        return err_set(e, ERR_DATA, "damaged: the trees have other outputs than the model");
    }
    t->n_trees = binr_u32(r);
    t->n_nodes = binr_u32(r);
    t->n_sets = binr_u32(r);
    t->n_outputs = binr_u32(r) * width;
    *looked_at = binr_u32(r) == 1;
    per_node += *looked_at ? 8 + 8 * width : 0;
    if (r->bad || t->n_nodes > r->left / per_node || t->n_trees > r->left / 4 ||
        t->n_sets > r->left / sizeof(*t->sets) || t->n_outputs > r->left / 4) {
        *t = (struct trees){.n_features = t->n_features,
                            .of_category = t->of_category,
                            .n_categories = t->n_categories,
                            .gains = t->gains};
        return err_set(e, ERR_DATA, "damaged: it ends inside the trees");
    }
    return 0;
}

static int read_nodes(struct binr *r, struct trees *t, struct err *e)
{
    t->roots = big_alloc(t->n_trees, sizeof(*t->roots), what, e);
    t->nodes = t->roots ? big_alloc(t->n_nodes, sizeof(*t->nodes), what, e) : NULL;
    t->sets = t->nodes ? big_alloc(t->n_sets, sizeof(*t->sets), what, e) : NULL;
    t->outputs = t->sets ? big_alloc(t->n_outputs, sizeof(float), what, e) : NULL;
    if (t->outputs == NULL) {
        return -1;
    }
    binr_u32s(r, t->roots, t->n_trees);
    for (size_t i = 0; i < t->n_nodes; i++) {
        t->nodes[i].slot = binr_u64(r);
        t->nodes[i].feature = binr_u32(r);
        t->nodes[i].child = binr_u32(r);
    }
    for (size_t i = 0; i < t->n_sets; i++) {
        for (size_t k = 0; k < ARRAY_LEN(t->sets->bits); k++) {
            t->sets[i].bits[k] = binr_u64(r);
        }
    }
    binr_f32s(r, t->outputs, t->n_outputs);
    binr_f64s(r, t->gains, t->n_features);
    return 0;
}

static int read_looked_at(struct binr *r, struct trees *t, struct err *e)
{
    t->node_rows = big_alloc(t->n_nodes, sizeof(double), what, e);
    t->node_outputs =
        t->node_rows ? big_alloc(t->n_nodes * t->width, sizeof(double), what, e) : NULL;
    if (t->node_outputs == NULL) {
        return -1;
    }
    binr_f64s(r, t->node_rows, t->n_nodes);
    binr_f64s(r, t->node_outputs, t->n_nodes * t->width);
    return 0;
}

int trees_read(struct binr *r, struct trees *t, const struct features *f, size_t width,
               struct err *e)
{
    bool looked_at;

    if (trees_init(t, f->n, width, /* bins */ NULL, f, e) < 0 ||
        read_sizes(r, t, width, &looked_at, e) < 0 || read_nodes(r, t, e) < 0) {
        return -1;
    }
    if (read_categories(r, t, f) < 0 || (looked_at && read_looked_at(r, t, e) < 0) || r->bad) {
        return err_set(e, ERR_DATA, "damaged: it ends inside the trees");
    }
    return check_nodes(t, e);
}
